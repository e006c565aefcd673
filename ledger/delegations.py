"""Acting in somebody's place: who has delegated to whom, and when. Both may act; a delegation is never passed on.

Dates run on the real clock, whatever the demo has moved a journey's on.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.delegation import Delegation, Status, check
from domain.errors import Malformed, NotAllowed, NotFound, StateConflict
from domain.people import DECIDING_ROLES, Person
from ledger import mails, people
from ledger.engine import Database
from ledger.tables import delegation, person, person_role
from ledger.transaction import Transaction

KEPT = timedelta(days=90)
_NEWEST = (delegation.c.ends_at.desc(), delegation.c.id.desc())
# One at a time: two that are fine alone could make a circle together.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('delegations', 0))")


def _holds(at: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    return and_(delegation.c.starts_at <= at, delegation.c.ends_at > at)


async def principals(conn: AsyncConnection, person_id: str, at: ColumnElement[datetime] | datetime) -> list[Person]:
    """Active people in whose place this person may act at that instant, by id."""
    rows = await conn.execute(
        select(delegation.c.from_person)
        .where(delegation.c.to_person == person_id, _holds(at))
        .distinct()
        .order_by(delegation.c.from_person)
    )
    found = [await people.person_by_id(conn, one) for one in rows.scalars().all()]
    return [one for one in found if one is not None]


async def delegates(
    conn: AsyncConnection, of: Collection[str], at: ColumnElement[datetime] | datetime
) -> dict[str, list[Person]]:
    """By the id of each who has delegated: the active people who may act for them at that instant."""
    rows = await conn.execute(
        select(delegation.c.from_person, delegation.c.to_person)
        .where(delegation.c.from_person.in_(sorted(of)), _holds(at))
        .distinct()
        .order_by(delegation.c.from_person, delegation.c.to_person)
    )
    found: dict[str, list[Person]] = {}
    for giver, taker in rows.all():
        one = await people.person_by_id(conn, taker)
        if one is not None:
            found.setdefault(giver, []).append(one)
    return found


class DelegationView(NamedTuple):
    """A delegation as its people read it. `made_by_name` is None where the giver made it, `ended_by_name` where nobody
    ended it.
    """

    id: int
    giver: str
    giver_name: str
    taker: str
    taker_name: str
    starts_at: datetime
    ends_at: datetime
    status: Status
    made_by_name: str | None
    ended_by_name: str | None


_giver, _taker, _maker, _ender = (person.alias(name) for name in ("giver", "taker", "maker", "ender"))


def _views(now: ColumnElement[datetime] | datetime) -> Select[Any]:
    row = delegation.c
    return (
        select(
            row.id,
            row.from_person,
            _giver.c.name,
            row.to_person,
            _taker.c.name,
            row.starts_at,
            row.ends_at,
            case((row.ends_at <= now, "over"), (row.starts_at <= now, "current"), else_="coming"),
            case((row.made_by != row.from_person, _maker.c.name)),
            _ender.c.name,
        )
        .join(_giver, _giver.c.id == row.from_person)
        .join(_taker, _taker.c.id == row.to_person)
        .outerjoin(_maker, _maker.c.id == row.made_by)
        .outerjoin(_ender, _ender.c.id == row.ended_by)
    )


async def view(conn: AsyncConnection, delegation_id: int) -> DelegationView | None:
    """One delegation, as it stands now; None for one that never was."""
    row = (await conn.execute(_views(func.now()).where(delegation.c.id == delegation_id))).first()
    return None if row is None else DelegationView(*row)


async def of_person(conn: AsyncConnection, person_id: str) -> list[DelegationView]:
    """What somebody has given or been given, the newest first; what is over stays for 90 days."""
    row = delegation.c
    mine = or_(row.from_person == person_id, row.to_person == person_id)
    rows = await conn.execute(_views(func.now()).where(mine, row.ends_at > func.now() - KEPT).order_by(*_NEWEST))
    return [DelegationView(*one) for one in rows]


async def everybodys(conn: AsyncConnection, admin: Person) -> list[DelegationView]:
    """Of everybody whom this admin looks after, the newest first, at most 500; what is over stays for 90 days."""
    row = delegation.c
    query = _views(func.now()).where(row.ends_at > func.now() - KEPT).order_by(*_NEWEST).limit(500)
    found = [DelegationView(*one) for one in await conn.execute(query)]
    givers = {one.giver: await people.person_by_id(conn, one.giver) for one in found}
    return [one for one in found if (giver := givers[one.giver]) is None or admin.looks_after(giver)]


async def colleagues(conn: AsyncConnection, viewer: Person) -> list[Person]:
    """People who could stand in for somebody of the viewer's places, by name, at most 200: a help for typing."""
    rows = await conn.execute(
        select(person.c.id)
        .where(
            person.c.active,
            person.c.email.is_not(None),
            person.c.id != viewer.id,
            exists().where(
                person_role.c.person_id == person.c.id,
                person_role.c.role.in_(sorted(DECIDING_ROLES)),
                or_(*(person_role.c.region.in_(("", grant.region)) for grant in viewer.grants), false()),
            ),
        )
        .order_by(person.c.name)
        .limit(200)
    )
    found = [await people.person_by_id(conn, one) for one in rows.scalars().all()]
    return [one for one in found if one is not None]


async def give(
    database: Database, by: Person, *, giver: str, taker: str, starts_at: datetime | None, ends_at: datetime, via: str
) -> int:
    """Have somebody stand in for `giver` from `starts_at`, None for now: people give their own, admins that of those
    whom they look after.

    `giver` and `taker` are mail addresses. Both are told by mail, also whoever did it: a token or an open session may
    have been somebody else's. Whoever is to stand in is told on the first day what waits. An admin gives nobody's word
    to themselves, or their role would be any role. Raises `Malformed`, `NotAllowed`, `StateConflict`.
    """

    async def work(tx: Transaction) -> int:
        await tx.conn.execute(_LOCK)
        theirs, to = await _known(tx, giver, "/for"), await _known(tx, taker, "/to")
        if theirs.id != by.id and not by.looks_after(theirs):
            raise NotAllowed(f"Only {theirs.name} or an admin who looks after them can do this.")
        if to.id == by.id != theirs.id:
            raise NotAllowed(
                f"Nobody takes {theirs.name}'s verdicts for themselves. Ask {theirs.name}, or another administrator."
            )
        if not to.decides_somewhere:
            raise Malformed(f"{to.name} has no role that decides anything. Choose somebody who has.", pointer="/to")
        now = await tx.now()
        rows = await tx.conn.execute(
            select(
                delegation.c.from_person, delegation.c.to_person, delegation.c.starts_at, delegation.c.ends_at
            ).where(delegation.c.ends_at > now)
        )
        begins = starts_at or now
        new = Delegation(theirs.id, to.id, begins, ends_at)
        check(new, [Delegation(*row) for row in rows], now)
        made = await tx.conn.execute(
            insert(delegation)
            .values(from_person=theirs.id, to_person=to.id, starts_at=begins, ends_at=ends_at, made_by=by.id)
            .returning(delegation.c.id)
        )
        number = int(made.scalar_one())
        for one in sorted({theirs.id, to.id}):
            await mails.queue(
                tx,
                template="delegation_made",
                dedupe_key=f"delegation:{number}:{one}",
                not_before=now,
                person_id=one,
                context={"delegation_id": number},
            )
        await mails.queue(
            tx,
            template="approval_digest",
            dedupe_key=f"approval-digest:delegation:{number}",
            not_before=max(begins, now),
            person_id=to.id,
            context={"delegation_id": number},
        )
        after = {"from": theirs.id, "to": to.id, "starts_at": begins.isoformat(), "ends_at": ends_at.isoformat()}
        tx.record("delegation.made", f"delegation:{number}", now, after=after)
        return number

    return await database.write(work, actor=by.id, via=via)


async def end(database: Database, by: Person, delegation_id: int, *, via: str) -> None:
    """End it at once: by who gave it, who stands in, or an admin. One that is to come never begins.

    Raises `NotFound` (also for somebody else's) and `StateConflict` for one that is over.
    """

    async def work(tx: Transaction) -> None:
        row = (
            await tx.conn.execute(select(delegation).where(delegation.c.id == delegation_id).with_for_update())
        ).first()
        giver = await people.person_by_id(tx.conn, row.from_person) if row else None
        looked_after = giver is not None and by.looks_after(giver)
        if row is None or not (by.id in (row.from_person, row.to_person) or looked_after):
            raise NotFound(f"There is no delegation {delegation_id} that you may see.")
        now = await tx.now()
        if row.ends_at <= now:
            raise StateConflict("This has ended already.")
        await tx.conn.execute(
            update(delegation)
            .where(delegation.c.id == delegation_id)
            .values(ends_at=now, starts_at=func.least(delegation.c.starts_at, now), ended_by=by.id)
        )
        tx.record("delegation.ended", f"delegation:{delegation_id}", now)

    await database.write(work, actor=by.id, via=via)


async def ask_for(database: Database, by: Person, giver: Person, *, via: str) -> None:
    """Ask somebody by mail to have oneself stand in for them; once a day for each."""

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        await mails.queue(
            tx,
            template="delegation_asked",
            dedupe_key=f"delegation-asked:{by.id}:{giver.id}:{now:%Y%m%d}",
            not_before=now,
            person_id=giver.id,
            context={"asked_by": by.id},
        )
        tx.record("delegation.asked", f"person:{giver.id}", now)

    await database.write(work, actor=by.id, via=via)


async def _known(tx: Transaction, address: str, pointer: str) -> Person:
    found = await people.person_by_email(tx.conn, address.strip())
    if found is None:
        raise Malformed(
            f"Nobody who works here signs in as {address.strip() or 'nobody'}. Write their whole mail address.",
            pointer=pointer,
        )
    return found
