"""The store crew and the customers at the counter: they pick, hand over and call off what the web shop promised.

They look at the journey before they act, as people look at their list, so whatever a person or a workflow decides in
between is what they find. They report by the public API only.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from demo import bodies, people
from demo.client import Client, RefusedError
from demo.memory import Memory, OpenOrder

log = logging.getLogger("endcap.demo")

LOOK_AGAIN = dt.timedelta(seconds=20)
TO_PICK = frozenset({"reserved", "picking"})
ON_THE_SHELF = frozenset({"ready_for_pickup", "partially_collected"})
ENDED = frozenset({"collected", "shipped", "expired", "cancelled"})


@dataclass
class Crew:
    """Works through `memory.orders`. Reports as source `oms`."""

    client: Client
    memory: Memory

    def next_at(self) -> dt.datetime | None:
        """When somebody has something to do next."""
        return min((at for order in self.memory.orders if (at := _due(order)) is not None), default=None)

    async def work(self, now: dt.datetime) -> None:
        """Does everything that is due. An order that the API refuses to speak of is logged and let go."""
        for order in list(self.memory.orders):
            due = _due(order)
            if due is None or due > now:
                continue
            try:
                keep = await self._visit(order, now)
            except RefusedError as error:
                log.warning("%s: %s", order.order, error)
                keep = error.status >= 500
                order.look_at = now + LOOK_AGAIN
            if not keep:
                self.memory.orders.remove(order)

    async def _visit(self, order: OpenOrder, now: dt.datetime) -> bool:
        journey = await self.client.get(f"/api/v1/journeys/{order.journey}", as_="oms")
        state = journey["state"]
        if state in ENDED:
            return False
        if order.cancel_at is not None and order.cancel_at <= now:
            order.cancel_at = None
            await self.client.events([bodies.cancelled(f"{order.order}-cancel", order.journey, now)], as_="web")
        elif state in TO_PICK and order.pick_at is not None and order.pick_at <= now:
            await self._pick(order, journey, now)
        elif state in ON_THE_SHELF and order.collect_at is not None and order.collect_at <= now:
            await self._hand_over(order, journey, now)
        if state in ON_THE_SHELF and order.collect_at is None and order.cancel_at is None:
            return False  # nobody comes: the pickup window is the workflow's business
        order.look_at = now + LOOK_AGAIN
        return True

    async def _pick(self, order: OpenOrder, journey: dict[str, Any], now: dt.datetime) -> None:
        lines: list[dict[str, Any]] = []
        for line in journey["lines"]:
            wanted = line["reserved"]
            if not wanted:
                continue
            # What is missing once is found missing once: after a decision the crew picks what it is given.
            found = min(order.missing.pop(line["line_id"], wanted), wanted)
            reason = None if found == wanted else "not_in_stock"
            lines.append({"line_id": line["line_id"], "quantity": found, "reason": reason})
        if not lines:
            return
        picker = people.picker(journey["location"], order.picker)
        number = f"{order.order}-pick-{order.reports}"
        order.reports += 1
        await self.client.events([bodies.picked(number, order.journey, picker, lines, now)], as_="oms")

    async def _hand_over(self, order: OpenOrder, journey: dict[str, Any], now: dt.datetime) -> None:
        actor = people.picker(journey["location"], order.picker)
        number = f"{order.order}-handover-{order.reports}"
        order.reports += 1
        event = bodies.handed_over(number, order.journey, actor, order.customer, card=order.card, at=now)
        await self.client.events([event], as_="oms")


def _due(order: OpenOrder) -> dt.datetime | None:
    """The next time somebody touches the order, never before the next look at it."""
    wishes = [at for at in (order.pick_at, order.collect_at, order.cancel_at) if at is not None]
    if not wishes:
        return None
    return max(min(wishes), order.look_at) if order.look_at is not None else min(wishes)
