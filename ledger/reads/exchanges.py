"""Exchanges as people read them: what a customer is asked about a replacement that costs more, what of it stands on the
pages of the return and of the replacement.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import exchanges
from domain.case import CaseOption
from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.offers import Piece
from ledger.tables import customer, item, journey, journey_line, location, offer, payment, return_line


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


class Question(NamedTuple):
    """One time that the customer was asked whether they pay `difference_minor`, and what became of it."""

    state: str
    answer: str | None
    because: str
    difference_minor: int
    at: datetime
    due_at: datetime
    answered_at: datetime | None


class ExchangePanel(NamedTuple):
    """An exchange as people who work here see it, from either side. Money in minor units.

    `state` is how far it is, "off" for an order that the return was once to be exchanged for. The order is None before
    it was placed; `may_see_order` and `may_see_return` tell whether they are at places that the viewer sees.
    """

    return_id: str
    return_state: str
    may_see_return: bool
    order_id: str
    order_state: str | None
    may_see_order: bool
    back: list[Piece]
    wanted: list[Piece]
    state: str
    because: str
    currency: str
    credit_minor: int
    difference_minor: int
    charged_minor: int
    back_minor: int
    is_sent: bool
    place: str
    place_name: str
    questions: list[Question]


def return_behind(payments: list[tuple[str, str]]) -> str | None:
    """The return that pays an order, by the (tender, reference) of its payments; None for one that replaces nothing."""
    own = exchanges.credit_of("")
    return next((name.removeprefix(own) for tender, name in payments if tender == exchanges.TENDER), None)


async def exchange_panel(
    conn: AsyncConnection, viewer: Person | None, return_journey: str, order: str | None = None
) -> ExchangePanel | None:
    """The exchange of a return, as it is now; with `order` as that order's page tells it. None where there is none."""
    wanted = select(journey, visible(journey.c, viewer).label("seen")).where(journey.c.id == return_journey)
    row = (await conn.execute(wanted)).mappings().one_or_none()
    swap = row["detail"].get("exchange") if row is not None else None
    if row is None or swap is None:
        return None
    is_now = order is None or swap["order"] == order
    named = order or str(swap["order"])
    query = (
        select(journey.c.state, journey.c.detail, journey.c.location, location.c.name, payment.c.captured_minor)
        .add_columns(visible(journey.c, viewer).label("seen"))
        .join(location, location.c.code == journey.c.location)
        .join(
            payment,
            (payment.c.journey_id == journey.c.id) & payment.c.reference.startswith(exchanges.difference_by("")),
            isouter=True,
        )
        .where(journey.c.id == named)
    )
    placed = (await conn.execute(query)).one_or_none()
    return ExchangePanel(
        return_id=row["id"],
        return_state=row["state"],
        may_see_return=row["seen"],
        order_id=named,
        order_state=placed.state if placed is not None else None,
        may_see_order=placed is not None and placed.seen,
        back=await _coming_back(conn, return_journey, swap["lines"]) if is_now else [],
        wanted=await _pieces(conn, named),
        state=swap["state"] if is_now else "off",
        because=swap["because"] if is_now else "another order was wanted instead",
        currency=row["currency"],
        credit_minor=swap["credit_minor"] if is_now else 0,
        difference_minor=swap.get("difference_minor", 0) if is_now else 0,
        charged_minor=(placed.captured_minor or 0) if placed is not None else 0,
        back_minor=swap["back_minor"] if is_now else 0,
        is_sent=bool(placed is not None and placed.detail.get("ship_to_home")),
        place=placed.location if placed is not None else "",
        place_name=placed.name if placed is not None else "",
        questions=await _questions(conn, return_journey, named),
    )


async def _coming_back(conn: AsyncConnection, return_journey: str, lines: list[str]) -> list[Piece]:
    rows = await conn.execute(
        select(item.c.name, return_line.c.claimed)
        .join(item, item.c.sku == return_line.c.sku)
        .where(return_line.c.journey_id == return_journey, return_line.c.line_id.in_(lines))
        .order_by(return_line.c.line_id)
    )
    return [Piece(*row) for row in rows]


async def _questions(conn: AsyncConnection, return_journey: str, order: str) -> list[Question]:
    figures = offer.c.option["parameters"]
    rows = await conn.execute(
        select(offer, figures["difference_minor"].as_integer().label("minor"))
        .where(
            offer.c.journey_id == return_journey,
            offer.c.way == exchanges.WAY,
            figures["order"].as_string() == literal(order),
        )
        .order_by(offer.c.id)
    )
    return [
        Question(
            state=row["state"],
            answer=row["answer"],
            because=row["because"],
            difference_minor=row["minor"],
            at=row["at"],
            due_at=row["due_at"],
            answered_at=row["answered_at"],
        )
        for row in rows.mappings()
    ]
