"""Reads of transfers: one with its lines, parcels and claims."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.ids import OWN_SOURCE, journey_id
from domain.people import Person
from domain.tracking import TrackingView
from domain.transfers import ClaimView, ExtraView, ParcelView, TransferLineView, TransferView
from ledger.reads.access import of_sources, visible, visible_location
from ledger.tables import (
    carrier_claim,
    journey,
    location,
    parcel_tracking,
    transfer,
    transfer_extra,
    transfer_line,
    transfer_parcel,
)


def visible_transfer(viewer: Person | None) -> ColumnElement[bool]:
    """Transfers from or to a place that the viewer may see."""
    to_here = (
        select(transfer.c.journey_id)
        .join(location, location.c.code == transfer.c.to_location)
        .where(transfer.c.journey_id == journey.c.id, visible_location(viewer))
    )
    return or_(visible(journey.c, viewer), to_here.exists())


async def transfer_view(
    conn: AsyncConnection, viewer: Person | None, transfer_id: str, *, sources: Collection[str] | None = None
) -> TransferView:
    """A transfer by its own id or the one that a source gave it. Raises `NotFound` for one that the viewer may not
    see.
    """
    named = [transfer_id, *(journey_id("transfer", one, transfer_id) for one in sorted({*(sources or ()), OWN_SOURCE}))]
    query = (
        select(journey, *(column for column in transfer.c if column.name not in ("journey_id", "recorded_at")))
        .join(transfer, transfer.c.journey_id == journey.c.id)
        .where(journey.c.id.in_(named), visible_transfer(viewer), of_sources(journey.c.source, sources))
    )
    found = sorted(
        (dict(row) for row in (await conn.execute(query)).mappings()), key=lambda row: named.index(row["id"])
    )
    if not found:
        raise NotFound(f"There is no transfer {transfer_id} that you may see.")
    row = found[0]
    key = row["id"]
    return TransferView(
        journey_id=key,
        transfer_id=row["key"],
        from_=row["from_location"],
        to=row["to_location"],
        dues={name: datetime.fromisoformat(at) for name, at in row["dues"].items() if at},
        case_id=row["asks"].get("case_id"),
        approval_id=row["asks"].get("approval_id"),
        counts=row["detail"].get("recounts", []),
        lines=[TransferLineView.model_validate(dict(line)) for line in await _of(conn, transfer_line, key, "line_id")],
        extras=[ExtraView.model_validate(dict(extra)) for extra in await _of(conn, transfer_extra, key, "id")],
        parcels=[ParcelView.model_validate(dict(parcel)) for parcel in await _of(conn, transfer_parcel, key, "id")],
        claims=[_claim(claim) for claim in await _of(conn, carrier_claim, key, "id")],
        tracking=[
            TrackingView.model_validate(dict(told))
            for told in await _of(conn, parcel_tracking, key, "tracking")
            if told["status"] is not None
        ],
        **{
            name: row[name]
            for name in (
                "source", "state", "reason", "needed_by", "value_minor", "currency", "opened_at", "approved_at",
                "completed_at", "closed_at",
            )
        },
    )  # fmt: skip


async def _of(conn: AsyncConnection, table: Any, key: str, order: str) -> list[Any]:
    rows = await conn.execute(select(table).where(table.c.journey_id == key).order_by(table.c[order]))
    return list(rows.mappings())


def _claim(row: Any) -> ClaimView:
    answered = row["state"] in ("accepted", "declined", "paid")
    return ClaimView.model_validate(
        {**row, "claim_id": row["id"], "accepted_minor": row["accepted_minor"] if answered else None}
    )


async def claim_view(
    conn: AsyncConnection, viewer: Person | None, claim_id: int, *, sources: Collection[str] | None = None
) -> ClaimView:
    """A claim. Raises `NotFound` for one of a transfer that the viewer may not see."""
    query = (
        select(carrier_claim)
        .join(journey, journey.c.id == carrier_claim.c.journey_id)
        .where(carrier_claim.c.id == claim_id, visible_transfer(viewer), of_sources(journey.c.source, sources))
    )
    row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"There is no claim {claim_id} that you may see.")
    return _claim(row)
