"""`python -m bench.velocity`: how often a look at a promotion cries wolf on a real year, and how soon it finds a surge.

The year is replayed hour by hour through the arithmetic of looks (`domain.velocity`): of each set of categories, week
by week, each store's receipts against what its own eight weeks before would lead one to expect, in the windows that
policy ships. No promotion runs in that replay, so whatever is found is a false alarm; the retailer's own weekly offers
are in the data all the same, and count as such. Then the same weeks once more with so many receipts an hour added to
one store, on the Saturday from eleven to five.
"""

import argparse
import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from demo.source import FIRST_DAY, TRADING_ZONE, read_products, read_sales
from domain.look_policy import LookPolicy
from domain.velocity import WEEK_HOURS, drawn_shares, expected_below, shape
from ledger.look.expected import TOWARDS_ALL, TOWARDS_OPEN, TOWARDS_PLACES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
PAST = 8
WEEKS = 52
BUSY_A_DAY = 1  # receipts; at the others a household of the data shopped now and then
SATURDAY_AT, LASTS = 11, 6
ADDED = (4, 6, 10)  # receipts an hour
SETS = (1, 5, 20)  # of the categories that sell most, so many together


class Year(NamedTuple):
    """Receipts by store and hour since the first local midnight. Weeks begin on the weekday of the first of January."""

    of_set: Ints
    begins_on: int  # 0 is Monday


class Week(NamedTuple):
    """One week: receipts and what was to be expected, by store and hour."""

    number: int
    receipts: Ints
    expected: Floats


class Found(NamedTuple):
    """What looks found: in how many of all store-weeks, on how many Saturdays of them."""

    alarms: int
    store_weeks: int
    on_saturdays: int

    @property
    def rate(self) -> float:
        return self.alarms / self.store_weeks


class Planted(NamedTuple):
    """Of so many surges: found within one look, within two, at all."""

    surges: int
    at_once: int
    within_two: int
    ever: int


def read_year(together: int) -> Year:
    """Receipts with an item of the categories that sell most, at the stores that many households go to."""
    sales, products = read_sales(), read_products()
    sales = sales.where(np.isin(sales.product, np.fromiter(products, dtype=np.int64)))
    _, of_sale = np.unique(np.array([products[int(one)].category for one in sales.product]), return_inverse=True)
    best = np.argsort(-np.bincount(of_sale), kind="stable")[:together]
    stores, store = np.unique(sales.store, return_inverse=True)
    hour = _local_hours(sales.at_s)
    _, first = np.unique(sales.basket, return_index=True)
    busy = np.flatnonzero(np.bincount(store[first], minlength=len(stores)) > BUSY_A_DAY * 365)
    wanted = np.isin(of_sale, best) & (hour >= 0) & (hour < WEEKS * WEEK_HOURS) & np.isin(store, busy)
    _, once = np.unique(sales.basket[wanted], return_index=True)
    counted = np.zeros((len(stores), WEEKS * WEEK_HOURS), dtype=np.int64)
    np.add.at(counted, (store[wanted][once], hour[wanted][once]), 1)
    return Year(counted[busy], FIRST_DAY.weekday())


def _local_hours(at_s: Ints) -> Ints:
    """Hours since the first local midnight, on the wall of the store; the hour that autumn has twice is one."""
    days = np.unique(at_s // 3600)
    first = dt.datetime.combine(FIRST_DAY, dt.time(0))
    local = []
    for number in days.tolist():
        there = dt.datetime.fromtimestamp(number * 3600, dt.UTC).astimezone(TRADING_ZONE).replace(tzinfo=None)
        local.append(int((there - first).total_seconds() // 3600))
    return np.asarray(local, dtype=np.int64)[np.searchsorted(days, at_s // 3600)]


def weeks(year: Year) -> Iterator[Week]:
    """Each week that has enough behind it, with what a look would have expected of each store."""
    stores = year.of_set.shape[0]
    for number in range(PAST, year.of_set.shape[1] // WEEK_HOURS):
        now = number * WEEK_HOURS
        past = year.of_set[:, now - PAST * WEEK_HOURS : now].reshape(stores, PAST, WEEK_HOURS).sum(axis=1)
        sums = past.sum(axis=1)
        model = shape(past.sum(axis=0).tolist(), [1.0] * WEEK_HOURS, TOWARDS_OPEN)
        size = drawn_shares(sums.tolist(), [1.0] * stores, float(stores))
        shares = np.array(drawn_shares(sums.tolist(), size, TOWARDS_PLACES))
        shapes = np.array([shape(one.tolist(), model, TOWARDS_ALL) for one in past])
        expected = (sums.sum() / PAST) * shares[:, None] * shapes
        yield Week(number, year.of_set[:, now : now + WEEK_HOURS], expected)


def surges(receipts: Ints, expected: Floats, policy: LookPolicy) -> npt.NDArray[np.bool_]:
    """By store and look, one after each hour: whether any window of it is a surge (`domain.velocity.is_surge`)."""
    rule = policy.rule
    most = int(receipts.sum(axis=1).max(initial=0)) + 1
    below = np.zeros(most + 1)
    for count in range(rule.least, most + 1):
        below[count] = expected_below(count, 1 / rule.one_in, rule.spread)
    sold = np.concatenate([np.zeros((len(receipts), 1), dtype=np.int64), receipts.cumsum(axis=1)], axis=1)
    wanted = np.concatenate([np.zeros((len(receipts), 1)), expected.cumsum(axis=1)], axis=1)
    looks = np.arange(1, receipts.shape[1] + 1)
    found = np.zeros(receipts.shape, dtype=np.bool_)
    for window in (*policy.windows_h, receipts.shape[1]):
        since = np.maximum(looks - window, 0)
        count = sold[:, looks] - sold[:, since]
        found |= (count >= rule.least) & (wanted[:, looks] - wanted[:, since] < below[count])
    return found


def false_alarms(year: Year, policy: LookPolicy) -> Found:
    """In how many store-weeks of the year a look would have found a surge."""
    alarms = store_weeks = saturdays = 0
    saturday = slice(*_saturday(year))
    for week in weeks(year):
        found = surges(week.receipts, week.expected, policy)
        alarms += int(found.any(axis=1).sum())
        saturdays += int(found[:, saturday].any(axis=1).sum())
        store_weeks += len(found)
    return Found(alarms, store_weeks, saturdays)


def _saturday(year: Year) -> tuple[int, int]:
    begins = (5 - year.begins_on) % 7 * 24
    return begins, begins + 24


def planted(year: Year, policy: LookPolicy, an_hour: int) -> Planted:
    """How soon so many receipts an hour more are found at a store, on each Saturday of the year and at each store that
    was not found surging before.
    """
    begins = _saturday(year)[0] + SATURDAY_AT
    total = first = second = ever = 0
    for week in weeks(year):
        more = week.receipts.copy()
        more[:, begins : begins + LASTS] += an_hour
        quiet = ~surges(week.receipts, week.expected, policy)[:, : begins + LASTS].any(axis=1)
        found = surges(more, week.expected, policy)[quiet]
        total += len(found)
        first += int(found[:, begins].sum())
        second += int(found[:, begins : begins + 2].any(axis=1).sum())
        ever += int(found[:, begins : begins + LASTS].any(axis=1).sum())
    return Planted(total, first, second, ever)


def report(sizes: Sequence[int], policy: LookPolicy) -> Iterator[str]:
    """The table, line by line."""
    head = (
        f"{'categories':>10} {'stores':>7} {'receipts/store-day':>19} {'false alarms/store-week':>24} {'Saturdays':>10}"
    )
    yield head + "".join(f"  {f'+{more}/h within 2':>15}" for more in ADDED)
    for together in sizes:
        year = read_year(together)
        found = false_alarms(year, policy)
        found_in = [planted(year, policy, more) for more in ADDED]
        per_day = year.of_set.sum() / year.of_set.shape[0] / (WEEKS * 7)
        rate = f"{found.rate:.5f} ({found.alarms}/{found.store_weeks:,})"
        yield f"{together:>10} {len(year.of_set):>7} {per_day:>19.1f} {rate:>24} {found.on_saturdays:>10}" + "".join(
            f"  {one.within_two / one.surges:>15.1%}" for one in found_in
        )


def main() -> int:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--categories", type=int, nargs="*", default=list(SETS))
    asked.add_argument("--one-in", type=int, default=LookPolicy().one_in)
    asked.add_argument("--spread-permille", type=int, default=LookPolicy().spread_permille)
    given = asked.parse_args()
    policy = LookPolicy(one_in=given.one_in, spread_permille=given.spread_permille)
    for line in report(given.categories, policy):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
