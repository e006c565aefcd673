"""The newest movements of a shelf, among months of them."""

from sqlalchemy import text

from ledger.reads.stock import newest_movements
from tests.ledger.support.plans import rows_handled
from tests.shop import Shop

MONTHS, EACH_MONTH, SHOWN = 6, 300, 50
OTHERS = 40  # items that move as much at the same place
_MONTH = text(
    "SELECT movement_partition((date_trunc('month', now()) - make_interval(months => CAST(:ago AS int)))::date)"
)
# A third comes from outside, a third goes to another place, a third stays: promised, or let go.
_MOVED = text(
    """
    INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity, cause,
            actor, at, recorded_at)
        SELECT 'grown', CASE i WHEN 0 THEN 'TEA-1' ELSE 'X' || i END, 1, 'S1',
            CASE WHEN g % 3 = 0 THEN 'vendor' ELSE 'available' END,
            CASE WHEN g % 3 = 1 THEN 'S2' ELSE 'S1' END, CASE WHEN g % 3 = 2 THEN 'reserved' ELSE 'available' END,
            'DE01', 'grown-' || g, 'grown', moved.at, moved.at
        FROM generate_series(1, :number) g, generate_series(0, :others) i,
            LATERAL (
                SELECT date_trunc('month', now()) - make_interval(months => g % :months, secs => -g / 2) AS at
            ) moved
    """
)
_ALL = text(
    "SELECT cause FROM movement WHERE sku = 'TEA-1' AND (from_location = 'S1' OR to_location = 'S1')"
    " ORDER BY recorded_at DESC, id DESC LIMIT :shown"
)


async def test_of_months_of_movements_the_newest_are_read_and_no_more(shop: Shop) -> None:
    newest = newest_movements("S1", "TEA-1", SHOWN)
    async with shop.database.engine.connect() as conn:  # never committed
        await conn.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        for ago in range(1, MONTHS):
            await conn.execute(_MONTH, {"ago": ago})
        await conn.execute(_MOVED, {"number": MONTHS * EACH_MONTH, "months": MONTHS, "others": OTHERS})
        await conn.execute(text("ANALYZE movement"))
        found = [row.cause for row in await conn.execute(newest)]
        assert found == list((await conn.execute(_ALL, {"shown": SHOWN})).scalars())
        words = newest.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        explained = await conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {words}")
        plan = explained.scalar_one()[0]["Plan"]
    assert len(found) == SHOWN
    assert rows_handled(plan) < 15 * SHOWN  # of 1,800, and 72,000 of other items
