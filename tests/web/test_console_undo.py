"""Undo at the console: until a decision applies it is taken back by a form; too late, it says what has become of it."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import insert

from ledger import decisions, tables
from ledger.engine import Database
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import NOW, a_case, rows

__all__ = ["accounts", "browse", "sign_in"]
VIEW = "tab=all"


@pytest.fixture
async def window(retailer: Database) -> None:
    """What is decided can be undone for two minutes."""
    body = {"cases": {"undo_s": {"critical": 120, "high": 120, "medium": 120, "low": 120}}}
    row = {"version": "window", "effective_from": NOW - timedelta(days=1), "body": body}
    async with retailer.engine.begin() as conn:
        await conn.execute(insert(tables.policy_document).values(**row))


@pytest.mark.usefixtures("window")
class TestUndo:
    async def test_the_next_case_says_when_it_applies_and_offers_to_undo_it(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        first, second = [await a_case(retailer, subject) for subject in ("one", "two")]
        sam = await sign_in("sam.ortega")
        onwards = (await sam.post(f"/console/cases/{first}/decide?{VIEW}", data={"option": "dismiss"})).headers[
            "location"
        ]
        assert onwards.startswith(f"/console/cases/{second}?{VIEW}&after={first}&at=")
        page = (await sam.get(onwards)).text
        assert "Cannot be undone after 2 min" in page
        assert "applies <time" in page
        assert f'action="/console/cases/{first}/undo?tab=all&amp;at=' in page
        answer = await sam.post(f"/console/cases/{first}/undo?{VIEW}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/cases/{first}?{VIEW}")
        page = (await sam.get(f"/console/cases/{first}?{VIEW}")).text
        assert "Undone: Nothing to do" in page
        assert re.search(r'<input type="radio" name="option" value="dismiss"[^>]*required>', page)
        assert " checked" not in page
        [decision] = await rows(retailer, tables.case_decision)
        assert decision["state"] == "undone"

    async def test_the_case_says_so_too_and_may_be_applied_at_once(self, sign_in: SignIn, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        await sam.post(f"/console/cases/{case_id}/decide", data={"option": "dismiss"})
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Decided: Nothing to do" in page
        assert "Until then nothing has happened" in page
        assert f"/console/cases/{case_id}/undo" in page
        assert f"/console/cases/{case_id}/undo" not in (await ana.get(f"/console/cases/{case_id}")).text
        watched = f"/console/cases/{case_id}/decision?decision=1&state="
        assert "hx-refresh" not in (await sam.get(watched + "applying-undo")).headers
        assert (await sam.post(f"/console/cases/{case_id}/now")).status_code == 303
        assert (await sam.get(watched + "applying-undo")).headers["hx-refresh"] == "true"
        assert "Applied: Nothing to do" in (await sam.get(f"/console/cases/{case_id}")).text

    async def test_others_too_late_and_twice_are_refused_by_name(self, sign_in: SignIn, retailer: Database) -> None:
        case_id = await a_case(retailer, "one")
        sam, ana, sol = await sign_in("sam.ortega"), await sign_in("ana.ruiz"), await sign_in("sol.byrne")
        path = f"/console/cases/{case_id}"
        nothing = await sam.post(f"{path}/undo")
        assert (nothing.status_code, "Nothing was decided on this case" in nothing.text) == (409, True)
        await sam.post(f"{path}/decide", data={"option": "dismiss"})
        for act in ("undo", "now"):
            refused = await ana.post(f"{path}/{act}")
            assert (refused.status_code, "Only Sam Ortega, who decided" in refused.text) == (403, True)
            assert (await sol.post(f"{path}/{act}")).status_code == 404
        assert (await sam.post(f"{path}/undo")).status_code == 303
        twice = await sam.post(f"{path}/undo")
        assert (twice.status_code, "Nothing is left to undo: Sam Ortega undid" in twice.text) == (409, True)
        await sam.post(f"{path}/decide", data={"option": "dismiss"})
        await sam.post(f"{path}/now")
        late = await sam.post(f"{path}/undo")
        assert (late.status_code, "was carried out; it is too late to undo it" in late.text) == (409, True)

    async def test_a_system_that_decides_by_api_does_not_wait(self, sign_in: SignIn, retailer: Database) -> None:
        from ledger.people import person_by_id

        case_id = await a_case(retailer, "one")
        async with retailer.read() as conn:
            sam = await person_by_id(conn, "sam.ortega")
        assert sam is not None
        answer = await decisions.decide(retailer, case_id, sam, option_id="dismiss", parameters={}, via="api")
        assert answer.state == "applied"
