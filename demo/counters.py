"""The people who count: they look at the open counts of their stores, count what is there, and hand the sheet in.

What is really on a shelf nobody can look up, so a demo decides it: mostly all of it turns up again, sometimes nothing.
They report by the public API only, and see no book.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from demo import people
from demo.bodies import stamp
from demo.client import Client, RefusedError
from demo.memory import Found, Memory
from demo.plan import chance

log = logging.getLogger("endcap.demo")

LOOK_EVERY = dt.timedelta(seconds=15)
SOONEST = dt.timedelta(minutes=2)
WITHIN = dt.timedelta(minutes=8)
TO_COUNT = frozenset({"scheduled", "in_progress", "recount"})
ALL_THERE_SHARE = 0.6
NOTHING_SHARE = 0.25


@dataclass
class Counters:
    """Works through the open counts. Reports as source `oms`."""

    client: Client
    memory: Memory
    look_at: dt.datetime | None = None

    async def work(self, now: dt.datetime) -> None:
        """Counts whatever is due, at most every few seconds."""
        if self.look_at is not None and now < self.look_at:
            return
        self.look_at = now + LOOK_EVERY
        found = await self.client.get("/api/v1/journeys", as_="oms", kind="count", state="open", limit=200)
        for row in found["items"]:
            if row["state"] not in TO_COUNT:
                continue
            try:
                await self._count(row, now)
            except RefusedError as error:  # somebody else counts it, or it was called off a moment ago
                log.warning("%s", error)

    async def _count(self, row: dict[str, Any], now: dt.datetime) -> None:
        count = await self.client.get(f"/api/v1/counts/{row['id']}", as_="oms")
        skus = [line["sku"] for line in count["lines"]]
        told = next((one for one in self.memory.found if one.location == row["location"] and one.sku in skus), None)
        if now < (told.at if told else self._due(row)):
            return
        lines = [
            {
                "sku": line["sku"],
                "quantity": await self._there(row, line["sku"], told),
                "counted_at": stamp(now),
                "bucket": line["bucket"],
            }
            for line in count["lines"]
            if line["state"] in ("open", "counted", "recount")
        ]
        counter = people.picker(row["location"], count["round"])
        body = {"session": f"demo-{counter}", "counter": counter, "lines": lines, "submit": True, "take_over": True}
        await self.client.post(f"/api/v1/counts/{row['id']}/entries", body, as_="oms")
        if told is not None:
            self.memory.found.remove(told)

    def _due(self, row: dict[str, Any]) -> dt.datetime:
        opened = dt.datetime.fromisoformat(row["opened_at"])
        return opened + SOONEST + WITHIN * chance(self.memory.seed, "count", row["id"])

    async def _there(self, row: dict[str, Any], sku: str, told: Found | None) -> int:
        """What the shelf really holds: of a story what it tells, else as chance has it."""
        found = await self.client.get("/api/v1/stock", as_="oms", location=row["location"], sku=sku)
        buckets = found["items"][0]["buckets"] if found["items"] else {}
        shelf: int = max(sum(buckets.get(name, 0) for name in ("available", "reserved", "count_pending")), 0)
        draw = chance(self.memory.seed, "there", row["id"], sku)
        if told is not None or draw < ALL_THERE_SHARE:
            return shelf
        return 0 if draw < ALL_THERE_SHARE + NOTHING_SHARE else max(shelf - 1, 0)
