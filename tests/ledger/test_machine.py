"""Orders, goods, decisions and money in any order, twice, late and at once, against a plain model that takes one
command after the other.

Each run has a database of its own. After every command stock, orders and money are what the model says; after commands
that were sent at once they are what the model says for one of their orders. In the end the audit finds nothing, and no
money is left with an order that has ended. `ENDCAP_MACHINE_RUNS` (default 20) is the number of runs.
"""

import asyncio
import copy
import itertools
import os
import random
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import insert

from embedded.postgres import create_database, drop_database
from ledger.tables import item, substitute
from tests.ledger import wishes
from tests.ledger.books import assert_books_agree
from tests.ledger.commands import Model
from tests.ledger.driver import Driver
from tests.ledger.model import ON_THE_HOLD_SHELF, Command, Order
from tests.ledger.wishes import COSTS, MATE, PRICES, STORES
from tests.shop import TEA, open_shop

RUNS = int(os.environ.get("ENDCAP_MACHINE_RUNS", "20"))
POLICY = {
    "bands": {"refund_approval_minor": 6_000},
    "stock": {"adjustment_review_minor": wishes.ADJUSTMENT_BAND_MINOR},
    "sourcing": {"substitute_price_band_permille": 500},
}
anything = st.integers(0, 2**32)

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


class Retailer(RuleBasedStateMachine):
    """Each number that is drawn becomes a command on what there is at that moment."""

    server = ""
    template = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.at = 0
        self.done: list[tuple[Command, str]] = []
        self.failed = False

    @initialize(tea=st.tuples(st.integers(3, 9), st.integers(0, 6)), mate=st.integers(2, 6))
    def open(self, tea: tuple[int, int], mate: int) -> None:
        self.loop.run_until_complete(self._open(dict(zip(STORES, tea, strict=True)), mate))

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
            self.at += 1
            await self._take([Command("received", self.at, "", ("S1", ((MATE, mate),)))])

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            try:
                if not self.failed:
                    self.loop.run_until_complete(self._end())
            finally:
                self.loop.run_until_complete(self._close())
        self.loop.close()

    def _until_done(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it; after a failure the run ends without the checks of its end, which would tell of it again."""
        try:
            self.loop.run_until_complete(work)
        except BaseException:
            self.failed = True
            raise

    async def _end(self) -> None:
        for _ in range(2):  # what is refunded once it was captured takes a second call
            for key in self.model.orders:
                self.at += 1
                await self._take([Command("provider", self.at, key)])
        for key, order in self.model.orders.items():
            if order.is_final:
                assert order.captured == order.earned + order.refund_requested, f"{key} ended with money left"
                assert order.captured + order.voided == order.paid, f"{key} ended with money neither taken nor let go"
        await assert_books_agree(self.driver.shop.database)

    async def _close(self) -> None:
        await self.driver.shop.database.dispose()
        await drop_database(self.server, self.name)

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
        if self.model.orders[command.order].option is not None:
            return None
        offered = await self.driver.offered(command)
        if not offered:
            return None
        option = offered[command.args[0] % len(offered)]["id"]
        return command._replace(args=(option,))

    async def _carrying(self, command: Command) -> Command | None:
        """Somebody approves it or not, where that is asked for; what needs no approval is applied."""
        if self.model.orders[command.order].option is None:
            return None
        asked = (await self.driver.situation(command.order)).decision_needs_approval
        parameters = await self.driver.shop.value(
            "SELECT d.parameters FROM case_decision d JOIN case_file c ON c.id = d.case_id"
            " WHERE c.journey_id = :id AND d.state IN ('applying', 'awaiting_approval')",
            id=self.driver.journey(command.order),
        )
        swaps = tuple(
            (name.removeprefix("line:"), sku, PRICES[sku])
            for name, sku in sorted((parameters or {}).items())
            if name.startswith("line:")
        )
        return command._replace(args=(not asked or command.args[0], swaps))

    # ------------------------------------------------------------------ the run
    async def _take(self, commands: list[Command]) -> None:
        """Send the commands at once; the answers and the ledger must be those of one of their orders."""
        replies = await self.driver.at_once(commands)
        answers = {command.at: answer for command, answer in zip(commands, replies, strict=True)}
        seen = await self.driver.seen()
        self.done += zip(commands, replies, strict=True)
        wrong = []
        for way in itertools.permutations(commands):
            model = copy.deepcopy(self.model)
            said = {command.at: model.apply(command) for command in way}
            differences = _differences({"answers": said, **model.seen()}, {"answers": answers, **seen})
            if not differences:
                self.model = model
                return
            wrong.append(differences)
        told = "\n".join(
            f"{command.at:3} {command.kind} {command.order} {command.args} → {answer}" for command, answer in self.done
        )
        raise AssertionError(f"after\n{told}\nthe model and the ledger differ: " + "\nor ".join(wrong))

    def _happen(self, *numbers: int) -> None:
        async def happen() -> None:
            alone = len(numbers) == 1
            commands = [found for number in numbers if (found := await self._command(number, alone=alone)) is not None]
            # A provider answers what it was asked when it looked: two answers at once for an order tell half each.
            # Which of two baskets is the newer is told by the database's clock, not by the run's.
            once = {(one.kind, one.order if one.kind == "provider" else ""): one for one in commands}
            commands = [one for one in commands if one.kind not in ("provider", "basket") or one in once.values()]
            if commands:
                await self._take(commands)

        self._until_done(happen())

    @rule(number=anything)
    def one(self, number: int) -> None:
        self._happen(number)

    @rule(numbers=st.lists(anything, min_size=2, max_size=3))
    def at_once(self, numbers: list[int]) -> None:
        self._happen(*numbers)

    @rule(number=st.integers(0, 7))
    def lost_reply(self, number: int) -> None:
        """The answer was lost, so the same is sent again: it is answered, and changes nothing."""
        if not self.done:
            return
        command, answer = self.done[-1 - number % len(self.done)]
        if command.kind not in NOT_REPEATED and (command.kind, answer) != ("basket", "refused"):
            self._until_done(self._send_again(command, {"201": "200", "accepted": "duplicate"}.get(answer, answer)))

    async def _send_again(self, command: Command, expected: str) -> None:
        assert await self.driver.run(command) == expected, command
        differences = _differences(self.model.seen(), await self.driver.seen())
        assert not differences, f"{command} was sent again: {differences}"


def _differences(model: dict[str, Any], ledger: dict[str, Any]) -> str:
    """What differs, as one line each: the model's value, then the ledger's."""
    found = []
    for name, expected in model.items():
        got = ledger[name]
        if isinstance(expected, dict):
            keys = expected.keys() | got.keys()
            found += [
                f"{name} {key}: {expected.get(key)} ≠ {got.get(key)}"
                for key in keys
                if expected.get(key) != got.get(key)
            ]
        elif expected != got:
            found.append(f"{name}: {expected} ≠ {got}")
    return "; ".join(sorted(map(str, found)))


@pytest.mark.timeout(60 + 6 * RUNS)
def test_the_ledger_agrees_with_the_model(postgres_url: str, template_database: str) -> None:
    Retailer.server, Retailer.template = postgres_url, template_database
    run_state_machine_as_test(
        Retailer,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=40,
            phases=[Phase.generate],  # a run that failed says all that happened; smaller ones seldom meet it again
            deadline=None,
            derandomize=RUNS <= 20,
            database=None,
            report_multiple_bugs=False,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
