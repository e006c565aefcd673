"""Reads what a basket can be promised where: every location in one query, ranked, each line with how it comes about."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed, UnknownLocation, UnknownSku
from domain.people import Person
from domain.stock import atp, confidence_buffer
from ledger.goods import Places, places_of
from ledger.reads.access import visible_location
from ledger.tables import item, location

MAX_LINES = 100
MAX_QUANTITY = 1_000_000
_PAIR = re.compile(r"(?P<sku>[^\s\x00-\x1f\x7f|/]{1,80}):(?P<quantity>[0-9]{1,7})")


class Wanted(NamedTuple):
    """A line of the basket; the quantity in the item's base unit."""

    sku: str
    quantity: int


class PromisedLine(BaseModel):
    """What one location can promise of a line: `promise` is available less what is kept back, at most `quantity`.

    `channel_threshold`, `safety_stock` and `confidence_buffer` are kept back; `available` may be below zero.
    """

    sku: str
    quantity: int
    promise: int
    short: int
    available: int
    safety_stock: int
    channel_threshold: int
    confidence_buffer: int


class LocationAvailability(BaseModel):
    """A location and what it can promise of the basket. `distance_km` is the straight line from `near`."""

    location: str
    name: str
    kind: str
    region: str
    pickup: bool
    distance_km: float | None
    covers: bool
    promised_units: int
    why: str
    lines: list[PromisedLine]


class Availability(BaseModel):
    """Locations, the best first: those that cover the basket, then by units promised, each by distance."""

    channel: str
    near: str | None
    units: int
    locations_asked: int
    locations: list[LocationAvailability]


def parse_basket(pairs: Sequence[str]) -> list[Wanted]:
    """`SKU:quantity` pairs, repeats added up, in the order in which they come first.

    Raises `Malformed`, naming the pair, for one that is none, a quantity of 0, or more than 100 lines.
    """
    basket: dict[str, int] = {}
    for number, pair in enumerate(pairs):
        found = _PAIR.fullmatch(pair)
        quantity = int(found["quantity"]) if found else 0
        if found is None or not 0 < quantity <= MAX_QUANTITY:
            raise Malformed(
                f"“{pair[:100]}” is no SKU:quantity with a quantity from 1 to {MAX_QUANTITY}.", pointer=f"/sku/{number}"
            )
        basket[found["sku"]] = basket.get(found["sku"], 0) + quantity
    if not basket:
        raise Malformed("Name at least one SKU: sku=1082185:2.", pointer="/sku")
    if len(basket) > MAX_LINES:
        raise Malformed(f"A basket has at most {MAX_LINES} lines; this one has {len(basket)}.", pointer="/sku")
    return [Wanted(sku, quantity) for sku, quantity in basket.items()]


# Missing stock rows count as nothing on the shelf. `no` keeps the lines in the order of the basket. OFFSET 0 has each
# row looked up by its key: the cost is that of the answer, however much stock there is beside it.
_ASK = """
    WITH wanted AS (
        SELECT * FROM unnest(CAST(:skus AS text[])) WITH ORDINALITY AS w(sku, no)
    ), here AS (SELECT latitude, longitude FROM location WHERE code = :near)
    SELECT location.code, location.name, location.kind, location.region, location.entity,
        location.pickup AND location.status = 'open' AND location.kind IN ('store', 'hub') AS pickup,
        2 * 6371 * asin(sqrt(CASE WHEN far.chord > 1 THEN 1 ELSE far.chord END)) AS distance_km,
        array_agg(coalesce(s.available, 0) ORDER BY w.no) AS available,
        array_agg(coalesce(s.safety_stock, 0) ORDER BY w.no) AS safety_stock,
        array_agg(coalesce(s.confidence_permille, 1000) ORDER BY w.no) AS confidence_permille
    FROM location LEFT JOIN here ON true
    CROSS JOIN LATERAL (
        SELECT power(sin(radians(location.latitude - here.latitude) / 2), 2)
            + cos(radians(location.latitude)) * cos(radians(here.latitude))
            * power(sin(radians(location.longitude - here.longitude) / 2), 2) AS chord
    ) far
    CROSS JOIN wanted w
    LEFT JOIN LATERAL (
        SELECT available, safety_stock, confidence_permille FROM stock
        WHERE stock.location = location.code AND stock.sku = w.sku OFFSET 0
    ) s ON true
    WHERE location.status <> 'closed' AND {visible}
    GROUP BY location.code, far.chord
"""


async def availability(
    conn: AsyncConnection,
    viewer: Person | None,
    basket: Sequence[Wanted],
    *,
    near: str | None = None,
    channel: str = "web",
    limit: int = 50,
) -> Availability:
    """What each location that the viewer sees can promise of a basket. Nothing is reserved by asking.

    Raises `UnknownSku`, `UnknownLocation` for `near`.
    """
    items = await _items(conn, basket)
    if near is not None:
        known = await conn.execute(select(location.c.code).where(location.c.code == near, visible_location(viewer)))
        if known.first() is None:
            raise UnknownLocation(f"Location {near} is not in the master data; correct `near`.", pointer="/near")
    visible = visible_location(viewer).compile(compile_kwargs={"render_postcompile": True})
    rows = await conn.execute(
        text(_ASK.replace("{visible}", str(visible))),
        {"skus": [line.sku for line in basket], "near": near, **visible.params},
    )
    found = rows.mappings().all()
    places = places_of(conn)
    await places.refresh(conn, {row["code"] for row in found})
    now = (await conn.execute(text("SELECT now()"))).scalar_one()
    thresholds = {row["code"]: _threshold(places, row["code"], now, channel) for row in found}
    ranked = sorted((_ranked(row, basket, items, thresholds[row["code"]]) for row in found), key=lambda one: one.rank)
    return Availability(
        channel=channel,
        near=near,
        units=sum(line.quantity for line in basket),
        locations_asked=len(found),
        locations=[_answer(one, basket, items, thresholds[one.row["code"]]) for one in ranked[:limit]],
    )


async def _items(conn: AsyncConnection, basket: Sequence[Wanted]) -> dict[str, bool]:
    """Whether each SKU may be sold. Raises `UnknownSku`, naming every one that is not in the master data."""
    rows = await conn.execute(select(item.c.sku, item.c.stop_sale).where(item.c.sku.in_([one.sku for one in basket])))
    items = {row.sku: not row.stop_sale for row in rows}
    unknown = [number for number, line in enumerate(basket) if line.sku not in items]
    if unknown:
        named = ", ".join(basket[number].sku for number in unknown[:5]) + (" …" if len(unknown) > 5 else "")
        raise UnknownSku(
            f"SKU {named} is not in the master data. Correct the basket, or have it loaded first.",
            pointer=f"/sku/{unknown[0]}",
        )
    return items


def _threshold(places: Places, code: str, now: Any, channel: str) -> int:
    return places.policy(places.place(code), now).stock.channel_threshold.get(channel, 0)


class _Ranked(NamedTuple):
    rank: tuple[Any, ...]
    row: RowMapping
    promises: list[int]


def _ranked(row: RowMapping, basket: Sequence[Wanted], items: Mapping[str, bool], threshold: int) -> _Ranked:
    promises = [
        min(
            line.quantity,
            atp(available, safety_stock=safety, channel_threshold=threshold, confidence_permille=confidence),
        )
        if items[line.sku]
        else 0
        for line, available, safety, confidence in zip(
            basket, row["available"], row["safety_stock"], row["confidence_permille"], strict=True
        )
    ]
    distance = row["distance_km"]
    total = sum(promises)
    covers = total == sum(line.quantity for line in basket)
    return _Ranked((not covers, -total, distance is None, distance or 0.0, row["code"]), row, promises)


def _answer(one: _Ranked, basket: Sequence[Wanted], items: Mapping[str, bool], threshold: int) -> LocationAvailability:
    row = one.row
    lines = [
        PromisedLine(
            sku=line.sku,
            quantity=line.quantity,
            promise=promise,
            short=line.quantity - promise,
            available=row["available"][no],
            safety_stock=row["safety_stock"][no],
            channel_threshold=threshold,
            confidence_buffer=confidence_buffer(row["available"][no], row["confidence_permille"][no]),
        )
        for no, (line, promise) in enumerate(zip(basket, one.promises, strict=True))
    ]
    short = [line for line in lines if line.short]
    return LocationAvailability(
        location=row["code"],
        name=row["name"],
        kind=row["kind"],
        region=row["region"],
        pickup=row["pickup"],
        distance_km=row["distance_km"],
        covers=not short,
        promised_units=sum(one.promises),
        why=_why(short, items),
        lines=lines,
    )


def _why(short: Sequence[PromisedLine], items: Mapping[str, bool]) -> str:
    """One sentence: everything is there, or what is not and what keeps it back."""
    if not short:
        return "Everything can be promised."
    parts = []
    for line in short[:3]:
        if not items[line.sku]:
            parts.append(f"{line.sku} is stopped from sale")
            continue
        kept = min(
            line.safety_stock + line.channel_threshold + line.confidence_buffer, max(line.available - line.promise, 0)
        )
        held = f", {kept} kept back" if kept else ""
        parts.append(f"{line.promise} of {line.quantity} {line.sku} ({max(line.available, 0)} on the shelf{held})")
    more = f", and {len(short) - 3} more lines" if len(short) > 3 else ""
    return f"Short: {'; '.join(parts)}{more}."
