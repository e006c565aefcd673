"""Returns of the demo's first seconds: at Ana's store one waits to be looked at, one was refunded, one is announced,
and one has a fraud score, so that regional operations looked first and Ana has to agree. Others were defective and went
back to their makers (`demo/vendors.py`).

What comes back was sold at her till in the weeks before. It is asked for and reported by the public API only; a body
that is sent again is the same one.
"""

import datetime as dt
import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demo import bodies, people, places, vendors
from demo.baskets import Line
from demo.bodies import Body
from demo.client import Client
from demo.memory import Memory, ToDecide
from demo.plan import chance
from demo.stories import Candidate

log = logging.getLogger("endcap.demo")

HERE = people.ANAS_STORE
SOLD_BEFORE = dt.timedelta(days=9)
USUAL_MINOR = range(300, 900)
PINNED = 4  # returns that somebody is led to
DEFECTIVE = 4  # others, whose goods go back to their makers
SUSPECT_UNITS = 3
SUSPECT_MINOR = range(900, 1_600)  # three of them are above the demo's band of 25.00, and need no word before they come
OFTEN = {"bought": 22, "returned": 13}  # of that customer's last ninety days


class Plan(NamedTuple):
    """One of the returns, of one item. Without `receipt` nobody knows where it was bought; `came_min` ago it came."""

    number: str
    item: Candidate
    units: int
    reason: str
    method: str
    household: int
    receipt: bool = True
    came_min: int | None = None
    condition: str | None = None


def plan(shelf: Sequence[Candidate], seed: int, day: int) -> list[Plan]:
    """Which items come back; the same for a seed and a day."""
    here = [item for item in shelf if item.location == HERE]
    here.sort(key=lambda item: (chance(seed, "return", item.sku), item.sku))
    cheap = [item for item in here if item.price_minor in USUAL_MINOR]
    usual, defective = cheap[:3], cheap[3 : 3 + DEFECTIVE]
    dear = next(item for item in here if item.price_minor in SUSPECT_MINOR and item not in usual)
    number = iter(f"RT-{day:03d}-{count}" for count in itertools.count(1))
    pinned = [
        Plan(next(number), usual[0], 2, "changed_mind", "mail", 1204, came_min=50),
        Plan(next(number), usual[1], 1, "defective", "store", 1217, came_min=170, condition="damaged"),
        Plan(next(number), dear, SUSPECT_UNITS, "changed_mind", "store", 1233, receipt=False, came_min=25),
        Plan(next(number), usual[2], 1, "wrong_item", "mail", 1248),
    ]
    broken = [
        Plan(
            next(number),
            item,
            2,
            "defective",
            "store",
            1301 + 7 * count,
            came_min=300 + 90 * count,
            condition="damaged",
        )
        for count, item in enumerate(defective)
    ]
    return [*pinned, *broken]


def for_vendors(plans: Sequence[Plan]) -> list[Plan]:
    """What of them has gone back to its maker, or is to; the defective one of the first four waits to be gathered."""
    return list(plans[PINNED:])


def sale(one: Plan, at: dt.datetime) -> Body:
    """How it was bought: a receipt of the till."""
    line = Line("1", one.item.sku, one.units, one.item.price_minor, 0, 0, 0, 0, age_limited=False)
    return bodies.sale_of(f"sale-{one.number}", HERE, f"T-{one.number}", (line,), at)


def request(one: Plan, *, currency: str = places.CURRENCY) -> Body:
    """The body that asks to bring it back."""
    customer = places.customer(one.household)
    line = {"line_id": "1", "sku": one.item.sku, "quantity": one.units, "reason": one.reason}
    return {
        "return_id": one.number,
        "bought_at": "store",
        "returned_to": HERE,
        "method": one.method,
        "currency": currency,
        "customer": {"name": customer.name, "email": customer.email},
        "customer_history": None if one.receipt else OFTEN,
        "receipt": {"number": f"T-{one.number}", "location": HERE, "tender": "card"} if one.receipt else None,
        "lines": [line],
    }


def received(one: Plan, journey: str, at: dt.datetime) -> Body:
    lines = [{"line_id": "1", "quantity": one.units}]
    data = {"return_id": journey, "location": HERE, "lines": lines, "actor": people.picker(HERE, 1)}
    return bodies.event(f"{one.number}-came", "return.received", at, data)


def inspected(one: Plan, journey: str, at: dt.datetime) -> Body:
    lines = [{"line_id": "1", "quantity": one.units, "condition": one.condition}]
    data = {"return_id": journey, "lines": lines, "actor": people.picker(HERE, 0)}
    return bodies.event(f"{one.number}-seen", "return.inspected", at, data)


@dataclass
class Counter:
    """Brings them back once. The till speaks as `pos`, the counter as `oms`; Sam decides about the one with a score."""

    client: Client
    memory: Memory

    async def bring(self, plans: Sequence[Plan], costs: Mapping[str, int]) -> None:
        """Sell, announce and take in everything; `costs` are cents by SKU. What was sold had come for it: what the
        store has today is what it has without them.
        """
        opened = self.memory.opened_at
        units = {one.item.sku: one.units for one in plans if one.receipt}
        number = f"delivery-returns-{self.memory.day:03d}"
        delivery = bodies.received(number, HERE, units, costs, opened - SOLD_BEFORE - dt.timedelta(days=1))
        await self.client.events([delivery], as_="oms")
        sold = [sale(one, opened - SOLD_BEFORE) for one in plans if one.receipt]
        await self.client.events(sold, as_="pos")
        for one in plans:
            answer = await self.client.post("/api/v1/returns", request(one), as_="oms")
            journey = str(answer["journey_id"])
            if one.came_min is None:
                continue
            came = opened - dt.timedelta(minutes=one.came_min)
            told = [received(one, journey, came)]
            if one.condition is not None:
                told.append(inspected(one, journey, came + dt.timedelta(minutes=20)))
            await self.client.events(told, as_="oms")
            if not one.receipt:
                note = "Two of them are sealed; nothing speaks against it but the number of returns."
                self.memory.to_decide.append(ToDecide(journey=journey, option="pay", note=note))
        await vendors.send_back(self.client, [(one.item.sku, one.units) for one in for_vendors(plans)], self.memory.day)
        self.memory.returns_brought = True
