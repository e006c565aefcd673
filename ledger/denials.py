"""Who was refused what, and from where: kept for those who look after an Endcap.

Equal denials of a minute are one row with a count, so that whoever knocks a thousand times a second writes one row a
minute. An address of the network is personal data: rows are kept for `KEPT`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.engine import Database
from ledger.tables import denial
from ledger.transaction import Transaction

KEPT = timedelta(days=90)
PAGE = 100
_AT_ONCE = 500  # rows in one statement


class Denied(NamedTuple):
    """What one denial has in common with others. `who`: `person:<id>`, `key:<id>` or "" for a stranger; `remote`: the
    address of the network; `route`: the address as it is written in the API's document, with its parameters in braces.
    """

    status: int
    code: str
    method: str
    route: str
    who: str
    remote: str


class Counted(NamedTuple):
    """How often in a minute, and the last address that was asked for, without a token."""

    times: int
    last_at: datetime
    path: str


class Row(NamedTuple):
    """A row as it is shown."""

    id: int
    denied: Denied
    counted: Counted


_KEY = ("minute", *Denied._fields)


async def record(database: Database, counted: Mapping[Denied, Counted]) -> None:
    """Add what a process has counted to the rows of its minutes."""
    rows = [
        {**denied._asdict(), **count._asdict(), "minute": count.last_at.replace(second=0, microsecond=0)}
        for denied, count in sorted(counted.items())
    ]

    async def work(tx: Transaction) -> None:
        for at in range(0, len(rows), _AT_ONCE):
            new = insert(denial).values(rows[at : at + _AT_ONCE])
            await tx.conn.execute(
                new.on_conflict_do_update(
                    index_elements=_KEY,
                    set_={
                        "times": denial.c.times + new.excluded.times,
                        "last_at": func.greatest(denial.c.last_at, new.excluded.last_at),
                        "path": new.excluded.path,
                    },
                )
            )

    await database.write(work, actor="console", via="web")


async def latest(conn: AsyncConnection, *, who: str = "", remote: str = "", before: int | None = None) -> Sequence[Row]:
    """The newest rows first, a page of them; of one person, key or stranger's address where it is named."""
    query = select(denial).order_by(denial.c.id.desc()).limit(PAGE)
    if who:
        query = query.where(denial.c.who == who)
    if remote:
        query = query.where(denial.c.remote == remote)
    if before is not None:
        query = query.where(denial.c.id < before)
    found = (await conn.execute(query)).mappings()
    return [Row(row["id"], Denied(**_of(row, Denied._fields)), Counted(**_of(row, Counted._fields))) for row in found]


def _of(row: RowMapping, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


async def sweep(database: Database, now: datetime) -> int:
    """Forget what is older than `KEPT`; returns how many rows."""

    async def work(tx: Transaction) -> int:
        gone = await tx.conn.execute(delete(denial).where(denial.c.minute < now - KEPT))
        return gone.rowcount

    return await database.write(work, actor="endcap", via="worker")
