"""Working through a view: after a decision its next case opens, without a script too; at the end it says so."""

import re
from datetime import timedelta

import httpx2
import pytest

from ledger import tables
from ledger.engine import Database
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import NOW, a_case, rows

__all__ = ["accounts", "browse", "sign_in"]
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}
NEXT_WEEK = NOW + timedelta(days=7)
VIEW = "tab=all&text=shelf"


async def three(database: Database) -> list[int]:
    """Three cases of the view and one that is not in it, in the order of the queue."""
    first, _, *others = [await a_case(database, subject) for subject in ("shelf 1", "till", "shelf 2", "shelf 3")]
    return [first, *others]


def bare(address: str) -> str:
    """An address without the place in the view, which ends with the clock of a case."""
    return re.sub(r"&(amp;)?at=[^&\"]+", "", address)


def where(answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return bare(answer.headers["location"])


class TestAfterADecision:
    async def test_the_next_case_of_the_view_opens_and_says_what_became_of_the_one_before(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        first, second, third = await three(retailer)
        sam = await sign_in("sam.ortega")
        page = (await sam.get(f"/console/queue?{VIEW}")).text
        assert f'href="/console/cases/{first}?tab=all&amp;text=shelf&amp;at=20' in page
        path = f"/console/cases/{first}?{VIEW}"
        for following in (second, third):
            page = (await sam.get(path)).text
            form = re.search(r'action="(/console/cases/\d+/decide[^"]*)"', page)
            assert form is not None
            path = where(await sam.post(form[1].replace("&amp;", "&"), data={"option": "dismiss"}))
            assert path.startswith(f"/console/cases/{following}?{VIEW}&after=")
            before = path.rsplit("=", 1)[1]
            shown = (await sam.get(path)).text
            assert re.search(rf'id="decided">\s*<p><a href="/console/cases/{before}\?', shown)
            assert "Nothing to do</b> <span" in shown
        path = where(await sam.post(f"/console/cases/{third}/decide?{VIEW}", data={"option": "dismiss"}))
        assert path == f"/console/queue?{VIEW}&after={third}&end=yes"
        page = (await sam.get(path)).text
        assert "That was the end of this view." in page
        assert "It is empty now." in page
        assert "Not understood" not in page

    async def test_htmx_is_led_to_the_next_case_as_well(self, sign_in: SignIn, retailer: Database) -> None:
        first, second, _ = await three(retailer)
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{first}/decide?{VIEW}", data={"option": "dismiss"}, headers=PARTIAL)
        assert bare(answer.headers["hx-redirect"]) == f"/console/cases/{second}?{VIEW}&after={first}"

    async def test_a_refusal_stays_with_the_case_and_its_view(self, sign_in: SignIn, retailer: Database) -> None:
        first, *_ = await three(retailer)
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{first}/decide?{VIEW}", data={"option": "never"})
        assert answer.status_code == 403
        assert f'action="/console/cases/{first}/decide?tab=all&amp;text=shelf"' in answer.text
        assert await rows(retailer, tables.case_decision) == []

    async def test_a_case_that_was_opened_by_itself_stays_open(self, sign_in: SignIn, retailer: Database) -> None:
        first, *_ = await three(retailer)
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{first}/decide", data={"option": "dismiss"})
        assert where(answer) == f"/console/cases/{first}"
        assert "Next case of this view" not in (await sam.get(f"/console/cases/{first}")).text

    async def test_what_others_decided_is_nobody_elses_news(self, sign_in: SignIn, retailer: Database) -> None:
        first, second, _ = await three(retailer)
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        assert (await ana.post(f"/console/cases/{first}/decide", data={"option": "dismiss"})).status_code == 303
        for after in (str(first), "999999", "x", "9" * 30, "٣"):
            page = await sam.get(f"/console/cases/{second}", params={"tab": "all", "after": after})
            assert page.status_code == 200
            assert 'id="decided"' not in page.text


class TestTheLink:
    async def test_it_passes_over_what_somebody_else_has_and_what_was_put_aside(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        first, second, third = await three(retailer)
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        path = f"/console/cases/{first}/next?{VIEW}"
        assert where(await sam.get(path)) == f"/console/cases/{second}?{VIEW}"
        await ana.post(f"/console/cases/{second}/claim")
        assert where(await sam.get(path)) == f"/console/cases/{third}?{VIEW}"
        aside = {"reason": "the store counts", "until": f"{NEXT_WEEK:%Y-%m-%dT%H:%M}"}
        assert (await sam.post(f"/console/cases/{third}/wait", data=aside)).status_code == 303
        end = where(await sam.get(path))
        assert end == f"/console/queue?{VIEW}&end=yes"
        page = (await sam.get(end)).text
        assert "What is still in it stands below" in page
        assert f'id="case-{second}"' in page

    async def test_what_people_do_to_a_case_does_not_move_whoever_stands_there(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        first, second, third = await three(retailer)
        ana, sam = await sign_in("ana.ruiz"), await sign_in("sam.ortega")
        page = (await sam.get(f"/console/queue?{VIEW}")).text
        opened = re.search(rf'href="(/console/cases/{first}\?[^"]+)"', page)
        assert opened is not None
        path = opened[1].replace("&amp;", "&").replace(f"cases/{first}?", f"cases/{first}/next?")
        await sam.post(f"/console/cases/{first}/claim")  # its next clock ends later than those of the others by now
        assert where(await sam.get(path)) == f"/console/cases/{second}?{VIEW}"
        await ana.post(f"/console/cases/{second}/claim")
        assert where(await sam.get(path)) == f"/console/cases/{third}?{VIEW}"

    @pytest.mark.parametrize("place", ["", "x", "none", "2026-01-01", "0001-01-01T00:00:00+14:00", "9" * 40, "-1"])
    async def test_a_place_that_says_nothing_is_where_the_case_stands_now(
        self, sign_in: SignIn, retailer: Database, place: str
    ) -> None:
        first, *_ = await three(retailer)
        sam = await sign_in("sam.ortega")
        answer = await sam.get(f"/console/cases/{first}/next?{VIEW}", params={"tab": "all", "at": place})
        assert (await sam.get(answer.headers["location"])).status_code == 200

    async def test_acts_on_the_way_keep_the_view(self, sign_in: SignIn, retailer: Database) -> None:
        first, *_ = await three(retailer)
        sam = await sign_in("sam.ortega")
        for act, data in (("claim", {}), ("comment", {"text": "called"}), ("release", {})):
            answer = await sam.post(f"/console/cases/{first}/{act}?{VIEW}", data=data)
            assert where(answer) == f"/console/cases/{first}?{VIEW}"
        claimed = await sam.post(f"/console/cases/{first}/claim?{VIEW}", data={"from": "queue"}, headers=PARTIAL)
        assert bare(claimed.headers["hx-redirect"]) == f"/console/cases/{first}?{VIEW}"

    @pytest.mark.parametrize("tab", ["mine", "unassigned", "breaching", "approval", "done", "all", "nonsense"])
    async def test_every_view_leads_somewhere(self, sign_in: SignIn, retailer: Database, tab: str) -> None:
        first, *_ = await three(retailer)
        sam = await sign_in("sam.ortega")
        found = where(await sam.get(f"/console/cases/{first}/next?tab={tab}"))
        assert (await sam.get(found)).status_code == 200

    async def test_nobody_walks_from_a_case_of_another_region(self, sign_in: SignIn, retailer: Database) -> None:
        first, *_ = await three(retailer)
        sol = await sign_in("sol.byrne")
        assert (await sol.get(f"/console/cases/{first}/next?{VIEW}")).status_code == 404


class TestNumbers:
    async def test_each_way_out_that_may_be_chosen_shows_its_key_and_none_is_chosen(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        first, *_ = await three(retailer)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{first}")).text
        assert '<kbd aria-hidden="true">1</kbd><span class="name">Nothing to do</span>' in page
        assert '<kbd aria-hidden="true">2</kbd>' not in page  # policy forbids it
        assert " checked" not in page
