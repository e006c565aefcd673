"""Canned replies: comments that are written once, by kind of case, and used often. A changed one changes no comment."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Text, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kinds import KINDS
from domain.comments import check_reply
from domain.errors import Malformed, NotAllowed, NotFound, StateConflict
from domain.people import Person
from ledger.engine import Database
from ledger.prepared import Prepared
from ledger.tables import canned_reply
from ledger.transaction import Transaction

EDITING_ROLES = ("regional_ops", "admin")


class Reply(NamedTuple):
    """`kind` is the empty word for one of every kind of case."""

    id: int
    kind: str
    title: str
    text: str
    changed_by: str
    changed_at: datetime


_TABLE = canned_reply.c
_IN_USE = (
    select(*(_TABLE[name] for name in Reply._fields))
    .where(_TABLE.active)
    .order_by(_TABLE.kind == "", _TABLE.kind, func.lower(_TABLE.title))
)
# Those for a kind of case and those for every kind; the columns are the fields of `Reply`.
OF_A_KIND = _IN_USE.where(or_(_TABLE.kind == bindparam("kind", type_=Text), _TABLE.kind == ""))
_ALL, _OF_A_KIND = Prepared(_IN_USE), Prepared(OF_A_KIND)


def may_edit(person: Person) -> bool:
    return any(person.has_role(role) for role in EDITING_ROLES)


async def replies(conn: AsyncConnection, kind: str | None = None) -> list[Reply]:
    """Replies in use: of a kind and of every kind, or all of them; those of a kind first."""
    rows = await (_ALL.rows(conn) if kind is None else _OF_A_KIND.rows(conn, kind=kind))
    return [Reply(*row) for row in rows]


async def save_reply(
    database: Database, person: Person, *, kind: str, title: str, text: str, reply_id: int | None = None
) -> int:
    """Keep a new reply, or another wording of one; returns its number.

    Raises `NotAllowed` for other roles, `Malformed`, `NotFound`, `StateConflict` for a title that its kind has already.
    """
    _check_role(person)
    if kind and kind not in KINDS:
        raise Malformed(f"There is no kind of case {kind[:80]}; choose one of the list.", pointer="/kind")
    title, text = check_reply(title, text)

    async def work(tx: Transaction) -> int:
        await tx.conn.execute(select(func.pg_advisory_xact_lock(func.hashtext("canned_reply"))))
        table = canned_reply.c
        same = select(table.id).where(table.active, table.kind == kind, func.lower(table.title) == title.lower())
        taken = (await tx.conn.execute(same)).scalar_one_or_none()
        if taken not in (None, reply_id):
            raise StateConflict(f"There is a reply “{title}” of this kind already. Choose another title, or change it.")
        now = await tx.now()
        values = {"kind": kind, "title": title, "text": text, "changed_by": person.id, "changed_at": now}
        if reply_id is None:
            made = await tx.conn.execute(insert(canned_reply).values(values).returning(canned_reply.c.id))
        else:
            here = (canned_reply.c.id == reply_id) & canned_reply.c.active
            made = await tx.conn.execute(update(canned_reply).where(here).values(values).returning(canned_reply.c.id))
        number = made.scalar_one_or_none()
        if number is None:
            raise NotFound(f"There is no reply {reply_id} any more.")
        tx.record("reply.saved", f"reply:{number}", now, after={"kind": kind, "title": title})
        return int(number)

    return await database.write(work, actor=person.id, via="console")


async def retire_reply(database: Database, person: Person, reply_id: int) -> None:
    """Offer a reply no more. Raises `NotAllowed` for other roles, `NotFound` for one that is not there."""
    _check_role(person)

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        here = (canned_reply.c.id == reply_id) & canned_reply.c.active
        gone = await tx.conn.execute(
            update(canned_reply)
            .where(here)
            .values(active=False, changed_by=person.id, changed_at=now)
            .returning(canned_reply.c.id)
        )
        if gone.scalar_one_or_none() is None:
            raise NotFound(f"There is no reply {reply_id} any more.")
        tx.record("reply.retired", f"reply:{reply_id}", now)

    await database.write(work, actor=person.id, via="console")


def _check_role(person: Person) -> None:
    if not may_edit(person):
        raise NotAllowed("Replies are kept by regional operations and administrators.")
