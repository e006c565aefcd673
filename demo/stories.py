"""The three cases of the first page: goods not on the shelf and found later, a promised unit sold at the till, and a
refund that waits for its approver.

Each is made by the same calls that systems and people make; items and places are chosen from the loaded data.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import bodies, folder, people, places
from demo.baskets import Line
from demo.client import Client, RefusedError
from demo.memory import Found, Memory, OpenOrder, Pinned, ToDecide

log = logging.getLogger("endcap.demo")

FOUND_AFTER = dt.timedelta(minutes=4)
REFUND_MINOR = 3_200  # above the demo's limit of 25.00, below what a person would look at twice
TRIES = 40


@dataclass(frozen=True)
class Candidate:
    """An item at a store with its opening stock and regular price in cents."""

    location: str
    sku: str
    stock: int
    price_minor: int


@dataclass
class Stories:
    """Tells the stories that `memory` does not know as told. Decides as Sam Okafor of regional operations."""

    client: Client
    memory: Memory
    data: Path

    def __post_init__(self) -> None:
        prices = {
            row["sku"]: (int(row["price_minor"]), row["age_limit"]) for row in folder.read(self.data / "items.csv")
        }
        self.shelf = [
            Candidate(row["location"], row["sku"], int(row["quantity"]), prices[row["sku"]][0])
            for row in folder.read(self.data / "stock.csv")
            if row["location"] != places.DC and not prices[row["sku"]][1]
        ]
        self.tellers = (self._not_on_the_shelf, self._sold_at_the_till, self._refund_for_ana)
        self.number = len(self.tellers)

    async def tell(self, now: dt.datetime) -> list[Pinned]:
        """Tells the stories that were not told; returns all of them. Each is remembered when it is complete."""
        for number, teller in enumerate(self.tellers):
            if number >= self.memory.stories_told:
                self.memory.pinned.append(await teller(now))
                self.memory.stories_told = number + 1
        return self.memory.pinned

    def _pick(self, *, location: str | None, stock: range, price: range, nth: int) -> Candidate:
        """The nth item of a place by what it is worth on the shelf; the same every time."""
        fitting = [
            item
            for item in self.shelf
            if item.stock in stock and item.price_minor in price and location in (None, item.location)
        ]
        fitting.sort(key=lambda item: (-item.price_minor * item.stock, item.location, item.sku))
        return fitting[(self.memory.seed + nth) % min(len(fitting), TRIES)]

    async def _order(self, number: str, household: int, item: Candidate, quantity: int, now: dt.datetime) -> str:
        line = Line("1", item.sku, quantity, item.price_minor, 0, 0, 0, 0, age_limited=False)
        body = bodies.order_of(number, household, item.location, (line,), now)
        answer = await self.client.post("/api/v1/bopis-orders", body, as_="web")
        return str(answer["journey_id"])

    def _watch(self, number: str, journey: str, household: int, now: dt.datetime, missing: dict[str, int]) -> OpenOrder:
        return OpenOrder(
            order=number,
            journey=journey,
            customer=places.customer(household).name,
            picker=0,
            missing=missing,
            pick_at=now,
            collect_at=now + dt.timedelta(minutes=20),
        )

    async def _not_on_the_shelf(self, now: dt.datetime) -> Pinned:
        item = self._pick(location=None, stock=range(3, 7), price=range(400, 1200), nth=1)
        number, household = "W-STORY-SHELF", 1011
        opened = self.memory.opened_at - dt.timedelta(minutes=50)
        journey = await self._order(number, household, item, 2, opened)
        crew = people.picker(item.location, 0)
        lines = [{"line_id": "1", "quantity": 0, "reason": "not_in_stock"}]
        pick = bodies.picked(f"{number}-pick", journey, crew, lines, self.memory.opened_at)
        await self.client.events([pick], as_="oms")
        self.memory.found.append(Found(at=now + FOUND_AFTER, location=item.location, sku=item.sku))
        watched = self._watch(number, journey, household, now, {})
        watched.pick_at = now + FOUND_AFTER + dt.timedelta(minutes=1)
        self.memory.orders.append(watched)
        return Pinned(
            journey_id=journey,
            order_id=number,
            story="The picker found an empty shelf although the book had stock. In a few minutes a colleague counts, "
            "finds the units, and the order heals by itself: nobody has to decide, the customer never hears of it.",
            title="Not on the shelf, later found",
        )

    async def _sold_at_the_till(self, now: dt.datetime) -> Pinned:
        item = self._pick(location=None, stock=range(3, 5), price=range(300, 1000), nth=2)
        number, household = "W-STORY-TILL", 1022
        opened = self.memory.opened_at - dt.timedelta(minutes=40)
        journey = await self._order(number, household, item, item.stock, opened)
        line = Line("1", item.sku, 1, item.price_minor, 0, 0, 0, 0, age_limited=False)
        sold = bodies.sale_of("sale-story-till", item.location, "story-till", (line,), self.memory.opened_at)
        await self.client.events([sold], as_="pos")
        crew = people.picker(item.location, 1)
        lines = [{"line_id": "1", "quantity": item.stock - 1, "reason": "not_in_stock"}]
        pick = bodies.picked(f"{number}-pick", journey, crew, lines, self.memory.opened_at)
        await self.client.events([pick], as_="oms")
        watched = self._watch(number, journey, household, now, {})
        self.memory.orders.append(watched)
        return Pinned(
            journey_id=journey,
            order_id=number,
            story="A web customer had the promise of every unit; then a shopper in the store bought one of them. "
            "The sale stands, the promise is broken, and somebody has to choose a way out that keeps the customer.",
            title="The till sold a promised unit",
        )

    async def _refund_for_ana(self, now: dt.datetime) -> Pinned:
        item = self._pick(location=people.ANAS_STORE, stock=range(3, 6), price=range(400, 1300), nth=3)
        number, household = "W-STORY-REFUND", 1033
        short = -(-REFUND_MINOR // item.price_minor)
        opened = self.memory.opened_at - dt.timedelta(minutes=30)
        journey = await self._order(number, household, item, item.stock + short, opened)
        note = "The customer would rather have the money back than wait."
        self.memory.to_decide.append(ToDecide(journey=journey, option="cancel_refund", note=note))
        self.memory.orders.append(self._watch(number, journey, household, now, {}))
        return Pinned(
            journey_id=journey,
            order_id=number,
            story="The order cannot be met, and regional operations chose to cancel and refund. The amount is above "
            "the limit, so Ana Ruiz was asked by mail: open the mailbox, follow her link, and decide as she would.",
            title="A refund waiting for Ana",
        )


async def decide(client: Client, memory: Memory) -> None:
    """Makes the decisions whose cases are open; a case that is decided already is let be."""
    for wanted in list(memory.to_decide):
        found = await client.get("/api/v1/cases", as_=people.SAM.id, journey_id=wanted.journey)
        for row in found["items"]:
            case = await client.get(f"/api/v1/cases/{row['id']}", as_=people.SAM.id)
            if wanted.option not in {offered["id"] for offered in case["options"]}:
                continue
            body: dict[str, Any] = {"option": wanted.option, "note": wanted.note, "version": case["version"]}
            try:
                await client.post(f"/api/v1/cases/{case['id']}/decisions", body, as_=people.SAM.id)
            except RefusedError as error:
                if error.problem.get("code") == "stale_version":
                    break  # the case changed while it was read: look again
                log.warning("%s", error)
            memory.to_decide.remove(wanted)
            break
