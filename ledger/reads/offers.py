"""What a customer reads about a question that they were asked, or about an order that stands ready: few facts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bopis import BopisState
from domain.case import CaseOption
from ledger import policies
from ledger.bopis.ways_out import back
from ledger.tables import customer, item, journey, journey_line, location, offer, payment


class Piece(NamedTuple):
    """So many units of something, by its name."""

    name: str
    quantity: int


class Ended(NamedTuple):
    """How an order ended without being collected, as its customer is told. `by` is customer, shop or us; `back_minor`
    is what goes back to them.
    """

    state: str
    by: str
    at: datetime
    back_minor: int


class OfferView(NamedTuple):
    """A question to a customer as it stands now. Money in minor units; instants on the order's own clock.

    `missing` is what cannot be had as ordered, `instead` what was offered for it; `place_name` is where it would be
    collected. `saving_minor` goes back with a yes. `rest` are units of the order that are there.
    """

    id: int
    customer_id: str | None
    customer_name: str
    order_key: str
    way: str
    state: str
    answer: str | None
    because: str
    answered_at: datetime | None
    due_at: datetime
    missing: list[Piece]
    instead: list[Piece]
    place_name: str
    place_address: str
    new_place_name: str
    new_place_address: str
    zone: str
    currency: str
    saving_minor: int
    days: int  # until it comes, where it is sent to the store; 0 otherwise
    rest: int
    cancels_all: bool  # what silence does
    clock_offset_s: int
    ended: Ended | None = None


async def offer_view(conn: AsyncConnection, offer_id: int) -> OfferView | None:
    """A question, or None for one that never was."""
    query = (
        select(
            offer,
            journey.c.key,
            journey.c.state.label("order_state"),
            journey.c.detail,
            journey.c.customer_id,
            journey.c.currency,
            journey.c.clock_offset_s,
            journey.c.location.label("here"),
            location.c.name.label("place_name"),
            location.c.address,
            location.c.time_zone,
            customer.c.name.label("customer_name"),
        )
        .join(journey, journey.c.id == offer.c.journey_id)
        .join(location, location.c.code == journey.c.location)
        .join(customer, customer.c.id == journey.c.customer_id, isouter=True)
        .where(offer.c.id == offer_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    way = CaseOption.model_validate(row["option"])
    lines = await _lines(conn, row["journey_id"])
    swaps = {name.removeprefix("line:"): str(sku) for name, sku in way.parameters.items() if name.startswith("line:")}
    found = await conn.execute(select(item.c.sku, item.c.name).where(item.c.sku.in_(sorted(swaps.values()))))
    names = {row.sku: row.name for row in found}
    elsewhere = str(way.parameters.get("location") or row["here"])
    there = (await conn.execute(select(location.c.name, location.c.address).where(location.c.code == elsewhere))).one()
    missing = {line_id: int(quantity) for line_id, quantity in row["missing"].items()}
    return OfferView(
        id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"] or "",
        order_key=row["key"],
        way=row["way"].split(":", maxsplit=1)[0],
        state=row["state"],
        answer=row["answer"],
        because=row["because"],
        answered_at=row["answered_at"],
        due_at=row["due_at"],
        missing=[Piece(lines[line_id][0], quantity) for line_id, quantity in missing.items()],
        instead=[Piece(names.get(sku, sku), missing[line_id]) for line_id, sku in swaps.items()],
        place_name=row["place_name"],
        place_address=row["address"] or "",
        new_place_name=there.name,
        new_place_address=there.address or "",
        zone=row["time_zone"],
        currency=row["currency"],
        saving_minor=back(way),
        days=await _days(conn, row["journey_id"]) if way.id.startswith("ship_to_store") else 0,
        rest=sum(quantity for _, quantity, _ in lines.values()) - sum(missing.values()),
        cancels_all=any(lines[line_id][2] == "cancel_order" for line_id in missing),
        clock_offset_s=row["clock_offset_s"],
        ended=await _ended(conn, row["journey_id"], row["order_state"], row["detail"]),
    )


async def _ended(conn: AsyncConnection, journey_id: str, state: str, detail: Mapping[str, Any]) -> Ended | None:
    """None for an order that has not ended so, or whose end was recorded without who and when."""
    found = detail.get("ended")
    if found is None or BopisState(state) not in (BopisState.CANCELLED, BopisState.EXPIRED):
        return None
    back = await conn.execute(select(payment.c.refund_requested_minor).where(payment.c.journey_id == journey_id))
    return Ended(state, found["by"], datetime.fromisoformat(found["at"]), sum(back.scalars()))


async def _days(conn: AsyncConnection, journey_id: str) -> int:
    """How long a warehouse takes to a store, in whole days."""
    row = (await conn.execute(select(journey).where(journey.c.id == journey_id))).mappings().one()
    return -(-(await policies.of_journey(conn, row)).sourcing.to_store_s // 86_400)


async def _lines(conn: AsyncConnection, journey_id: str) -> dict[str, tuple[str, int, str]]:
    """(name, open units, fallback) of each line."""
    rows = await conn.execute(
        select(journey_line, item.c.name)
        .join(item, item.c.sku == journey_line.c.sku)
        .where(journey_line.c.journey_id == journey_id)
    )
    return {
        row["line_id"]: (row["name"], row["ordered"] - row["collected"] - row["cancelled"], row["fallback"])
        for row in rows.mappings()
    }


class PickupView(NamedTuple):
    """An order that stands ready, as its customer may read and change it by link."""

    journey_id: str
    customer_id: str | None
    customer_name: str
    order_key: str
    state: str
    place_name: str
    place_address: str
    zone: str
    window_until: datetime | None
    pieces: list[Piece]
    extensions_left: int
    extension_days: int
    may_cancel: bool
    clock_offset_s: int
    currency: str
    ended: Ended | None = None
    extended: int = 0  # how often its customer has had it kept longer


async def pickup_view(conn: AsyncConnection, journey_id: str) -> PickupView | None:
    """An order, or None for one that never was."""
    query = (
        select(journey, location.c.name.label("place_name"), location.c.address, location.c.time_zone)
        .add_columns(customer.c.name.label("customer_name"))
        .join(location, location.c.code == journey.c.location)
        .join(customer, customer.c.id == journey.c.customer_id, isouter=True)
        .where(journey.c.id == journey_id)
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    policy = (await policies.of_journey(conn, row)).offers
    lines = await _lines(conn, journey_id)
    window = row["dues"].get("window")
    return PickupView(
        journey_id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"] or "",
        order_key=row["key"],
        state=row["state"],
        place_name=row["place_name"],
        place_address=row["address"] or "",
        zone=row["time_zone"],
        currency=row["currency"],
        ended=await _ended(conn, journey_id, row["state"], row["detail"]),
        window_until=datetime.fromisoformat(window) if window else None,
        pieces=[Piece(name, quantity) for name, quantity, _ in lines.values() if quantity],
        extended=row["detail"].get("extended_by_customer", 0),
        extensions_left=max(policy.extensions - row["detail"].get("extended_by_customer", 0), 0)
        if policy.extension_open_days
        else 0,
        extension_days=policy.extension_open_days,
        may_cancel=policy.cancel_by_link,
        clock_offset_s=row["clock_offset_s"],
    )
