"""How fast a promotion sells: what was to be expected hour by hour, and when more than that is no longer chance.

What is compared are receipts with an item of the promotion, not units: customers come one by one, so receipts scatter
like chance itself, while one of them may carry twenty units. Hours are hours of the local week, 0 is Monday from
midnight on.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from math import exp, log1p
from operator import mul
from typing import NamedTuple
from zoneinfo import ZoneInfo

WEEK_HOURS = 168
MOST_COUNTED = 500  # receipts; see `expected_below`

type Hours = tuple[float, ...]  # one number for each hour of the local week
_HOUR = timedelta(hours=1)
_SECONDS = 3600


# ---------------------------------------------------------------------- when customers come
def hours_between(begin: datetime, end: datetime, zone: str) -> Hours:
    """How many hours of each hour of the local week lie between two instants; parts of hours count as parts."""
    found = [0.0] * WEEK_HOURS
    at = begin
    while at < end:
        there = at.astimezone(ZoneInfo(zone))
        into = timedelta(minutes=there.minute, seconds=there.second, microseconds=there.microsecond)
        until = min(at + (_HOUR - into), end)
        found[there.weekday() * 24 + there.hour] += (until - at).total_seconds() / _SECONDS
        at = until
    return tuple(found)


def shape(own: Sequence[float], model: Sequence[float], weight: float) -> Hours:
    """How a week's customers spread over its hours, as shares that add up to 1: its own past, drawn towards `model` as
    if so many customers of that had come as well. `model` may be zero everywhere when `own` is not.
    """
    of_model, all_own = sum(model), sum(own)
    drawn = [weight * part / of_model for part in model] if of_model else [0.0] * WEEK_HOURS
    whole = all_own + sum(drawn)
    if whole <= 0:
        return (1 / WEEK_HOURS,) * WEEK_HOURS
    return tuple((mine + more) / whole for mine, more in zip(own, drawn, strict=True))


def share(hours: Hours, of_hours: Hours, spread: Hours) -> float:
    """Which share of what comes in `of_hours` comes in `hours`, by a week's shape; by time alone where none comes."""
    whole = weighed(of_hours, spread)
    if whole <= 0:
        return sum(hours) / sum(of_hours) if sum(of_hours) else 0.0
    return weighed(hours, spread) / whole


def weighed(hours: Hours, spread: Hours) -> float:
    """How many weeks' worth of customers come in these hours."""
    return sum(map(mul, hours, spread), start=0.0)


def drawn_shares(own: Sequence[float], model: Sequence[float], weight: float) -> list[float]:
    """Shares of several that add up to 1: what each had, drawn towards `model` as if that had had `weight` more."""
    of_model = sum(model)
    even = [part / of_model for part in model] if of_model else [1 / len(own)] * len(own)
    whole = sum(own) + weight
    return [(mine + weight * part) / whole for mine, part in zip(own, even, strict=True)]


# ---------------------------------------------------------------------- chance
def tail(count: int, expected: float, spread: float) -> float:
    """How likely `count` or more are, where `expected` are to be expected: negative binomial, of the variance
    expected + spread × expected², which is Poisson for a spread of 0. `spread` is how wrong a forecast may well be,
    squared. For expectations of some hundreds; beyond 700 a float cannot tell how likely none at all is.
    """
    if count <= 0:
        return 1.0
    if expected <= 0:
        return 0.0
    if spread > 0:
        size = 1 / spread
        lost = log1p(expected / size)
        at_zero, grows, adds = exp(-size * lost), 1 - exp(-lost), size
    else:
        at_zero, grows, adds = exp(-expected), 0.0, 0.0
    term = below = at_zero
    for number in range(1, count):
        term *= grows * (number - 1 + adds) / number if spread > 0 else expected / number
        below += term
    if below < 0.9:
        return max(0.0, 1.0 - below)
    return _from(count, term, expected, grows, adds)


def _from(count: int, before: float, expected: float, grows: float, adds: float) -> float:
    """The terms from `count` on, summed from the largest: 1 - everything below would keep none of its digits."""
    term, found, number = before, 0.0, count
    while True:
        term *= grows * (number - 1 + adds) / number if adds > 0 else expected / number
        found += term
        number += 1
        if term <= found * 1e-12 and number > expected:
            return min(found, 1.0)


@lru_cache(maxsize=5_000)
def expected_below(count: int, chance: float, spread: float) -> float:
    """The largest expectation at which `count` receipts are less likely than `chance`: what they may be held against
    without adding up a distribution for each place. Of more than are added up it asks for as many times the
    expectation as there, which is more than needed.
    """
    if count > MOST_COUNTED:
        return count * expected_below(MOST_COUNTED, chance, spread) / MOST_COUNTED
    low, high = 0.0, float(count)
    for _ in range(50):
        middle = (low + high) / 2
        if tail(count, middle, spread) < chance:
            low = middle
        else:
            high = middle
    return low


class Rule(NamedTuple):
    """When more than expected is a surge: at least so many receipts, and less likely than one in so many looks."""

    least: int
    one_in: int
    spread: float


class Span(NamedTuple):
    """What was sold and what was to be expected since an instant; `hours` is how long ago that was, None: since the
    promotion began.
    """

    hours: int | None
    sold: int
    expected: float

    @property
    def times(self) -> float:
        """How many times the expectation; of nothing expected, as many times one."""
        return self.sold / self.expected if self.expected > 0 else float(self.sold)


def is_surge(span: Span, rule: Rule, *, among: int = 1) -> bool:
    """Whether chance does not explain it. `among`: one of so many that are looked at together, so that a place with a
    hundred items is not found surging a hundred times as often.
    """
    if span.sold < rule.least:
        return False
    return span.expected < expected_below(span.sold, 1 / (rule.one_in * among), rule.spread)


def loudest(spans: Iterable[Span], rule: Rule, *, among: int = 1) -> Span | None:
    """The span in which it sells the most times its expectation, of those that are a surge."""
    return max((span for span in spans if is_surge(span, rule, among=among)), key=lambda one: one.times, default=None)


def pace(sold: float, expected: float, *, towards: float = 1.0, weight: float = 5.0) -> float:
    """How many times the forecast it sells, drawn towards another pace as if `weight` receipts had come at that: few
    receipts say little about the days to come.
    """
    return (sold + weight * towards) / (expected + weight)
