"""Places that close: what is said of them takes its whole effect at once, on clocks, customers and promises.

Rows of `location_status` change under the lock of their place's name. Orders keep their goods;
their clocks stand still.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, text, update

from domain.bopis import TO_BE_PICKED
from domain.case import OPEN_STATES, CaseOption, Consequence
from domain.closures import Period, laid_over, status_at
from domain.errors import Malformed
from domain.events import LocationStatus
from domain.messages import Message
from domain.words import local
from ledger import case, reference, steps
from ledger.bopis import cases, clocks
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.reference import Place
from ledger.tables import case_decision, case_file, journey, location, location_status
from ledger.transaction import Rank, Transaction

NAMED_ORDERS = 50
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('location_status:' || CAST(:code AS text), 0))")


async def reported(tx: Transaction, data: LocationStatus, cause: str, at: datetime) -> int | None:
    """A place was closed, opened, or stops handing out: returns the case about its open orders, if there is one.

    Raises `UnknownLocation`, and `Malformed` for an end that is not later than the beginning.
    """
    starts_at = data.from_ or at
    if data.until is not None and data.until <= starts_at:
        raise Malformed("The status would end before it begins; correct `until`.", pointer="/data/until")
    tx.enter(Rank.KEYS)
    await tx.conn.execute(_LOCK, {"code": data.location})
    before = await reference.place(tx.conn, data.location, pointer="/data/location")
    new = Period(data.status, starts_at, data.until, data.reason)
    after = before._replace(periods=laid_over(before.periods, new))
    if after.periods != before.periods:
        await _write(tx, after, cause, await tx.now())
    tx.record("location.status", f"location:{data.location}", at, after={"status": data.status}, reason=data.reason)
    orders = await _open_orders(tx, after)
    return await _take_effect(tx, orders, before, after, new, at)


async def _write(tx: Transaction, place: Place, cause: str, now: datetime) -> None:
    oldest = now - reference.CLOCKS_LOOK_BACK
    seen = (location_status.c.ends_at.is_(None)) | (location_status.c.ends_at > oldest)
    await tx.conn.execute(delete(location_status).where(location_status.c.location == place.code, seen))
    for period in place.periods:
        await tx.conn.execute(insert(location_status).values(location=place.code, cause=cause, **period._asdict()))
    await tx.conn.execute(
        update(location).where(location.c.code == place.code).values(status=status_at(place.periods, now))
    )


async def _open_orders(tx: Transaction, place: Place) -> list[Order]:
    """The orders of a place that have not ended, locked in the order of their ids."""
    tx.enter(Rank.JOURNEY)
    rows = await tx.conn.execute(
        select(journey)
        .where(journey.c.kind == "bopis", journey.c.location == place.code, journey.c.closed_at.is_(None))
        .order_by(journey.c.id)
        .with_for_update()
    )
    return [await Order.load(tx, row) for row in rows.mappings().all()]


async def _take_effect(
    tx: Transaction, orders: Sequence[Order], before: Place, after: Place, new: Period, at: datetime
) -> int | None:
    tx.enter(Rank.CASE)
    waiting = [order for order in orders if not order.is_final]
    for order in orders:
        since = max(min(new.starts_at, order.clock(at)), order.row["opened_at"])
        changed = clocks.move(order, since, before, after)
        if new.status == "open":
            await _no_longer_asked(order, at)
        elif order in waiting and (changed or _promised_within(order, new)):
            await _tell_customer(order, new, at)
        if changed or new.status == "open":
            await _save(order, f"{new.status}:{new.starts_at.isoformat()}", _sentence(after, new), at)
    if new.status == "open":
        await _heal(tx, after, at)
        return None
    return await _open_case(tx, waiting, after, new, at) if waiting else None


async def _save(order: Order, occurrence: str, detail: str, at: datetime) -> None:
    """Only clocks and questions have changed: goods and money are not even read."""
    await order.tx.conn.execute(
        update(journey)
        .where(journey.c.id == order.id)
        .values(dues=order.row["dues"], asks=order.row["asks"], version=journey.c.version + 1)
    )
    seen = f"{occurrence}#{order.row['version']}"
    await steps.note(order.tx, order.id, "place_changed", seen, detail, order.clock(at))
    order.tx.tell(order.id, Message.PLACE_CHANGED)


def _sentence(place: Place, new: Period) -> str:
    zone = place.hours.time_zone
    until = f" until {local(new.ends_at, zone)}" if new.ends_at else " until further notice"
    what = {"open": "is open", "no_pickup": "hands out no pickups", "closed": "is closed"}[new.status]
    why = f" ({new.reason})" if new.reason else ""
    return f"{place.name} {what} from {local(new.starts_at, zone)}{until if new.status != 'open' else ''}{why}."


def _promised_within(order: Order, new: Period) -> bool:
    promised = order.row["promised_at"]
    return promised is not None and new.starts_at <= promised < new.end


async def _tell_customer(order: Order, new: Period, at: datetime) -> None:
    """Once for each closure: whose goods stand ready, or are to be picked while the place is closed."""
    until = local(new.ends_at, order.place.hours.time_zone) if new.ends_at else None
    about = f"{new.starts_at.isoformat()}|{new.ends_at}"
    await order.mail_customer("place_closed", about, order.clock(at), until=until)


async def _open_case(tx: Transaction, orders: Sequence[Order], place: Place, new: Period, at: datetime) -> int:
    movable = [order for order in orders if _may_move(order)]
    ref = await case.open_case(
        tx,
        case.Opening(
            kind="place_closed",
            subject=place.code,
            place=place,
            policy=await reference.policy_at(tx.conn, place, at),
            at=at,
            facts={
                "status": new.status,
                "starts_at": new.starts_at.isoformat(),
                "ends_at": new.ends_at.isoformat() if new.ends_at else None,
                "reason": new.reason,
                "open_orders": len(orders),
                "not_picked_yet": len(movable),
                "orders": [order.row["key"] for order in orders[:NAMED_ORDERS]],
            },
            options=(
                CaseOption(
                    id="acknowledge",
                    label="Leave them there",
                    rank=1,
                    because="clocks stand still and customers were told",
                    consequence=Consequence(customer="Collects when the place is open again; the window is longer."),
                ),
                CaseOption(
                    id="ask_each",
                    label=f"Move all: ask for each of {len(movable)} orders that are not picked yet",
                    rank=2,
                    allowed=bool(movable),
                    why_not=None if movable else "Everything is picked, or is being decided already.",
                    consequence=Consequence(customer="Is asked by phone; nothing moves without a word."),
                ),
            ),
            text=_sentence(place, new),
        ),
    )
    return ref.id


def _may_move(order: Order) -> bool:
    return order.row["state"] in TO_BE_PICKED and not (order.goods_have_moved() or order.row["asks"])


async def _no_longer_asked(order: Order, at: datetime) -> None:
    """The place is open again: nobody has to move the order, unless somebody has decided to."""
    case_id = order.row["asks"].get("case_id")
    if case_id is None or order.row["asks"].get("decision_id"):
        return
    row = await order.tx.lock_case(case_id)
    if row["kind"] == "order_at_closed_place":
        await case.heal(order.tx, case_id, "the place is open again", at)
        order.row["asks"] = {}


async def _heal(tx: Transaction, place: Place, at: datetime) -> None:
    open_one = select(case_file.c.id).where(
        case_file.c.dedupe_key == f"place_closed|{place.code}", case_file.c.state.in_(OPEN_STATES)
    )
    await case.heal(tx, (await tx.conn.execute(open_one.with_for_update())).scalar(), "the place is open again", at)


_PRESENT = text(
    """
    UPDATE location l SET status = w.status FROM (
        SELECT p.code, coalesce((
            SELECT s.status FROM location_status s WHERE s.location = p.code AND s.starts_at <= :now
              AND (s.ends_at IS NULL OR s.ends_at > :now) ORDER BY s.starts_at DESC LIMIT 1), 'open') AS status
        FROM location p WHERE EXISTS (SELECT 1 FROM location_status s WHERE s.location = p.code)
    ) w WHERE l.code = w.code AND l.status <> w.status RETURNING l.code, l.status
    """
)


async def sweep(database: Database, now: datetime) -> int:
    """Have each place carry the status that holds now, and close the cases of those that have opened. Returns how many
    changed."""

    async def work(tx: Transaction) -> int:
        rows = (await tx.conn.execute(_PRESENT, {"now": now})).all()
        tx.enter(Rank.CASE)
        for code, status in sorted(row for row in rows if row.status == "open"):
            tx.record("location.status", f"location:{code}", now, after={"status": status})
            await _heal(tx, await reference.place(tx.conn, code), now)
        return len(rows)

    return await database.write(work, actor="endcap", via="system")


async def finish(database: Database) -> int:
    """Carry out the decisions to ask about each order of a closed place; returns how many orders are asked about."""
    async with database.read() as conn:
        found = await conn.execute(
            select(case_decision.c.id, case_decision.c.case_id, case_decision.c.decided_by, case_file.c.location)
            .join(case_file, case_file.c.id == case_decision.c.case_id)
            .where(
                case_decision.c.state == "applying",
                case_decision.c.option_id == "ask_each",
                case_file.c.kind == "place_closed",
                case_file.c.state == "deciding",
            )
            .order_by(case_decision.c.id)
        )
        decisions = found.all()
        asked = 0
    for decision_id, case_id, decided_by, code in decisions:
        async with database.read() as conn:
            rows = await conn.execute(
                select(journey.c.id)
                .where(journey.c.kind == "bopis", journey.c.location == code, journey.c.closed_at.is_(None))
                .order_by(journey.c.id)
            )
            ids = rows.scalars().all()
        for journey_id in ids:
            asked += await database.write(
                lambda tx, one=journey_id: _ask(tx, one),  # type: ignore[misc]
                actor=decided_by,
                via="system",
            )
        await database.write(
            lambda tx, args=(decision_id, case_id, decided_by): _answer(tx, *args),  # type: ignore[misc]
            actor=decided_by,
            via="system",
        )
    return asked


async def _ask(tx: Transaction, journey_id: str) -> int:
    order = await Order.load(tx, await tx.lock_journey(journey_id))
    now = await tx.now(order.row["clock_offset_s"])
    if not _may_move(order):
        return 0
    await order.lock_cases()
    await cases.at_closed_place(order, now)
    await tx.conn.execute(
        update(journey).where(journey.c.id == order.id).values(asks=order.row["asks"], version=journey.c.version + 1)
    )
    tx.tell(order.id, Message.PLACE_CHANGED)
    return 1


async def _answer(tx: Transaction, decision_id: int, case_id: int, decided_by: str) -> None:
    row = await tx.lock_case(case_id)
    if row["state"] != "deciding":
        return
    await tx.conn.execute(update(case_decision).where(case_decision.c.id == decision_id).values(state="applied"))
    about = await tx.conn.execute(
        select(func.count())
        .select_from(case_file)
        .where(case_file.c.kind == "order_at_closed_place", case_file.c.location == row["location"],
               case_file.c.closed_at.is_(None))
    )  # fmt: skip
    said = f"{about.scalar_one()} orders are asked about, each by a case of its own."
    await case.resolve(tx, case_id, "ask_each", said, await tx.now(), by=decided_by)
