"""The claims of a campaign, from what was frozen to the last cent: who must agree does, makers answer, most of them
wholly, and what they leave out is decided in each of the four ways in turn.

Whatever the state of a claim is, what follows from it is done once; playing it again after a stop does nothing twice.
"""

import datetime as dt
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from demo import people
from demo.bodies import Body
from demo.campaign import bodies
from demo.client import Client, RefusedError

log = logging.getLogger("endcap.demo")

SHORT_EVERY = 4  # of so many claims one is answered short
WAYS: tuple[tuple[str, dict[str, str]], ...] = (
    ("dispute", {"ground": "price_disagreement"}),
    ("reclaim", {}),
    ("accept", {}),
    ("write_off", {}),
)
OVER = frozenset({"settled", "written_off", "cancelled"})
PAGE = 200


@dataclass
class Desk:
    """Those who work on claims: Priya of finance agrees, makers answer and pay, Sam decides."""

    client: Client
    campaign: int
    short_every: int = SHORT_EVERY
    short: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)
    _done: set[tuple[str, str, int]] = field(default_factory=set)

    async def open(self) -> list[str]:
        """The claims of the campaign that are not over, by their journeys."""
        found: list[str] = []
        cursor = ""
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = await self.client.get("/api/v1/journeys", as_="oms", kind="claim", state="open", limit=PAGE, **more)
            found += [str(row["id"]) for row in page["items"] if row["key"].startswith(f"CJ{self.campaign}-")]
            if not page["next"]:
                return sorted(found)
            cursor = page["next"]

    async def work(self) -> int:
        """Do what every open claim waits for; returns how many are open."""
        waiting = await self.open()
        for claim in waiting:
            await self._act(await self.client.get(f"/api/v1/claims/{claim}", as_="oms"))
        return len(waiting)

    async def _act(self, claim: Body) -> None:
        journey = str(claim["journey_id"])
        if claim["approval_id"] is not None:
            await self._once(journey, "agree", claim["approval_id"], lambda: self._agree(claim["approval_id"]))
        elif claim["state"] in ("sent", "disputed"):
            number = claim["disputes"] + 1
            await self._once(journey, "answer", number, lambda: self._answer(claim, number))
        elif claim["case_id"] is not None:
            await self._once(journey, "decide", claim["case_id"], lambda: self._decide(claim))
        if claim["settlement"] == "cash" and (owed := claim["accepted_minor"] - claim["settled_minor"]) > 0:
            await self._once(journey, "pay", claim["accepted_minor"], lambda: self._pay(claim, owed))

    async def _once(self, journey: str, what: str, number: int, act: Callable[[], Awaitable[None]]) -> None:
        if (journey, what, number) in self._done:
            return
        try:
            await act()
        except RefusedError as error:  # it has moved on meanwhile, or was done before a stop
            if error.status not in (404, 409):
                raise
            log.info("%s", error)
            return
        self._done.add((journey, what, number))

    async def _agree(self, approval: int) -> None:
        body = {"verdict": "approve", "note": "The receipts bear it out."}
        await self.client.post(f"/api/v1/approvals/{approval}/decisions", body, as_=people.PRIYA.id)

    def _number(self, claim: Body) -> int:
        return self._numbers.setdefault(str(claim["journey_id"]), len(self._numbers))

    async def _answer(self, claim: Body, number: int) -> None:
        """Some are answered short at first; who disputes that gets all of it."""
        order = self._number(claim)
        lines: list[Body] | None = None
        if number == 1 and order % self.short_every == self.short_every - 1:
            lines = [
                {"line_id": one["line_id"], "accepted_minor": _part(one["amount_minor"]), "reason": "rate as of May"}
                for one in claim["lines"]
            ]
        at = dt.datetime.fromisoformat(claim["frozen_at"]) + dt.timedelta(days=9 * number)
        settlement = "cash" if order % 2 else "deduction"
        await self._event(bodies.answered(str(claim["journey_id"]), number, lines, at, settlement=settlement))

    async def _pay(self, claim: Body, owed: int) -> None:
        at = dt.datetime.fromisoformat(claim["frozen_at"]) + dt.timedelta(days=30)
        await self._event(bodies.paid(str(claim["journey_id"]), claim["accepted_minor"], owed, at))

    async def _event(self, event: Body) -> None:
        (result,) = await self.client.events([event], as_="oms")
        if result["outcome"] not in ("accepted", "duplicate"):
            raise RefusedError(event["id"], 422, result.get("problem") or result)

    async def _decide(self, claim: Body) -> None:
        case = await self.client.get(f"/api/v1/cases/{claim['case_id']}", as_=people.SAM.id)
        offered = {one["id"] for one in case["options"] if one.get("allowed", True)}
        for turn in range(len(WAYS)):
            option, parameters = WAYS[(self.short + turn) % len(WAYS)]
            if option in offered:
                body: dict[str, Any] = {"option": option, "parameters": parameters, "version": case["version"]}
                body["note"] = "The maker's letter of May has the old rate."
                await self.client.post(f"/api/v1/cases/{case['id']}/decisions", body, as_=people.SAM.id)
                self.short += 1
                return
        log.warning("case %s of %s offers none of the ways that the scene knows", case["id"], claim["journey_id"])


def _part(amount_minor: int) -> int:
    """What a maker accepts at first: six tenths of what is owed to us, and all of what we owe."""
    return amount_minor * 6 // 10 if amount_minor > 0 else amount_minor
