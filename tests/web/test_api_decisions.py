"""Decisions and verdicts over HTTP: by a person, once, where they may; never by a system in nobody's name."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from ledger import tables
from ledger.engine import Database
from tests.web.retail import a_case, an_approval, rows
from tests.web.test_api_orders import problem

As = Callable[[str], httpx2.AsyncClient]
DISMISS = {"option": "dismiss", "note": "Counted: all there."}


class TestDeciding:
    async def test_a_decision_is_recorded_for_the_person_behind_the_key(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        sam = as_key("sam")
        response = await sam.post(f"/api/v1/cases/{case_id}/decisions", json=DISMISS | {"version": 1})
        assert response.status_code == 202, response.text
        made = response.json()
        assert (made["case_id"], made["option"], made["decided_by"]) == (case_id, "dismiss", "sam.ortega")
        assert made["state"] in ("applying", "applied")
        again = await sam.get(response.headers["location"])
        assert again.json()["decision_id"] == made["decision_id"]
        history = (await sam.get(f"/api/v1/cases/{case_id}")).json()["decisions"]
        assert [(one["decided_by_name"], one["note"], one["via"]) for one in history] == [
            ("Sam Ortega", "Counted: all there.", "api")
        ]

    async def test_of_eight_at_once_one_decides(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        sam = as_key("sam")
        path = f"/api/v1/cases/{case_id}/decisions"
        answers = await asyncio.gather(*(sam.post(path, json=DISMISS) for _ in range(8)))
        assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 7}
        assert len(await rows(retailer, tables.case_decision)) == 1

    async def test_the_same_decision_under_its_key_gets_the_first_answer(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        path, key = f"/api/v1/cases/{case_id}/decisions", {"Idempotency-Key": "7f1c"}
        sam = as_key("sam")
        answers = await asyncio.gather(*(sam.post(path, json=DISMISS, headers=key) for _ in range(4)))
        assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 3}
        assert len({answer.text for answer in answers}) == 1
        assert len({answer.headers["location"] for answer in answers}) == 1
        assert len(await rows(retailer, tables.case_decision)) == 1
        other = await sam.post(path, json=DISMISS | {"note": "Something else."}, headers=key)
        problem(other, 422, "idempotency_mismatch")
        another_case = await a_case(retailer, "S1|BREAD")
        problem(await sam.post(f"/api/v1/cases/{another_case}/decisions", json=DISMISS, headers=key), 422,
                "idempotency_mismatch")  # fmt: skip
        problem(await sam.post(path, json=DISMISS, headers={"Idempotency-Key": "another"}), 409, "already_decided")
        assert (await as_key("sol").post(path, json=DISMISS, headers=key)).status_code == 404

    async def test_in_somebody_elses_name_with_a_key_that_may(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        response = await as_key("web").post(
            f"/api/v1/cases/{case_id}/decisions", json=DISMISS, headers={"X-On-Behalf-Of": "SAM.ORTEGA@stores.example"}
        )
        assert (response.status_code, response.json()["decided_by"]) == (202, "sam.ortega")
        entered = [row["after"] for row in await rows(retailer, tables.audit) if row["what"] == "case.decided"]
        assert [one["entered_by"] for one in entered] == ["web"]

    @pytest.mark.parametrize(
        ("key", "named"),
        [
            ("web", None),  # a system speaks for nobody by itself
            ("web", "ana.ruiz"),  # not on the key's list
            ("web", "nobody"),
            ("other", "sam.ortega"),  # has the scope and no list
            ("sam", "ana.ruiz"),  # has no such scope
            ("sam", "sam.ortega"),
            ("ana-as-sam", "sam.ortega"),  # a person's own token: Ana would approve what "Sam" asked for
            ("ida", None),  # may look, not decide
        ],
    )
    async def test_nobody_decides_who_may_not(
        self, standing_key: As, standing_retailer: Database, key: str, named: str | None
    ) -> None:
        case_id = await a_case(standing_retailer, "S1|APPLE")
        headers = {"X-On-Behalf-Of": named} if named else {}
        response = await standing_key(key).post(f"/api/v1/cases/{case_id}/decisions", json=DISMISS, headers=headers)
        problem(response, 403, "not_allowed")
        assert await rows(standing_retailer, tables.case_decision) == []

    async def test_a_case_of_another_region_does_not_exist(self, standing_key: As, standing_retailer: Database) -> None:
        case_id = await a_case(standing_retailer, "S1|APPLE")
        problem(await standing_key("sol").post(f"/api/v1/cases/{case_id}/decisions", json=DISMISS), 404, "not_found")

    async def test_deciding_needs_its_scope(self, standing_key: As) -> None:
        problem(await standing_key("pos").post("/api/v1/cases/1/decisions", json=DISMISS), 403, "insufficient_scope")

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (DISMISS | {"version": 99}, 409, "stale_version"),
            ({"option": "ghost"}, 422, "unknown_option"),
            ({"option": "never"}, 403, "option_not_allowed"),
            ({}, 422, "malformed"),
            (DISMISS | {"state": "applied"}, 422, "malformed"),
            (DISMISS | {"version": "1"}, 422, "malformed"),
            (DISMISS | {"note": "x" * 4001}, 422, "malformed"),
        ],
    )
    async def test_a_decision_that_cannot_be_taken_is_named(
        self, standing_key: As, standing_retailer: Database, body: dict[str, Any], status: int, code: str
    ) -> None:
        case_id = await a_case(standing_retailer, "S1|APPLE")
        problem(await standing_key("sam").post(f"/api/v1/cases/{case_id}/decisions", json=body), status, code)
        assert await rows(standing_retailer, tables.case_decision) == []

    async def test_a_decision_that_is_not_there_is_404(self, standing_key: As) -> None:
        problem(await standing_key("sam").get("/api/v1/decisions/404"), 404, "not_found")
        problem(await standing_key("sam").post("/api/v1/cases/404/decisions", json=DISMISS), 404, "not_found")


class TestVerdicts:
    async def test_a_manager_approves_by_their_own_token(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer)
        ana = as_key("ana")
        waiting = (await ana.get("/api/v1/approvals?mine=true")).json()["items"]
        assert [(one["id"], one["may_decide"], one["next_role"]) for one in waiting] == [(approval_id, True, "finance")]
        response = await ana.post(f"/api/v1/approvals/{approval_id}/decisions", json={"verdict": "approve"})
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["state"], body["decided_by_name"], body["decided_via"]) == ("approved", "Ana Ruiz", "api")
        assert (await ana.get("/api/v1/approvals?mine=true")).json()["items"] == []

    async def test_the_second_verdict_is_told_who_was_first(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer)
        path = f"/api/v1/approvals/{approval_id}/decisions"
        await as_key("ana").post(path, json={"verdict": "approve"})
        body = problem(await as_key("ana").post(path, json={"verdict": "approve"}), 409, "already_decided")
        assert body["detail"].startswith("Approved by Ana Ruiz")

    async def test_whoever_asked_cannot_approve(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer, requester="ana.ruiz")
        path = f"/api/v1/approvals/{approval_id}"
        problem(await as_key("ana").post(f"{path}/decisions", json={"verdict": "approve"}), 403, "own_request")
        assert (await as_key("ana").get(path)).json()["may_decide"] is False
        assert (await as_key("ana").get("/api/v1/approvals?mine=true")).json()["items"] == []

    async def test_another_role_cannot_approve(self, standing_key: As, standing_retailer: Database) -> None:
        approval_id = await an_approval(standing_retailer, requester="fin.weber")
        path = f"/api/v1/approvals/{approval_id}"
        problem(await standing_key("ida").post(f"{path}/decisions", json={"verdict": "approve"}), 403, "not_allowed")
        assert "store manager" in (await standing_key("ida").get(path)).json()["why_not"]

    @pytest.mark.parametrize("name", ["ana.ruiz", "sam.ortega"])
    async def test_never_in_somebody_elses_name(self, standing_key: As, standing_retailer: Database, name: str) -> None:
        approval_id = await an_approval(standing_retailer)
        for key in ("web", "ana"):
            response = await standing_key(key).post(
                f"/api/v1/approvals/{approval_id}/decisions",
                json={"verdict": "approve"},
                headers={"X-On-Behalf-Of": name},
            )
            problem(response, 403, "not_allowed")
        assert await rows(standing_retailer, tables.approval_verdict) == []

    async def test_a_system_gives_no_verdict(self, standing_key: As, standing_retailer: Database) -> None:
        approval_id = await an_approval(standing_retailer)
        path = f"/api/v1/approvals/{approval_id}/decisions"
        problem(await standing_key("web").post(path, json={"verdict": "approve"}), 403, "not_allowed")
        problem(await standing_key("pos").post(path, json={"verdict": "approve"}), 403, "insufficient_scope")

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({"verdict": "reject"}, 422, "malformed"),
            ({"verdict": "ask", "note": " "}, 422, "malformed"),
            ({"verdict": "yes"}, 422, "malformed"),
            ({"verdict": "approve", "approved_by": "ana.ruiz"}, 422, "malformed"),
            ({"verdict": "approve", "version": 99}, 409, "stale_version"),
        ],
    )
    async def test_a_verdict_that_cannot_stand_is_named(
        self, standing_key: As, standing_retailer: Database, body: dict[str, Any], status: int, code: str
    ) -> None:
        approval_id = await an_approval(standing_retailer)
        problem(await standing_key("ana").post(f"/api/v1/approvals/{approval_id}/decisions", json=body), status, code)
        assert await rows(standing_retailer, tables.approval_verdict) == []

    async def test_a_question_leaves_it_open(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer)
        path = f"/api/v1/approvals/{approval_id}"
        response = await as_key("ana").post(f"{path}/decisions", json={"verdict": "ask", "note": "Who counted?"})
        assert (response.status_code, response.json()["state"]) == (200, "pending")
        assert [one["note"] for one in response.json()["verdicts"]] == ["Who counted?"]
