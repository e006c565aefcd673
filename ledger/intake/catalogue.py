"""Master data that every order needs, kept by the process for a moment: items, places with their hours, policy.

An entry is read again when it is older than `age_s`; what is unknown is never kept, so new rows are seen at once.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

import asyncpg

from domain.calendars import ALWAYS_OPEN, OpeningHours
from domain.closures import Period
from domain.policy import Policy, merge
from ledger import policies, reference
from ledger.reference import Place

type Connection = asyncpg.Connection[asyncpg.Record]

MAX_AGE_S = 1.0
_REMEMBERED_DAYS = 500
_REMEMBERED_POLICIES = 2_000

_KEEP_COPY = "INSERT INTO policy_copy (id, body) VALUES ($1, $2::text::jsonb) ON CONFLICT DO NOTHING"
_ITEMS = """
    SELECT i.sku, i.frozen, i.stop_sale,
        (SELECT array_agg(s.location) FROM item_stop s WHERE s.sku = i.sku) AS stopped_at
    FROM item i WHERE i.sku = ANY($1::text[])
"""
_PLACES = """
    SELECT l.code, l.name, l.kind, l.region, l.entity, l.time_zone, l.pickup, l.status, l.latitude, l.longitude,
        e.currency FROM location l JOIN entity e ON e.code = l.entity WHERE l.code = ANY($1::text[])
"""
_HOURS = "SELECT location, weekday, opens, closes FROM opening_hours WHERE location = ANY($1::text[])"
_PERIODS = """
    SELECT location, status, starts_at, ends_at, reason FROM location_status
    WHERE location = ANY($1::text[]) AND (ends_at IS NULL OR ends_at > now() - interval '90 days')
    ORDER BY location, starts_at
"""
_CLOSED = "SELECT location, day FROM closed_day WHERE location = ANY($1::text[])"
# The most specific last, as they are merged.
_POLICIES = """
    SELECT id, version, entity, region, location, effective_from, effective_until, body::text AS body
    FROM policy_document ORDER BY location <> '', region <> '', entity <> '', effective_from, id
"""

_LISTENERS = "SELECT EXISTS (SELECT FROM webhook_endpoint WHERE state = 'active')"


class Item(NamedTuple):
    frozen: bool
    stop_sale: bool
    stopped_at: frozenset[str] = frozenset()  # places at which it must not be sold

    def is_stopped(self, location: str) -> bool:
        return self.stop_sale or location in self.stopped_at


class Resolved(NamedTuple):
    """A policy in force, its JSON, the name under which that is stored (`ledger.policies`), and who posts orders."""

    policy: Policy
    text: str
    copy: str
    authority: str


class Calendar(OpeningHours):
    """Opening hours that remember the spans of days: working one out costs more than the rest of a due instant."""

    _spans: dict[date, tuple[datetime, datetime] | None]

    def spans(self, day: date) -> tuple[datetime, datetime] | None:
        """As `OpeningHours.spans`."""
        known = self.__dict__.setdefault("_spans", {})
        if day not in known:
            if len(known) >= _REMEMBERED_DAYS:
                known.clear()
            known[day] = super().spans(day)
        found: tuple[datetime, datetime] | None = known[day]
        return found


def _is_old(entry: tuple[float, object] | None, oldest: float) -> bool:
    return entry is None or entry[0] < oldest


class Catalogue:
    """What the orders of a process were last told by the master data. `clock` gives seconds that only go forward."""

    def __init__(self, *, age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._age_s = age_s
        self._clock = clock
        self._items: dict[str, tuple[float, Item]] = {}
        self._places: dict[str, tuple[float, Place]] = {}
        self._rows: dict[str, tuple[Any, ...]] = {}
        self._documents: list[asyncpg.Record] = []
        self._documents_at: float | None = None
        self.has_listeners = False  # whether any webhook may want to hear of new orders
        self._policies: dict[tuple[int, ...], Resolved] = {}
        self._kept: set[str] = set()

    async def load(self, conn: Connection, places: Iterable[str], skus: Iterable[str]) -> None:
        """Read what is missing or too old. After it, `place`, `item` and `policy_at` answer for what was named."""
        now = self._clock()
        oldest = now - self._age_s
        wanted = [sku for sku in set(skus) if _is_old(self._items.get(sku), oldest)]
        if wanted:
            rows = await conn.fetch(_ITEMS, wanted)
            # Nothing is awaited between forgetting and knowing: another batch may be looking at the same entries.
            for sku in wanted:
                self._items.pop(sku, None)
            for row in rows:
                self._items[row["sku"]] = now, Item(row["frozen"], row["stop_sale"], frozenset(row["stopped_at"] or ()))
        codes = [code for code in set(places) if _is_old(self._places.get(code), oldest)]
        if codes:
            await self._load_places(conn, codes, now)
        if self._documents_at is None or self._documents_at < oldest:
            documents = await conn.fetch(_POLICIES)
            if documents != self._documents or len(self._policies) > _REMEMBERED_POLICIES:
                self._documents, self._policies = documents, {}
            self.has_listeners = await conn.fetchval(_LISTENERS)
            self._documents_at = now

    async def _load_places(self, conn: Connection, codes: list[str], now: float) -> None:
        weekdays: dict[str, dict[int, Any]] = {code: {} for code in codes}
        closed: dict[str, set[date]] = {code: set() for code in codes}
        for row in await conn.fetch(_HOURS, codes):
            weekdays[row["location"]][row["weekday"]] = row["opens"], row["closes"]
        for row in await conn.fetch(_CLOSED, codes):
            closed[row["location"]].add(row["day"])
        periods: dict[str, list[Period]] = {code: [] for code in codes}
        for place, *period in await conn.fetch(_PERIODS, codes):
            periods[place].append(Period(*period))
        found = {row["code"]: row for row in await conn.fetch(_PLACES, codes)}
        for code in codes:
            before = self._places.pop(code, None)
            if code not in found:
                continue
            row = found[code]
            same = (tuple(row.values()), weekdays[code], closed[code], periods[code])
            if before is not None and self._rows.get(code) == same:
                self._places[code] = now, before[1]  # with the spans of days that it remembers
                continue
            hours = Calendar(row["time_zone"], weekdays[code] or ALWAYS_OPEN.weekdays, frozenset(closed[code]))
            place = Place(
                code=code,
                name=row["name"],
                kind=row["kind"],
                region=row["region"],
                entity=row["entity"],
                currency=row["currency"],
                pickup=row["pickup"],
                status=row["status"],
                latitude=row["latitude"],
                longitude=row["longitude"],
                hours=hours,
                periods=tuple(periods[code]),
            )
            self._places[code], self._rows[code] = (now, place), same

    def place(self, code: str, *, pointer: str) -> Place:
        """A location that was loaded. Raises `UnknownLocation`."""
        known = self._places.get(code)
        if known is None:
            raise reference.unknown_location(code, pointer)
        return known[1]

    def items(self, skus: Iterable[str]) -> Mapping[str, Item]:
        """Items that were loaded, by SKU. Raises `UnknownSku`, naming every one that is not in the master data."""
        known = self._items
        wanted = list(skus)
        try:
            return {sku: known[sku][1] for sku in wanted}
        except KeyError:
            unknown = [sku for sku in dict.fromkeys(wanted) if sku not in known]
            raise reference.unknown_skus(unknown, f"/lines/{wanted.index(unknown[0])}/sku") from None

    def policy_at(self, where: Place, at: datetime) -> Resolved:
        """The policy in force at a place, least specific documents first."""
        mine = [
            row
            for row in self._documents
            if row["entity"] in ("", where.entity)
            and row["region"] in ("", where.region)
            and row["location"] in ("", where.code)
            and row["effective_from"] <= at
            and (row["effective_until"] is None or row["effective_until"] > at)
        ]
        key = tuple(row["id"] for row in mine)
        found = self._policies.get(key)
        if found is None:
            policy = merge([(row["version"], json.loads(row["body"])) for row in mine])
            text = policy.model_dump_json()
            found = self._policies[key] = Resolved(
                policy, text, policies.copy_id(text), policy.authority.of_posting("bopis")
            )
        return found

    async def keep(self, conn: Connection, resolved: Iterable[Resolved]) -> None:
        """Store the policies that this process has not stored yet; without a transaction around it, so that nobody
        waits for one.
        """
        for one in {one.copy: one for one in resolved if one.copy not in self._kept}.values():
            await conn.execute(_KEEP_COPY, one.copy, one.text)
            if len(self._kept) > _REMEMBERED_POLICIES:
                self._kept.clear()
            self._kept.add(one.copy)
