"""What people complain about in such consoles (docs/complaints.md), where no other test holds the answer."""

import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, rows
from web.app import STATIC

__all__ = ["accounts", "browse", "sign_in"]


async def close(database: ledger.engine.Database, case_id: int) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE case_file SET state = 'resolved', resolution = 'dismiss', closed_at = now(),"
                " next_due_at = NULL, unclaimed_due_at = NULL, unstarted_due_at = NULL, unresolved_due_at = NULL"
                " WHERE id = :id"
            ),
            {"id": case_id},
        )


async def test_every_instant_on_a_page_names_its_zone(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    case_id = await failed_order(web, retailer)
    async with retailer.engine.begin() as conn:
        await conn.execute(text("UPDATE location SET time_zone = 'America/New_York'"))
    sam = await sign_in("sam.ortega")
    for path in ("/", "/console/queue", f"/console/cases/{case_id}", "/console/journeys", "/console/approvals"):
        page = (await sam.get(path)).text
        said = re.findall(r"<time [^>]*>([^<]+)</time>", page)
        assert [one for one in said if not re.search(r" (EST|EDT)$", one)] == [], path
        assert said or path == "/console/approvals", path


@pytest.mark.parametrize(
    ("act", "form"),
    [
        ("claim", {"version": "1"}),
        ("claim", {"version": "1", "from": "queue"}),
        ("release", {"version": "1"}),
        ("wait", {"reason": "supplier", "until": "2099-01-01T10:00"}),
        ("decide", {"option": "dismiss", "version": "1"}),
    ],
)
@pytest.mark.parametrize("partial", [False, True], ids=["page", "fragment"])
async def test_every_act_on_a_closed_case_is_refused_in_words(
    act: str, form: dict[str, str], partial: bool, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    case_id = await a_case(retailer, "S1/APPLE")
    await close(retailer, case_id)
    headers: dict[str, Any] = {"HX-Request": "true", "HX-Request-Type": "partial"} if partial else {}
    answer = await (await sign_in("sam.ortega")).post(f"/console/cases/{case_id}/{act}", data=form, headers=headers)
    assert answer.status_code in (403, 409), answer.text
    assert "closed" in answer.text.lower()
    assert "unexpected" not in answer.text
    [row] = await rows(retailer, tables.case_file)
    assert (row["state"], row["claimed_by"]) == ("resolved", None)


async def test_a_case_that_comes_back_has_new_clocks_and_says_so(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    case_id = await a_case(retailer, "S1/APPLE")
    sam = await sign_in("sam.ortega")
    await sam.post(f"/console/cases/{case_id}/claim", data={"version": "1"})
    await close(retailer, case_id)
    assert await a_case(retailer, "S1/APPLE") == case_id
    [row] = await rows(retailer, tables.case_file)
    assert (row["state"], row["episode"], row["claimed_by"], row["closed_at"]) == ("open", 2, None, None)
    assert row["unclaimed_due_at"] is not None
    assert row["unclaimed_due_at"] > row["opened_at"]
    assert "Came back" in (await sam.get("/console/queue")).text


def test_nothing_is_shown_by_hovering_alone() -> None:
    rules = re.findall(r"([^{}]*:hover[^{}]*)\{([^}]*)\}", (STATIC / "endcap.css").read_text())
    assert rules
    shown = re.compile(r"(?:^|;|\s)(display|visibility|opacity|content|clip|clip-path|left|transform)\s*:")
    assert [selector.strip() for selector, declared in rules if shown.search(declared)] == []
