"""The invariants of the ledger as queries: each lists what breaks it, and an empty answer means that it holds."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.postings import INVENTORY_ACCOUNTS
from ledger.audit import flow, funding, goods, money, promotions, returns, transfers, vendor_returns


class Finding(NamedTuple):
    """One thing that should not be: the rule that it breaks, and where."""

    rule: str
    where: str
    detail: str


RULES: dict[str, str] = {
    **goods.RULES, **money.RULES, **flow.RULES, **returns.RULES, **transfers.RULES, **funding.RULES,
    **vendor_returns.RULES, **promotions.RULES,
}  # fmt: skip


async def audit(conn: AsyncConnection, *, limit: int = 50) -> list[Finding]:
    """Check every rule; at most `limit` findings for each."""
    findings = []
    for rule, query in RULES.items():
        values = {"inventory": list(INVENTORY_ACCOUNTS)} if ":inventory" in query else {}
        rows = (await conn.execute(text(query), values)).fetchmany(limit)
        findings += [Finding(rule, str(row[0]), str(row[1])) for row in rows]
    return findings
