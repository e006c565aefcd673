"""Deliveries to many places at once: what they read must not grow with the square of what there is."""

from sqlalchemy import text

from ledger.goods import batch
from tests.ledger.support.plans import rows_handled
from tests.shop import Shop

STORES, SKUS = 30, 1_000


async def test_units_on_hand_are_read_once_each_whatever_the_statistics_say(shop: Shop) -> None:
    async with shop.database.engine.connect() as conn:  # never committed
        await conn.execute(
            text("INSERT INTO item (sku, name, price_minor) SELECT 'X' || g, 'x', 100 FROM generate_series(1, :n) g"),
            {"n": SKUS},
        )
        # Statistics know one shop with all the goods; then many are opened, and every one has them.
        await conn.execute(text("INSERT INTO stock (location, sku) SELECT 'S1', sku FROM item WHERE sku LIKE 'X%'"))
        await conn.execute(text("ANALYZE location, stock, item"))
        await conn.execute(text("DELETE FROM stock WHERE sku LIKE 'X%'"))
        await conn.execute(
            text(
                "INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)"
                " SELECT 'T' || g, 'T', 'store', 'R1', 'DE01', 'UTC', 50, 8, true FROM generate_series(1, :n) g"
            ),
            {"n": STORES},
        )
        await conn.execute(
            text(
                "INSERT INTO stock (location, sku, available) SELECT 'T' || l, 'X' || s, 1"
                " FROM generate_series(1, :stores) l, generate_series(1, :skus) s"
            ),
            {"stores": STORES, "skus": SKUS},
        )
        asked = {"entities": ["DE01"] * SKUS, "skus": [f"X{n}" for n in range(1, SKUS + 1)]}
        explain = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {batch._ON_HAND.text}")
        plan = (await conn.execute(explain, asked)).scalar_one()[0]["Plan"]
        found = (await conn.execute(batch._ON_HAND, asked)).all()
    assert {(row.entity, row[2]) for row in found} == {("DE01", STORES)}
    assert len(found) == SKUS
    assert rows_handled(plan) < 10 * STORES * SKUS


async def test_an_average_counts_the_units_of_its_own_entity_only(shop: Shop) -> None:
    """Two entities, each with goods of its own: what both deliver in one request is averaged apart."""
    await shop.change("INSERT INTO entity (code, name, currency, country) VALUES ('AT01', 'Shop AT', 'EUR', 'AT')")
    await shop.change("INSERT INTO region (code, name, entity) VALUES ('R2', 'East', 'AT01')")
    await shop.change(
        "INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)"
        " VALUES ('V1', 'Vienna', 'store', 'R2', 'AT01', 'UTC', 48, 16, true)"
    )
    lines = [{"sku": "TEA-1", "quantity": 10, "unit_cost_minor": 800}]
    for place, document in (("V1", "d1"), ("S1", "d2")):
        outcome = await shop.report("stock.received", location=place, document=document, lines=lines)
        assert outcome.outcome == "accepted"
    average = "SELECT unit_cost_e4 FROM average_cost WHERE entity = :entity AND sku = 'TEA-1'"
    assert await shop.value(average, entity="AT01") == 8_000_000
    assert await shop.value(average, entity="DE01") == (10 * 600 + 10 * 800) * 10_000 // 20
