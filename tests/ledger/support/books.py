"""What must be true of stock, holds and books after anything at all; read by the tests, apart from the code under
test.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_facts import FACTS
from domain.postings import INVENTORY_ACCOUNTS
from domain.stock import BUCKETS
from ledger.audit import RULES, audit
from ledger.engine import Database

_SUMS = text(
    "SELECT location, sku, bucket, sum(quantity)::int AS quantity FROM ("
    " SELECT to_location AS location, sku, to_account AS bucket, quantity FROM movement"
    " UNION ALL SELECT from_location, sku, from_account, -quantity FROM movement) m GROUP BY 1, 2, 3"
)
# Every rule of the audit in one question: asked one after the other they take most of a test's time.
_BROKEN = text("\nUNION ALL\n".join(f"(SELECT 1 FROM ({query}) AS rule LIMIT 1)" for query in RULES.values()))  # noqa: S608
_GIVEN = {"inventory": list(INVENTORY_ACCOUNTS)}


async def assert_books_agree(database: Database) -> None:
    """Movements explain every bucket, holds explain what is reserved, journals balance, and the audit finds nothing."""
    async with database.read() as conn:
        rows = (await conn.execute(text("SELECT * FROM stock ORDER BY location, sku"))).mappings().all()
        sums = {(r.location, r.sku, r.bucket): r.quantity for r in await conn.execute(_SUMS)}
        for row in rows:
            for bucket in BUCKETS:
                moved = sums.get((row["location"], row["sku"], bucket), 0)
                assert row[bucket] == moved, (row["location"], row["sku"], bucket)
        held = await conn.execute(
            text(
                "SELECT location, sku, sum(reserved)::int AS reserved, sum(staged)::int AS staged"
                " FROM hold GROUP BY 1, 2"
            )
        )
        by_place = {(row["location"], row["sku"]): row for row in rows}
        for place in held:
            assert by_place[place.location, place.sku]["reserved"] == place.reserved
            assert by_place[place.location, place.sku]["staged"] >= place.staged
        unbalanced = await conn.execute(
            text("SELECT journal_id FROM journal_line GROUP BY 1 HAVING sum(debit_minor) <> sum(credit_minor)")
        )
        assert unbalanced.all() == []
        if await breaks_a_rule(conn):
            assert await audit(conn) == []
            raise AssertionError("all rules of the audit in one question find what each by itself does not")
        for case in await conn.execute(text("SELECT kind, facts FROM case_file")):
            assert case.kind in FACTS, f"{case.kind} has no facts of its own in domain/case_facts.py"
            FACTS[case.kind].model_validate(case.facts)


async def breaks_a_rule(conn: AsyncConnection) -> bool:
    """Whether the audit would find anything."""
    return (await conn.execute(_BROKEN, _GIVEN)).first() is not None


async def accounts(database: Database) -> dict[str, int]:
    """Balance of every account, debit positive, in minor units."""
    async with database.read() as conn:
        rows = await conn.execute(
            text("SELECT account, sum(debit_minor - credit_minor)::bigint AS balance FROM journal_line GROUP BY 1")
        )
        return {row.account: row.balance for row in rows if row.balance}
