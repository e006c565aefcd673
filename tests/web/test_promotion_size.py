"""Pages of a promotion with thousands of lines, places and prices: bounded, and nothing of them is nowhere."""

from __future__ import annotations

import csv
import io

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from ledger.engine import Database
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion

__all__ = ["accounts", "browse", "sign_in"]
ABOUT = "promotion:web:P-1"
PAGE = f"/console/journeys/{ABOUT}"
FILES = f"/console/promotions/{ABOUT}"
# Beside what was defined: so many lines, places of a channel, and prices that are not right.
LINES, PLACES, WRONG = 4_999, 900, 1_234
_GROWN = (
    (
        "INSERT INTO item (sku, name, price_minor, cost_minor)"
        " SELECT 'X' || lpad(g::text, 5, '0'), 'Item ' || g, 200, 100 FROM generate_series(1, :lines) g"
    ),
    (
        "INSERT INTO promotion_line (journey_id, number, sku, forecast_units)"
        " SELECT :about, g + 1, 'X' || lpad(g::text, 5, '0'), 1 FROM generate_series(1, :lines) g"
    ),
    (
        "INSERT INTO location (code, name, kind, region, entity, time_zone)"
        " SELECT 'Q' || lpad(g::text, 4, '0'), 'Store ' || g, 'store', region, entity, time_zone"
        " FROM generate_series(1, :places) g, location WHERE code = 'S1'"
    ),
    (
        "INSERT INTO promotion_place (journey_id, channel, location)"
        " SELECT :about, 'pos', 'Q' || lpad(g::text, 4, '0') FROM generate_series(1, :places) g"
    ),
    (
        "WITH p AS (INSERT INTO publication (journey_id, phase, channel, prices, wrong, began_at)"
        " VALUES (:about, 'publish', 'pos', 5000, :wrong, now()) RETURNING id)"
        " INSERT INTO price_publication (publication_id, location, sku, valid_from, wanted_minor, seen_minor, attempts,"
        " run, error) SELECT p.id, 'S1', 'X' || lpad(g::text, 5, '0'), now(), 160, 200, 2, 1, 'shows another price'"
        " FROM p, generate_series(1, :wrong) g"
    ),
)


@pytest.fixture
async def defined(web: httpx2.AsyncClient) -> None:
    assert (await web.post("/api/v1/promotions", json=promotion("P-1"))).status_code == 201


async def grow(retailer: Database) -> None:
    given = {"about": ABOUT, "lines": LINES, "places": PLACES, "wrong": WRONG}
    async with retailer.engine.begin() as conn:
        for statement in _GROWN:
            await conn.execute(text(statement), given)


async def asked(app: FastAPI, client: httpx2.AsyncClient, path: str) -> tuple[str, int]:
    """The page, and how many statements it took."""
    sent: list[str] = []
    with app.state.database.heard(lambda statement, _: sent.append(statement)):
        answer = await client.get(path)
    assert answer.status_code == 200
    return answer.text, len(sent)


@pytest.mark.usefixtures("defined")
class TestPage:
    async def test_it_grows_no_longer_and_asks_for_no_more(
        self, app: FastAPI, sign_in: SignIn, retailer: Database
    ) -> None:
        sam = await sign_in("sam.ortega")
        small, few = await asked(app, sam, PAGE)
        assert "lines.csv" not in small
        assert "places.csv" not in small
        await grow(retailer)
        large, many = await asked(app, sam, PAGE)
        assert many == few
        assert len(large) < len(small) + 60_000
        for words in ("The first 50 of 5,000;", "pos: 901 places", "The first 50; ", "lines.csv", "places.csv"):
            assert words in large, words
        assert large.count("shows another price") == 50

    async def test_what_it_leaves_out_is_in_files(self, sign_in: SignIn, retailer: Database) -> None:
        await grow(retailer)
        sam = await sign_in("sam.ortega")

        async def rows(name: str) -> list[dict[str, str]]:
            return list(csv.DictReader(io.StringIO((await sam.get(f"{FILES}/{name}.csv")).text)))

        lines = await rows("lines")
        assert [lines[0]["sku"], lines[-1]["sku"], len(lines)] == ["APPLE", "X04999", LINES + 1]
        places = await rows("places")
        assert {(row["channel"], row["location"]) for row in places} >= {("web", "S1"), ("pos", "S1"), ("pos", "Q0900")}
        assert len(places) == PLACES + 2
        prices = await rows("prices")
        assert [row["sku"] for row in prices] == [f"X{number:05d}" for number in range(1, WRONG + 1)]

    @pytest.mark.parametrize("name", ["lines", "places", "prices"])
    async def test_another_region_is_given_none(self, sign_in: SignIn, name: str) -> None:
        assert (await (await sign_in("sol.byrne")).get(f"{FILES}/{name}.csv")).status_code == 404
