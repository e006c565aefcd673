"""What a look sees at each place: what was sold in the last hours against what was to be expected, whether that is a
surge, and what the shelves still have for the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.look_policy import LookPolicy
from domain.rebalance import Shelves
from domain.stock import atp
from domain.velocity import Hours, Span, hours_between, loudest, pace, share, weighed
from ledger.look.expected import Expected
from ledger.transfer.promising import CHANNEL

DAY = timedelta(days=1)
SLOW_FROM = 10.0  # receipts to be expected; of fewer, half of them says nothing
SLOW_PACE = 0.5


class Times(NamedTuple):
    """The instants that a look reckons with. `windows` are hours back, each from a full hour on."""

    begins: datetime
    at: datetime
    ends: datetime
    short_by: datetime
    filled_until: datetime
    windows: tuple[tuple[int, datetime], ...]

    @classmethod
    def of(cls, begins: datetime, at: datetime, ends: datetime, policy: LookPolicy) -> "Times":
        hour = at.replace(minute=0, second=0, microsecond=0)
        return cls(
            begins, at, ends,
            min(at + timedelta(seconds=policy.short_cover_s), ends),
            min(at + timedelta(seconds=policy.fill_s), ends),
            tuple((back, max(begins, hour - timedelta(hours=back))) for back in sorted(policy.windows_h)),
        )  # fmt: skip


class Weights(NamedTuple):
    """The hours of the local week of a zone, as often as they lie in each of the spans that a look asks about."""

    whole: Hours
    so_far: Hours
    until_short: Hours
    until_filled: Hours
    until_end: Hours
    windows: tuple[Hours, ...]

    @classmethod
    def of(cls, times: Times, zone: str) -> "Weights":
        return cls(
            hours_between(times.begins, times.ends, zone),
            hours_between(times.begins, times.at, zone),
            hours_between(times.at, times.short_by, zone),
            hours_between(times.at, times.filled_until, zone),
            hours_between(times.at, times.ends, zone),
            tuple(hours_between(since, times.at, zone) for _, since in times.windows),
        )


class Sold(NamedTuple):
    """Since the promotion began, of a place, or of one of its items: `windows` are receipts in each of them."""

    receipts: int
    units: int
    revenue_minor: int
    cost_minor: int
    windows: tuple[int, ...]


NOTHING = Sold(0, 0, 0, 0, ())


@dataclass
class Seen:
    """One place. `surge` is the span in which it sells out of all proportion; `items` are the items that do so by
    themselves. `cells` counts its items, of which `short_items` will be short; `available`, `inbound` and `until_end`
    are units of all of them. `shelves` are those of a place that surges, and of others what they are asked to give.
    """

    expected: Expected
    weights: Weights
    sold: Sold
    expected_units: float
    usual_units: float
    surge: Span | None
    pace: float
    items: dict[str, Span] = field(default_factory=dict)
    shelves: dict[str, Shelves] = field(default_factory=dict)
    is_slow: bool = False
    cells: int = 0
    available: int = 0
    inbound: int = 0
    short_items: int = 0
    until_end: float = 0.0

    @property
    def loudest(self) -> Span | None:
        """Its own surge, or the loudest of its items'."""
        return self.surge or max(self.items.values(), key=lambda span: span.times, default=None)

    @property
    def state(self) -> str:
        if self.loudest is not None:
            return "surge"
        if self.short_items:
            return "short"
        return "slow" if self.is_slow else "as_forecast"

    def add(self, shelves: Sequence[Shelves]) -> None:
        """All of its shelves are known: sum them up, and keep them where it surges."""
        self.available = sum(max(one.available, 0) for one in shelves)
        self.inbound = sum(one.inbound for one in shelves)
        self.short_items = sum(one.available + one.inbound < one.until_short + one.safety for one in shelves)
        self.until_end = sum(one.until_end for one in shelves)
        if self.loudest is not None:
            self.shelves = {one.sku: one for one in shelves}


_HOURS = """
    SELECT location, sku, sum(receipts)::int AS receipts, sum(units)::int AS units,
        sum(revenue_minor)::bigint AS revenue, sum(cost_minor)::bigint AS cost{windows}
    FROM promotion_hour WHERE journey_id = :id AND {which} GROUP BY location, sku
"""


async def _sold(conn: AsyncConnection, about: str, times: Times, which: str) -> Mapping[tuple[str, str], Sold]:
    windows = "".join(
        f", (coalesce(sum(receipts) FILTER (WHERE hour >= CAST(:w{number} AS timestamptz)), 0))::int AS w{number}"
        for number in range(len(times.windows))
    )
    given = {f"w{number}": since for number, (_, since) in enumerate(times.windows)}
    rows = await conn.execute(text(_HOURS.format(windows=windows, which=which)), {"id": about, **given})
    return {
        (row["location"], row["sku"]): Sold(
            row["receipts"], row["units"], row["revenue"], row["cost"],
            tuple(row[f"w{number}"] for number in range(len(times.windows))),
        )
        for row in rows.mappings()
    }  # fmt: skip


# Units on their way to a place, or asked for; and units asked for from a place that nobody has agreed to yet.
_OPEN = text(
    """
    WITH open AS (
        SELECT t.from_location, t.to_location, l.sku, j.state,
            greatest(l.ordered - l.cancelled - l.received - l.damaged - l.settled, 0) AS units
        FROM transfer t JOIN journey j ON j.id = t.journey_id AND j.closed_at IS NULL
        JOIN transfer_line l ON l.journey_id = t.journey_id
        WHERE l.sku = ANY(CAST(:skus AS text[]))
    )
    SELECT to_location AS location, sku, sum(units)::int AS coming, 0 AS asked FROM open GROUP BY 1, 2
    UNION ALL
    SELECT from_location, sku, 0, sum(units)::int FROM open WHERE state = 'pending_approval' GROUP BY 1, 2
    """
)
_CELLS = text(
    """
    SELECT c.location, c.sku, c.forecast_units, c.forecast_receipts, coalesce(s.available, 0),
        coalesce(s.safety_stock, 0), coalesce(s.confidence_permille, 1000)
    FROM promotion_cell c LEFT JOIN stock s ON s.location = c.location AND s.sku = c.sku
    WHERE c.journey_id = :id AND c.location = ANY(CAST(:places AS text[]))
      AND (CAST(:only AS text[]) IS NULL OR c.sku = ANY(CAST(:only AS text[])))
    """
)
AT_ONCE = 20_000  # items of places that are read together


@dataclass
class Eye:
    """A look at every place of a promotion, some places at a time: its items may be a million. `thresholds` are what
    each place keeps from transfers; `moving` are units by (location, SKU): coming, and asked for.
    """

    conn: AsyncConnection
    about: str
    times: Times
    policy: LookPolicy
    thresholds: Mapping[str, int]
    skus: Sequence[str]
    of_items: Mapping[tuple[str, str], Sold] = field(default_factory=dict)
    moving: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    async def see(self, expected: Mapping[str, Expected]) -> dict[str, Seen]:
        """Every place."""
        conn, times = self.conn, self.times
        whole = await _sold(conn, self.about, times, "sku = ''")
        earliest = min((since for _, since in times.windows), default=times.begins)
        recent = f"sku <> '' AND hour >= '{earliest.isoformat()}'"
        self.of_items = await _sold(conn, self.about, times, recent)
        for row in await conn.execute(_OPEN, {"skus": list(self.skus)}):
            coming, asked = self.moving.get((row.location, row.sku), (0, 0))
            self.moving[row.location, row.sku] = coming + row.coming, asked + row.asked
        weights = {zone: Weights.of(times, zone) for zone in sorted({one.time_zone for one in expected.values()})}
        found = {
            code: _place(one, whole.get((code, ""), NOTHING), weights[one.time_zone], times, self.policy)
            for code, one in expected.items()
        }
        async for code, cells in self._cells(sorted(found)):
            seen, shelves = found[code], []
            seen.cells = len(cells)
            for shelf, surge in self._shelves(seen, cells):
                shelves.append(shelf)
                if surge is not None:
                    seen.items[shelf.sku] = surge
            seen.add(shelves)
        return found

    async def ask(self, found: Mapping[str, Seen], skus: Iterable[str]) -> None:
        """Of places that do not surge, have the shelves of these items: they may be asked to give some."""
        calm = sorted(code for code, one in found.items() if one.loudest is None)
        only = sorted(set(skus))
        if not only:
            return
        async for code, cells in self._cells(calm, only):
            found[code].shelves = {shelf.sku: shelf for shelf, _ in self._shelves(found[code], cells)}

    async def _cells(
        self, places: Sequence[str], only: Sequence[str] | None = None
    ) -> AsyncIterator[tuple[str, Sequence[Row[Any]]]]:
        """The items of each place, all or `only` these. Between two places whatever else this process does goes on."""
        step = max(AT_ONCE // max(len(only or self.skus), 1), 1)
        for first in range(0, len(places), step):
            some = places[first : first + step]
            read: dict[str, list[Row[Any]]] = {code: [] for code in some}
            given = {"id": self.about, "places": list(some), "only": None if only is None else list(only)}
            for row in await self.conn.execute(_CELLS, given):
                read[row.location].append(row)
            for code in some:
                yield code, read.pop(code)
                await asyncio.sleep(0)

    def _shelves(self, seen: Seen, cells: Sequence[Sequence[Any]]) -> Iterator[tuple[Shelves, Span | None]]:
        """What each item's shelf has and will sell; and the span in which the item surges by itself."""
        one, weights = seen.expected, seen.weights
        until_short, until_filled, until_end = (
            share(hours, weights.whole, one.shape)
            for hours in (weights.until_short, weights.until_filled, weights.until_end)
        )
        windows, rule, among = _windows(one, weights, self.times), self.policy.rule, max(seen.cells, 1)
        threshold = self.thresholds.get(one.location, 0)
        for _, sku, units, receipts, available, safety, confidence in cells:
            coming, asked_for = self.moving.get((one.location, sku), (0, 0))
            sold = self.of_items.get((one.location, sku), NOTHING)
            counts = sold.windows or (0,) * len(windows)
            spans = [Span(hours, count, receipts * part)
                     for (hours, _, part), count in zip(windows, counts, strict=True)]  # fmt: skip
            surge = loudest(spans, rule, among=among) if sold is not NOTHING else None
            asked = surge or (spans[-1] if spans else Span(None, 0, 0.0))
            # The place's pace says something of an item that few have bought; of its only item it says the same again.
            own = pace(asked.sold, asked.expected, towards=seen.pace) if seen.cells > 1 else seen.pace
            will_sell = units * max(own, 1.0)
            free = atp(available, safety_stock=safety, channel_threshold=threshold, confidence_permille=confidence)
            yield Shelves(
                one.location, sku, available, safety, max(free - asked_for, 0), coming, will_sell * until_short,
                will_sell * until_filled, will_sell * until_end,
            ), surge  # fmt: skip


type Windows = Sequence[tuple[int, datetime, float]]  # hours back, from when on, which share of the forecast comes then


def _windows(one: Expected, weights: Weights, times: Times) -> Windows:
    """Worked out once for a place: a share adds up a week's hours, and its items are thousands."""
    return [
        (hours, since, share(part, weights.whole, one.shape))
        for (hours, since), part in zip(times.windows, weights.windows, strict=True)
    ]


def _place(one: Expected, sold: Sold, weights: Weights, times: Times, policy: LookPolicy) -> Seen:
    so_far = share(weights.so_far, weights.whole, one.shape)
    counts = sold.windows or (0,) * len(times.windows)
    spans = [
        Span(hours, count, one.forecast_receipts * part)
        for (hours, since, part), count in zip(_windows(one, weights, times), counts, strict=True)
        if since > times.begins
    ]
    spans.append(Span(None, sold.receipts, one.forecast_receipts * so_far))
    surge = loudest(spans, policy.rule)
    # Its pace is that of the surge, or of the longest window: what was long ago says little about the days to come.
    asked = surge or (spans[-2] if len(spans) > 1 else spans[-1])
    expected_receipts = spans[-1].expected
    return Seen(
        expected=one,
        weights=weights,
        sold=sold,
        expected_units=one.forecast_units * so_far,
        usual_units=one.usual_units * weighed(weights.so_far, one.shape),
        surge=surge,
        pace=pace(asked.sold, asked.expected),
        is_slow=expected_receipts >= SLOW_FROM and sold.receipts < SLOW_PACE * expected_receipts,
    )


def cover_days(seen: Seen, times: Times) -> float | None:
    """For how many days of the promotion all its shelves together last at its pace; None where nothing more is to be
    sold, and no more than until its end.
    """
    left = (times.ends - times.at) / DAY
    if seen.until_end <= 0 or left <= 0:
        return None
    return min((seen.available + seen.inbound) / seen.until_end, 1.0) * left


def threshold_of(thresholds: Mapping[str, int]) -> int:
    """What a policy keeps from transfers."""
    return thresholds.get(CHANNEL, 0)
