"""What a case shows of its order: who it is for, and its lines. The whole of it is `ledger.reads.journeys`."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.prepared import Ask, Several
from ledger.reads.access import Reach, reach_of, within
from ledger.tables import customer, item, journey, journey_line


class LineBeside(NamedTuple):
    """Quantities in the item's base unit; `reserved` are all that are held for it or handed over."""

    sku: str
    name: str
    ordered: int
    reserved: int
    short: int


class CustomerBeside(NamedTuple):
    """`name` is None where it was erased."""

    name: str | None
    email: str | None
    phone: str | None


class OrderBeside(NamedTuple):
    id: str
    key: str
    state: str
    channel: str
    opened_at: datetime
    customer: CustomerBeside | None
    lines: list[LineBeside]


_ID = bindparam("journey_id", type_=Text)
_LINES = (
    select(
        journey_line.c.sku,
        func.coalesce(item.c.name, journey_line.c.sku).label("name"),
        journey_line.c.ordered,
        (journey_line.c.reserved + journey_line.c.staged + journey_line.c.collected).label("reserved"),
        journey_line.c.short,
    )
    .join(item, item.c.sku == journey_line.c.sku, isouter=True)
    .where(journey_line.c.journey_id == _ID)
    .order_by(journey_line.c.line_id)
)


@lru_cache(maxsize=64)
def _order(reach: Reach) -> Several:
    own = (journey.c[name] for name in ("id", "key", "state", "channel", "opened_at"))
    named = (customer.c[name].label(f"customer_{name}") for name in ("id", "name", "email", "phone"))
    with_customer = select(*own, *named).join(customer, customer.c.id == journey.c.customer_id, isouter=True)
    return Several(
        {"order": with_customer.where(journey.c.id == _ID, within(journey.c, reach)), "lines": _LINES}, once=True
    )


def order_beside_asked(viewer: Person, journey_id: str) -> Ask:
    """What `order_beside` asks."""
    reach, words = reach_of(viewer)
    return _order(reach).of(words, journey_id=journey_id)


async def order_beside(conn: AsyncConnection, viewer: Person, journey_id: str) -> OrderBeside | None:
    """An order; None for one at a place that the viewer does not see."""
    reach, words = reach_of(viewer)
    found = await _order(reach).lists(conn, words, journey_id=journey_id)
    if not found["order"]:
        return None
    row = found["order"][0]
    who = None
    if row["customer_id"] is not None:
        who = CustomerBeside(row["customer_name"], row["customer_email"], row["customer_phone"])
    own = {name: row[name] for name in ("id", "key", "state", "channel", "opened_at")}
    return OrderBeside(**own, customer=who, lines=[LineBeside(**line) for line in found["lines"]])
