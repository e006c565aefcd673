"""Reads of returns: one with its lines and dispositions, and what a store has to inspect."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.exchanges import ExchangeView
from domain.ids import journey_id
from domain.overrides import allowed_of
from domain.people import Person
from domain.return_requests import DispositionView, ReturnedLine, ReturnView
from ledger.reads.access import of_sources, visible
from ledger.reads.overrides import overrides_of
from ledger.tables import item, journey, return_disposition, return_line

KIND = "returns"


async def return_view(
    conn: AsyncConnection, viewer: Person | None, named: str, *, sources: Collection[str] | None = None
) -> ReturnView:
    """A return by its journey's id, or by its own in one of the sources. Raises `NotFound`."""
    wanted = [named, *(journey_id(KIND, source, named) for source in sorted(sources or ()))]
    rows = await conn.execute(
        select(journey).where(
            journey.c.id.in_(wanted),
            journey.c.kind == KIND,
            visible(journey.c, viewer),
            of_sources(journey.c.source, sources),
        )
    )
    found = sorted(rows.mappings(), key=lambda row: wanted.index(row["id"]))
    if not found:
        raise NotFound(f"There is no return {named} that you may see.")
    row = found[0]
    detail = row["detail"]
    decided = await _dispositions(conn, row["id"])
    return ReturnView(
        journey_id=row["id"],
        return_id=row["key"],
        source=row["source"],
        state=row["state"],
        location=row["location"],
        method=detail["method"],
        label=detail.get("label"),
        currency=row["currency"],
        order=detail.get("order"),
        opened_at=row["opened_at"],
        closed_at=row["closed_at"],
        fraud=detail["fraud"],
        exchange=_exchange(detail.get("exchange")),
        lines=await _lines(conn, row["id"], decided),
        dispositions=decided,
        overrides=await overrides_of(conn, row["id"]),
    )


def _exchange(found: Mapping[str, Any] | None) -> ExchangeView | None:
    # One that costs no more has no difference, and one of before it could be sent does not say that it is not.
    return (
        None
        if found is None
        else ExchangeView.model_validate(
            {name: value for name, value in found.items() if name in ExchangeView.model_fields}
        )
    )


async def _lines(conn: AsyncConnection, own: str, decided: list[DispositionView]) -> list[ReturnedLine]:
    missing: dict[str, int] = {}
    for one in decided:
        if one.disposition == "missing" and one.state == "applied":
            missing[one.line_id] = missing.get(one.line_id, 0) + one.quantity
    rows = await conn.execute(
        select(return_line).where(return_line.c.journey_id == own).order_by(return_line.c.line_id)
    )
    return [
        ReturnedLine(
            line_id=row["line_id"],
            sku=row["sku"],
            reason=row["reason"],
            claimed=row["claimed"],
            received=row["received"],
            accepted=row["accepted"],
            declined=row["declined"],
            waiting=row["received"] - row["accepted"] - row["declined"],
            refunded=row["refunded"],
            refunded_minor=row["refunded_minor"],
            fee_minor=row["fee_minor"],
            refused=row["ruling"].get("refused", ""),
            because=row["ruling"].get("because", ""),
            may_override=allowed_of(dict(row), missing.get(row["line_id"], 0)).total > 0,
        )
        for row in rows.mappings()
    ]


async def _dispositions(conn: AsyncConnection, own: str) -> list[DispositionView]:
    table = return_disposition
    rows = await conn.execute(select(table).where(table.c.journey_id == own).order_by(table.c.id))
    return [
        DispositionView.model_validate({name: row[name] for name in DispositionView.model_fields})
        for row in rows.mappings()
    ]


class ToInspect(NamedTuple):
    """Units of a return that wait for their inspection at a place."""

    journey_id: str
    key: str
    units: int
    due_at: datetime | None
    now: datetime  # the return's own clock


_TO_INSPECT = text(
    "SELECT j.id, j.key, now() + make_interval(secs => j.clock_offset_s) AS now,"
    " sum(l.received - l.accepted - l.declined - l.asked)::int AS units,"
    " j.dues ->> 'inspection' AS due_at"
    " FROM journey j JOIN return_line l ON l.journey_id = j.id"
    " WHERE j.kind = 'returns' AND j.closed_at IS NULL AND j.location = :location GROUP BY j.id"
    " HAVING sum(l.received - l.accepted - l.declined - l.asked) > 0"
    " ORDER BY j.dues ->> 'inspection' NULLS LAST, j.id LIMIT 200"
)


async def to_inspect(conn: AsyncConnection, location: str) -> list[ToInspect]:
    """Returns with goods at a place that nobody has looked at, the most urgent first."""
    rows = await conn.execute(_TO_INSPECT, {"location": location})
    return [
        ToInspect(row.id, row.key, row.units, datetime.fromisoformat(row.due_at) if row.due_at else None, row.now)
        for row in rows
    ]


async def names_of(conn: AsyncConnection, skus: Collection[str]) -> dict[str, str]:
    """What items are called, by SKU."""
    rows = await conn.execute(select(item.c.sku, item.c.name).where(item.c.sku.in_(sorted(skus))))
    return {row.sku: row.name for row in rows}
