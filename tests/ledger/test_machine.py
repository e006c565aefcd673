"""Orders, goods, decisions and money in any order, twice, late and at once, against a plain model that takes one
command after the other.

Each run has a database of its own. After every command stock, orders and money are what the model says; after commands
that were sent at once they are what the model says for one of their orders. In the end the audit finds nothing, and no
money is left with an order that has ended. `ENDCAP_MACHINE_RUNS` (default 20) is the number of runs.
"""

import os
import random
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize
from sqlalchemy import insert

from embedded.postgres import create_database
from ledger.tables import item, substitute
from tests.ledger.models import wishes
from tests.ledger.models.machine import Command, Machine
from tests.ledger.models.orders import ON_THE_HOLD_SHELF, Order
from tests.ledger.models.orders_commands import Model
from tests.ledger.models.orders_driver import Driver
from tests.ledger.models.wishes import COSTS, MATE, PRICES, STORES
from tests.shop import TEA, open_shop

RUNS = int(os.environ.get("ENDCAP_MACHINE_RUNS", "20"))
POLICY = {
    "bands": {"refund_approval_minor": 6_000},
    "stock": {"adjustment_review_minor": wishes.ADJUSTMENT_BAND_MINOR},
    "sourcing": {"substitute_price_band_permille": 500},
}

# Which orders a wish is about, most of the time; now and then it is about any.
APT: dict[str, Callable[[Order], bool]] = {
    "picked": lambda order: any(line.open > line.staged for line in order.lines.values()) and not order.is_final,
    "handed_over": lambda order: any(line.staged for line in order.lines.values()),
    "cancelled": lambda order: not order.is_final,
    "let_go_on": lambda order: order.kept_back and order.state == "placed",
    "put_away": lambda order: any(line.unclaimed for line in order.lines.values()),
    "attend": lambda order: any(line.found or line.doubted for line in order.lines.values()),
    "window": lambda order: order.state in ON_THE_HOLD_SHELF,
    "verify": lambda order: order.verify,
    "provider": lambda order: bool(order.capturing or order.refund_requested > order.refunded),
    "decide": lambda order: order.state == "reservation_failed" and order.option is None,
    "carry_out": lambda order: order.option is not None,
}
# People, a provider with keys of its own, and what may be asked again at another time.
NOT_REPEATED = frozenset({"decide", "carry_out", "provider", "extended", "released", "expired"})


class Retailer(Machine):
    """Orders of two stores, with the goods, baskets and money around them."""

    repeated: ClassVar = {"201": "200", "accepted": "duplicate"}

    @initialize(tea=st.tuples(st.integers(3, 9), st.integers(0, 6)), mate=st.integers(2, 6))
    def open(self, tea: tuple[int, int], mate: int) -> None:
        self.until_done(self._open(dict(zip(STORES, tea, strict=True)), mate))

    async def _open(self, tea: dict[str, int], mate: int) -> None:
        self.name = f"endcap_machine_{uuid.uuid4().hex[:12]}"
        url = await create_database(self.server, self.name, template=self.template)
        shop = await open_shop(url, tea=tea, policy=POLICY)
        async with shop.database.engine.begin() as conn:
            await conn.execute(insert(item).values(sku=MATE, name="Mate", price_minor=1_400, cost_minor=500))
            await conn.execute(insert(substitute).values(sku=TEA, substitute_sku=MATE, rank=1))
            await conn.execute(insert(substitute).values(sku=MATE, substitute_sku=TEA, rank=1))
        self.driver = Driver(shop, datetime.now(UTC))
        places = {(store, sku): Counter() for store in STORES for sku in PRICES}  # type: ignore[var-annotated]
        for store, quantity in tea.items():
            places[store, TEA]["available"] = quantity
        self.model = Model(places, costs=COSTS)
        if mate:
            await self.take([self.next("received", "", "S1", ((MATE, mate),))])

    async def end(self) -> None:
        for _ in range(2):  # what is refunded once it was captured takes a second call
            for key in self.model.orders:
                await self.take([self.next("provider", key)])
        for key, order in self.model.orders.items():
            if order.is_final:
                assert order.captured == order.earned + order.refund_requested, f"{key} ended with money left"
                assert order.captured + order.voided == order.paid, f"{key} ended with money neither taken nor let go"
        await super().end()

    # ------------------------------------------------------------------ what happens next
    def _kinds(self) -> list[str]:
        """What may happen now: mostly what is apt, now and then anything."""
        orders = self.model.orders.values()
        open_orders = sum(not order.is_final for order in orders)
        apt = [kind for kind, is_apt in APT.items() if any(map(is_apt, orders))]
        anything = ["order", "basket", *wishes.GOODS, *(APT if orders else ())]
        if self.model.baskets:
            anything += wishes.ON_BASKETS
        open_baskets = [basket for basket in self.model.baskets.values() if basket.is_open]
        likely = ["received", *["sale"] * 4, *["order"] * max(8 - 3 * open_orders, 0)]
        return [*anything, *apt * 3, *likely, *["basket"] * max(4 - 2 * len(open_baskets), 0)]

    async def _command(self, number: int, *, alone: bool) -> Command | None:
        """The command that a number stands for, given what there is. What depends on offers is done alone."""
        dice = random.Random(number)  # noqa: S311  Hypothesis draws the number
        kind = dice.choice(self._kinds())
        self.at += 1
        if kind == "order":
            return wishes.order(dice, self.at)
        if kind in wishes.GOODS:
            return Command(kind, self.at, "", wishes.GOODS[kind](dice))
        if kind == "basket":
            return wishes.basket(dice, self.at)
        if kind in wishes.ON_BASKETS:
            key = dice.choice([*self.model.baskets][-3:])
            return Command(kind, self.at, key, wishes.ON_BASKETS[kind](dice, self.model.baskets[key]))
        apt = [key for key, order in self.model.orders.items() if dice.random() < 0.9 and APT[kind](order)]
        key = dice.choice((apt or list(self.model.orders))[-3:])
        command = Command(kind, self.at, key, wishes.ON_ORDERS[kind](dice, self.model.orders[key]))
        if kind == "decide":
            return await self._decision(command) if alone else None
        return await self._carrying(command) if kind == "carry_out" else command

    async def _decision(self, command: Command) -> Command | None:
        if self.model.orders[command.about].option is not None:
            return None
        offered = await self.driver.offered(command)
        if not offered:
            return None
        option = offered[command.args[0] % len(offered)]["id"]
        return command._replace(args=(option,))

    async def _carrying(self, command: Command) -> Command | None:
        """Somebody approves it or not, where that is asked for; what needs no approval is applied."""
        if self.model.orders[command.about].option is None:
            return None
        asked = (await self.driver.situation(command.about)).decision_needs_approval
        parameters = await self.driver.shop.value(
            "SELECT d.parameters FROM case_decision d JOIN case_file c ON c.id = d.case_id"
            " WHERE c.journey_id = :id AND d.state IN ('applying', 'awaiting_approval')",
            id=self.driver.journey(command.about),
        )
        swaps = tuple(
            (name.removeprefix("line:"), sku, PRICES[sku])
            for name, sku in sorted((parameters or {}).items())
            if name.startswith("line:")
        )
        return command._replace(args=(not asked or command.args[0], swaps))

    async def drawn(self, numbers: tuple[int, ...]) -> list[Command]:
        alone = len(numbers) == 1
        found = [one for number in numbers if (one := await self._command(number, alone=alone)) is not None]
        # A provider answers what it was asked when it looked: two answers at once for an order tell half each.
        # Which of two baskets is the newer is told by the database's clock, not by the run's.
        once = {(one.kind, one.about if one.kind == "provider" else ""): one for one in found}
        return [one for one in found if one.kind not in ("provider", "basket") or one in once.values()]

    def may_be_sent_again(self, command: Command, answer: str) -> bool:
        return command.kind not in NOT_REPEATED and (command.kind, answer) != ("basket", "refused")


@pytest.mark.timeout(60 + 6 * RUNS)
def test_the_ledger_agrees_with_the_model(postgres_url: str, template_database: str) -> None:
    Retailer.run_on(postgres_url, template_database, runs=RUNS, default=20)
