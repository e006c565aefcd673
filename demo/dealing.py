"""Carries the demo's deals through, beside the day's replay: agreements and promotions are defined, one is sold and
ended early, claims are made, a maker answers short. Shelf labels take their prices all the while.

Each act is done once and remembered by its name; one that is not possible yet is tried again at the next look.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import AwareDatetime, BaseModel

from demo.bodies import Body
from demo.campaign.bodies import answered
from demo.client import Client, RefusedError
from demo.deals import Deal, agreement, promotion, sold
from demo.labels import Labels

log = logging.getLogger("endcap.demo")

LOOK_S = 2.0
RECEIPTS = 14  # of a promotion that has just begun
RECEIPTS_BEFORE = 40  # of the one of last month
ACCEPTED_TENTHS = 6


class Done(BaseModel):
    """What was done, by name; `sold_at` is when the first receipts of a deal were rung up."""

    acts: list[str] = []
    sold_at: dict[str, AwareDatetime] = {}


@dataclass
class Dealing:
    """The deals of one demo. `record` remembers; `now` and `sleep` are the wall clock."""

    client: Client
    deals: Sequence[Deal]
    labels: Labels
    costs: Mapping[str, int]
    record: Path
    now: Callable[[], dt.datetime]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    done: Done = field(default_factory=Done)

    def __post_init__(self) -> None:
        if self.record.exists():
            self.done = Done.model_validate_json(self.record.read_text(encoding="utf-8"))

    async def run(self) -> None:
        """For as long as the demo runs: labels are looked after when everything else is done."""
        while True:
            self.labels.look()
            await self.act()
            await self.sleep(LOOK_S)

    async def act(self) -> bool:
        """Do what is possible now; True when nothing is left to do."""
        for name, act in self._acts():
            if name in self.done.acts:
                continue
            try:
                if not await act():
                    return False
            except RefusedError as error:  # its time has passed while the demo was stopped: the rest goes on
                log.warning("%s: %s", name, error)
            self.done.acts.append(name)
            self._remember()
        return True

    def _remember(self) -> None:
        self.record.parent.mkdir(parents=True, exist_ok=True)
        draft = self.record.with_suffix(".new")
        draft.write_text(self.done.model_dump_json(indent=1), encoding="utf-8")
        draft.replace(self.record)

    def _acts(self) -> list[tuple[str, Callable[[], Awaitable[bool]]]]:
        """In their order."""
        found: list[tuple[str, Callable[[], Awaitable[bool]]]] = []
        for deal in self.deals:
            found.append((f"agree {deal.code}", lambda deal=deal: self._agree(deal)))  # type: ignore[misc]
            if deal.role != "claimed":
                found.append((f"define {deal.code}", lambda deal=deal: self._define(deal)))  # type: ignore[misc]
        by_role = {deal.role: deal for deal in self.deals}
        if (last := by_role.get("claimed")) is not None:
            found += [("sell last month's", lambda: self._sell(last, last.ends_at, RECEIPTS_BEFORE)),
                      ("claim last month's", lambda: self._claim(last))]  # fmt: skip
        if (runs := by_role.get("running")) is not None:
            found.append(("sell what runs", lambda: self._sell_running(runs)))
        if (ended := by_role.get("ended")) is not None:
            found += [("sell", lambda: self._sell_running(ended)), ("end", lambda: self._end(ended)),
                      ("claim", lambda: self._claim(ended)), ("answer", lambda: self._answer(ended))]  # fmt: skip
        return found

    async def _agree(self, deal: Deal) -> bool:
        await self.client.post("/api/v1/funding-agreements", agreement(deal), as_="oms")
        return True

    async def _define(self, deal: Deal) -> bool:
        await self.client.post("/api/v1/promotions", promotion(deal), as_="oms")
        return True

    async def _sell(self, deal: Deal, at: dt.datetime, receipts: int) -> bool:
        deliveries, rung = sold(deal, at - dt.timedelta(seconds=1), receipts, self.costs)
        await self.client.events(deliveries, as_="oms")
        await self.client.events(rung, as_="pos")
        return True

    async def _sell_running(self, deal: Deal) -> bool:
        if (await self._promotion(deal))["state"] != "active":
            return False
        if deal.code not in self.done.sold_at:  # what is sent again is the same
            self.done.sold_at[deal.code] = self.now()
            self._remember()
        return await self._sell(deal, self.done.sold_at[deal.code], RECEIPTS)

    async def _end(self, deal: Deal) -> bool:
        if (await self._promotion(deal))["state"] == "active":
            body: Body = {"reason": "the maker cannot deliver"}
            await self.client.post(f"/api/v1/promotions/{deal.code}:end", body, as_="oms")
        return True

    async def _promotion(self, deal: Deal) -> Body:
        return await self.client.get(f"/api/v1/promotions/{deal.code}", as_="oms")

    async def _claim(self, deal: Deal) -> bool:
        await self.client.post(f"/api/v1/funding-agreements/oms:{deal.agreement}:claim", {}, as_="oms")
        return True

    async def _answer(self, deal: Deal) -> bool:
        """The maker accepts six tenths of each line."""
        claim = await self.client.get(f"/api/v1/claims/{deal.agreement}-1", as_="oms")
        if claim["state"] != "sent":
            return bool(claim["state"] != "prepared")
        lines = [
            {
                "line_id": one["line_id"],
                "accepted_minor": one["amount_minor"] * ACCEPTED_TENTHS // 10,
                "reason": "45 cents a unit were agreed",
            }
            for one in claim["lines"]
        ]
        at = dt.datetime.fromisoformat(claim["sent_at"])
        said = answered(str(claim["journey_id"]), 1, lines, at, settlement="deduction")
        await self.client.events([said], as_="oms")
        return True
