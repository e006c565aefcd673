"""What somebody meets who has never seen the console: choices instead of codes, words that say enough."""

import html
import re

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from domain.journey_kinds import JOURNEY_KINDS
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from web.app import STATIC
from web.console.more import REST, WAYS, Way, grouped
from web.pages import filled

__all__ = ["accounts", "browse", "sign_in"]

LISTS = {
    "/console/journeys": "bopis",
    "/console/journeys?kind=returns": "returns",
    "/console/transfers": "transfer",
    "/console/promotions": "promotion",
    "/console/vendor-claims": "claim",
}


def choices(page: str, name: str) -> dict[str, str]:
    """The values that the list `name` offers, each with its words; the one that is chosen ends with an asterisk."""
    [inside] = re.findall(rf'<select name="{name}">(.*?)</select>', page, re.DOTALL)
    found = re.findall(r'<option value="([^"]*)"( selected)?>([^<]*)</option>', inside)
    return {html.unescape(value) + ("*" if chosen else ""): html.unescape(words) for value, chosen, words in found}


@pytest.mark.parametrize(("path", "kind"), LISTS.items())
async def test_the_states_of_a_list_are_chosen_not_known_by_heart(path: str, kind: str, sign_in: SignIn) -> None:
    offered = choices((await (await sign_in("sam.ortega")).get(path)).text, "state")
    assert set(JOURNEY_KINDS[kind].transitions) <= set(offered)
    assert not any("_" in words for words in offered.values())


async def test_several_states_of_an_address_stay_chosen(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/transfers?state=in_transit,received")).text
    assert choices(page, "state")["in_transit,received*"] == "In transit, Received"


async def test_the_search_of_the_queue_is_in_sight_and_keeps_the_other_filters(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    await failed_order(web, retailer)
    page = (await (await sign_in("sam.ortega")).get("/console/queue?severity=high&text=W-1")).text
    search = page.index('type="search" name="text" form="narrow" value="W-1"')
    folded = page.index('<details class="card"')
    form = page[page.index('id="narrow"') : page.index("</form>", page.index('id="narrow"'))]
    assert search < folded, "it is not folded away"
    assert "<option selected>high</option>" in form
    assert 'name="text"' not in form, "asked for once"


async def decide_to_cancel(sam: httpx2.AsyncClient, case_id: int) -> str:
    """Returns the way out that was chosen."""
    shown = (await sam.get(f"/console/cases/{case_id}")).text
    cancel = re.findall(r'name="option" value="(cancel[^"]*)"', shown)[0]
    statements = [one for one in re.findall(r'name="confirmed" value="([^"]*)"', shown) if one.startswith(cancel)]
    seen = [html.unescape(one) for one in re.findall(r'name="shown" value="([^"]*)"', shown)]
    decided = await sam.post(
        f"/console/cases/{case_id}/decide",
        data={"option": cancel, "version": "1", "confirmed": statements, "shown": seen, "note": "no stock"},
    )
    assert decided.status_code == 303, decided.text
    return str(cancel)


async def test_what_was_decided_and_became_of_it_is_said_once(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    case_id = await failed_order(web, retailer)
    sam = await sign_in("sam.ortega")
    cancel = await decide_to_cancel(sam, case_id)
    async with retailer.engine.begin() as conn:  # as the journey leaves it when it has carried it out
        await conn.execute(text("UPDATE case_decision SET state = 'applied'"))
        await conn.execute(
            text(
                "UPDATE case_file SET state = 'resolved', resolution = :option, closed_at = now(), next_due_at = NULL,"
                " unclaimed_due_at = NULL, unstarted_due_at = NULL, unresolved_due_at = NULL"
            ),
            {"option": cancel},
        )
    page = (await sam.get(f"/console/cases/{case_id}")).text
    label = re.findall(r"<h2>Applied: ([^<]+)</h2>", page)
    assert label, page
    assert page.count(label[0]) <= 2, "once as its heading, once in the timeline"
    assert re.search(r"<p>Resolved <time", page)


async def test_more_is_in_groups_and_leaves_nothing_out(sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/console/more")).text
    everywhere = {way.href for way in WAYS if not way.roles}
    assert everywhere <= set(re.findall(r'<a class="task" href="([^"]+)"', page))
    assert re.findall(r'<h2 id="more-[0-9]+">([^<]+)</h2>', page)[:3] == ["Goods", "Money", "Who decides"]


def test_a_page_that_no_group_names_stands_at_the_end() -> None:
    new = Way("New", "/console/new", "Something new.")
    assert list(grouped([new, *WAYS]))[-1] == REST
    assert grouped([new])[REST] == [new]


async def test_a_page_that_watches_a_decision_is_not_announced_as_changed(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    case_id = await failed_order(web, retailer)
    sam = await sign_in("sam.ortega")
    await decide_to_cancel(sam, case_id)
    page = (await sam.get(f"/console/cases/{case_id}")).text
    assert re.search(r"<section [^>]*data-watched hx-get", page)
    assert "[data-watched]" in (STATIC / "live.js").read_text()


def test_details_do_not_repeat_the_subject() -> None:
    assert filled({"to": "Oakwood", "reason": "rebalance", "order": None}, "T-1: Fairlawn to Oakwood") == {
        "reason": "rebalance"
    }
