"""Links as they stand in mails, and what the forms behind them send."""

import re
from datetime import UTC, datetime, timedelta

import ledger.engine
from ledger import tables
from ledger.approval import create_link
from ledger.transaction import Transaction
from tests.web.retail import rows


async def mailed(
    database: ledger.engine.Database,
    approval_id: int,
    person_id: str = "ana.ruiz",
    *,
    hours: int = 8,
    code: str | None = None,
) -> str:
    """The path of a link as it stands in the mail."""

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(hours=hours)
        return await create_link(tx, approval_id, person_id, expires_at=until, code=code)

    return "/a/" + await database.write(work, actor="test", via="test")


async def state_of(database: ledger.engine.Database, approval_id: int) -> str:
    [row] = [row for row in await rows(database, tables.approval) if row["id"] == approval_id]
    return str(row["state"])


def form_of(page: str) -> dict[str, str]:
    """The hidden fields as the page has them."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
