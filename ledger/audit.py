"""The invariants of the ledger as queries: each lists what breaks it, and an empty answer means that it holds."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.postings import INVENTORY_ACCOUNTS
from domain.stock import BUCKETS


class Finding(NamedTuple):
    """One thing that should not be: the rule that it breaks, and where."""

    rule: str
    where: str
    detail: str


_STOCK = "\n UNION ALL ".join(
    f"SELECT location, sku, '{bucket}' AS account, {bucket} AS quantity FROM stock" for bucket in BUCKETS
)

RULES: dict[str, str] = {
    "movements explain every bucket": f"""
        SELECT location || ' ' || sku || ' ' || account AS place,
               'book ' || sum(book)::int || ', movements ' || sum(moved)::int AS detail
        FROM (
            SELECT location, sku, account, quantity AS book, 0 AS moved FROM ({_STOCK}) s
            UNION ALL SELECT to_location, sku, to_account, 0, quantity FROM movement
            UNION ALL SELECT from_location, sku, from_account, 0, -quantity FROM movement
        ) both_sides
        WHERE account NOT IN ('supplier', 'customer', 'carrier', 'shrink', 'found')
        GROUP BY location, sku, account HAVING sum(book) <> sum(moved)
    """,
    "holds explain what is reserved": """
        SELECT s.location || ' ' || s.sku, 'reserved ' || s.reserved || ', holds ' || coalesce(h.reserved, 0)
        FROM stock s LEFT JOIN (
            SELECT location, sku, sum(reserved)::int AS reserved, sum(staged)::int AS staged FROM hold GROUP BY 1, 2
        ) h USING (location, sku)
        WHERE s.reserved <> coalesce(h.reserved, 0) OR s.staged < coalesce(h.staged, 0)
    """,
    "lines explain their holds": """
        SELECT l.journey_id || ' ' || l.line_id,
               'line ' || l.reserved || '/' || l.staged || ', holds ' || coalesce(h.reserved, 0) || '/'
               || coalesce(h.staged, 0)
        FROM journey_line l LEFT JOIN (
            SELECT journey_id, line_id, sum(reserved)::int AS reserved, sum(staged)::int AS staged
            FROM hold GROUP BY 1, 2
        ) h USING (journey_id, line_id)
        LEFT JOIN (SELECT journey_id, line_id, sum(found)::int AS found FROM waiting_demand GROUP BY 1, 2) w
            USING (journey_id, line_id)
        WHERE l.reserved + coalesce(w.found, 0) <> coalesce(h.reserved, 0) OR l.staged <> coalesce(h.staged, 0)
    """,
    "every journal balances": """
        SELECT 'journal ' || j.id, 'debit ' || coalesce(sum(l.debit_minor), 0) || ', credit '
               || coalesce(sum(l.credit_minor), 0)
        FROM journal j LEFT JOIN journal_line l ON l.journal_id = j.id
        GROUP BY j.id HAVING coalesce(sum(l.debit_minor), 0) <> coalesce(sum(l.credit_minor), 0) OR count(l.*) = 0
    """,
    "inventory account is what movements cost": """
        SELECT coalesce(m.entity, b.entity),
               'movements ' || coalesce(m.value, 0) || ', account ' || coalesce(b.value, 0)
        FROM (
            SELECT entity, sum(CASE WHEN from_account IN ('supplier', 'found', 'carrier') THEN cost_minor
                                    WHEN to_account IN ('customer', 'shrink', 'damaged') THEN -cost_minor
                                    ELSE 0 END)::bigint AS value
            FROM movement GROUP BY entity
        ) m FULL JOIN (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = ANY(CAST(:inventory AS text[])) GROUP BY j.entity
        ) b USING (entity)
        WHERE coalesce(m.value, 0) <> coalesce(b.value, 0)
    """,
    "deposits belong to open orders": """
        SELECT j.entity, 'account ' || -sum(l.debit_minor - l.credit_minor)::bigint || ', open orders '
               || coalesce(max(o.owed), 0)
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        LEFT JOIN (
            SELECT entity, sum(captured - earned - refunded)::bigint AS owed FROM (
                SELECT g.entity, g.id,
                    coalesce((SELECT sum(p.captured_minor - p.refund_requested_minor) FROM payment p
                              WHERE p.journey_id = g.id), 0) AS captured,
                    coalesce((SELECT sum(x.debit_minor) FROM journal e JOIN journal_line x ON x.journal_id = e.id
                              WHERE e.journey_id = g.id AND e.event = 'bopis.handed_over'
                                AND x.account = 'customer_deposits'), 0) AS earned,
                    0 AS refunded
                FROM journey g
            ) per_order GROUP BY entity
        ) o ON o.entity = j.entity
        WHERE l.account = 'customer_deposits'
        GROUP BY j.entity HAVING -sum(l.debit_minor - l.credit_minor) <> coalesce(max(o.owed), 0)
    """,
    "refunds owed are paid or on their way": """
        SELECT j.entity, 'account ' || -sum(l.debit_minor - l.credit_minor)::bigint || ', not yet paid '
               || coalesce(max(o.open), 0)
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        LEFT JOIN (
            SELECT g.entity, sum(p.refund_requested_minor - p.refunded_minor)::bigint AS open
            FROM payment p JOIN journey g ON g.id = p.journey_id GROUP BY g.entity
        ) o ON o.entity = j.entity
        WHERE l.account = 'refunds_payable'
        GROUP BY j.entity HAVING -sum(l.debit_minor - l.credit_minor) <> coalesce(max(o.open), 0)
    """,
    "what was sold and paid back stays within the line": """
        SELECT l.journey_id || ' ' || l.line_id, 'collected ' || l.collected || ', earned ' || s.handed_over
               || ', given up ' || l.cancelled || '/' || s.refunded_quantity
        FROM journey_line l JOIN sale_line s ON s.document = l.journey_id AND s.line_id = l.line_id
        JOIN journey j ON j.id = l.journey_id
        WHERE (l.collected <> s.handed_over OR l.cancelled <> s.refunded_quantity)
    """,
    "lines and policies belong to journeys": """
        SELECT l.journey_id || ' ' || l.line_id, 'there is no such journey'
        FROM journey_line l WHERE NOT EXISTS (SELECT 1 FROM journey j WHERE j.id = l.journey_id)
        UNION ALL
        SELECT j.id, coalesce('there is no policy ' || j.policy_copy, 'it has no policy')
        FROM journey j LEFT JOIN policy_copy p ON p.id = j.policy_copy WHERE p.id IS NULL AND j.policy IS NULL
    """,
    "messages are delivered or waiting": """
        SELECT target, 'message ' || seq || ' of ' || recorded_at || ': ' || coalesce(last_error, 'not delivered')
        FROM outbox WHERE done_at IS NULL AND recorded_at < now() - interval '10 minutes'
    """,
}


async def audit(conn: AsyncConnection, *, limit: int = 50) -> list[Finding]:
    """Check every rule; at most `limit` findings for each."""
    findings = []
    for rule, query in RULES.items():
        values = {"inventory": list(INVENTORY_ACCOUNTS)} if ":inventory" in query else {}
        rows = (await conn.execute(text(query), values)).fetchmany(limit)
        findings += [Finding(rule, str(row[0]), str(row[1])) for row in rows]
    return findings
