"""The list of promotions: tabs, what comes next and what is wrong, narrowed by its address, and as a file."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import insert, text

from ledger.engine import Database
from ledger.tables import person_role
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion

__all__ = ["accounts", "browse", "sign_in"]
LIST = "/console/promotions"


@pytest.fixture
async def three(web: httpx2.AsyncClient, retailer: Database) -> None:
    """A draft, one that is agreed to, and one that waits for merchandising."""
    bread = [{"sku": "BREAD", "forecast_units": 5}]
    for body in (
        promotion("P-1", submit=False, name="Draft days"),
        promotion("P-2", name="Apple days"),
        promotion("P-3", name="Bread days", lines=bread, margin_floor_permille=900),
    ):
        assert (await web.post("/api/v1/promotions", json=body)).status_code == 201
    async with retailer.engine.begin() as conn:  # as a channel that refused three of them left it
        await conn.execute(
            text(
                "INSERT INTO publication (journey_id, phase, channel, prices, wrong, began_at)"
                " VALUES ('promotion:web:P-2', 'publish', 'pos', 9, 3, now())"
            )
        )


PAGE = "/console/journeys/promotion:web:P-2"
PRICES = "/console/promotions/promotion:web:P-2/prices.csv"
MOVE = "/console/promotions/promotion:web:P-2/move"


async def promoter(retailer: Database, sign_in: SignIn) -> httpx2.AsyncClient:
    async with retailer.engine.begin() as conn:
        await conn.execute(insert(person_role).values(person_id="sam.ortega", role="merchandiser", region="NORTH"))
    return await sign_in("sam.ortega")


@pytest.mark.usefixtures("three")
class TestOne:
    async def test_it_names_places_and_items_and_shows_what_is_not_right(
        self, sign_in: SignIn, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(
                text(
                    "INSERT INTO price_publication (publication_id, location, sku, valid_from, wanted_minor,"
                    " seen_minor, attempts, run, error)"
                    " SELECT id, 'S1', 'APPLE', now(), 103, 129, 2, 1, 'shows another price' FROM publication"
                )
            )
        page = (await (await sign_in("sam.ortega")).get(PAGE)).text
        for words in ("Store S1</span>", "Apple <code", "1.03 USD", "1.29 USD", "shows another price"):
            assert words in page, words
        assert "Place(" not in page
        sam = await sign_in("sam.ortega")
        rows = list(csv.DictReader(io.StringIO((await sam.get(PRICES)).text)))
        assert [(row["location"], row["sku"], row["wanted_minor"], row["seen_minor"]) for row in rows] == [
            ("S1", "APPLE", "103", "129")
        ]
        assert (await (await sign_in("sol.byrne")).get(PRICES)).status_code == 404

    async def test_its_end_is_moved_later_in_the_time_of_its_place(self, sign_in: SignIn, retailer: Database) -> None:
        sam = await promoter(retailer, sign_in)
        assert "Change its end" in (await sam.get(PAGE)).text
        given = {"ends_at": "2099-01-01T10:00", "reason": "it goes well"}
        assert (await sam.post(MOVE, data=given)).status_code == 303
        async with retailer.read() as conn:
            ends_at = await conn.execute(text("SELECT ends_at FROM promotion WHERE promotion_id = 'P-2'"))
            assert ends_at.scalar_one() == datetime(2099, 1, 1, 10, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"ends_at": "soon", "reason": "why"}, "Say when it ends"),
            ({"ends_at": "2099-01-01T10:00", "reason": " "}, "Say why"),
            ({"ends_at": "2020-01-01T10:00", "reason": "why not"}, "only one that has begun is ended"),
        ],
    )
    async def test_what_cannot_be_is_refused_and_keeps_what_was_typed(
        self, sign_in: SignIn, retailer: Database, given: dict[str, str], says: str
    ) -> None:
        sam = await promoter(retailer, sign_in)
        answer = await sam.post(MOVE, data=given)
        assert answer.status_code in (409, 422)
        assert says in answer.text
        assert f'value="{given["ends_at"]}"' in answer.text
        async with retailer.read() as conn:
            moved = await conn.execute(text("SELECT count(*) FROM audit WHERE what LIKE 'promotion.e%'"))
            assert moved.scalar_one() == 0

    async def test_other_roles_move_nothing(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        assert "Change its end" not in (await sam.get(PAGE)).text
        answer = await sam.post(MOVE, data={"ends_at": "2099-01-01T10:00", "reason": "x"})
        assert answer.status_code == 403


def named(page: str) -> list[str]:
    return sorted(set(re.findall(r"/console/journeys/promotion:web:(P-\d)", page)))


@pytest.mark.usefixtures("three")
class TestList:
    async def test_tabs_count_by_where_they_are(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        page = (await sam.get(LIST)).text
        assert re.findall(r'<span class="count">(\d+)</span>', page) == ["1", "1", "1", "0", "0", "0"]
        for words in ("Prices go out: ", "Begins: ", "Lapses: ", "13.00 USD", "32.0 %", '<span class="over">3</span>'):
            assert words in page, words
        assert named((await sam.get(f"{LIST}?state=approved,publishing")).text) == ["P-2"]
        assert re.findall(r'<span class="count">(\d+)</span>', (await sam.get(f"{LIST}?text=bread")).text)[:3] == [
            "0",
            "1",
            "0",
        ]

    @pytest.mark.parametrize(
        ("query", "there"),
        [
            ("asked=on", ["P-3"]),
            ("text=Draft", ["P-1"]),
            ("sku=BREAD", ["P-3"]),
            ("channel=kiosk", []),
            ("location=S2", []),
            ("now=on", []),
            ("state=draft,approved", ["P-1", "P-2"]),
            ("state=open", ["P-1", "P-2", "P-3"]),
        ],
    )
    async def test_an_address_narrows_the_page_and_the_file(
        self, sign_in: SignIn, query: str, there: list[str]
    ) -> None:
        sam = await sign_in("sam.ortega")
        assert named((await sam.get(f"{LIST}?{query}")).text) == there
        rows = list(csv.DictReader(io.StringIO((await sam.get(f"{LIST}.csv?{query}")).text)))
        assert sorted(row["promotion_id"] for row in rows) == there

    async def test_what_means_nothing_is_said_and_makes_no_file(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        page = (await sam.get(f"{LIST}?state=nowhere")).text
        assert "<code>state=nowhere</code>" in page
        assert named(page) == ["P-1", "P-2", "P-3"]
        refused = await sam.get(f"{LIST}.csv?state=nowhere")
        assert refused.status_code == 422

    async def test_another_region_sees_none(self, sign_in: SignIn) -> None:
        sol = await sign_in("sol.byrne")
        assert named((await sol.get(LIST)).text) == []
        assert len((await sol.get(f"{LIST}.csv")).text.splitlines()) == 1
