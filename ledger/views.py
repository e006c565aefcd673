"""Saved views of the queue: a name for a set of filters, kept for its owner and, if shared, offered to everybody.

A view holds filters and no rows: whoever opens it sees what their own grants show.
"""

from typing import NamedTuple

from sqlalchemy import Text, and_, bindparam, delete, func, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed, NotFound, StateConflict
from domain.people import Person
from ledger.engine import Database
from ledger.prepared import Ask, Prepared
from ledger.tables import person, saved_view
from ledger.transaction import Transaction

MOST_PER_PERSON = 40
LONGEST_NAME = 60
LONGEST_QUERY = 2_000


class SavedView(NamedTuple):
    """`query` is what stands behind the question mark of the queue's address. `mine`: the reader may delete it."""

    id: int
    name: str
    query: str
    shared: bool
    owner: str
    mine: bool


_MINE = saved_view.c.person_id == bindparam("viewer", type_=Text)
_OFFERED = Prepared(
    select(
        *(saved_view.c[name] for name in ("id", "name", "query", "shared")),
        person.c.name.label("owner"),
        _MINE.label("mine"),
    )
    .join(person, person.c.id == saved_view.c.person_id)
    .where(or_(_MINE, and_(saved_view.c.shared, person.c.active)))
    .order_by(func.lower(saved_view.c.name), saved_view.c.id)
    .limit(200),
    once=True,
)


def views_asked(viewer: Person) -> Ask:
    """What `views` asks."""
    return _OFFERED.of(viewer=viewer.id)


async def views(conn: AsyncConnection, viewer: Person) -> list[SavedView]:
    """The viewer's own views and those that others share, by name."""
    return [SavedView(*row) for row in await views_asked(viewer).rows(conn)]


async def save_view(database: Database, owner: Person, *, name: str, query: str, shared: bool) -> int:
    """Keep a view under a name that its owner has not used yet; returns its number.

    Raises `Malformed` for a name or a query that is empty or too long, `StateConflict` for a name in use or too many.
    """
    wanted = " ".join(name.split())
    if not 1 <= len(wanted) <= LONGEST_NAME:
        raise Malformed(f"Give the view a name of 1 to {LONGEST_NAME} characters.")
    if not 1 <= len(query) <= LONGEST_QUERY:
        raise Malformed("There is nothing to save: choose a tab or a filter first.")

    async def work(tx: Transaction) -> int:
        await tx.conn.execute(select(person.c.id).where(person.c.id == owner.id).with_for_update())
        own = saved_view.c.person_id == owner.id
        names = (await tx.conn.execute(select(func.lower(saved_view.c.name)).where(own))).scalars().all()
        if wanted.lower() in names:
            raise StateConflict(f"You have a view “{wanted}” already. Choose another name, or delete that one first.")
        if len(names) >= MOST_PER_PERSON:
            raise StateConflict(f"You have {MOST_PER_PERSON} views; delete one that you do not need any more.")
        made = insert(saved_view).values(person_id=owner.id, name=wanted, query=query, shared=shared)
        return int((await tx.conn.execute(made.returning(saved_view.c.id))).scalar_one())

    return await database.write(work, actor=owner.id, via="console")


async def delete_view(database: Database, owner: Person, view_id: int) -> None:
    """Forget a view of one's own. Raises `NotFound` for anybody else's, and for one that is not there."""

    async def work(tx: Transaction) -> None:
        gone = await tx.conn.execute(
            delete(saved_view)
            .where(saved_view.c.id == view_id, saved_view.c.person_id == owner.id)
            .returning(saved_view.c.id)
        )
        if gone.scalar_one_or_none() is None:
            raise NotFound("You have no such view; only whoever saved a view can delete it.")

    await database.write(work, actor=owner.id, via="console")
