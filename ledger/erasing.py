"""Customers are forgotten: because they ask for it, or because the time for which they are kept is over.

Personal data stands in `customer`, `person_note` and photos that customers sent (and sealed, in events that are set
aside, until they are taken or discarded), so this is all there is to erase. Goods, money, decisions and who took them
stay: books do not change because somebody is forgotten. Whoever still has something under way is forgotten when it has
ended.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, null, or_, select, true, update

from domain.erasure import ErasureAnswer, ErasureRequest
from domain.errors import NotFound
from domain.people import Person
from ledger.engine import Database
from ledger.reads.access import visible
from ledger.tables import approval, case_file, customer, journey, link, person_note, photo
from ledger.transaction import Transaction

PORTION = 500
NOTHING = {"name": None, "email": None, "phone": None, "address": null(), "pickup_person": None}


async def ask(
    database: Database,
    wanted: ErasureRequest,
    *,
    viewer: Person | None,
    sources: frozenset[str] | None,
    actor: str,
    via: str,
    at: datetime,
) -> ErasureAnswer:
    """Forget a customer: now where all they had is over, else when it has ended.

    Only customers of journeys that the caller may see are found. Asking again changes nothing.
    Raises `NotFound` where there is nobody.
    """

    async def work(tx: Transaction) -> ErasureAnswer:
        found = list((await tx.conn.execute(_whom(wanted, viewer, sources))).scalars())
        if not found:
            raise NotFound("No order or return that this key may see names such a customer.")
        await tx.conn.execute(
            update(customer)
            .where(customer.c.id.in_(found), customer.c.erase_wanted_at.is_(None))
            .values(erase_wanted_at=at)
        )
        erased = await _erase(tx, (customer.c.id.in_(found),), len(found), "asked for", at)
        waiting = await tx.conn.execute(
            select(journey.c.id)
            .where(journey.c.customer_id.in_(found), journey.c.closed_at.is_(None))
            .order_by(journey.c.id)
        )
        return ErasureAnswer(erased=erased, waiting=list(waiting.scalars()), at=at)

    return await database.write(work, actor=actor, via=via)


async def sweep(database: Database, now: datetime, kept_days: int) -> int:
    """Forget who asked for it and has nothing under way any more, and who was kept for `kept_days` after everything of
    theirs was over (0: for ever); at most 500 of each at a time. Returns how many.
    """

    async def work(tx: Transaction) -> int:
        gone = await _erase(tx, (customer.c.erase_wanted_at.is_not(None),), PORTION, "asked for", now)
        if kept_days:
            before = now - timedelta(days=kept_days)
            over = (customer.c.recorded_at < before, ~_journeys_of_it(journey.c.closed_at >= before))
            gone += await _erase(tx, over, PORTION, f"kept for {kept_days} days", now)
        return gone

    return await database.write(work, actor="endcap", via="sweep")


def _whom(wanted: ErasureRequest, viewer: Person | None, sources: frozenset[str] | None) -> Select[Any]:
    seen = [visible(journey.c, viewer), true() if sources is None else journey.c.source.in_(sources)]
    if wanted.journey_id is not None:
        named: ColumnElement[bool] = journey.c.id == wanted.journey_id
    elif wanted.email is not None:
        named = func.lower(customer.c.email) == wanted.email.lower()
    else:
        named = customer.c.phone == wanted.phone
    return (
        select(customer.c.id)
        .distinct()
        .join(journey, journey.c.customer_id == customer.c.id)
        .where(named, *seen)
        .order_by(customer.c.id)
    )


def _journeys_of_it(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(journey.c.customer_id == customer.c.id, *conditions)


async def _erase(tx: Transaction, whom: Sequence[ColumnElement[bool]], most: int, why: str, at: datetime) -> int:
    """Erase those of `whom` who have nothing under way. One who is in use by somebody else waits for the next time."""
    found = await tx.conn.execute(
        select(customer.c.id)
        .where(*whom, customer.c.erased_at.is_(None), ~_journeys_of_it(journey.c.closed_at.is_(None)))
        .order_by(customer.c.recorded_at, customer.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = list(found.scalars())
    if not ids:
        return 0
    journeys = list((await tx.conn.execute(select(journey.c.id).where(journey.c.customer_id.in_(ids)))).scalars())
    await _forget_words(tx, journeys)
    await tx.conn.execute(
        update(link).where(link.c.customer_id.in_(ids), link.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    await tx.conn.execute(update(photo).where(photo.c.customer_id.in_(ids)).values(forgotten_at=at))
    await tx.conn.execute(update(customer).where(customer.c.id.in_(ids)).values(**NOTHING, erased_at=at))
    for one in ids:
        tx.record("customer.erased", f"customer:{one}", at, reason=why)
    return len(ids)


async def _forget_words(tx: Transaction, journeys: Sequence[str]) -> None:
    """Delete what people wrote about these journeys: on them, on their cases with all decisions, on their approvals."""
    cases = select(func.concat("case:", case_file.c.id)).where(case_file.c.journey_id.in_(journeys))
    approvals = select(func.concat("approval:", approval.c.id)).where(approval.c.journey_id.in_(journeys))
    about = person_note.c.subject
    await tx.conn.execute(delete(person_note).where(or_(about.in_(journeys), about.in_(cases), about.in_(approvals))))
