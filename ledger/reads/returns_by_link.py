"""A return as its customer may read it, by link and in mails: what of it came and what became of it, never why somebody
looked at it twice.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.photos import PhotoView, photos_of
from ledger.tables import (
    customer,
    item,
    journey,
    location,
    payment_operation,
    person_note,
    return_disposition,
    return_line,
)
from ledger.tables import payment as payments

SUSPECTED = "suspected_fraud"  # a word of ours; the customer is told that it is not refunded
WHY_DECLINED = {"missing": "it was not in the parcel", "send_back": "of its condition; it comes back to you"}


class LineByLink(NamedTuple):
    """A line in units and minor units of money. `refused` says why policy does not take it back, "" where it does."""

    name: str
    claimed: int
    received: int
    declined: int
    why_declined: tuple[str, ...]
    refused: str
    refunded_minor: int
    fee_minor: int


class RefundByLink(NamedTuple):
    """Money that goes back; `is_done` once it was confirmed."""

    tender: str
    amount_minor: int
    is_done: bool
    at: datetime


class Said(NamedTuple):
    text: str
    at: datetime


class ReturnByLink(NamedTuple):
    journey_id: str
    customer_id: str | None
    customer_name: str
    key: str
    state: str
    method: str
    label: str | None
    currency: str
    place_name: str
    place_address: str
    zone: str
    goods_until: datetime | None
    clock_offset_s: int
    lines: list[LineByLink]
    refunds: list[RefundByLink]
    said: list[Said]
    photos: list[PhotoView]

    @property
    def declined(self) -> list[LineByLink]:
        """Lines of which something was declined when it was looked at."""
        return [line for line in self.lines if line.declined]

    @property
    def refused(self) -> list[LineByLink]:
        """Lines that may not come back."""
        return [line for line in self.lines if line.refused and not line.declined]


async def return_by_link(conn: AsyncConnection, journey_id: str) -> ReturnByLink | None:
    """A return; None for what is none."""
    query = (
        select(journey, location.c.name.label("place_name"), location.c.address, location.c.time_zone)
        .add_columns(customer.c.name.label("customer_name"))
        .join(location, location.c.code == journey.c.location)
        .join(customer, customer.c.id == journey.c.customer_id, isouter=True)
        .where(journey.c.id == journey_id, journey.c.kind == "returns")
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    goods = row["dues"].get("goods")
    return ReturnByLink(
        journey_id=row["id"],
        customer_id=row["customer_id"],
        customer_name=row["customer_name"] or "",
        key=row["key"],
        state=row["state"],
        method=row["detail"]["method"],
        label=row["detail"].get("label"),
        currency=row["currency"],
        place_name=row["place_name"],
        place_address=row["address"] or "",
        zone=row["time_zone"],
        goods_until=datetime.fromisoformat(goods) if goods else None,
        clock_offset_s=row["clock_offset_s"],
        lines=await _lines(conn, journey_id),
        refunds=await _refunds(conn, journey_id),
        said=await said_of(conn, journey_id),
        photos=await photos_of(conn, journey_id, customer_id=row["customer_id"]) if row["customer_id"] else [],
    )


async def _lines(conn: AsyncConnection, journey_id: str) -> list[LineByLink]:
    rows = await conn.execute(
        select(return_line, item.c.name)
        .join(item, item.c.sku == return_line.c.sku)
        .where(return_line.c.journey_id == journey_id)
        .order_by(return_line.c.line_id)
    )
    why = await _why_declined(conn, journey_id)
    return [
        LineByLink(
            name=row["name"],
            claimed=row["claimed"],
            received=row["received"],
            declined=row["declined"],
            why_declined=why.get(row["line_id"], ()),
            refused=_refusal(row["ruling"]),
            refunded_minor=row["refunded_minor"] - row["fee_minor"],
            fee_minor=row["fee_minor"],
        )
        for row in rows.mappings()
    ]


def _refusal(ruling: dict[str, str]) -> str:
    if not ruling.get("refused"):
        return ""
    if ruling["refused"] == SUSPECTED:
        return "We do not refund it."
    return ruling.get("because") or "We cannot take it back."


async def _why_declined(conn: AsyncConnection, journey_id: str) -> dict[str, tuple[str, ...]]:
    table = return_disposition
    rows = await conn.execute(
        select(table.c.line_id, table.c.disposition)
        .distinct()
        .where(table.c.journey_id == journey_id, table.c.state == "applied", table.c.disposition.in_(WHY_DECLINED))
        .order_by(table.c.line_id, table.c.disposition)
    )
    found: dict[str, tuple[str, ...]] = {}
    for line_id, disposition in rows:
        found[line_id] = (*found.get(line_id, ()), WHY_DECLINED[disposition])
    return found


async def _refunds(conn: AsyncConnection, journey_id: str) -> list[RefundByLink]:
    rows = await conn.execute(
        select(payments.c.tender, payment_operation.c.amount_minor, payment_operation.c.state, payment_operation.c.at)
        .join(payments, payments.c.id == payment_operation.c.payment_id)
        .where(payment_operation.c.journey_id == journey_id, payment_operation.c.kind == "refund")
        .order_by(payment_operation.c.at, payment_operation.c.id)
    )
    return [RefundByLink(row.tender, row.amount_minor, row.state == "succeeded", row.at) for row in rows]


async def said_of(conn: AsyncConnection, journey_id: str) -> list[Said]:
    """What the customer has written about it, the first first; nothing where it was erased."""
    rows = await conn.execute(
        select(person_note.c.text, person_note.c.recorded_at)
        .where(person_note.c.subject == journey_id)
        .order_by(person_note.c.id)
    )
    return [Said(*row) for row in rows]
