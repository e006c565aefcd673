"""P2: what people see of a promotion at every store, with a thousand items: a million prices, some of which are not
right. Beside each page the same of a promotion of one item at one store, so that the ratio says what the size costs.
"""

import statistics
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx2
from sqlalchemy import text

from bench import browsing, place, served
from bench.prices import Campaign
from bench.rows import Row, row
from domain.promotions import NewPromotion
from ledger.engine import Database
from ledger.promotion import publishing
from ledger.promotion.preview import preview
from web.app import create_app

CHANNELS = ("pos", "web")
PLACES, ITEMS = 457, 1_100  # for each of the two channels: a million prices
WRONG_IN = 50  # one in so many prices is not right
ROUNDS = 5
_TRIED = text(
    """
    UPDATE price_publication p SET attempts = 3, run = 3, wanted_minor = 1200, tried_at = now(),
        state = CASE WHEN n % :one_in = 0 THEN 'pending' ELSE 'right' END,
        seen_minor = CASE WHEN n % :one_in = 0 THEN 1500 ELSE 1200 END,
        error = CASE WHEN n % :one_in = 0 THEN 'shows another price' ELSE '' END
    FROM (SELECT ctid AS at, row_number() OVER (ORDER BY location, sku) AS n FROM price_publication
          WHERE publication_id = :number) x WHERE p.ctid = x.at
    """
)


class Seen(NamedTuple):
    """One address: milliseconds of each asking, statements, kilobytes."""

    runs: list[float]
    statements: int
    kilobytes: float

    @property
    def words(self) -> str:
        return f"{self.statements} statements, {self.kilobytes:,.0f} kB"


async def publish(database: Database, campaign: Campaign) -> None:
    """Its rows are made as they always are; then most are right, as if channels had been talked to."""
    await campaign.due("publish")
    for channel in campaign.channels:
        task = await publishing.task_of(database, campaign.id, channel)
        if task is None:
            raise RuntimeError(f"{channel} has no publication")
        while await publishing.make_rows(database, task):
            pass
        async with database.engine.begin() as conn:
            await conn.execute(_TRIED, {"number": task.number, "one_in": WRONG_IN})
    async with database.engine.connect() as conn:
        await (await conn.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


async def seen(client: httpx2.AsyncClient, database: Database, cookie: str, path: str) -> Seen:
    """Raises RuntimeError for an answer other than 200."""
    runs, sent, size = [], [0], 0

    def hear(_words: str, _values: object) -> None:
        sent[0] += 1

    for _ in range(ROUNDS + 1):
        sent[0] = 0
        began = time.perf_counter()
        with database.heard(hear):
            answer = await client.get(path, headers={"Cookie": cookie})
        runs.append((time.perf_counter() - began) * 1e3)
        size = len(answer.content)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} was answered {answer.status_code}: {answer.text[:300]}")
    return Seen(runs[1:], sent[0], size / 1e3)


async def looked_first(database: Database, campaign: Campaign) -> list[float]:
    """Milliseconds of *Look first*, without its page: what the definition means, earns and would meet."""
    starts_at = place.now() + timedelta(days=40)
    wanted = NewPromotion.model_validate(
        {
            "promotion_id": "LOOK", "name": "Look", "offer": {"kind": "percent", "off_permille": 100},
            "lines": [{"sku": sku, "forecast_units": 1_000} for sku in campaign.items],
            "channels": list(campaign.channels), "locations": campaign.places, "starts_at": starts_at,
            "ends_at": starts_at + timedelta(days=7), "stacking": "exclusive",
        }
    )  # fmt: skip
    runs = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        async with database.read() as conn:
            await preview(conn, wanted, channels=CHANNELS, at=datetime.now(starts_at.tzinfo))
        runs.append((time.perf_counter() - began) * 1e3)
    return runs


async def pages(
    server_url: str,
    *,
    seconds: float,  # noqa: ARG001  each is asked for a few times
    places: int = PLACES,
    items: int = ITEMS,
) -> list[Row]:
    """The promotion's page, its lists and files, and the look at it before it is defined."""
    async with place.database(server_url, "pages") as database:
        small = await Campaign.open(database, places=1, items=1, channels=CHANNELS)
        large = await Campaign.open(database, places=places, items=items, channels=CHANNELS)
        async with database.engine.begin() as conn:
            await conn.execute(text("INSERT INTO person (id, name, email) VALUES ('m', 'M', 'm@bench.example')"))
            await conn.execute(text("INSERT INTO person_role (person_id, role) VALUES ('m', 'admin')"))
        await publish(database, small)
        await publish(database, large)
        app = create_app(served.settings_for(database, Path("/nonexistent")))
        cookie = await browsing.signed_in(database, "m")
        found: list[Row] = []
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=120) as client:
                for name, path in (
                    ("page", "/console/journeys/{}"),
                    ("list", "/console/promotions?text=P-"),
                    ("csv", "/console/promotions/{}/prices.csv"),
                ):
                    few, many = [
                        await seen(client, app.state.database, cookie, path.format(one.id)) for one in (small, large)
                    ]
                    work = f"a promotion's {name}, {large.prices:,} prices beside one"
                    found.append(row(f"P2.{name}", work, many.runs, "ms", statistics.median(few.runs), many.words))
        work = f"looked at before it is defined, {large.prices:,} prices beside one"
        limit = statistics.median(await looked_first(database, small))
        found.append(row("P2.look", work, await looked_first(database, large), "ms", limit))
    return found
