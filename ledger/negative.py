"""Stock that stays below zero: a case after the time that policy gives it, which heals itself when stock is back.

A till may sell before a delivery is booked, so a figure below zero is nothing to look at for a while. The database
keeps which stock is below zero since when (`below_zero`); nothing here scans the stock.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, and_, func, select, tuple_

from domain.case import OPEN_STATES, CaseOption
from domain.policy import Policy
from ledger import case, mails, people, reference
from ledger.count.asking import count_below_zero
from ledger.engine import Database
from ledger.goods import places_of
from ledger.tables import average_cost, below_zero, case_file, item, location, stock
from ledger.transaction import Rank, Transaction

KIND = "negative_inventory"
PAGE_ROWS = 200
COUNT = CaseOption(
    id="count",
    label="Ask the store's managers by mail to count the shelf now",
    rank=1,
    because="the till has sold what the book does not have; only the shelf knows which of them is wrong",
)


async def sweep(database: Database, now: datetime) -> int:
    """Open a case for stock that has been below zero for policy's `negative_after_s` at `now`, and close those whose
    stock is back. Returns how many cases were opened or closed.

    A case that a person closed comes back after the same time when the stock is still below zero.
    """
    return await _heal(database, now) + await _open(database, now)


async def _heal(database: Database, now: datetime) -> int:
    query = (
        select(case_file.c.id)
        .outerjoin(stock, and_(stock.c.location == case_file.c.location, stock.c.sku == case_file.c.sku))
        .where(
            case_file.c.kind == KIND,
            case_file.c.closed_at.is_(None),
            case_file.c.state.in_(OPEN_STATES),
            func.coalesce(stock.c.available, 0) >= 0,
        )
        .order_by(case_file.c.id)
    )
    async with database.read() as conn:
        found = (await conn.execute(query)).scalars().all()
    healed = 0
    for page in _pages(found):
        healed += await database.write(lambda tx, ids=page: _heal_page(tx, ids, now), actor="endcap", via="system")  # type: ignore[misc]
    return healed


def _pages[T](rows: Sequence[T]) -> list[Sequence[T]]:
    return [rows[first : first + PAGE_ROWS] for first in range(0, len(rows), PAGE_ROWS)]


async def _heal_page(tx: Transaction, ids: Sequence[int], now: datetime) -> int:
    healed = 0
    for case_id in ids:
        row = await tx.lock_case(case_id)
        if row["state"] in OPEN_STATES and await _available(tx, row["location"], row["sku"]) >= 0:
            at = now + timedelta(seconds=row["clock_offset_s"])
            await case.heal(tx, case_id, "the book is not below zero any more", at)
            healed += 1
    return healed


async def _available(tx: Transaction, place: str, sku: str) -> int:
    """What the book has, read without a lock: a sale in this moment is seen by the next sweep."""
    found = await tx.conn.execute(select(stock.c.available).where(stock.c.location == place, stock.c.sku == sku))
    return int(found.scalar_one_or_none() or 0)


async def _open(database: Database, now: datetime) -> int:
    opened, after = 0, ("", "")
    while True:
        async with database.read() as conn:
            rows = (await conn.execute(_candidates(after))).mappings().all()
            places = places_of(conn)
            await places.refresh(conn, {row["location"] for row in rows})
            due = [row for row in rows if _is_due(row, places.policy(places.place(row["location"]), now), now)]
        if due:
            opened += await database.write(
                lambda tx, rows=due: _open_page(tx, rows, now),  # type: ignore[misc]
                actor="endcap",
                via="system",
            )
        if len(rows) < PAGE_ROWS:
            return opened
        after = (rows[-1]["location"], rows[-1]["sku"])


def _candidates(after: tuple[str, str]) -> Any:
    """A page of what is below zero and has no open case, with when its last one was closed."""
    same = and_(case_file.c.dedupe_key == func.concat(f"{KIND}|", below_zero.c.location, "|", below_zero.c.sku))
    return (
        select(below_zero, case_file.c.closed_at)
        .join(location, location.c.code == below_zero.c.location)
        .outerjoin(case_file, same)
        .where(
            tuple_(below_zero.c.location, below_zero.c.sku) > tuple_(*after),
            (case_file.c.id.is_(None)) | (case_file.c.closed_at.is_not(None)),
        )
        .order_by(below_zero.c.location, below_zero.c.sku)
        .limit(PAGE_ROWS)
    )


def _is_due(row: RowMapping, policy: Any, now: datetime) -> bool:
    begins = max(row["since"], row["closed_at"]) if row["closed_at"] else row["since"]
    return bool(begins + timedelta(seconds=policy.stock.negative_after_s) <= now)


async def _open_page(tx: Transaction, rows: Sequence[RowMapping], now: datetime) -> int:
    opened = 0
    tx.enter(Rank.CASE)
    below: dict[str, dict[str, int]] = {}
    for row in rows:
        available = await _available(tx, row["location"], row["sku"])
        if available < 0:
            below.setdefault(row["location"], {})[row["sku"]] = available
    since = {(row["location"], row["sku"]): row["since"] for row in rows}
    for code, there in below.items():
        place = await reference.place(tx.conn, code)
        policy = await reference.policy_at(tx.conn, place, now)
        counts = await count_below_zero(tx, place, policy, there)
        for sku, available in there.items():
            shelf = _Below(sku, -available, since[code, sku], counts.get(sku))
            ref = await _open_one(tx, place, policy, shelf, now)
            opened += ref.is_new
    return opened


class _Below(NamedTuple):
    """A shelf whose book is so many units below zero, since when, and the count that was opened for it."""

    sku: str
    units: int
    since: datetime
    count_id: str | None


async def _open_one(
    tx: Transaction, place: reference.Place, policy: Policy, shelf: _Below, now: datetime
) -> case.CaseRef:
    sku, units, since, count = shelf
    name = (await tx.conn.execute(select(item.c.name).where(item.c.sku == sku))).scalar_one()
    return await case.open_case(
        tx,
        case.Opening(
            kind=KIND,
            subject=f"{place.code}|{sku}",
            place=place,
            policy=policy,
            at=now,
            sku=sku,
            facts={"sku": sku, "available": -units, "since": since.isoformat(), "count": count},
            options=(COUNT,),
            value_at_risk_minor=units * await _unit_cost(tx, place.entity, sku),
            text=f"The book has had {-units} of {name} at {place.name} since {since:%d %b %H:%M %Z}.",
        ),
    )


async def _unit_cost(tx: Transaction, entity: str, sku: str) -> int:
    found = await tx.conn.execute(
        select(func.coalesce(average_cost.c.unit_cost_e4, item.c.cost_minor * 10_000))
        .select_from(item)
        .outerjoin(average_cost, and_(average_cost.c.sku == item.c.sku, average_cost.c.entity == entity))
        .where(item.c.sku == sku)
    )
    return reference.cost_of(int(found.scalar_one()), 1)


async def ask_for_count(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
    """Write to the managers of the store that the shelf is to be counted, and see that a count is open; says who was
    asked.
    """
    place = await reference.place(tx.conn, case_row["location"])
    await count_below_zero(tx, place, await reference.policy_at(tx.conn, place, at), [case_row["sku"]])
    asked = await people.holders_of_role(
        tx.conn,
        "store_manager",
        entity=case_row["entity"],
        region=case_row["region"],
        location=case_row["location"],
    )
    for person in asked:
        await mails.queue(
            tx,
            template="count_asked",
            dedupe_key=f"case:{case_row['id']}:{case_row['episode']}:count:{person.id}",
            not_before=at,
            person_id=person.id,
            case_id=case_row["id"],
        )
    if not asked:
        return "Nobody manages this store in Endcap: have the shelf counted by telephone."
    return f"Asked by mail to count the shelf: {', '.join(person.name for person in asked)}."
