"""A promotion is defined at the console: by a form that is looked at first, by a file; and changed before it is out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import insert, text

from ledger.engine import Database
from ledger.tables import person_role
from tests.web.funding import agreement_at
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion

__all__ = ["accounts", "browse", "sign_in"]
NEW, FILE = "/console/promotions/new", "/console/promotions/file"
ZONE = ZoneInfo("America/New_York")


NOW = datetime.now(UTC)


def begins(days: int) -> datetime:
    """Ten in the morning of a day that is still to come."""
    return (NOW.astimezone(ZONE) + timedelta(days=days)).replace(hour=10, minute=0, second=0, microsecond=0)


def local(days: int) -> str:
    return f"{begins(days):%Y-%m-%dT%H:%M}"


def typed(**more: Any) -> dict[str, Any]:
    """A fifth off apples in the north."""
    return {
        "promotion_id": "P-7", "name": "Apple days", "offer": "percent", "value": "20", "lines": "APPLE 50",
        "channel": ["pos", "web"], "where": ["region:NORTH"], "locations": "", "zone": "America/New_York",
        "starts_at": local(3), "ends_at": local(6), "stacking": "exclusive", "floor": "", "agreement_id": "",
        "do": "look", **more,
    }  # fmt: skip


@pytest.fixture
async def mia(retailer: Database, sign_in: SignIn) -> httpx2.AsyncClient:
    """Ana, who is the merchandiser of the north as well."""
    async with retailer.engine.begin() as conn:
        await conn.execute(insert(person_role).values(person_id="ana.ruiz", role="merchandiser", region="NORTH"))
    return await sign_in("ana.ruiz")


async def made(retailer: Database) -> list[tuple[Any, ...]]:
    async with retailer.read() as conn:
        rows = await conn.execute(text("SELECT promotion_id, state FROM promotion ORDER BY promotion_id"))
        return [tuple(row) for row in rows]


class TestForm:
    async def test_looked_at_it_says_what_it_means_and_makes_nothing(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        empty = (await mia.get(NEW)).text
        assert re.search(r'name="promotion_id" maxlength="80" value="P-\d{4}-[0-9a-f]{6}"', empty)
        shown = (await mia.post(NEW, data=typed())).text
        for words in ("4: 1 item at 2 places", "51.50 USD taken in", "13.00 USD given", "32.0 %", "1.03 USD"):
            assert words in shown, words
        assert "Nobody: the margin keeps the floor" in shown
        assert await made(retailer) == []

    async def test_below_the_floor_it_says_who_is_asked(self, mia: httpx2.AsyncClient) -> None:
        shown = (await mia.post(NEW, data=typed(floor="40"))).text
        assert "Merchandising, then finance" in shown
        assert "floor 40.0 %" in shown

    async def test_it_is_defined_once_in_the_name_of_whoever_sends_it(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        first, again = [await mia.post(NEW, data=typed(do="define")) for _ in range(2)]
        assert (first.status_code, first.headers["location"]) == (303, "/console/journeys/promotion:console:P-7")
        assert again.status_code == 303
        assert await made(retailer) == [("P-7", "approved")]
        async with retailer.read() as conn:
            row = (await conn.execute(text("SELECT requested_by, detail FROM journey WHERE key = 'P-7'"))).one()
            starts_at = (await conn.execute(text("SELECT starts_at FROM promotion"))).scalar_one()
        assert row.requested_by == "ana.ruiz"
        assert row.detail["barred"] == ["ana.ruiz"]  # who defines it agrees to nothing of it
        assert starts_at == begins(3)
        assert "Apple days" in (await mia.get(first.headers["location"])).text

    async def test_every_kind_of_offer_and_line(self, mia: httpx2.AsyncClient, retailer: Database) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(text("UPDATE item SET category = 'FRESH FRUIT' WHERE sku IN ('APPLE', 'RARE')"))
        offers = [("percent", "12,5 %"), ("amount", "0.30"), ("price", "0,99"), ("buy_get", "2 + 1")]
        for number, (offer, value) in enumerate(offers):
            given = typed(
                promotion_id=f"P-{number}", offer=offer, value=value, do="draft", where=[], locations="S1, S2",
                lines="category FRESH FRUIT 90\r\n\r\nBREAD\t10",
            )  # fmt: skip
            assert (await mia.post(NEW, data=given)).status_code == 303
        async with retailer.read() as conn:
            stored = list((await conn.execute(text("SELECT offer FROM promotion ORDER BY promotion_id"))).scalars())
            lines = await conn.execute(
                text("SELECT sku, category, forecast_units FROM promotion_line WHERE journey_id LIKE '%P-0' ORDER BY 1")
            )
            assert [tuple(row) for row in lines] == [("BREAD", None, 10), (None, "FRESH FRUIT", 90)]
        assert [{**one, "kind": ""} for one in stored] == [
            {"kind": "", "off_permille": 125},
            {"kind": "", "off_minor": 30},
            {"kind": "", "price_minor": 99},
            {"kind": "", "buy": 2, "get": 1},
        ]
        assert {state for _, state in await made(retailer)} == {"draft"}

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"lines": "APPLE\nBREAD ten\nAPPLE 1 2\ncategory 5\nRARE 0"}, [f"Line {one}" for one in range(1, 6)]),
            ({"lines": " "}, ["Enter what it is for"]),
            ({"lines": "APPLE 1\nAPPLE 2"}, ["two lines are the same: SKU APPLE"]),
            ({"lines": "PEAR 1\nAPPLE 2\nFIG 3"}, ["SKU PEAR, FIG is not in the master data"]),
            ({"lines": "category NONE 3"}, ["No item has the category NONE"]),
            ({"value": "a fifth"}, ["Write a share in per cent"]),
            ({"value": "100"}, ["The offer: input should be less than 1000"]),
            ({"offer": "amount", "value": "1.234"}, ["Write an amount of USD"]),
            ({"offer": "buy_get", "value": "2"}, ["Write a deal as 2+1"]),
            ({"offer": "gift"}, ["Choose what is offered"]),
            ({"offer": "price", "value": "1.29"}, ["lowers no price"]),
            ({"channel": []}, ["Tick at least one channel"]),
            ({"channel": ["pigeon"]}, ["There is no channel pigeon"]),
            ({"where": []}, ["Say where it runs"]),
            ({"where": [], "locations": "S1 S77 S78"}, ["There is no place S77, S78"]),
            ({"where": [], "locations": "S1 S9"}, ["Your role defines no promotions for Store S9 (S9)"]),
            ({"where": ["all:US01"]}, ["Your role defines no promotions for Store S9 (S9)"]),
            ({"starts_at": "soon"}, ["Say when it begins"]),
            ({"starts_at": "2020-01-01T10:00"}, ["It would have begun already"]),
            ({"ends_at": "2020-01-01T10:00"}, ["it ends before it starts"]),
            ({"starts_at": "2099-03-08T02:30", "ends_at": "2099-03-09T02:30"}, ["New_York leave 02:30 out"]),
            ({"zone": "Mars/Base"}, ["Choose the zone"]),
            ({"floor": "much"}, ["Write a share in per cent"]),
            ({"agreement_id": "A-99"}, ["There is no funding agreement A-99"]),
            ({"name": " "}, ["Give it a name"]),
            ({"promotion_id": "P 7/8"}, ["The code: string should match"]),
            ({"stacking": "pile"}, ["Together with others"]),
            (
                {"name": "", "value": "", "channel": [], "where": []},
                ["Give it a name", "share in per cent", "one channel", "Say where"],
            ),
        ],
    )  # fmt: skip
    async def test_what_is_wrong_is_said_all_at_once_and_nothing_typed_is_lost(
        self, mia: httpx2.AsyncClient, retailer: Database, change: dict[str, Any], says: list[str]
    ) -> None:
        given = typed(**change, **({} if "name" in change else {"name": "Apple <days>"}), do="define")
        answer = await mia.post(NEW, data=given)
        assert answer.status_code == 422
        for words in says:
            assert words in answer.text.replace("&#39;", "'"), words
        assert 'name="starts_at" value="' + given["starts_at"] in answer.text
        if "name" not in change:
            assert 'value="Apple &lt;days&gt;"' in answer.text
        for one in given["channel"]:
            if one in ("pos", "web"):
                assert f'value="{one}" checked' in answer.text
        assert given["lines"].strip().split("\n")[0] in answer.text
        assert await made(retailer) == []

    async def test_an_overlap_is_shown_before_it_is_sent_and_refused_when_it_is(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        assert (await mia.post(NEW, data=typed(do="define"))).status_code == 303
        other = typed(promotion_id="P-8", where=[], locations="S2", starts_at=local(5), ends_at=local(9))
        looked = await mia.post(NEW, data=other)
        assert looked.status_code == 200
        assert "It would be refused if it were submitted: Promotion P-7 (Apple days)" in looked.text
        refused = await mia.post(NEW, data={**other, "do": "define"})
        assert refused.status_code == 409
        assert "Promotion P-7 (Apple days) runs" in refused.text
        assert (await mia.post(NEW, data={**other, "do": "draft"})).status_code == 303
        assert await made(retailer) == [("P-7", "approved"), ("P-8", "draft")]

    async def test_a_code_that_is_taken_is_said_so(self, mia: httpx2.AsyncClient, retailer: Database) -> None:
        assert (await mia.post(NEW, data=typed(do="draft"))).status_code == 303
        answer = await mia.post(NEW, data=typed(do="draft", name="Other days"))
        assert answer.status_code == 422
        assert "Another promotion has this code already" in answer.text
        assert len(await made(retailer)) == 1

    async def test_what_a_vendor_pays_is_shown_at_forecast(
        self, mia: httpx2.AsyncClient, web: httpx2.AsyncClient
    ) -> None:
        until = (NOW + timedelta(days=5)).isoformat()
        cap = {"kind": "scan_back", "rate_minor": 10, "cap_minor": 400}
        for number, more in (("A-1", {}), ("A-2", {"terms": cap, "ends_at": until}), ("A-3", {"skus": ["BREAD"]})):
            body = agreement_at("S1", number=number, promotions=[], **more)
            assert (await web.post("/api/v1/funding-agreements", json=body)).status_code == 201
        whole = (await mia.post(NEW, data=typed(agreement_id="A-1", lines="APPLE 50\nBREAD 10"))).text
        assert "60.00 USD at forecast" in whole
        assert "Baker &amp; Sons pays for 60 of the units expected." in whole
        capped = (await mia.post(NEW, data=typed(agreement_id="A-2"))).text
        assert "4.00 USD at forecast" in capped
        assert "what is sold before or after earns nothing of it" in capped
        assert "pays for none of its items" in (await mia.post(NEW, data=typed(agreement_id="A-3"))).text

    async def test_other_roles_look_and_define_nothing(self, sign_in: SignIn, retailer: Database) -> None:
        for who in ("sam.ortega", "ida.noor", "fin.weber"):
            other = await sign_in(who)
            assert "that is the merchandiser" in (await other.get(NEW)).text
            assert (await other.post(NEW, data=typed(do="define"))).status_code == 403
            assert (await other.post(FILE, data={"text": "x", "do": "define"})).status_code == 403
        assert await made(retailer) == []

    async def test_a_session_that_has_ended_loses_nothing(self, mia: httpx2.AsyncClient, retailer: Database) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(text("DELETE FROM session"))
        headers = {"Referer": f"http://endcap.test{NEW}"}
        page = await mia.post(NEW, data=typed(do="define", where=["region:NORTH"]), headers=headers)
        assert page.status_code == 401
        kept = re.search(r'name="kept" value="([^"]*)"', page.text)
        assert kept is not None
        assert "Apple days" in kept[1]
        assert "region:NORTH" in kept[1]
        assert await made(retailer) == []


class TestChanging:
    async def test_the_form_has_it_as_it_is_and_sending_it_changes_it(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await mia.post(NEW, data=typed(do="draft", offer="price", value="0.99", floor="12.5"))
        page = "/console/promotions/promotion:console:P-7/edit"
        shown = (await mia.get(page)).text
        for words in (
            'value="0.99"',
            'value="12.5"',
            ">APPLE 50<",
            ">S1 S2<",
            f'value="{begins(3).astimezone(UTC):%Y-%m-%dT%H:%M}"',  # its stores keep UTC
            '<option value="price" selected',
        ):
            assert words in shown, words
        looked = await mia.post(page, data=typed(where=[], locations="S1", lines="BREAD 7"))
        assert "2: 1 item at 1 place" in looked.text
        assert (await made(retailer))[0][1] == "draft"
        answer = await mia.post(
            page, data=typed(where=[], locations="S1", lines="BREAD 7", do="define", promotion_id="P-X")
        )
        assert answer.status_code == 303
        assert await made(retailer) == [("P-7", "approved")]
        async with retailer.read() as conn:
            assert list((await conn.execute(text("SELECT sku FROM promotion_item"))).scalars()) == ["BREAD"]

    async def test_its_own_place_is_no_overlap_and_a_refusal_changes_nothing(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await mia.post(NEW, data=typed(do="define"))
        page = "/console/promotions/promotion:console:P-7/edit"
        assert "It would be refused" not in (await mia.post(page, data=typed(value="25"))).text
        answer = await mia.post(page, data=typed(lines="PEAR 5", do="define"))
        assert answer.status_code == 422
        assert "PEAR 5" in answer.text
        assert await made(retailer) == [("P-7", "approved")]

    async def test_one_of_the_whole_company_stays_so(
        self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(insert(person_role).values(person_id="sam.ortega", role="merchandiser"))
        sam = await sign_in("sam.ortega")
        assert (await web.post("/api/v1/promotions", json=promotion(locations="all", submit=False))).status_code == 201
        shown = (await sam.get("/console/promotions/promotion:web:P-1/edit")).text
        assert 'value="all:US01" checked' in shown

    async def test_once_its_prices_went_out_it_is_not_changed(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await mia.post(NEW, data=typed(do="define"))
        async with retailer.engine.begin() as conn:
            for table in ("promotion", "journey"):
                await conn.execute(text(f"UPDATE {table} SET state = 'publishing'"))  # noqa: S608
        page = "/console/promotions/promotion:console:P-7/edit"
        assert (await mia.get(page)).status_code == 303
        answer = await mia.post(page, data=typed(value="25", do="define"))
        assert answer.status_code == 409
        assert "channels have been told" in answer.text

    async def test_a_draft_is_withdrawn(self, mia: httpx2.AsyncClient, retailer: Database) -> None:
        await mia.post(NEW, data=typed(do="draft"))
        page = "/console/journeys/promotion:console:P-7"
        assert "Withdraw the draft" in (await mia.get(page)).text
        answer = await mia.post("/console/promotions/promotion:console:P-7/cancel", data={"reason": "not now"})
        assert answer.status_code == 303
        assert await made(retailer) == [("P-7", "cancelled")]

    async def test_who_promotes_elsewhere_changes_nothing_here(
        self, mia: httpx2.AsyncClient, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        assert (
            await web.post("/api/v1/promotions", json=promotion(locations=["S1", "S9"], submit=False))
        ).status_code == 201
        page = "/console/promotions/promotion:web:P-1/edit"
        answer = await mia.post(page, data=typed(where=[], locations="S1", do="define"))
        assert answer.status_code == 403  # it would take the south's part of it away
        assert "Store S9" in answer.text
        assert await made(retailer) == [("P-1", "draft")]


HEAD = "promotion_id,name,offer,value,sku,forecast_units,channels,locations,starts_at,ends_at,submit"


def row(promotion_id: str, *, sku: str = "APPLE", at: str = "S1", days: int = 3, submit: str = "", **more: str) -> str:
    start = NOW + timedelta(days=days)
    cells = {
        "name": "File days", "offer": "percent", "value": "200", "units": "50", "channels": "web",
        "starts": f"{start:%Y-%m-%dT10:00:00Z}", "ends": f"{start + timedelta(days=2):%Y-%m-%dT10:00:00Z}", **more,
    }  # fmt: skip
    return ",".join(
        [promotion_id, cells["name"], cells["offer"], cells["value"], sku, cells["units"], cells["channels"], at,
         cells["starts"], cells["ends"], submit]
    )  # fmt: skip


class TestFile:
    async def test_it_is_looked_at_row_by_row_then_defined_each_by_itself(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        rows = [
            HEAD, row("F-1"), row("F-2", sku="PEAR"), row("F-3", at="S9"), row("F-4", days=4), row("F-5", value="much"),
            row("F-6", sku="BREAD", submit="false"), row("F-7", sku="RARE", channels="pigeon"),
        ]  # fmt: skip
        sent = {"file": ("plan.csv", ("\ufeff" + "\r\n".join(rows)).encode(), "text/csv")}
        looked = (await mia.post(FILE, data={"do": "look"}, files=sent)).text
        assert "2 would be defined, 5 refused" in looked
        for words in (
            "SKU PEAR is not in the master data", "no promotions for Store S9", "It would meet F-1 of this file",
            "off_permille: Input should be a valid integer", "There is no channel pigeon", "Agreed at once", "A draft",
            "Define 2 of them",
        ):  # fmt: skip
            assert words in looked, words
        assert await made(retailer) == []
        text_of_page = "\n".join(rows)
        done = (await mia.post(FILE, data={"do": "define", "text": text_of_page})).text
        assert "2 defined, 5 refused" in done
        assert "/console/journeys/promotion:console:F-1" in done
        assert "and it is exclusive: move one of them" in done  # now it has met F-1 itself
        assert rows[2] in done  # what was refused can be corrected where it stands
        assert await made(retailer) == [("F-1", "approved"), ("F-6", "draft")]
        again = (await mia.post(FILE, data={"do": "define", "text": text_of_page})).text
        assert "0 defined, 5 refused" in again
        assert again.count("There already") == 2
        assert len(await made(retailer)) == 2

    async def test_another_definition_under_a_code_of_before_is_refused(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await mia.post(FILE, data={"do": "define", "text": f"{HEAD}\n{row('F-1')}"})
        other = f"{HEAD}\n{row('F-1', value='300')}"
        assert "There already" in (await mia.post(FILE, data={"do": "look", "text": other})).text
        assert (
            "Another promotion has this code already"
            in (await mia.post(FILE, data={"do": "define", "text": other})).text
        )
        async with retailer.read() as conn:
            assert (await conn.execute(text("SELECT offer ->> 'off_permille' FROM promotion"))).scalar_one() == "200"

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "Choose a file, or paste its rows"),
            (b"colour\nred", "the column promotion_id is missing"),
            (HEAD.encode(), "a heading and no rows"),
            (f"{HEAD},colour\nx".encode(), "there is no column colour"),
            ("promotion_id\nCafé".encode("latin-1"), "no UTF-8 text"),
        ],
    )
    async def test_what_is_no_such_file_is_refused_whole(
        self, mia: httpx2.AsyncClient, retailer: Database, content: bytes, says: str
    ) -> None:
        answer = await mia.post(FILE, data={"do": "define"}, files={"file": ("plan.csv", content, "text/csv")})
        assert answer.status_code == 422
        assert says in answer.text
        assert await made(retailer) == []

    async def test_a_row_that_asks_for_somebody_else_is_refused(
        self, mia: httpx2.AsyncClient, retailer: Database
    ) -> None:
        rows = f"{HEAD},requested_by\n{row('F-1')},sam.ortega"
        assert "here it is you who asks" in (await mia.post(FILE, data={"do": "define", "text": rows})).text
        assert await made(retailer) == []
