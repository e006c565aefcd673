"""The goods of a return: units that come back, at the cost at which they left, and units that get their disposition.
Stock and sale lines are locked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from domain import return_postings
from domain.payments import part_of
from domain.postings import Line
from domain.returns import EFFECTS, NOT_REFUNDED, WORK_FIRST
from ledger import found, reference
from ledger.returns.document import Return, waiting
from ledger.tables import return_disposition


async def take_in(
    it: Return, came: Mapping[str, int], cause: str, at: datetime, *, event: str, actor: str | None = None
) -> None:
    """Units by line have come: into customer returned and nowhere else. What its sale line has left is booked on it;
    more than that came without a sale.
    """
    costs = await reference.unit_costs(it.tx.conn, it.row["entity"], {it.lines[key]["sku"] for key in came})
    why, posted = it.cause(cause, at, actor=actor or ""), list[Line]()
    for line_id, units in came.items():
        if not units:
            continue
        line = it.lines[line_id]
        sku = str(line["sku"])
        sale = it.sale_of(line)
        booked, cost = 0, 0
        if sale is not None:
            booked = min(units, sale["handed_over"] - sale["returned"])
            cost = part_of(sale["cost_minor"], sale["handed_over"], sale["returned"], booked) if booked else 0
            sale["returned"] += booked
        cost += reference.cost_of(costs[sku], units - booked)
        it.tx.shelf.move(
            "returned",
            sku,
            units,
            (it.location, "customer"),
            (it.location, "customer_returned"),
            why,
            reason=line["reason"],
            unit_cost_e4=cost * 10_000 // units,
            cost_minor=cost,
        )
        line["received"] += units
        line["booked"] += booked
        line["cost_minor"] += cost
        posted += return_postings.received(cost, location=it.location, sku=sku)
    it.tx.post(it.entry(event, cause, posted, at))


class Decided:
    """What inspections decide within one transaction: posted together, under one cause."""

    def __init__(self, it: Return, cause: str, at: datetime, by: str) -> None:
        self._it, self._cause, self._at, self._by = it, cause, at, by
        self._posted: list[Line] = []
        self._freed: set[tuple[str, str]] = set()

    async def record(
        self,
        line: dict[str, Any],
        units: int,
        *,
        condition: str,
        proposed: str,
        disposition: str,
        state: str,
        reason: str,
    ) -> None:
        """A part of a line gets its disposition (`applied`), or somebody is asked about it (`asked`)."""
        cost, kept = 0, 0
        if state == "asked":
            line["asked"] += units
        elif disposition in WORK_FIRST:
            self._it.row["detail"]["in_work"] = True
        else:
            cost, kept = self._apply(line, units, disposition)
        await self._it.tx.conn.execute(
            insert(return_disposition).values(
                journey_id=self._it.id,
                line_id=line["line_id"],
                cause=self._cause,
                quantity=units,
                condition=condition,
                proposed=proposed,
                disposition=disposition,
                state=state,
                reason=reason,
                inspected_by=self._by,
                cost_minor=cost,
                kept_minor=kept,
                at=self._at,
            )
        )

    def _apply(self, line: dict[str, Any], units: int, disposition: str) -> tuple[int, int]:
        """Move and post; returns the cost of the units and what of it is kept."""
        it, effect = self._it, EFFECTS[disposition]
        assert effect.target is not None
        left = line["received"] - line["accepted"] - line["declined"]
        cost_left = line["cost_minor"] - line["disposed_cost_minor"]
        cost = cost_left if units == left else cost_left * units // left
        sku, place = str(line["sku"]), it.location
        it.tx.shelf.move(
            "disposed",
            sku,
            units,
            (place, "customer_returned"),
            (place, effect.target),
            it.cause(self._cause, self._at, actor=self._by),
            reason=disposition,
            unit_cost_e4=cost * 10_000 // units,
            cost_minor=cost,
        )
        market = it.policy.returns.market_permille
        self._posted += return_postings.disposed(disposition, cost, market, location=place, sku=sku)
        line["declined" if disposition in NOT_REFUNDED else "accepted"] += units
        line["disposed_cost_minor"] += cost
        sale = it.sale_of(line)
        if disposition == "send_back" and sale is not None:
            # The customer has it again, and may bring it back another day.
            again = min(units, line["booked"])
            line["booked"] -= again
            sale["returned"] -= again
        if effect.target == "available":
            self._freed.add((place, sku))
        return cost, return_postings.worth(effect, cost, market)

    async def post(self, event: str = "returns.disposed") -> None:
        """Post what was decided; whoever waits for what is for sale again gets it."""
        it = self._it
        it.tx.post(it.entry(event, self._cause, self._posted, self._at))
        await found.assign(it.tx, self._freed, it.cause(f"freed:{self._cause}", self._at))
        if not any(waiting(line) or line["asked"] for line in it.lines.values()):
            it.row["detail"].pop("in_work", None)
