"""Replays days of real sales against a running Endcap, through its public API alone, and goes on where it stopped.

The first start makes a living queue within seconds: the three pinned stories and a backlog of orders; then the day
follows at the chosen speed. It decides nothing about stock or money: it reports, orders and picks like the systems
and people of a shop.
"""

import asyncio
import datetime as dt
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from demo import bodies, folder, memory, pins, returns, transfers
from demo.baskets import Assortment, Basket, of_day
from demo.client import Client, RefusedError
from demo.counters import Counters
from demo.crew import Crew
from demo.dealing import Dealing
from demo.deals import LABELS, STUCK, Deal, named, plan
from demo.labels import Labels
from demo.memory import Memory, OpenOrder, Sending
from demo.places import customer
from demo.plan import Act, OrderScript, day_script, is_web_order, script_of
from demo.source import Sales, read_sales
from demo.stories import Stories, decide

log = logging.getLogger("endcap.demo")

#: The replay begins at nine in the morning of its first day; what was sold before has happened already.
START_S = 9 * 3600
BACKLOG_ORDERS = 40
BACKLOG_S = 95 * 60
BATCH = 100
DECIDE_TRIES = 10
LAST_DAY = 365


@dataclass(frozen=True)
class Options:
    """What to replay, how fast, and where to. `speed` is seconds of trading a second; `days` how many follow.

    `keys` maps a source (`pos`, `web`, `oms`) or a person's id to an API key, `api_key` serves where one is missing.
    `data` is the folder that `endcap load` imported; `position_file` remembers how far the replay got.
    `database_url`, where given, is used for one thing only: to pin the stories to the first page.
    """

    base_url: str
    data: Path
    position_file: Path
    keys: Mapping[str, str] = field(default_factory=dict)
    api_key: str | None = None
    day: int = 36
    days: int = 30
    speed: float = 60.0
    seed: int = 7
    database_url: str | None = None


def utc_now() -> dt.datetime:
    """The wall clock."""
    return dt.datetime.now(dt.UTC)


@dataclass
class Replay:
    """One run of the replay. `now` and `sleep` are the wall clock."""

    options: Options
    client: Client
    memory: Memory
    sales: Sales
    assortment: Assortment
    costs: Mapping[str, int]
    now: Callable[[], dt.datetime] = utc_now
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    deals: Sequence[Deal] = ()

    def __post_init__(self) -> None:
        self.crew = Crew(self.client, self.memory)
        self.counters = Counters(self.client, self.memory)
        self.dock = transfers.Dock(self.client, self.memory, self.now)

    async def run(self) -> None:
        """Everything, until the last day is over."""
        self._remember()
        await self._open()
        last = min(self.options.day + self.options.days - 1, LAST_DAY)
        while self.memory.day <= last:
            await self._day(self.memory.day)
            self.memory.day += 1
            self.memory.position = 0
            self.memory.anchor = self.now()
            self._remember()
        log.info("day %d is over; nothing follows", last)

    # ------------------------------------------------------------ the first seconds
    async def _open(self) -> None:
        """The pinned stories and a morning's backlog; skipped as far as it was done."""
        stories = Stories(self.client, self.memory, self.options.data)
        if self.memory.stories_told < stories.number:
            pinned = await stories.tell(self.now())
            self._remember()
            await pins.pin(self.options.database_url, pinned)
        await self._between_places()
        await self._brought_back(stories)
        backlog = self._backlog()
        for number, basket in enumerate(backlog):
            if number >= self.memory.backlog_sent:
                before_s = BACKLOG_S * (len(backlog) - number) // len(backlog)
                placed_at = self.memory.opened_at - dt.timedelta(seconds=before_s)
                await self._order(script_of(basket, self.options.seed), placed_at, quick_s=before_s)
                self.memory.backlog_sent = number + 1
                self._remember()
        for _ in range(DECIDE_TRIES):
            if self.memory.to_decide:
                await self.sleep(0.5)  # a workflow opens the case, a moment after the order was answered
                await decide(self.client, self.memory)
        await self.crew.work(self.now())
        self._remember()

    async def _between_places(self) -> None:
        """What was planned overnight to go from place to place, and what of it has left already."""
        if not self.memory.transfers_asked:
            rows = {name: list(folder.read(self.options.data / f"{name}.csv")) for name in ("stock", "items")}
            shelf = transfers.of_folder(rows["stock"], rows["items"])
            await self.dock.ask(transfers.plan(shelf, self.options.seed, self.options.day))
            self._remember()
        await self.dock.work(self.now())
        self._remember()

    async def _brought_back(self, stories: Stories) -> None:
        """What customers of Ana's store have brought back, or sent."""
        if not self.memory.returns_brought:
            plans = returns.plan(stories.shelf, self.options.seed, self.options.day)
            await returns.Counter(self.client, self.memory).bring(plans, self.costs)
            self._remember()

    def _backlog(self) -> list[Basket]:
        """Web orders of the days before, the latest day first, as if they had all come in this morning."""
        orders: list[Basket] = []
        for day in range(self.options.day - 1, max(self.options.day - 8, 0), -1):
            baskets = of_day(self.sales, day, self.assortment)
            orders += [basket for basket in baskets if is_web_order(basket, self.options.seed)]
            if len(orders) >= BACKLOG_ORDERS:
                break
        return orders[:BACKLOG_ORDERS]

    # ------------------------------------------------------------ a day
    async def _day(self, day: int) -> None:
        before = of_day(self.sales, day - 1, self.assortment) if day > self.options.day else []
        acts = day_script(of_day(self.sales, day, self.assortment), day, self.options.seed, before)
        log.info("day %d: %d acts, going on at %d, speed %g", day, len(acts), self.memory.position, self.options.speed)
        if self.memory.position < len(acts):
            self._anchor_at(acts[self.memory.position].at_s, day)
        while self.memory.position < len(acts):
            await self._wait_for(acts[self.memory.position], day)
            await self._send_due(acts, day)

    def _start_s(self, day: int) -> int:
        """From here on the replay keeps its speed; what comes earlier on a day is sent at once."""
        return START_S if day == self.options.day else 6 * 3600

    def _anchor_at(self, at_s: int, day: int) -> None:
        """After a stop the day goes on from where it was: the pause does not make everything late."""
        passed_s = max(0, at_s - self._start_s(day)) / self.options.speed
        self.memory.anchor = self.now() - dt.timedelta(seconds=passed_s)

    def _moment(self, at_s: int, day: int, anchor: dt.datetime) -> dt.datetime:
        """The wall time of a second of the trading day; before the start, seconds are seconds."""
        ahead_s = at_s - self._start_s(day)
        return anchor + dt.timedelta(seconds=ahead_s / self.options.speed if ahead_s > 0 else ahead_s)

    async def _wait_for(self, act: Act, day: int) -> None:
        """Lets crew and customers do what comes before the act."""
        due = self._moment(act.at_s, day, self.memory.anchor)
        while (now := self.now()) < due:
            crew_at = self.crew.next_at()
            known = (due, crew_at, self.counters.look_at, self.dock.next_at())
            next_at = min(at for at in known if at is not None)
            # In slices, so that a changed clock or an early wake-up is noticed.
            await self.sleep(min(max((next_at - now).total_seconds(), 0.02), 1.0))
            await self._people_act()

    async def _people_act(self) -> None:
        now = self.now()
        await self.counters.work(now)
        if self.memory.to_decide:
            await decide(self.client, self.memory)
            self._remember()
        for some in (self.crew, self.dock):
            at = some.next_at()
            if at is not None and at <= now:
                await some.work(now)
                self._remember()

    async def _send_due(self, acts: list[Act], day: int) -> None:
        """Sends the acts whose time has come: till receipts together, an order or a delivery by itself."""
        first = self.memory.position
        sending = self.memory.sending
        if sending is None or not sending.first <= first < sending.end:
            now = self.now()
            end = first + 1
            while (
                acts[first].kind.startswith("sale")
                and end < min(len(acts), first + BATCH)
                and acts[end].kind.startswith("sale")
                and self._moment(acts[end].at_s, day, self.memory.anchor) <= now
            ):
                end += 1
            sending = self.memory.sending = Sending(first=first, end=end, anchor=self.memory.anchor)
            self._remember()
        batch = acts[first : sending.end]
        try:
            await self._send(batch, day, sending.anchor)
        except RefusedError as error:
            log.warning("%s", error)
        self.memory.position, self.memory.sending = sending.end, None
        self._remember()

    async def _send(self, acts: list[Act], day: int, anchor: dt.datetime) -> None:
        act = acts[0]
        if act.kind == "order" and act.script is not None:
            await self._order(act.script, self._moment(act.happened_s, day, anchor))
        elif act.kind == "delivery" and act.location is not None:
            number = f"delivery-{day:03d}-{act.location}"
            at = self._moment(act.happened_s, day, anchor)
            event = bodies.received(number, act.location, dict(act.units), self.costs, at)
            await self.client.events([event], as_="oms")
        else:
            receipts = [
                named(
                    bodies.sale(
                        act.basket,
                        self._moment(act.happened_s, day, anchor),
                        unlisted=act.kind == "sale_with_unknown_item",
                    ),
                    self.deals,
                )
                for act in acts
                if act.basket is not None
            ]
            await self.client.events(receipts, as_="pos")

    async def _order(self, script: OrderScript, placed_at: dt.datetime, *, quick_s: int = 0) -> None:
        """Places an order and tells the crew. `quick_s` seconds of its life have passed already, one by one."""
        basket = script.basket
        answer = await self.client.post("/api/v1/bopis-orders", bodies.order(basket, placed_at), as_="web")

        def after(seconds: int | None) -> dt.datetime | None:
            if seconds is None:
                return None
            if seconds <= quick_s:
                return placed_at + dt.timedelta(seconds=seconds)
            return placed_at + dt.timedelta(seconds=quick_s + (seconds - quick_s) / self.options.speed)

        self.memory.orders.append(
            OpenOrder(
                order=bodies.order_id(basket),
                journey=answer["journey_id"],
                customer=customer(basket.household).name,
                picker=script.picker,
                missing={script.missing: 0} if script.missing else {},
                card=any(line.age_limited for line in basket.lines),
                pick_at=after(script.pick_after_s),
                collect_at=after(script.collect_after_s) if script.pick_after_s is not None else None,
                cancel_at=after(script.cancel_after_s),
            )
        )

    def _remember(self) -> None:
        memory.save(self.options.position_file, self.memory)


async def replay(options: Options) -> None:
    """Runs a replay to its end. Raises DataSetMissingError, FileNotFoundError (no folder), ValueError (day, speed)."""
    if not 1 <= options.day <= LAST_DAY or not (options.speed > 0 and math.isfinite(options.speed)):
        raise ValueError(f"day must be from 1 to {LAST_DAY} and speed above zero")
    assortment = folder.assortment(options.data)
    sales = read_sales(tuple(assortment.regions))
    remembered = memory.load(options.position_file, day=options.day, seed=options.seed, now=utc_now())
    costs = {row["sku"]: int(row["cost_minor"]) for row in folder.read(options.data / "items.csv")}
    async with httpx2.AsyncClient(base_url=options.base_url, timeout=30.0) as http, asyncio.TaskGroup() as group:
        client = Client(http, options.keys, options.api_key)
        deals = plan(assortment, Stories(client, remembered, options.data).shelf, options.day, remembered.opened_at)
        beside = group.create_task(_dealing(options, client, deals, costs).run())
        await Replay(options, client, remembered, sales, assortment, costs, deals=deals).run()
        beside.cancel()


def _dealing(options: Options, client: Client, deals: Sequence[Deal], costs: Mapping[str, int]) -> Dealing:
    """What goes on beside the day. Shelf labels read the folder that `endcap up` names to the worker."""
    home = options.position_file.parent
    regular = {row["sku"]: int(row["price_minor"]) for row in folder.read(options.data / "items.csv")}
    labels = Labels(home / LABELS, regular, STUCK)
    return Dealing(client, deals, labels, costs, home / "demo-deals.json", utc_now)
