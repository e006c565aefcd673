"""Plays the scene of returns: hundreds of stores and a growing web shop bring back goods under one set of reasons,
conditions and dispositions, and the refund cycle time is shown by channel.

Tills pay out at once (`pos.return`), counters take in what was asked for, parcels come to a return centre and wait to
be looked at. It sends by the public API only. Every id follows from the script and every instant from the moment at
which the scene was begun, which is remembered, so that playing it again after a stop sends the same bodies.
"""

import asyncio
import datetime as dt
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from pydantic import AwareDatetime, BaseModel

from demo import bodies, people, places
from demo.bodies import Body
from demo.chain import Visit, read
from demo.client import Client, RefusedError
from demo.plan import chance

log = logging.getLogger("endcap.demo")

SOLD_BEFORE = dt.timedelta(days=8)
PARCEL_H = (9.0, 21.0)  # hours that a parcel lay in its return centre
AT_ONCE = 8
BATCH = 100
PATIENCE_S = 40.0  # without any that was confirmed
LOOK_S = 2.0


class Begun(BaseModel):
    """When the scene was begun."""

    at: AwareDatetime


def begun_at(path: Path, now: dt.datetime) -> dt.datetime:
    """The moment that `path` remembers, else now, which it remembers from here on."""
    if path.exists():
        return Begun.model_validate_json(path.read_text(encoding="utf-8")).at
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Begun(at=now).model_dump_json(), encoding="utf-8")
    return now


def number_of(visit: Visit) -> str:
    return f"RT-{visit.receipt}"


def sale(visit: Visit, at: dt.datetime) -> Body:
    return bodies.sale_of(f"sale-{visit.receipt}", visit.sold_at, visit.receipt, visit.lines, at)


def request(visit: Visit) -> Body:
    """The body that asks to bring it back."""
    customer, line = places.customer(visit.household), visit.lines[0]
    return {
        "return_id": number_of(visit),
        "bought_at": "web" if visit.is_web else "store",
        "returned_to": visit.comes_to,
        "method": "mail" if visit.way == "mail" else "store",
        "currency": places.CURRENCY,
        "customer": {"name": customer.name, "email": customer.email},
        "receipt": {"number": visit.receipt, "location": visit.sold_at, "tender": "card"}
        if visit.has_receipt
        else None,
        "lines": [{"line_id": "1", "sku": line.sku, "quantity": line.quantity, "reason": visit.reason}],
    }


def rung_up(visit: Visit, at: dt.datetime) -> Body:
    """A return that the till takes back and pays out."""
    line = visit.lines[0]
    back = {
        "line": "1", "sku": line.sku, "quantity": line.quantity, "unit_price_minor": line.unit_price_minor,
        "discount_minor": line.discount_minor, "original_line": line.line_id, "reason": visit.reason,
    }  # fmt: skip
    data = {
        "location": visit.store,
        "receipt": f"X-{visit.receipt}",
        "original_receipt": visit.receipt,
        "lines": [back],
        "refunds": [{"tender": "card", "amount_minor": line.net_minor}],
    }
    return bodies.event(f"return-{visit.receipt}", "pos.return", at, data)


@dataclass
class Scene:
    """Plays the visits once. `now` and `sleep` are the wall clock."""

    client: Client
    visits: Sequence[Visit]
    at: dt.datetime
    seed: int = 7
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience_s: float = PATIENCE_S
    journeys: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    async def play(self) -> None:
        """Sell, ask, bring back, look at it."""
        await self._events([sale(one, self.at - SOLD_BEFORE) for one in self.visits if one.is_web], "web")
        await self._events([sale(one, self.at - SOLD_BEFORE) for one in self.visits if not one.is_web], "pos")
        asked = [one for one in self.visits if one.way != "till"]
        for start in range(0, len(asked), AT_ONCE):
            await asyncio.gather(*(self._ask(one) for one in asked[start : start + AT_ONCE]))
        log.info("%d returns were asked for", len(self.journeys))
        came = [one for one in asked if number_of(one) in self.journeys]
        await self._events([self._received(one) for one in came], "oms")
        await self._events([rung_up(one, self._came_at(one)) for one in self.visits if one.way == "till"], "pos")
        await self._events([self._inspected(one) for one in came if one.condition is not None], "oms")

    async def _ask(self, visit: Visit) -> None:
        try:
            answer = await self.client.post("/api/v1/returns", request(visit), as_="oms")
        except RefusedError as error:
            self.refused[str(error.problem.get("code"))] += 1
            log.warning("%s", error)
            return
        self.journeys[number_of(visit)] = str(answer["journey_id"])

    async def _events(self, events: list[Body], source: str) -> None:
        for start in range(0, len(events), BATCH):
            for result in await self.client.events(events[start : start + BATCH], as_=source):
                if result["outcome"] not in ("accepted", "duplicate"):
                    self.refused[str(result["outcome"])] += 1

    def _came_at(self, visit: Visit) -> dt.datetime:
        """A parcel lay in its centre for hours; what is brought was brought within these minutes."""
        draw = chance(self.seed, "came", visit.receipt)
        if visit.way == "mail":
            return self.at - dt.timedelta(hours=PARCEL_H[0] + draw * (PARCEL_H[1] - PARCEL_H[0]))
        return self.at - dt.timedelta(minutes=1 + draw * 4)

    def _received(self, visit: Visit) -> Body:
        data = {
            "return_id": self.journeys[number_of(visit)],
            "location": visit.comes_to,
            "lines": [{"line_id": "1", "quantity": visit.lines[0].quantity}],
        }
        return bodies.event(f"came-{visit.receipt}", "return.received", self._came_at(visit), data)

    def _inspected(self, visit: Visit) -> Body:
        line = {"line_id": "1", "quantity": visit.lines[0].quantity, "condition": visit.condition}
        if visit.is_declined:
            line |= {"disposition": "send_back", "reason": "worn and washed"}
        data = {"return_id": self.journeys[number_of(visit)], "lines": [line]}
        return bodies.event(f"seen-{visit.receipt}", "return.inspected", self.at, data)

    # ------------------------------------------------------------------ what came of it
    async def settled(self) -> int:
        """Wait as long as refunds become fewer that are on their way; returns how many still are. One that the provider
        declined waits for a person.
        """
        fewest, waited_s = None, 0.0
        while True:
            found = await self.client.get(
                "/api/v1/journeys", as_="oms", kind="returns", state="refund_pending", limit=200
            )
            left = len(found["items"])
            if fewest is None or left < fewest or found["next"]:
                fewest, waited_s = left, 0.0
            if not left or waited_s >= self.patience_s:
                return left
            await self.sleep(LOOK_S)
            waited_s += LOOK_S

    async def by_channel(self) -> list[dict[str, Any]]:
        """The refund cycle time by channel, as the console shows it: `group`, `n`, median and 95th percentile (s)."""
        answer = await self.client.get("/api/v1/kpis", as_=people.SAM.id, by="channel")
        (found,) = [one for one in answer["figures"] if one["kpi"]["name"] == "refund_cycle"]
        groups: list[dict[str, Any]] = found["groups"]
        return groups


def told(groups: Sequence[dict[str, Any]]) -> list[str]:
    """The figures as lines of text."""
    return [
        f"{one['group'] or 'none':12} n = {one['n']:5}   median {one['value'] / 60:8.1f} min   95 % within"
        f" {one['p95'] / 60:8.1f} min"
        for one in groups
    ]


async def play(base_url: str, keys: Mapping[str, str], default: str | None, data: Path, begun: Path) -> list[str]:
    """Play the scene of a folder to its end; returns what is to be said of it. Raises FileNotFoundError."""
    visits = read(data)
    async with httpx2.AsyncClient(base_url=base_url, timeout=60.0) as http:
        scene = Scene(Client(http, keys, default), visits, begun_at(begun, dt.datetime.now(dt.UTC)))
        await scene.play()
        left = await scene.settled()
        said = [f"{len(visits)} baskets of {len({one.store for one in visits})} stores; refund cycle time by channel:"]
        said += told(await scene.by_channel())
        said += [f"{count} were {word}" for word, count in sorted(scene.refused.items())]
        said += [f"{left} refunds were declined, or are still on their way: see the queue"] if left else []
        return [*said, f"see {base_url}/console/figures?by=channel"]
