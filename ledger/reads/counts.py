"""Reads of counts: the list of a place, one count with what it says so far, and the blind sheet that a device fills."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.count import BEING_COUNTED
from domain.counts import CountedLine, CountView
from domain.errors import NotFound
from domain.ids import journey_id
from domain.people import Person
from ledger.reads.access import of_sources, visible
from ledger.tables import count_entry, count_line, item, journey

LIST_ROWS = 200


class CountRow(BaseModel):
    """A count in a list; `counted` of `lines` have a figure in the present round."""

    id: str
    key: str
    location: str
    state: str
    reason: str
    round: int
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    lines: int
    counted: int


class SheetLine(BaseModel):
    """A line as whoever counts sees it: never a book quantity, and of an earlier count only that there was one."""

    sku: str
    bucket: str
    name: str
    quantity: int | None
    saved_at: datetime | None


class SheetView(BaseModel):
    """What a device needs to count."""

    id: str
    key: str
    location: str
    region: str
    entity: str
    state: str
    round: int
    session: dict[str, str] | None
    lines: list[SheetLine]

    @property
    def is_counted_now(self) -> bool:
        return self.state in BEING_COUNTED

    @property
    def left(self) -> int:
        return sum(line.quantity is None for line in self.lines)


def _due(dues: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(dues["count"]) if dues.get("count") else None


async def list_counts(
    conn: AsyncConnection, viewer: Person, *, location: str | None = None, closed: bool = False
) -> list[CountRow]:
    """Counts that the viewer may see, those that are due first; closed ones newest first. At most `LIST_ROWS`."""
    in_round = and_(
        count_entry.c.journey_id == journey.c.id,
        count_entry.c.round == journey.c.detail["round"].as_integer(),
    )
    here = and_(count_line.c.journey_id == journey.c.id, count_line.c.round == journey.c.detail["round"].as_integer())
    query = select(
        journey.c.id, journey.c.key, journey.c.location, journey.c.state, journey.c.detail, journey.c.opened_at,
        journey.c.dues, journey.c.closed_at,
        select(func.count()).select_from(count_line).where(here).scalar_subquery().label("lines"),
        select(func.count()).select_from(count_entry).where(in_round).scalar_subquery().label("counted"),
    ).where(journey.c.kind == "count", visible(journey.c, viewer))  # fmt: skip
    if location is not None:
        query = query.where(journey.c.location == location)
    if closed:
        query = query.where(journey.c.closed_at.is_not(None)).order_by(journey.c.closed_at.desc(), journey.c.id)
    else:
        query = query.where(journey.c.closed_at.is_(None)).order_by(journey.c.opened_at, journey.c.id)
    rows = (await conn.execute(query.limit(LIST_ROWS))).mappings()
    return [
        CountRow(
            **{name: row[name] for name in ("id", "key", "location", "state", "opened_at", "closed_at", "lines")},
            counted=row["counted"],
            reason=row["detail"]["reason"],
            round=row["detail"]["round"],
            due_at=_due(row["dues"]),
        )
        for row in rows
    ]


async def to_count(conn: AsyncConnection, location: str) -> int:
    """How many counts of a place wait for somebody who counts."""
    query = select(func.count()).where(
        journey.c.kind == "count",
        journey.c.location == location,
        journey.c.state.in_(sorted(BEING_COUNTED)),
        journey.c.closed_at.is_(None),
    )
    return int((await conn.execute(query)).scalar_one())


async def _row(
    conn: AsyncConnection, viewer: Person | None, count_id: str, sources: Collection[str] | None
) -> dict[str, Any]:
    """The journey of a count, by its own id or by the id that a source gave it."""
    named = [count_id] + [journey_id("count", source, count_id) for source in sorted({*(sources or ()), "endcap"})]
    own = None if sources is None else {*sources, "endcap"}
    query = select(journey).where(
        journey.c.id.in_(named),
        journey.c.kind == "count",
        visible(journey.c, viewer),
        of_sources(journey.c.source, own),
    )
    found = sorted(
        (dict(row) for row in (await conn.execute(query)).mappings()), key=lambda row: named.index(row["id"])
    )
    if not found:
        raise NotFound(f"There is no count {count_id} that you may see.")
    return found[0]


async def count_view(
    conn: AsyncConnection, viewer: Person | None, count_id: str, *, sources: Collection[str] | None = None
) -> CountView:
    """One count. Raises `NotFound`. A line says nothing of the book before it was compared and agreed."""
    row = await _row(conn, viewer, count_id, sources)
    lines = await conn.execute(
        select(count_line).where(count_line.c.journey_id == row["id"]).order_by(count_line.c.sku, count_line.c.bucket)
    )
    return CountView(
        journey_id=row["id"],
        count_id=row["key"],
        source=row["source"],
        location=row["location"],
        state=row["state"],
        reason=row["detail"]["reason"],
        round=row["detail"]["round"],
        opened_at=row["opened_at"],
        due_at=_due(row["dues"]),
        closed_at=row["closed_at"],
        lines=[_line(line) for line in lines.mappings()],
    )


def _line(line: Any) -> CountedLine:
    compared = line["book"] is not None
    return CountedLine(
        line_id=f"{line['sku']}/{line['bucket']}" if line["bucket"] else line["sku"],
        sku=line["sku"],
        bucket=line["bucket"] or None,
        state=line["state"],
        round=line["round"],
        counted=line["counted"],
        counted_at=line["counted_at"],
        book=line["book"],
        difference=line["counted"] - line["book"] if compared else None,
        value_minor=line["value_minor"] if compared else None,
        root_cause=line["root_cause"],
        risk=line["risk"],
    )


async def sheet_view(conn: AsyncConnection, viewer: Person, count_id: str) -> SheetView:
    """The lines of the present round with what was entered for them. Raises `NotFound`."""
    row = await _row(conn, viewer, count_id, None)
    round_ = row["detail"]["round"]
    same = and_(
        count_entry.c.journey_id == count_line.c.journey_id,
        count_entry.c.round == round_,
        count_entry.c.sku == count_line.c.sku,
        count_entry.c.bucket == count_line.c.bucket,
    )
    lines = await conn.execute(
        select(
            count_line.c.sku, count_line.c.bucket, func.coalesce(item.c.name, count_line.c.sku).label("name"),
            count_entry.c.quantity, count_entry.c.counted_at.label("saved_at"),
        )
        .outerjoin(item, item.c.sku == count_line.c.sku)
        .outerjoin(count_entry, same)
        .where(count_line.c.journey_id == row["id"], count_line.c.round == round_)
        .order_by("name", count_line.c.sku, count_line.c.bucket)
    )  # fmt: skip
    return SheetView(
        **{name: row[name] for name in ("id", "key", "location", "region", "entity", "state")},
        round=round_,
        session=row["detail"].get("session"),
        lines=[SheetLine.model_validate(dict(line)) for line in lines.mappings()],
    )
