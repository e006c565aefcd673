"""Exchanges as people read them: what a customer is asked about a replacement that costs more, what of it stands on the
pages of the return and of the replacement.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import exchanges
from domain.case import CaseOption
from ledger.reads.offers import Piece
from ledger.tables import customer, item, journey, journey_line, location, offer


class ExchangeOffer(NamedTuple):
    """A question to a customer as it stands now. Money in minor units; instants on the return's own clock.

    `wanted` is the replacement, `price_minor` what it costs, `worth_minor` what comes back pays of it, `paid_minor`
    what they have paid beforehand; of `difference_minor` they are asked.
    """

    id: int
    customer_id: str | None
    customer_name: str
    return_key: str
    order_key: str
    state: str
    answer: str | None
    because: str
    answered_at: datetime | None
    due_at: datetime
    wanted: list[Piece]
    place_name: str
    place_address: str
    is_sent: bool
    zone: str
    currency: str
    price_minor: int
    price_tax_minor: int
    worth_minor: int
    worth_tax_minor: int
    paid_minor: int
    difference_minor: int
    tender: str
    clock_offset_s: int


async def exchange_offer(conn: AsyncConnection, offer_id: int) -> ExchangeOffer | None:
    """A question about an exchange; None for any other, and for one that never was."""
    query = (
        select(offer, journey.c.key, journey.c.customer_id, journey.c.currency, journey.c.clock_offset_s)
        .add_columns(location.c.time_zone, customer.c.name.label("customer_name"))
        .join(journey, journey.c.id == offer.c.journey_id)
        .join(location, location.c.code == journey.c.location)
        .join(customer, customer.c.id == journey.c.customer_id, isouter=True)
        .where(offer.c.id == offer_id, offer.c.way == exchanges.WAY)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    figures = CaseOption.model_validate(row["option"]).parameters
    query = (
        select(journey.c.key, journey.c.detail, location.c.name, location.c.address)
        .join(location, location.c.code == journey.c.location)
        .where(journey.c.id == figures["order"])
    )
    order = (await conn.execute(query)).one()

    def minor(name: str) -> int:
        return int(figures.get(name) or 0)

    return ExchangeOffer(
        id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"] or "",
        return_key=row["key"],
        order_key=order.key,
        state=row["state"],
        answer=row["answer"],
        because=row["because"],
        answered_at=row["answered_at"],
        due_at=row["due_at"],
        wanted=await _pieces(conn, str(figures["order"])),
        place_name=order.name,
        place_address=order.address or "",
        is_sent=bool(order.detail.get("ship_to_home")),
        zone=row["time_zone"],
        currency=row["currency"],
        price_minor=minor("price_minor"),
        price_tax_minor=minor("price_tax_minor"),
        worth_minor=minor("worth_minor"),
        worth_tax_minor=minor("worth_tax_minor"),
        paid_minor=minor("paid_minor"),
        difference_minor=minor("difference_minor"),
        tender=str(figures["tender"]),
        clock_offset_s=row["clock_offset_s"],
    )


async def _pieces(conn: AsyncConnection, order: str) -> list[Piece]:
    rows = await conn.execute(
        select(item.c.name, journey_line.c.ordered)
        .join(item, item.c.sku == journey_line.c.sku)
        .where(journey_line.c.journey_id == order)
        .order_by(journey_line.c.line_id)
    )
    return [Piece(row.name, row.ordered) for row in rows]
