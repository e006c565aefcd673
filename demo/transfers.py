"""Goods that go between the demo's places: what was planned overnight, sent and received while the day goes on.

Some are left to whoever tries things out: Ana's store has one to send, one to receive and one to agree to, and one came
short. They are asked for and reported by the public API only, each report dated when it was to happen, so that a body
that is sent again is the same one.
"""

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from demo import bodies, people, places
from demo.bodies import Body
from demo.client import Client, RefusedError
from demo.memory import Memory, Parcel
from demo.plan import chance

log = logging.getLogger("endcap.demo")

CARRIERS = ("Buckeye Freight", "Scioto Lines")
REPLENISHED = 8  # stores to which the warehouse sends something, beside Ana's
BIG_MINOR = 12_000  # above the demo's band of 100.00: somebody at the source has to agree
MOST_LINES = 12
SHORT_SENT, SHORT_CAME = 6, 4


class Shelf(NamedTuple):
    """An item at a place, with its opening stock and its cost in cents."""

    location: str
    sku: str
    stock: int
    cost_minor: int


@dataclass(frozen=True)
class Move:
    """A transfer of the night. Minutes are counted from when it was asked for, None where nobody does it by himself;
    `comes` is what arrives of each line where that is less than was sent.
    """

    number: str
    source: str
    target: str
    lines: tuple[tuple[str, int], ...]
    sent_min: int | None = None
    came_min: int | None = None
    comes: int | None = None
    requested_by: str | None = None


def plan(shelf: Sequence[Shelf], seed: int, day: int) -> list[Move]:
    """What goes where; the same for a seed and a day."""
    number = iter(f"N-{day:03d}-{count:02d}" for count in range(1, 100))
    warehouse = {item.sku: item for item in shelf if item.location == places.DC and item.stock >= SHORT_SENT}
    stores = sorted({item.location for item in shelf} - {places.DC, people.ANAS_STORE})
    moves = []
    for count, store in enumerate(stores[:REPLENISHED]):
        lines = _scarce(shelf, warehouse, store, seed)
        # Half of them come while the day goes on, the others are still on their way when it is over.
        came = 5 + count if count % 2 else None
        moves.append(Move(next(number), places.DC, store, lines, sent_min=max(count - 3, 0), came_min=came))
    ana = people.ANAS_STORE
    moves.append(Move(next(number), places.DC, ana, _scarce(shelf, warehouse, ana, seed), sent_min=0))
    short = _scarce(shelf, warehouse, stores[0], seed + 1)[:1]
    short = ((short[0][0], SHORT_SENT),)
    moves.append(Move(next(number), places.DC, stores[0], short, sent_min=0, came_min=0, comes=SHORT_CAME))
    here = sorted((item for item in shelf if item.location == ana), key=lambda item: (-item.cost_minor, item.sku))
    plenty = [item for item in here if item.stock >= 4][1:3]
    moves.append(Move(next(number), ana, stores[1], tuple((item.sku, 2) for item in plenty)))
    large = tuple((item.sku, item.stock) for item in _worth(here, BIG_MINOR))
    moves.append(Move(next(number), ana, stores[2], large, requested_by=people.SAM.id))
    return moves


def _scarce(
    shelf: Sequence[Shelf], warehouse: Mapping[str, Shelf], store: str, seed: int
) -> tuple[tuple[str, int], ...]:
    """Two items of which a store has little and the warehouse enough, with the units that it gets."""
    short = [item for item in shelf if item.location == store and item.stock <= 4 and item.sku in warehouse]
    short.sort(key=lambda item: (chance(seed, "scarce", store, item.sku), item.sku))
    return tuple((item.sku, 2 + number) for number, item in enumerate(short[:2]))


def _worth(items: Sequence[Shelf], least_minor: int) -> list[Shelf]:
    """The first items that together are worth so much at cost."""
    taken: list[Shelf] = []
    for item in items[:MOST_LINES]:
        if sum(one.stock * one.cost_minor for one in taken) >= least_minor:
            break
        if item.stock > 0:
            taken.append(item)
    return taken


def request(move: Move) -> Body:
    """The body that asks for it."""
    return {
        "transfer_id": move.number,
        "from": move.source,
        "to": move.target,
        "reason": "replenish" if move.source == places.DC else "rebalance",
        "requested_by": move.requested_by,
        "lines": [
            {"line_id": str(number), "sku": sku, "quantity": units}
            for number, (sku, units) in enumerate(move.lines, start=1)
        ],
    }


@dataclass
class Dock:
    """Asks for the night's transfers once, and works through `memory.parcels`. Speaks as source `oms`."""

    client: Client
    memory: Memory
    now: Callable[[], dt.datetime]

    async def ask(self, moves: Sequence[Move]) -> None:
        """Ask for all of them in one request, and remember what people will do about each."""
        body = {"transfers": [request(move) for move in moves]}
        answer = await self.client.post("/api/v1/transfers:batch", body, as_="oms")
        asked = self.now()
        for move, result in zip(moves, answer["results"], strict=True):
            if result["body"] is None:
                log.warning("transfer %s was refused: %s", move.number, result["problem"])
                continue
            if move.sent_min is None:
                continue
            self.memory.parcels.append(
                Parcel(
                    number=move.number,
                    journey=result["body"]["journey_id"],
                    target=move.target,
                    carrier=CARRIERS[int(chance(self.memory.seed, "carrier", move.number) * len(CARRIERS))],
                    comes=move.comes,
                    sent_at=asked + dt.timedelta(minutes=move.sent_min),
                    came_at=None if move.came_min is None else asked + dt.timedelta(minutes=move.came_min),
                )
            )
        self.memory.transfers_asked = True

    def next_at(self) -> dt.datetime | None:
        """When somebody sends or receives something next."""
        return min((at for parcel in self.memory.parcels if (at := parcel.sent_at or parcel.came_at)), default=None)

    async def work(self, now: dt.datetime) -> None:
        """Does everything that is due; what the API refuses to speak of is logged and let go."""
        for parcel in list(self.memory.parcels):
            try:
                if parcel.sent_at is not None and parcel.sent_at <= now:
                    await self._send(parcel, parcel.sent_at)
                    parcel.sent_at = None
                if parcel.sent_at is None and parcel.came_at is not None and parcel.came_at <= now:
                    await self._receive(parcel, parcel.came_at)
                    parcel.came_at = None
            except RefusedError as error:
                log.warning("%s: %s", parcel.number, error)
                parcel.sent_at = parcel.came_at = None
            if parcel.sent_at is None and parcel.came_at is None:
                self.memory.parcels.remove(parcel)

    async def _send(self, parcel: Parcel, at: dt.datetime) -> None:
        data = {
            "transfer_id": parcel.journey,
            "lines": None,
            "carrier": parcel.carrier,
            "tracking": f"BF{parcel.number.replace('-', '')}",
            "expected_at": bodies.stamp(at + dt.timedelta(hours=4)),
            "complete": True,
        }
        event = bodies.event(f"{parcel.number}-sent", "transfer.shipped", at, data)
        await self.client.events([event], as_="oms")

    async def _receive(self, parcel: Parcel, at: dt.datetime) -> None:
        """All of it; or, where less came, that much of its only line, and nothing more."""
        lines = None if parcel.comes is None else [{"line_id": "1", "quantity": parcel.comes}]
        actor = people.picker(parcel.target, 0)
        data = {"transfer_id": parcel.journey, "lines": lines, "complete": True, "actor": actor}
        event = bodies.event(f"{parcel.number}-came", "transfer.received", at, data)
        await self.client.events([event], as_="oms")


def of_folder(stock: Sequence[Mapping[str, str]], items: Sequence[Mapping[str, str]]) -> list[Shelf]:
    """The shelves of the rows of stock.csv and items.csv; what has an age limit stays where it is."""
    costs = {row["sku"]: int(row["cost_minor"]) for row in items if not row["age_limit"]}
    return [
        Shelf(row["location"], row["sku"], int(row["quantity"]), costs[row["sku"]])
        for row in stock
        if row["sku"] in costs
    ]
