"""Undo over HTTP: a decision that asked for the time to undo it is taken back by its id, or it is said why not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import insert

from domain.messages import Step
from ledger import decisions, tables
from ledger.engine import Database
from tests.web.retail import NOW, a_case, rows
from tests.web.test_api_orders import problem

As = Callable[[str], httpx2.AsyncClient]
WINDOW_S = 600


@pytest.fixture(autouse=True)
async def window(retailer: Database) -> None:
    """What is decided can be undone for ten minutes."""
    body = {"cases": {"undo_s": dict.fromkeys(("critical", "high", "medium", "low"), WINDOW_S)}}
    row = {"version": "window", "effective_from": NOW - timedelta(days=1), "body": body}
    async with retailer.engine.begin() as conn:
        await conn.execute(insert(tables.policy_document).values(**row))


async def decided(client: httpx2.AsyncClient, case_id: int, **more: object) -> dict[str, object]:
    answer = await client.post(f"/api/v1/cases/{case_id}/decisions", json={"option": "dismiss", **more})
    assert answer.status_code == 202, answer.text
    made: dict[str, object] = answer.json()
    return made


class TestTheTimeToUndo:
    async def test_a_system_that_does_not_ask_for_it_has_none(self, as_key: As, retailer: Database) -> None:
        made = await decided(as_key("sam"), await a_case(retailer, "one"))
        assert (made["state"], made["undo_until"]) == ("applied", None)
        refused = await as_key("sam").post(f"/api/v1/decisions/{made['decision_id']}:undo")
        problem(refused, 409, "undo_too_late")
        assert "carried out" in refused.json()["detail"]

    async def test_whoever_asks_for_it_is_told_until_when(self, as_key: As, retailer: Database) -> None:
        sam = as_key("sam")
        before = datetime.now(UTC)
        made = await decided(sam, await a_case(retailer, "one"), undoable=True)
        assert made["state"] == "applying"
        until = datetime.fromisoformat(str(made["undo_until"]))
        assert until - timedelta(seconds=WINDOW_S) >= before - timedelta(minutes=1)
        again = (await sam.get(f"/api/v1/decisions/{made['decision_id']}")).json()
        assert datetime.fromisoformat(again["undo_until"]) == until

    async def test_a_decision_with_it_is_another_request_under_the_same_key(
        self, as_key: As, retailer: Database
    ) -> None:
        case_id = await a_case(retailer, "one")
        sam, key = as_key("sam"), {"Idempotency-Key": "7f1c"}
        path = f"/api/v1/cases/{case_id}/decisions"
        first = await sam.post(path, json={"option": "dismiss", "undoable": True}, headers=key)
        again = await sam.post(path, json={"option": "dismiss", "undoable": True}, headers=key)
        assert (first.status_code, again.status_code) == (202, 200)
        assert again.json()["undo_until"] == first.json()["undo_until"]
        problem(await sam.post(path, json={"option": "dismiss"}, headers=key), 422, "idempotency_mismatch")

    async def test_only_true_and_false_are_understood(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        answer = await as_key("sam").post(
            f"/api/v1/cases/{case_id}/decisions", json={"option": "dismiss", "undoable": "yes"}
        )
        problem(answer, 422, "malformed")
        assert await rows(retailer, tables.case_decision) == []


class TestUndo:
    async def test_the_case_is_open_again_and_may_be_decided_otherwise(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        sam = as_key("sam")
        made = await decided(sam, case_id, undoable=True)
        answer = await sam.post(f"/api/v1/decisions/{made['decision_id']}:undo")
        assert answer.status_code == 200, answer.text
        undone = answer.json()
        assert (undone["state"], undone["undo_until"]) == ("undone", None)
        assert "undid" in undone["reason"]
        case_now = (await sam.get(f"/api/v1/cases/{case_id}")).json()
        assert case_now["state"] in ("open", "claimed")
        assert (await decided(sam, case_id))["state"] == "applied"

    async def test_a_second_time_and_an_older_decision_are_refused_by_name(
        self, as_key: As, retailer: Database
    ) -> None:
        case_id = await a_case(retailer, "one")
        sam = as_key("sam")
        first = await decided(sam, case_id, undoable=True)
        assert (await sam.post(f"/api/v1/decisions/{first['decision_id']}:undo")).status_code == 200
        second = await decided(sam, case_id, undoable=True)
        again = await sam.post(f"/api/v1/decisions/{first['decision_id']}:undo")
        problem(again, 409, "undo_too_late")
        assert "Nothing is left to undo" in again.json()["detail"]
        still = (await sam.get(f"/api/v1/decisions/{second['decision_id']}")).json()
        assert still["state"] == "applying"  # what was decided since stands

    async def test_after_its_end_it_is_too_late(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        sam = as_key("sam")
        made = await decided(sam, case_id, undoable=True)
        at = datetime.fromisoformat(str(made["undo_until"]))
        step = Step(subject=str(case_id), occurrence=f"decision@{at.isoformat()}", at=at, due="decision")
        assert (await decisions.on_due(retailer, step)).ended
        problem(await sam.post(f"/api/v1/decisions/{made['decision_id']}:undo"), 409, "undo_too_late")
        assert (await sam.get(f"/api/v1/decisions/{made['decision_id']}")).json()["state"] == "applied"

    async def test_it_is_for_whoever_decided(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        made = await decided(as_key("sam"), case_id, undoable=True)
        path = f"/api/v1/decisions/{made['decision_id']}:undo"
        refused = await as_key("ana").post(path)
        problem(refused, 403, "not_allowed")
        assert "Sam Ortega" in refused.json()["detail"]
        problem(await as_key("sol").post(path), 404, "not_found")
        problem(await as_key("web").post(path), 403, "not_allowed")  # a system, in nobody's name
        problem(await as_key("sam").post("/api/v1/decisions/999999:undo"), 404, "not_found")
        [row] = await rows(retailer, tables.case_decision)
        assert row["state"] == "applying"

    async def test_a_system_may_take_back_what_it_decided_for_a_person(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        web = as_key("web")
        behalf = {"X-On-Behalf-Of": "sam.ortega"}
        body = {"option": "dismiss", "undoable": True}
        made = await web.post(f"/api/v1/cases/{case_id}/decisions", json=body, headers=behalf)
        assert made.status_code == 202, made.text
        answer = await web.post(f"/api/v1/decisions/{made.json()['decision_id']}:undo", headers=behalf)
        assert answer.json()["state"] == "undone", answer.text
