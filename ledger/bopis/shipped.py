"""Goods of an order that left with a carrier."""

from datetime import datetime

from domain.events import BopisShipped, HandedLine
from ledger.bopis import handing_over
from ledger.bopis.order import Order


async def shipped(order: Order, data: BopisShipped, cause: str, at: datetime) -> str:
    """Goods of the order have left with a carrier; `lines: null` is all that is held for it. Never refused for a state.

    Raises `UnknownLine`, and `Malformed` for more units than are left.
    """
    if data.lines is None:
        held = {line_id: line["reserved"] + line["staged"] for line_id, line in order.lines.items()}
        lines = tuple(HandedLine(line_id=line_id, quantity=quantity) for line_id, quantity in held.items() if quantity)
    else:
        lines = tuple(HandedLine(line_id=line.line_id, quantity=line.quantity) for line in data.lines)
    if not order.is_final:
        sent = {"at": at.isoformat(), "carrier": data.carrier, "tracking": data.tracking}
        order.row["detail"].setdefault("shipments", []).append(sent)
        await order.mail_customer("order_shipped", cause, at, carrier=data.carrier, tracking=data.tracking)
    return await handing_over.sent(order, lines, data.carrier, cause, at)
