"""Lists that a process keeps between reads, for as long as their mark says that nothing in them has changed.

A mark is a row of `list_mark` that a trigger renews in the transaction that changes the list. A read sees both as they
are at one moment, so what it gets is never older than what it would have read.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.prepared import KNOWN, Ask, Prepared
from ledger.tables import list_mark

MARKED = "marked"  # in a connection's `info`: the lists that its process keeps, by name, each with its mark
type Kept = dict[str, tuple[object, Any]]

_MARK = Prepared(select(list_mark.c.mark).where(list_mark.c.name == bindparam("name", type_=Text)), once=True)


def mark_asked(name: str) -> Ask:
    """What `kept_list` asks where the list is kept already."""
    return _MARK.of(name=name)


async def kept_list[T](conn: AsyncConnection, name: str, read: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The list called `name`, which `read` reads where the process does not have it as it is now.

    A transaction that writes reads it itself, and keeps nothing: what it has changed may yet come to nothing.
    """
    if KNOWN not in conn.info:
        return await read(conn)
    kept: Kept = conn.info[MARKED]
    row = await mark_asked(name).row(conn)
    mark, found = kept.get(name, (None, None))
    if row is None or mark != row[0]:
        found = await read(conn)
    if row is not None:
        kept[name] = row[0], found
    known: T = found
    return known
