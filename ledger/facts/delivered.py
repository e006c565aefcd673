"""A delivery whose lines name an order: what a transfer brings for it is that transfer's receipt. Orders from before
held the goods at the warehouse themselves.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from domain.errors import Malformed
from domain.events import StockReceived
from domain.transfers import ReceivedTransferLine, TransferReceived
from domain.words import units
from ledger.bopis import to_store
from ledger.bopis.order import Order
from ledger.tables import awaited, transfer_line
from ledger.transaction import Transaction
from ledger.transfer import receiving
from ledger.transfer.document import Transfer

type Place = tuple[str, str]  # (location, SKU)


async def for_order(
    tx: Transaction,
    about: str,
    quantities: Mapping[str, int],
    data: StockReceived,
    beside: set[Place],
    cause: str,
    at: datetime,
) -> None:
    """Goods of one order have come, units by its lines; `beside` moves by the same fact.

    Raises `UnknownLine`, and `Malformed` for more than is on its way, for goods of several transfers, and for an older
    order at another store than its own.
    """
    transfers = await _brought_by(tx, about, quantities)
    if transfers:
        await _by_transfer(tx, transfers, quantities, data, beside, cause, at)
        return
    order = await Order.load(tx, await tx.lock_journey(about))
    if order.location != data.location:
        raise Malformed(
            f"The order is collected at {order.location}, not at {data.location}.", pointer="/data/location"
        )
    order.beside = beside
    await to_store.goods_came(order, quantities, cause, order.clock(at))


async def _brought_by(tx: Transaction, about: str, line_ids: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """What transfers have still to bring for an order: units by line, by transfer. It looks, and locks nothing."""
    rows = await tx.conn.execute(
        select(awaited.c.transfer_id, awaited.c.line_id, transfer_line)
        .join(
            transfer_line,
            (transfer_line.c.journey_id == awaited.c.transfer_id) & (transfer_line.c.line_id == awaited.c.line_id),
        )
        .where(awaited.c.journey_id == about, awaited.c.line_id.in_(line_ids))
        .order_by(awaited.c.id)
    )
    found: dict[str, dict[str, int]] = {}
    for row in rows.mappings():
        still = Transfer.to_ship(dict(row)) + row["in_transit"]
        found.setdefault(row["transfer_id"], {})[row["line_id"]] = still
    return found


async def _by_transfer(
    tx: Transaction,
    transfers: Mapping[str, Mapping[str, int]],
    quantities: Mapping[str, int],
    data: StockReceived,
    beside: set[Place],
    cause: str,
    at: datetime,
) -> None:
    able = [
        key
        for key, lines in transfers.items()
        if all(lines.get(line_id, 0) >= number for line_id, number in quantities.items())
    ]
    if not able:
        said = ", ".join(f"{units(sum(lines.values()))} by transfer {key}" for key, lines in transfers.items())
        raise Malformed(
            f"{units(sum(quantities.values()))} came, but on their way to the order are {said};"
            " report the rest as a receipt of that transfer.",
            pointer="/data/lines",
        )
    it = await Transfer.load(tx, await tx.lock_journey(able[0]))
    it.beside = beside
    lines = tuple(ReceivedTransferLine(line_id=line_id, quantity=number) for line_id, number in quantities.items())
    receipt = TransferReceived(transfer_id=it.id, location=data.location, lines=lines)
    await receiving.received(it, receipt, cause, it.clock(at))
