"""An adjustment as a document: judged against its band, parked, posted, or taken back. Its stock rows are locked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import RowMapping, insert, select, update

from domain.adjustments import AdjustmentState
from domain.bands import Level, gross
from domain.events import StockAdjusted
from domain.policy import Policy
from ledger import bands, found, goods, reference
from ledger.shelf import Cause
from ledger.tables import adjustment, adjustment_line
from ledger.transaction import Transaction

KIND = "adjustment"


class Wanted(NamedTuple):
    """A line: units found (above zero) or lost, with the reason."""

    sku: str
    quantity: int
    reason: str


@dataclass(frozen=True)
class Document:
    """What is to be adjusted. `actor` is whose thirty days count; `barred` may not decide it; `cause` names the
    movements.
    """

    id: str
    source: str
    key: str
    cause: str
    place: reference.Place
    policy: Policy
    requested_by: str
    actor: str
    barred: Sequence[str]
    lines: Sequence[Wanted]
    at: datetime


class Judged(NamedTuple):
    """The level that must decide, the document's gross value and the cost of each line, in minor units."""

    level: Level
    gross_minor: int
    costs_minor: list[int]


async def judge(tx: Transaction, document: Document) -> Judged:
    """Lock the stock of the lines and test the band. Raises nothing: items are known by now."""
    place = document.place
    await tx.lock_stock((place.code, line.sku) for line in document.lines)
    averages = await reference.unit_costs(tx.conn, place.entity, (line.sku for line in document.lines))
    costs = [reference.cost_of(averages[line.sku], abs(line.quantity)) for line in document.lines]
    total = gross(costs)
    level = await bands.use(
        tx,
        kind=KIND,
        actor=document.actor,
        location=place.code,
        subject=document.id,
        gross_minor=total,
        limits=document.policy.bands.adjustment.limits,
        at=document.at,
    )
    return Judged(level, total, costs)


def cause_of_line(cause: str, line_no: int, lines: int) -> str:
    """What a line's movements and journal are caused by; each journal's cause is its own."""
    return cause if lines == 1 else f"{cause}:{line_no}"


def park(tx: Transaction, document: Document) -> list[int]:
    """Take units that are said to be lost out of what may be promised, as far as they are there; how many of each."""
    parked = []
    place = document.place
    for number, line in enumerate(document.lines, start=1):
        there = max(tx.shelf.quantity(place.code, line.sku, "available"), 0)
        units = min(max(-line.quantity, 0), there)
        parked.append(units)
        if units:
            cause = cause_of_line(document.cause, number, len(document.lines))
            tx.shelf.move(
                "adjusted",
                line.sku,
                units,
                (place.code, "available"),
                (place.code, "count_pending"),
                Cause(cause, document.requested_by, document.at, place.entity),
                reason=line.reason,
            )
    return parked


async def write(
    tx: Transaction, document: Document, judged: Judged, state: AdjustmentState, parked: Sequence[int]
) -> None:
    """Keep the document and its lines; what was posted at once is written as posted."""
    place, is_posted = document.place, state == "posted"
    await tx.conn.execute(
        insert(adjustment).values(
            id=document.id,
            source=document.source,
            key=document.key,
            state=state,
            location=place.code,
            region=place.region,
            entity=place.entity,
            currency=place.currency,
            requested_by=document.requested_by,
            barred=sorted({*document.barred, document.requested_by}),
            level=int(judged.level),
            gross_minor=judged.gross_minor,
            at=document.at,
            closed_at=document.at if is_posted else None,
        )
    )
    await tx.conn.execute(
        insert(adjustment_line),
        [
            {
                "adjustment_id": document.id,
                "line_no": number,
                "sku": line.sku,
                "quantity": line.quantity,
                "reason": line.reason,
                "cost_minor": cost,
                "parked": units,
                "posted": line.quantity if is_posted else 0,
            }
            for number, (line, cost, units) in enumerate(
                zip(document.lines, judged.costs_minor, parked, strict=True), start=1
            )
        ],
    )


async def post_at_once(tx: Transaction, document: Document) -> None:
    """Change the book now: movements, journals, whoever waits for what was found, promises that may be gone."""
    lines = [
        (cause_of_line(document.cause, number, len(document.lines)), line, 0)
        for number, line in enumerate(document.lines, start=1)
    ]
    await _take(tx, document.place, document.policy, document.source, document.requested_by, lines, document.at)


async def _take(
    tx: Transaction,
    place: reference.Place,
    policy: Policy,
    source: str,
    actor: str,
    lines: Sequence[tuple[str, Wanted, int]],
    at: datetime,
) -> None:
    where = goods.GoodsPlace(place.code, place.region, place.entity, place.currency)
    facts = [
        goods.GoodsFact(
            source,
            cause,
            at,
            StockAdjusted(location=place.code, sku=line.sku, quantity=line.quantity, reason=line.reason, actor=actor),
            where,
            policy,
            parked,
        )
        for cause, line, parked in lines
    ]
    costs = await goods.read_costs(tx.conn, ((place.entity, line.sku) for _, line, _ in lines))
    await goods.take(tx, facts, costs, ())


async def lines_of(tx: Transaction, document_id: str) -> Sequence[RowMapping]:
    rows = await tx.conn.execute(
        select(adjustment_line)
        .where(adjustment_line.c.adjustment_id == document_id)
        .order_by(adjustment_line.c.line_no)
    )
    return rows.mappings().all()


async def post_parked(tx: Transaction, row: RowMapping, cause: str, at: datetime) -> int:
    """Somebody has approved: the book is changed. Returns how many units of those parked the till has sold meanwhile:
    they were there, so they are not lost.
    """
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    lines = await lines_of(tx, row["id"])
    await tx.lock_stock((place.code, line["sku"]) for line in lines)
    pending = {line["sku"]: tx.shelf.quantity(place.code, line["sku"], "count_pending") for line in lines}
    wanted, sold = [], 0
    for line in lines:
        still = min(line["parked"], pending[line["sku"]])
        pending[line["sku"]] -= still
        gone = line["parked"] - still
        sold += gone
        quantity = line["quantity"] + gone if line["quantity"] < 0 else line["quantity"]
        if quantity:
            name = cause_of_line(cause, line["line_no"], len(lines))
            wanted.append((name, Wanted(line["sku"], quantity, line["reason"]), still))
        await _set_posted(tx, line, quantity)
    # Dated as it was asked for: a count that was taken meanwhile has seen what is posted only now.
    await _take(tx, place, policy, row["source"], row["requested_by"], wanted, row["at"])
    await _end(tx, row, "posted", at)
    return sold


async def take_back(tx: Transaction, row: RowMapping, state: AdjustmentState, cause: str, at: datetime) -> int:
    """It takes no effect: what was parked is available again and goes to whoever waits for it. Returns the units."""
    place = await reference.place(tx.conn, row["location"])
    lines = await lines_of(tx, row["id"])
    await tx.lock_stock((place.code, line["sku"]) for line in lines)
    back, places = 0, set()
    why = Cause(cause, tx.actor, at, place.entity)
    for line in lines:
        units = min(line["parked"], tx.shelf.quantity(place.code, line["sku"], "count_pending"))
        if units:
            sides = (place.code, "count_pending"), (place.code, "available")
            tx.shelf.move("adjusted", line["sku"], units, *sides, why, reason=state)
            places.add((place.code, line["sku"]))
            back += units
    await found.assign(tx, places, why)
    await bands.withdraw(tx, KIND, row["id"], at)
    await _end(tx, row, state, at)
    return back


async def leave_to_count(tx: Transaction, row: RowMapping, at: datetime) -> list[str]:
    """A count decides instead: what was parked stays out of the promise until then. Returns the SKUs, their stock
    locked.
    """
    skus = [str(line["sku"]) for line in await lines_of(tx, row["id"])]
    await tx.lock_stock((row["location"], sku) for sku in skus)
    await bands.withdraw(tx, KIND, row["id"], at)
    await _end(tx, row, "undone", at)
    return skus


async def _set_posted(tx: Transaction, line: RowMapping, quantity: int) -> None:
    key = (adjustment_line.c.adjustment_id == line["adjustment_id"]) & (adjustment_line.c.line_no == line["line_no"])
    await tx.conn.execute(update(adjustment_line).where(key).values(posted=quantity))


async def _end(tx: Transaction, row: RowMapping, state: AdjustmentState, at: datetime) -> None:
    await tx.conn.execute(update(adjustment).where(adjustment.c.id == row["id"]).values(state=state, closed_at=at))
    tx.record(f"adjustment.{state}", str(row["id"]), at, before={"state": row["state"]}, after={"state": state})


async def by(tx: Transaction, column: str, number: int) -> RowMapping | None:
    """The document that an approval or a case is about, locked by that row's lock; None when there is none."""
    found_row = await tx.conn.execute(select(adjustment).where(adjustment.c[column] == number).with_for_update())
    row: RowMapping | None = found_row.mappings().first()
    return row
