"""Where goods of a promotion should move: from places that hold more than they can sell to places that sell out.

A place gives only what it has beyond its own forecast and its safety stock, and what is sent goes to the most urgent
first, from the nearest.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import asin, ceil, cos, radians, sin, sqrt
from typing import NamedTuple

EARTH_KM = 6371.0
type Shelf = tuple[str, str]  # (location, SKU)


class Shelves(NamedTuple):
    """What one place has of one item, and what it will sell: units, as far as they are whole.

    `free` is what it can promise to a transfer: its safety stock is not in it. `until_short` is what it sells until it
    should not be short, `until_filled` as long as what is sent should last, `until_end` until the promotion is over, at
    its pace and never below its forecast.
    """

    location: str
    sku: str
    available: int
    safety: int
    free: int
    inbound: int
    until_short: float
    until_filled: float
    until_end: float


class Need(NamedTuple):
    """Units that a place will lack. `lasts` is the share of what it sells until it should not be short that it has."""

    location: str
    sku: str
    units: int
    lasts: float


class Leg(NamedTuple):
    """So many units of an item from one place to another. `km`: the straight line; None where a place is unknown."""

    source: str
    target: str
    sku: str
    units: int
    km: float | None


def need_of(one: Shelves) -> Need | None:
    """What the place lacks, where what it has and what comes is less than it sells until it should not be short."""
    has = max(one.available, 0) + one.inbound
    if has >= one.until_short + one.safety or one.until_short <= 0:
        return None
    wanted = ceil(one.until_filled + one.safety) - has
    return Need(one.location, one.sku, wanted, has / (one.until_short + one.safety)) if wanted > 0 else None


def spare_of(one: Shelves) -> int:
    """What the place can give: beyond its safety stock, and beyond all that it sells until the end."""
    return max(one.free - ceil(one.until_end), 0)


def distance_km(one: tuple[float | None, float | None], other: tuple[float | None, float | None]) -> float | None:
    """The straight line between two places on the globe, by (latitude, longitude)."""
    if None in one or None in other:
        return None
    lat1, lon1, lat2, lon2 = (radians(at) for at in (*one, *other) if at is not None)
    a = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * asin(sqrt(a))


def propose(
    needs: Iterable[Need],
    spares: Iterable[tuple[Shelf, int]],
    distance: Callable[[str, str], float | None],
    *,
    radius_km: float,
    least_units: int,
) -> list[Leg]:
    """Who gives what to whom: the most urgent first, from the nearest within the radius, nothing below `least_units`.
    A place that lacks an item gives none of it. A place of unknown distance comes last.
    """
    asking = sorted(needs, key=lambda one: (one.lasts, -one.units, one.location, one.sku))
    lacking = {(one.location, one.sku) for one in asking}
    left: dict[str, dict[str, int]] = defaultdict(dict)
    for (location, sku), units in spares:
        if units >= least_units and (location, sku) not in lacking:
            left[sku][location] = units
    legs: list[Leg] = []
    for one in asking:
        wanted = one.units
        for km, source in _nearest(one.location, sorted(left[one.sku]), distance, radius_km):
            part = min(wanted, left[one.sku][source])
            if part < least_units and part < one.units:
                continue
            legs.append(Leg(source, one.location, one.sku, part, km))
            wanted -= part
            left[one.sku][source] -= part
            if left[one.sku][source] < least_units:
                del left[one.sku][source]
            if wanted <= 0:
                break
    return [leg for leg in legs if leg.units >= least_units]


def _nearest(
    target: str, sources: Sequence[str], distance: Callable[[str, str], float | None], radius_km: float
) -> list[tuple[float | None, str]]:
    known = [(distance(source, target), source) for source in sources]
    within = [(km, source) for km, source in known if km is None or km <= radius_km]
    return sorted(within, key=lambda one: (one[0] is None, one[0] or 0.0, one[1]))
