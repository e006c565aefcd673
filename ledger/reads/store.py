"""Reads of the store's floor: what is to be picked, verified, handed over and put away at one place, and one order.

A customer's name is read only for who hands goods over.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bopis import FINAL, ON_THE_HOLD_SHELF, TO_BE_PICKED
from domain.errors import NotFound
from domain.people import Person
from domain.policy import Policy
from ledger import policies
from ledger.reads.access import visible_location
from ledger.reads.paging import contains
from ledger.tables import case_file, customer, hold, item, journey, journey_line, location

Task = Literal["pick", "verify", "hand_over", "put_away"]
TASKS: tuple[Task, ...] = ("verify", "pick", "hand_over", "put_away")
STORE_KINDS = ("store", "hub")
AT_MOST = 300
# Goods that nobody came for are looked for this far back: without an index of its own the list stays quick.
LEFT_BEHIND = timedelta(days=180)


class StorePlace(NamedTuple):
    code: str
    name: str
    region: str
    entity: str
    time_zone: str


class FloorLine(NamedTuple):
    """A line as the floor sees it; quantities in the item's base unit."""

    line_id: str
    sku: str
    name: str
    age_limit: int | None
    frozen: bool
    ordered: int
    reserved: int
    picked: int
    staged: int
    collected: int
    cancelled: int
    unclaimed: int  # on the hold shelf although nobody will collect it
    doubted: int  # promised, and perhaps sold at the till

    @property
    def still(self) -> int:
        """Units that may still be picked for it."""
        return self.ordered - self.collected - self.cancelled - self.staged

    @property
    def missing(self) -> int:
        """Units that nothing is promised for: somebody decides about them."""
        return self.still - self.reserved


class FloorOrder(NamedTuple):
    """An order at its store. Instants are on the order's own clock, `now` is that clock's."""

    id: str
    key: str
    state: str
    opened_at: datetime
    promised_at: datetime | None
    closed_at: datetime | None
    now: datetime
    pick_by: datetime | None
    verify_by: datetime | None
    collect_by: datetime | None
    put_away_by: datetime | None
    customer: str | None
    arrived_at: datetime | None  # the customer waits outside
    bay: str | None
    pickup_code: str | None
    lines: tuple[FloorLine, ...]

    @property
    def is_over(self) -> bool:
        return self.state in FINAL

    @property
    def is_to_be_picked(self) -> bool:
        return self.state in TO_BE_PICKED

    @property
    def age_limit(self) -> int | None:
        limits = [line.age_limit for line in self.lines if line.age_limit is not None and line.staged]
        return max(limits, default=None)

    def due(self, task: Task) -> datetime | None:
        """Until when a task is to be done; None when that has passed, or no clock runs for it."""
        dues = {
            "pick": self.pick_by,
            "verify": self.verify_by,
            "hand_over": self.collect_by,
            "put_away": self.put_away_by,
        }
        return dues[task]

    def line(self, line_id: str) -> FloorLine | None:
        return next((line for line in self.lines if line.line_id == line_id), None)


async def stores_of(conn: AsyncConnection, viewer: Person) -> list[StorePlace]:
    """The stores of a person's grants, by code."""
    columns = (location.c[name] for name in StorePlace._fields)
    query = select(*columns).where(location.c.kind.in_(STORE_KINDS), visible_location(viewer)).order_by(location.c.code)
    return [StorePlace(*row) for row in await conn.execute(query)]


async def store_of(conn: AsyncConnection, viewer: Person, code: str) -> StorePlace:
    """One store. Raises `NotFound` for one that there is not or that the viewer may not see."""
    columns = (location.c[name] for name in StorePlace._fields)
    query = select(*columns).where(location.c.kind.in_(STORE_KINDS), location.c.code == code, visible_location(viewer))
    row = (await conn.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"There is no store {code} that you may see.")
    return StorePlace(*row)


def _waiting_for(task: Task, place: StorePlace) -> ColumnElement[bool]:
    here = and_(journey.c.kind == "bopis", journey.c.location == place.code)
    if task == "put_away":
        left = sql("jsonb_path_exists(journey.detail, '$.unclaimed.* ? (@ > 0)')")
        return and_(here, journey.c.opened_at > func.now() - LEFT_BEHIND, left)
    is_open = and_(here, journey.c.closed_at.is_(None))
    if task == "hand_over":
        return and_(is_open, journey.c.state.in_(sorted(ON_THE_HOLD_SHELF)))
    to_pick = and_(is_open, journey.c.state.in_(sorted(TO_BE_PICKED)))
    doubted = select(hold.c.journey_id).where(
        hold.c.location == place.code, hold.c.reserved + hold.c.staged > 0, hold.c.reserved > 0,
        hold.c.doubted_at.is_not(None), hold.c.journey_id.is_not(None),
    )  # fmt: skip
    if task == "verify":
        return and_(to_pick, journey.c.id.in_(doubted))
    return and_(to_pick, journey.c.id.not_in(doubted))


async def counts(conn: AsyncConnection, place: StorePlace) -> dict[Task, int]:
    """How many orders wait for each task."""
    return {
        task: int((await conn.execute(select(func.count()).where(_waiting_for(task, place)))).scalar_one())
        for task in TASKS
    }


async def orders_for(conn: AsyncConnection, place: StorePlace, task: Task, *, limit: int = AT_MOST) -> list[FloorOrder]:
    """Orders that wait for a task, the one that is due first in front."""
    query = _orders().where(_waiting_for(task, place)).order_by(journey.c.opened_at, journey.c.id).limit(limit)
    found = await _read(conn, place, query)
    # What has no due instant any more is late already; a customer who waits outside comes before all others.
    outside = task == "hand_over"
    return sorted(
        found,
        key=lambda order: (
            not (outside and order.arrived_at),
            order.due(task) or order.opened_at,
            order.id,
        ),
    )


async def order_at(conn: AsyncConnection, place: StorePlace, journey_id: str) -> FloorOrder:
    """One order at a store. Raises `NotFound`, also for one that has moved to another store."""
    query = _orders().where(journey.c.id == journey_id, journey.c.kind == "bopis", journey.c.location == place.code)
    found = await _read(conn, place, query)
    if not found:
        raise NotFound(f"There is no such order at {place.name}. It may have moved to another store.")
    return found[0]


async def find_orders(conn: AsyncConnection, place: StorePlace, words: str, *, limit: int = 20) -> list[FloorOrder]:
    """Orders at a store that are not over, by their number, their pickup code, or a part of the customer's name."""
    query = (
        _orders()
        .where(
            journey.c.kind == "bopis",
            journey.c.location == place.code,
            journey.c.closed_at.is_(None),
            or_(
                func.lower(journey.c.key) == words.lower(),
                journey.c.detail["pickup_code"].astext == "".join(words.split()),
                customer.c.name.ilike(contains(words), escape="\\"),
            ),
        )
        .order_by(journey.c.opened_at, journey.c.id)
        .limit(limit)
    )
    return await _read(conn, place, query)


async def case_after_close(conn: AsyncConnection, journey_id: str) -> int | None:
    """The newest open case that asks about goods which moved after the order was over."""
    query = select(func.max(case_file.c.id)).where(
        case_file.c.journey_id == journey_id,
        case_file.c.kind == "fact_after_close",
        case_file.c.closed_at.is_(None),
    )
    found: int | None = (await conn.execute(query)).scalar_one()
    return found


def _orders() -> Select[Any]:
    return select(journey, customer.c.name.label("customer_name"), func.now().label("now")).join(
        customer, customer.c.id == journey.c.customer_id, isouter=True
    )


async def _read(conn: AsyncConnection, place: StorePlace, query: Select[Any]) -> list[FloorOrder]:
    rows = (await conn.execute(query)).mappings().all()
    lines = await _lines(conn, place, rows)
    return [_order(row, tuple(lines.get(row["id"], ())), await policies.of_journey(conn, row)) for row in rows]


def _order(row: Any, lines: tuple[FloorLine, ...], policy: Policy) -> FloorOrder:
    dues = {name: datetime.fromisoformat(at) for name, at in row["dues"].items() if at}
    arrived = row["detail"].get("arrived", {})
    return FloorOrder(
        id=row["id"],
        key=row["key"],
        state=row["state"],
        opened_at=row["opened_at"],
        promised_at=row["promised_at"],
        closed_at=row["closed_at"],
        now=row["now"] + timedelta(seconds=row["clock_offset_s"]),
        pick_by=dues.get(_pick_due_name(policy)),
        verify_by=dues.get("verify"),
        collect_by=dues.get("window"),
        put_away_by=dues.get("put_away"),
        customer=row["customer_name"],
        arrived_at=_instant(arrived.get("at")),
        bay=arrived.get("bay"),
        pickup_code=row["detail"].get("pickup_code"),
        lines=lines,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _pick_due_name(policy: Policy) -> str:
    """The reminder that falls on the end of the time to pick; it is gone once it was given."""
    shares = policy.bopis.nag_permille
    return f"pick_nag_{shares.index(1000) + 1}" if 1000 in shares else f"pick_nag_{len(shares)}"


async def _lines(conn: AsyncConnection, place: StorePlace, rows: Sequence[Any]) -> dict[str, list[FloorLine]]:
    ids = [row["id"] for row in rows]
    unclaimed = {row["id"]: row["detail"].get("unclaimed", {}) for row in rows}
    doubted = await _doubted(conn, place, ids)
    query = (
        select(journey_line, item.c.name, item.c.age_limit, item.c.frozen)
        .join(item, item.c.sku == journey_line.c.sku)
        .where(journey_line.c.journey_id.in_(ids))
        .order_by(journey_line.c.journey_id, item.c.category, item.c.name, journey_line.c.line_id)
    )
    found: dict[str, list[FloorLine]] = {}
    for row in (await conn.execute(query)).mappings():
        about = row["journey_id"]
        here = {
            "unclaimed": unclaimed[about].get(row["line_id"], 0),
            "doubted": doubted.get((about, row["line_id"]), 0),
        }
        own = {name: row[name] for name in FloorLine._fields if name not in here}
        found.setdefault(about, []).append(FloorLine(**own, **here))
    return found


async def _doubted(conn: AsyncConnection, place: StorePlace, ids: Collection[str]) -> dict[tuple[str, str], int]:
    rows = await conn.execute(
        select(hold.c.journey_id, hold.c.line_id, func.sum(hold.c.reserved))
        .where(hold.c.journey_id.in_(ids), hold.c.location == place.code, hold.c.doubted_at.is_not(None))
        .group_by(hold.c.journey_id, hold.c.line_id)
    )
    return {(row[0], row[1]): int(row[2]) for row in rows}
