"""Which order a fact means, and whether whoever reports it may speak of that order."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, select

from domain.errors import AmbiguousReference, Malformed, NotAllowed, NotFound
from domain.events import OrderReference, ReceivedLine, SaleLineIn
from domain.ids import journey_id
from ledger.people import Caller
from ledger.tables import journey
from ledger.transaction import Transaction


async def lock_order(tx: Transaction, caller: Caller, data: OrderReference) -> RowMapping | None:
    """The row of the journey that is meant, locked; None when there is none yet. Raises as `find_order`."""
    wanted = _meant(caller, data)
    if len(wanted) > 1:
        about = await find_order(tx, caller, data)
        return None if about is None else await tx.lock_journey(about)
    try:
        row = await tx.lock_journey(wanted[0])
    except NotFound:
        return None
    _check_source(caller, row["source"])
    return row


async def find_order(tx: Transaction, caller: Caller, data: OrderReference) -> str | None:
    """The journey that is meant, or None when there is none yet. Raises `AmbiguousReference`, `Malformed`,
    `NotAllowed`.
    """
    wanted = _meant(caller, data)
    rows = await tx.conn.execute(select(journey.c.id, journey.c.source).where(journey.c.id.in_(wanted)))
    known = {row.id: row.source for row in rows}
    own = [key for key, source in known.items() if source == caller.source]
    if own:
        return str(own[0])
    if len(known) > 1:
        raise AmbiguousReference(f"Order {data.order_id} exists in several sources; name order_source.")
    for key, source in known.items():
        _check_source(caller, source)
        return str(key)
    return None


def _meant(caller: Caller, data: OrderReference) -> list[str]:
    """The journeys that may be meant: one for each source of the caller when none is named."""
    sources = sorted({caller.source, *caller.sources})
    if data.journey_id is not None:
        return [data.journey_id]
    if data.order_id is None:
        raise Malformed("Name the order: journey_id, or order_id (with order_source).", pointer="/data/order_id")
    if data.order_source is None:
        return [journey_id("bopis", source, data.order_id) for source in sources]
    _check_source(caller, data.order_source)
    return [journey_id("bopis", data.order_source, data.order_id)]


def _check_source(caller: Caller, source: str) -> None:
    if source != caller.source and source not in caller.sources:
        raise NotAllowed(f"This key may not speak about orders of {source}.")


async def by_order[Line: (SaleLineIn, ReceivedLine)](
    tx: Transaction, caller: Caller, lines: Sequence[Line]
) -> tuple[dict[str, dict[str, int]], list[Line]]:
    """Units by order and order line, of the lines that name one; and the lines that name none. Raises `NotFound`."""
    named: dict[str, dict[str, int]] = {}
    rest = []
    for line in lines:
        if line.order_id is None or line.line_id is None:
            rest.append(line)
            continue
        about = await find_order(tx, caller, OrderReference(order_id=line.order_id, order_source=line.order_source))
        if about is None:
            raise NotFound(f"A line names order {line.order_id}, which is not known.", pointer="/data/lines")
        units = named.setdefault(about, {})
        units[line.line_id] = units.get(line.line_id, 0) + line.quantity
    return named, rest
