"""What each place of a promotion was to be expected to sell: its forecast, spread by the places' own past over places,
items and hours of the week. Worked out by the first look and kept: later sales do not change what was expected.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from domain.velocity import WEEK_HOURS, Hours, drawn_shares, shape
from ledger import rows
from ledger.look.sold import Scope, past_hours, past_items
from ledger.promotion.document import Promotion
from ledger.reference import Place
from ledger.tables import item, promotion_cell, promotion_expected, promotion_line

# How many customers' worth of the model a past is drawn towards: of its opening hours for all places together, of all
# places for one of them; and units, for how an item spreads over places.
TOWARDS_OPEN, TOWARDS_ALL, TOWARDS_PLACES = 50.0, 100.0, 20.0


class Expected(NamedTuple):
    """Of one place, over the whole promotion; `usual_units` is what it sold in an ordinary week before."""

    location: str
    time_zone: str
    forecast_units: float
    forecast_receipts: float
    usual_units: float
    shape: Hours


async def ensure(it: Promotion, scope: Scope, places: Mapping[str, Place], weeks: int) -> dict[str, Expected]:
    """What is expected of each place, worked out where it has not been yet. The promotion is locked."""
    found = await _read(it, weeks)
    if not found:
        await _work_out(it, scope, places, weeks)
        found = await _read(it, weeks)
    return found


async def _read(it: Promotion, weeks: int) -> dict[str, Expected]:
    own = promotion_expected.c
    kept = await it.tx.conn.execute(select(promotion_expected).where(own.journey_id == it.id).order_by(own.location))
    return {
        row["location"]: Expected(
            row["location"], row["time_zone"], row["forecast_units"], row["forecast_receipts"],
            row["past_units"] / weeks, tuple(row["shape"]),
        )
        for row in kept.mappings()
    }  # fmt: skip


class _Past(NamedTuple):
    """Units and receipts by (location, SKU), and receipts by place and hour of the week."""

    units: dict[tuple[str, str], int]
    receipts: dict[tuple[str, str], int]
    hours: dict[str, list[float]]


async def _past(it: Promotion, scope: Scope, weeks: int) -> _Past:
    ends = it.head["starts_at"]
    begins: datetime = ends - timedelta(weeks=weeks)
    units, receipts = {}, {}
    for row in await past_items(it.tx.conn, scope, begins, ends):
        units[row["location"], row["sku"]] = int(row["units"])
        receipts[row["location"], row["sku"]] = int(row["receipts"])
    hours: dict[str, list[float]] = defaultdict(lambda: [0.0] * WEEK_HOURS)
    for row in await past_hours(it.tx.conn, scope, begins, ends):
        hours[row["location"]][row["hour"]] = float(row["receipts"])
    return _Past(units, receipts, hours)


async def _work_out(it: Promotion, scope: Scope, places: Mapping[str, Place], weeks: int) -> None:
    past = await _past(it, scope, weeks)
    codes = sorted(places)
    forecast = await _by_item(it, scope.skus, past)
    every_hour = [sum(column) for column in zip(*past.hours.values(), strict=True)] if past.hours else []
    # A place with no past at all counts like a small one, not like none.
    size = drawn_shares([sum(past.hours[code]) if code in past.hours else 0.0 for code in codes], [1.0] * len(codes),
                        float(len(codes)))  # fmt: skip
    cells = []
    units_at, receipts_at = dict.fromkeys(codes, 0.0), dict.fromkeys(codes, 0.0)
    for sku, wanted in sorted(forecast.items()):
        own = [float(past.units.get((code, sku), 0)) for code in codes]
        each = _units_on_a_receipt(past, codes, sku)
        for code, part in zip(codes, drawn_shares(own, size, TOWARDS_PLACES), strict=True):
            units_at[code] += wanted * part
            receipts_at[code] += wanted * part / each
            cells.append(
                {
                    "journey_id": it.id, "location": code, "sku": sku, "forecast_units": wanted * part,
                    "forecast_receipts": wanted * part / each, "past_units": past.units.get((code, sku), 0),
                }
            )  # fmt: skip
    whole = sum(past.receipts.values())
    # Several of the items on one receipt are one customer.
    together = sum(every_hour) / whole if whole and every_hour else 1.0
    kept = []
    for code in codes:
        model = shape(every_hour or [0.0] * WEEK_HOURS, opening_hours(places[code]), TOWARDS_OPEN)
        kept.append(
            {
                "journey_id": it.id,
                "location": code,
                "time_zone": places[code].hours.time_zone,
                "forecast_units": units_at[code],
                "forecast_receipts": receipts_at[code] * together,
                "past_units": sum(past.units.get((code, sku), 0) for sku in scope.skus),
                "past_receipts": int(sum(past.hours[code])) if code in past.hours else 0,
                "shape": list(shape(past.hours.get(code, [0.0] * WEEK_HOURS), model, TOWARDS_ALL)),
            }
        )
    await rows.write(it.tx.conn, promotion_cell, cells)
    await rows.write(it.tx.conn, promotion_expected, kept)


def _units_on_a_receipt(past: _Past, codes: Sequence[str], sku: str) -> float:
    units = sum(past.units.get((code, sku), 0) for code in codes)
    receipts = sum(past.receipts.get((code, sku), 0) for code in codes)
    return units / receipts if receipts else 1.0


async def _by_item(it: Promotion, skus: Sequence[str], past: _Past) -> dict[str, float]:
    """The forecast of each item: its own line's, and its share by past sales of its category's."""
    sold: dict[str, int] = defaultdict(int)
    for (_, sku), units in past.units.items():
        sold[sku] += units
    found = await it.tx.conn.execute(select(item.c.sku, item.c.category).where(item.c.sku.in_(skus)))
    among: dict[str, list[str]] = defaultdict(list)
    for row in found:
        among[row.category].append(row.sku)
    lines = await it.tx.conn.execute(select(promotion_line).where(promotion_line.c.journey_id == it.id))
    forecast: dict[str, float] = dict.fromkeys(skus, 0.0)
    for line in lines.mappings():
        if line["sku"] is not None:
            forecast[line["sku"]] = forecast.get(line["sku"], 0.0) + line["forecast_units"]
            continue
        meant = sorted(among[line["category"]])
        shares = drawn_shares([float(sold[sku]) for sku in meant], [1.0] * len(meant), float(len(meant)))
        for sku, part in zip(meant, shares, strict=True):
            forecast[sku] += line["forecast_units"] * part
    return forecast


def opening_hours(place: Place) -> list[float]:
    """1 for each hour of the local week in which the place is open, or a part of it."""
    found = [0.0] * WEEK_HOURS
    for weekday, (opens, closes) in place.hours.weekdays.items():
        begin = opens.hour
        end = closes.hour + (1 if closes.minute or closes.second else 0)
        if closes <= opens:
            end += 24
        for hour in range(begin, end):
            found[(weekday * 24 + hour) % WEEK_HOURS] = 1.0
    return found
