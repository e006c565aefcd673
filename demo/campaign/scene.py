"""Plays a campaign: agreements and promotions are defined and agreed to, prices go out, its receipts come in day by
day, in their order, promotions begin and end, claims are made, answered and paid.

Whatever a system or a person does goes through the public API; the clock alone is moved beside it.
"""

import asyncio
import datetime as dt
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from demo import people
from demo.bodies import Body
from demo.campaign import bodies
from demo.campaign.claims import Desk
from demo.campaign.clock import Clock
from demo.campaign.cut import WINDOW_DAYS, Campaign, Promotion
from demo.client import Client, RefusedError

log = logging.getLogger("endcap.demo")

BATCH = 100
LOOK_S = 1.0
PATIENCE_S = 900.0
DAY_S = 86_400
ZONE = ZoneInfo("America/New_York")
AGREEING = (people.MIA.id, people.PRIYA.id)
PUBLISH_BEFORE_S = DAY_S  # as policy ships it
OVER = frozenset({"ended", "settled"})
BEGUN = OVER | {"active", "reverting"}  # after a stop it may be further already


class SceneStuckError(Exception):
    """What the scene waits for does not come; the text says what."""


class Day(NamedTuple):
    """A trading day: what was sold, in its order, and what came back."""

    date: dt.date
    sales: tuple[Body, ...]
    returns: tuple[Body, ...]


@dataclass
class Scene:
    """One campaign, played once. `begun` decides its dates; `now`, `sleep` are the wall clock."""

    client: Client
    campaign: Campaign
    clock: Clock
    begun: dt.datetime
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    patience_s: float = PATIENCE_S
    refused: Counter[str] = field(default_factory=Counter)
    verdicts: int = 0

    def __post_init__(self) -> None:
        self.shift = bodies.shift_s(self.campaign, self.begun)
        self.desk = Desk(self.client, self.campaign.number)
        self.agreements = [f"oms:{one.number}" for one in self.campaign.agreements]

    async def play(self) -> None:
        """Everything, until no claim is open."""
        await self.define()
        await self.go_out()
        await self.trade()
        await self.clock.settle(dt.datetime.now(dt.UTC))

    # ------------------------------------------------------------ agreements and promotions
    async def define(self) -> None:
        """Record what was signed and planned; those who must agree to a promotion do."""
        for one in self.campaign.agreements:
            body = bodies.agreement(one, self.campaign, self.shift)
            await self.client.post("/api/v1/funding-agreements", body, as_="oms")
        for promotion in self.campaign.promotions:
            await self.client.post("/api/v1/promotions", bodies.promotion(promotion, self.shift), as_="oms")
        log.info("%d agreements, %d promotions", len(self.campaign.agreements), len(self.campaign.promotions))
        await self._until("promotions are agreed to", self._agreed)

    async def _agreed(self) -> bool:
        """Merchandising and finance say yes to what waits for them; True once nothing waits."""
        waiting = [one for one in (await self._promotions()).values() if one["state"] == "pending_approval"]
        journeys = {one["journey_id"] for one in waiting}
        for person in AGREEING if journeys else ():
            page = await self.client.get(
                "/api/v1/approvals", as_=person, kind="promotion", state="pending", mine="true", limit=200
            )
            for row in page["items"]:
                if row["journey_id"] in journeys:
                    await self._say_yes(person, row["id"])
        return not waiting

    async def _say_yes(self, person: str, approval: int) -> None:
        body = {"verdict": "approve", "note": "The maker pays its share."}
        try:
            await self.client.post(f"/api/v1/approvals/{approval}/decisions", body, as_=person)
            self.verdicts += 1
        except RefusedError as error:  # somebody was first, or its start has come
            if error.status not in (403, 409):
                raise
            log.info("%s", error)

    async def _promotions(self) -> dict[str, Body]:
        """Of the campaign, by their ids."""
        found: dict[str, Body] = {}
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = await self.client.get(
                "/api/v1/promotions", as_="oms", text=f"CJ{self.campaign.number}-", limit=500, **more
            )
            found |= {row["promotion_id"]: row for row in page["items"]}
            if not page["next"]:
                return found
            cursor = page["next"]

    async def go_out(self) -> None:
        """The day before it begins, the prices of each go out, and are seen."""
        left = list(self.campaign.promotions)
        for one in left:
            await self.clock.to([self._journey(one)], bodies.instant(one.starts_s + self.shift - PUBLISH_BEFORE_S))
        seen: set[str] = set()

        async def all_seen() -> bool:
            for one in left:
                if one.code in seen:
                    continue
                view = await self.client.get(f"/api/v1/promotions/{one.code}", as_="oms")
                shown = [row for row in view["publications"] if row["phase"] == "publish"]
                if not shown or any(row["done_at"] is None for row in shown):
                    return False
                seen.add(one.code)
            return True

        await self._until("every price is seen", all_seen)
        log.info("the prices of %d promotions are seen", len(seen))

    def _journey(self, one: Promotion) -> str:
        return f"promotion:oms:{one.code}"

    async def _move(self, some: Sequence[Promotion], at_s: int, states: frozenset[str]) -> None:
        """Promotions begin, or end, at an instant."""
        await self.clock.to([self._journey(one) for one in some], bodies.instant(at_s + self.shift))

        async def there() -> bool:
            now = await self._promotions()
            return all(now[one.code]["state"] in states for one in some)

        await self._until(f"{len(some)} promotions are {', '.join(sorted(states))}", there)

    # ------------------------------------------------------------ the days
    def days(self) -> Iterator[Day]:
        """In their order, from the first sale to the last return."""
        sales: defaultdict[dt.date, list[Body]] = defaultdict(list)
        returns: defaultdict[dt.date, list[Body]] = defaultdict(list)
        for receipt in self.campaign.receipts:
            sales[date_of(receipt.at_s)].append(bodies.sale(receipt, self.shift))
            if receipt.back_s is not None and receipt.returned:
                returns[date_of(receipt.back_s)].append(bodies.comes_back(receipt, receipt.back_s, self.shift))
        for date in sorted(sales.keys() | returns.keys()):
            yield Day(date, tuple(sales[date]), tuple(returns[date]))

    def moves(self) -> list[tuple[dt.date, str, int]]:
        """What happens by itself, before the first receipt of its day: promotions begin and end, claims are made."""
        found = {(one.starts_s, "1 begin") for one in self.campaign.promotions}
        found |= {(one.ends_s, "0 end") for one in self.campaign.promotions}
        final = self.campaign.ends_s + WINDOW_DAYS * DAY_S
        for one in self.campaign.agreements:
            every = (one.claim_every_days or 10_000) * DAY_S
            found |= {(at_s, "2 claim") for at_s in range(self.campaign.starts_s + every, final, every)}
        found.add((final, "2 claim"))
        found.add((final + 62 * DAY_S, "3 late"))
        return sorted((date_of(at_s), what, at_s) for at_s, what in found)

    async def trade(self) -> None:
        """The whole time: every day's receipts after what happens by itself at its beginning."""
        moves = self.moves()
        for day in self.days():
            while moves and moves[0][0] <= day.date:
                await self._happens(*moves.pop(0))
            await self._send(day.sales, "pos")
            await self._send(day.returns, "pos")
        for move in moves:
            await self._happens(*move)

    async def _happens(self, date: dt.date, what: str, at_s: int) -> None:
        if what == "1 begin":
            some = [one for one in self.campaign.promotions if one.starts_s == at_s]
            await self._move(some, at_s, BEGUN)
        elif what == "0 end":
            some = [one for one in self.campaign.promotions if one.ends_s == at_s]
            await self._move(some, at_s, OVER)
        else:
            made = await self._claim(date, at_s)
            while made and what == "3 late":  # what is claimed again of these has no later run: it shrinks to nothing
                made = await self._claim(date, at_s)

    async def _claim(self, date: dt.date, at_s: int) -> int:
        """Claims that are due are made, answered, and closed; returns how many."""
        made = await self.clock.claims(self.agreements, bodies.instant(at_s + self.shift))
        await self._until(f"the claims of {date} are closed", self._closed)
        log.info("%s: %d claims", date, made)
        return made

    async def _closed(self) -> bool:
        return not await self.desk.work()

    async def _send(self, events: Sequence[Body], source: str) -> None:
        for start in range(0, len(events), BATCH):
            for result in await self.client.events(list(events[start : start + BATCH]), as_=source):
                if result["outcome"] not in ("accepted", "duplicate"):
                    self.refused[str(result["outcome"])] += 1

    async def _until(self, what: str, there: Callable[[], Awaitable[bool]]) -> None:
        waited_s = 0.0
        while not await there():
            if waited_s >= self.patience_s:
                raise SceneStuckError(f"waited {waited_s:.0f} s, and not: {what}")
            await self.sleep(LOOK_S)
            waited_s += LOOK_S


def date_of(at_s: int) -> dt.date:
    """Of the stores."""
    return dt.datetime.fromtimestamp(at_s, dt.UTC).astimezone(ZONE).date()
