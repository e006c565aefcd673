"""Standing in over HTTP: by a person's own token, for themselves or by an admin; whatever may not be is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, update

from ledger import tables
from ledger.engine import Database
from tests.web.retail import an_approval, rows
from tests.web.test_api_orders import problem

As = Callable[[str], httpx2.AsyncClient]
PATH = "/api/v1/delegations"


def span(to: str, *, start_days: float | None = None, end_days: float = 3, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    start = {} if start_days is None else {"starts_at": (now + timedelta(days=start_days)).isoformat()}
    return {"to": to, "ends_at": (now + timedelta(days=end_days)).isoformat(), **start, **more}


async def make_admin(database: Database, person_id: str) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(insert(tables.person_role).values(person_id=person_id, role="admin"))


class TestGiving:
    async def test_from_now_on_both_may_give_the_verdict(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer)
        ana = as_key("ana")
        answer = await ana.post(PATH, json=span("ida.noor@stores.example"))
        problem(answer, 422, "malformed")  # an auditor decides nothing
        answer = await ana.post(PATH, json=span("sol.byrne"))
        assert answer.status_code == 201, answer.text
        made = answer.json()
        assert (made["from"], made["from_name"], made["to"], made["status"]) == (
            "ana.ruiz", "Ana Ruiz", "sol.byrne", "current",
        )  # fmt: skip
        assert (made["made_by_name"], made["ended_by_name"]) == (None, None)
        verdict = await as_key("sol").post(f"/api/v1/approvals/{approval_id}/decisions", json={"verdict": "approve"})
        assert verdict.status_code in (200, 404), verdict.text
        [row] = [row for row in await rows(retailer, tables.approval) if row["id"] == approval_id]
        assert (row["decided_by"], row["decided_for"]) == ("sol.byrne", "ana.ruiz")

    async def test_both_see_it_and_nobody_else(self, as_key: As, retailer: Database) -> None:
        made = (await as_key("ana").post(PATH, json=span("sam.ortega", start_days=1))).json()
        for key in ("ana", "sam"):
            [one] = (await as_key(key).get(PATH)).json()["items"]
            assert (one["delegation_id"], one["status"]) == (made["delegation_id"], "coming")
        assert (await as_key("sol").get(PATH)).json()["items"] == []

    @pytest.mark.parametrize(
        ("body", "code", "pointer", "says"),
        [
            (span("ana.ruiz"), "malformed", "/to", "themselves"),
            (span("nobody"), "malformed", "/to", "has the id nobody"),
            (span("nobody@stores.example"), "malformed", "/to", "Nobody who works here"),
            (span("sam.ortega", start_days=2, end_days=1), "malformed", "/ends_at", "before the first"),
            (span("sam.ortega", start_days=-2, end_days=-1), "malformed", "/ends_at", "are over"),
            (span("sam.ortega", end_days=400), "malformed", "/ends_at", "longer than a year"),
            (span("sam.ortega", reason="ill"), "malformed", "/reason", ""),
            ({"to": "sam.ortega"}, "malformed", "/ends_at", ""),
            ({"to": "sam.ortega", "ends_at": "2031-07-01T00:00:00"}, "malformed", "/ends_at", "timezone"),
        ],
        ids=["oneself", "no such id", "no such address", "turned round", "over", "too long", "unknown field", "no end",
             "no zone"],
    )  # fmt: skip
    async def test_what_may_not_be_is_refused_and_says_where(
        self, as_key: As, retailer: Database, body: dict[str, Any], code: str, pointer: str, says: str
    ) -> None:
        answer = await as_key("ana").post(PATH, json=body)
        problem(answer, 422, code)
        assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
        assert says in answer.text
        assert await rows(retailer, tables.delegation) == []

    async def test_twice_at_a_time_and_circles_are_refused(self, as_key: As, retailer: Database) -> None:
        assert (await as_key("ana").post(PATH, json=span("sam.ortega"))).status_code == 201
        problem(await as_key("ana").post(PATH, json=span("sam.ortega")), 409, "state_conflict")
        circle = await as_key("sam").post(PATH, json=span("ana.ruiz"))
        problem(circle, 409, "state_conflict")
        assert "circle" in circle.json()["detail"]
        assert len(await rows(retailer, tables.delegation)) == 1


class TestWhoMay:
    async def test_a_system_or_somebody_elses_name_may_not(self, as_key: As, retailer: Database) -> None:
        for method, path in (("GET", PATH), ("POST", PATH), ("POST", f"{PATH}/1:end")):
            body = span("sam.ortega") if path == PATH and method == "POST" else None
            refused = await as_key("web").request(method, path, json=body)
            problem(refused, 403, "not_allowed")
            assert "own token" in refused.json()["detail"]
        named = await as_key("ana").post(PATH, json=span("sam.ortega"), headers={"X-On-Behalf-Of": "sol.byrne"})
        problem(named, 403, "not_allowed")
        assert await rows(retailer, tables.delegation) == []

    async def test_a_token_without_the_scope_is_told_which(self, as_key: As) -> None:
        refused = await as_key("sam-adjusts").post(PATH, json=span("ana.ruiz"))
        problem(refused, 403, "insufficient_scope")
        assert "approve" in refused.json()["detail"]

    async def test_only_an_admin_gives_and_sees_others(self, as_key: As, retailer: Database) -> None:
        others = span("sam.ortega") | {"for": "ana.ruiz"}
        problem(await as_key("sol").post(PATH, json=others), 403, "not_allowed")
        problem(await as_key("sol").get(f"{PATH}?everybody=true"), 403, "not_allowed")
        await make_admin(retailer, "sol.byrne")
        made = (await as_key("sol").post(PATH, json=others)).json()
        assert (made["from"], made["made_by_name"]) == ("ana.ruiz", "Sol Byrne")
        assert (await as_key("sol").get(PATH)).json()["items"] == []
        assert len((await as_key("sol").get(f"{PATH}?everybody=true")).json()["items"]) == 1


class TestEnding:
    @pytest.mark.parametrize("key", ["ana", "sam"])
    async def test_either_of_them_ends_it_at_once(self, as_key: As, key: str) -> None:
        made = (await as_key("ana").post(PATH, json=span("sam.ortega"))).json()
        answer = await as_key(key).post(f"{PATH}/{made['delegation_id']}:end")
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "over"
        problem(await as_key(key).post(f"{PATH}/{made['delegation_id']}:end"), 409, "state_conflict")

    async def test_one_that_is_to_come_never_begins(self, as_key: As) -> None:
        made = (await as_key("ana").post(PATH, json=span("sam.ortega", start_days=1))).json()
        ended = (await as_key("ana").post(f"{PATH}/{made['delegation_id']}:end")).json()
        assert datetime.fromisoformat(ended["starts_at"]) <= datetime.fromisoformat(ended["ends_at"])
        assert ended["status"] == "over"

    async def test_for_anybody_else_there_is_none(self, as_key: As, retailer: Database) -> None:
        made = (await as_key("ana").post(PATH, json=span("sam.ortega"))).json()
        problem(await as_key("sol").post(f"{PATH}/{made['delegation_id']}:end"), 404, "not_found")
        problem(await as_key("ana").post(f"{PATH}/999999:end"), 404, "not_found")
        [row] = await rows(retailer, tables.delegation)
        assert row["ended_by"] is None

    async def test_somebody_who_has_left_stands_in_for_nobody(self, as_key: As, retailer: Database) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.person).where(tables.person.c.id == "sam.ortega").values(active=False))
        problem(await as_key("ana").post(PATH, json=span("sam.ortega")), 422, "malformed")
