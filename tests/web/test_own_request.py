"""Whoever has asked has no verdict, by whatever way; whoever has lost the role has none from the next request on."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from sqlalchemy import delete, update

import ledger.engine
from ledger import tables
from tests.web.conftest import As
from tests.web.links import form_of, mailed, state_of
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case, an_approval

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
Give = Callable[[], Awaitable[httpx2.Response]]
APPROVE = {"verdict": "approve", "note": ""}


@pytest.fixture
async def ways(
    retailer: ledger.engine.Database, request: pytest.FixtureRequest, sign_in: SignIn, browse: Browse, as_key: As
) -> tuple[int, dict[str, Give]]:
    """An approval that was asked for by the one whom the test names, and Ana's ways to agree to it, each made ready."""
    number = await an_approval(retailer, requester=request.param)
    link = await mailed(retailer, number)
    reader, ana = browse(), await sign_in("ana.ruiz")
    form = form_of((await reader.get(link)).text) if request.param != "ana.ruiz" else {}
    page = f"/console/approvals/{number}"
    assert (await ana.get(page)).status_code == 200
    return number, {
        "page": lambda: ana.post(f"{page}/verdict", data=APPROVE),
        "link": lambda: reader.post(link, data=form | APPROVE),
        "API": lambda: as_key("ana").post(f"/api/v1/approvals/{number}/decisions", json={"verdict": "approve"}),
    }


async def taken_away(database: ledger.engine.Database) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(delete(tables.person_role).where(tables.person_role.c.person_id == "ana.ruiz"))


class TestOwnRequest:
    @pytest.mark.parametrize("ways", ["ana.ruiz"], indirect=True)
    async def test_with_the_right_role_too_it_is_refused_by_page_and_api(
        self, ways: tuple[int, dict[str, Give]], retailer: ledger.engine.Database
    ) -> None:
        number, give = ways
        page, api = await give["page"](), await give["API"]()
        assert page.status_code == 403
        assert "Whoever asked for this cannot approve it" in page.text
        assert (api.status_code, api.json()["code"]) == (403, "own_request")
        assert await state_of(retailer, number) == "pending"

    async def test_by_link_it_is_refused_also_to_whoever_sends_a_form_with_its_proof(
        self, retailer: ledger.engine.Database, browse: Browse
    ) -> None:
        """The form is that of the same link, opened before somebody else's request became their own."""
        number = await an_approval(retailer, requester="fin.weber")
        link, client = await mailed(retailer, number), browse()
        form = form_of((await client.get(link)).text)
        async with retailer.engine.begin() as conn:
            change = update(tables.approval).where(tables.approval.c.id == number)
            await conn.execute(change.values(requester="ana.ruiz", barred=["ana.ruiz"]))
        answer = await client.post(link, data=form | APPROVE)
        assert answer.status_code == 403
        assert "Whoever asked for this cannot approve it" in answer.text
        assert await state_of(retailer, number) == "pending"


class TestRoleTakenAway:
    @pytest.mark.parametrize("ways", ["fin.weber"], indirect=True)
    @pytest.mark.parametrize("way", ["page", "link", "API"])
    async def test_a_verdict_that_was_made_ready_before_is_refused(
        self, ways: tuple[int, dict[str, Give]], way: str, retailer: ledger.engine.Database
    ) -> None:
        number, give = ways
        await taken_away(retailer)
        assert (await give[way]()).status_code in (403, 404)
        assert await state_of(retailer, number) == "pending"

    @pytest.mark.parametrize("ways", ["fin.weber"], indirect=True)
    @pytest.mark.parametrize("way", ["page", "link", "API"])
    async def test_with_the_role_it_counts(
        self, ways: tuple[int, dict[str, Give]], way: str, retailer: ledger.engine.Database
    ) -> None:
        number, give = ways
        assert (await give[way]()).status_code < 400
        assert await state_of(retailer, number) == "approved"

    async def test_pages_lists_and_files_have_nothing_any_more(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id, ana = await a_case(retailer, "S1/APPLE"), await sign_in("ana.ruiz")
        page = f"/console/cases/{case_id}"
        lists = {"/console/queue": page, "/console/queue.csv": "S1/APPLE"}
        assert (await ana.get(page)).status_code == 200
        for one, told in lists.items():
            assert told in (await ana.get(one)).text
        await taken_away(retailer)
        assert (await ana.get(page)).status_code == 404
        for one, told in lists.items():
            assert told not in (await ana.get(one)).text
