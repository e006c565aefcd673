"""Transfers in any order, in parts, twice, wrong and at once, against a plain model of goods that move.

Each run has a database of its own. After every command stock, lines and differences are what the model says; after
commands that were sent at once they are what the model says for one of their orders, and the audit of goods and
transfers finds nothing. `ENDCAP_TRANSFER_RUNS` (default 6) is the number of runs; more than the default are drawn anew.
"""

import itertools
import os
import random
from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from embedded.postgres import create_database
from tests.ledger.models.machine import ANYTHING, Command, Machine
from tests.ledger.models.moving import FINAL, ON_THE_WAY, PLACES, TO_BE_SHIPPED, Moving
from tests.ledger.models.moving_commands import Model
from tests.ledger.models.moving_driver import Driver, new_name
from tests.ledger.support.till import COFFEE
from tests.shop import TEA, open_shop

DEFAULT = 6
RUNS = int(os.environ.get("ENDCAP_TRANSFER_RUNS", str(DEFAULT)))
SKUS = (TEA, COFFEE)
NOTHING = {"units": None, "permille": None, "value_minor": None}
POLICY = {
    "bands": {
        "transfer": {"manager_minor": None, "finance_minor": None},
        "count": {"manager_minor": None, "finance_minor": None},
        "write_off_minor": 10**9,
    },
    "count": {"plus": NOTHING, "minus": NOTHING, "confidence_weight_permille": 0},
    "transfer": {"markup_permille": 70, "short": NOTHING | {"units": 1}, "over": NOTHING | {"units": 1}},
}
# What depends on what somebody looked at before is done alone.
ALONE = ("decide", "due", "attend", "count", "claim")


class Between(Machine):
    """Transfers between three places of two entities."""

    repeated: ClassVar = {"accepted": "duplicate", "201": "200"}

    @initialize(shelves=st.lists(st.integers(0, 9), min_size=6, max_size=6))
    def open(self, shelves: list[int]) -> None:
        self.until_done(self._open(shelves))

    async def _open(self, shelves: list[int]) -> None:
        self.name = new_name()
        url = await create_database(self.server, self.name, template=self.template)
        self.driver = await Driver.open(await open_shop(url, tea={"S1": 0, "S2": 0}, policy=POLICY))
        self.model = Model({(place, sku): Counter() for place in PLACES for sku in SKUS})
        for (place, sku), quantity in zip(itertools.product(PLACES, SKUS), shelves, strict=True):
            if quantity:
                await self.take([self.next("supply", "", place, sku, quantity)])

    async def check(self) -> None:
        await self.driver.check()

    # ------------------------------------------------------------------ what happens next
    async def _command(self, number: int, *, alone: bool) -> Command | None:
        """The command that a number stands for, given what there is."""
        dice = random.Random(number)  # noqa: S311  Hypothesis draws the number
        under_way = [key for key, one in self.model.moving.items() if one.state not in FINAL]
        asked = [key for key in under_way if self.model.moving[key].asks or self.model.moving[key].state == "received"]
        if alone and asked and dice.random() < 0.5:  # otherwise hardly any of them would ever be answered
            about = dice.choice(asked)
            return await self._people(dice, about, self.model.moving[about], alone=True)
        kinds = ["sale", "supply", *["open"] * max(9 - 3 * len(under_way), 1)]
        if self.model.moving:
            kinds += [*["moves"] * 14, *["people"] * 8]
        kind = dice.choice(kinds)
        place, sku = dice.choice(PLACES), dice.choice(SKUS)
        if kind in ("sale", "supply"):
            return self.next(kind, "", place, sku, dice.randint(1, 3 if kind == "sale" else 5))
        if kind == "open":
            source, target = dice.sample(PLACES, 2)
            lines = tuple((dice.choice(SKUS), dice.randint(1, 6)) for _ in range(dice.choice((1, 1, 2, 3))))
            return self.next("open", f"T{self.at + 1}", source, target, lines)
        keys = under_way if under_way and dice.random() < 0.9 else list(self.model.moving)
        about = dice.choice(keys[-4:])
        one = self.model.moving[about]
        if kind == "moves":
            return self._moves(dice, about, one)
        return await self._people(dice, about, one, alone=alone)

    def _moves(self, dice: random.Random, about: str, one: Moving) -> Command:
        """Goods leave or come: what is apt, now and then anything."""
        apt = ["shipped"] if one.to_ship and one.state != "pending_approval" else []
        apt += ["received"] * 2 if one.on_its_way else []
        kind = dice.choice(apt if apt and dice.random() < 0.85 else ["shipped", "received", "cancelled", "declined"])
        complete = dice.random() < 0.3
        if kind == "shipped":
            told = tuple((name, self._about(dice, line.to_ship)) for name, line in one.lines.items())
            return self.next(kind, about, dice.choice((None, told, told)), complete)
        if kind == "received":
            place = one.target if dice.random() < 0.9 else dice.choice(PLACES)
            return self.next(kind, about, place, dice.choice((None, *[self._receipt(dice, one)] * 3)), complete)
        return self.next(kind, about)

    @staticmethod
    def _about(dice: random.Random, quantity: int) -> int:
        """A part of it, mostly all, now and then more."""
        return dice.choice((quantity, quantity, dice.randint(0, quantity), quantity + dice.randint(0, 2)))

    def _receipt(self, dice: random.Random, one: Moving) -> tuple[tuple[str, int, str, str | None], ...]:
        told = []
        for name, line in one.lines.items():
            if dice.random() < 0.8:
                expected = line.in_transit or (line.to_ship if dice.random() < 0.3 else 0)
                broken = "damaged" if dice.random() < 0.15 else "good"
                other = dice.choice(SKUS) if dice.random() < 0.15 else None
                told.append((name, self._about(dice, expected), broken, other))
        return tuple(told) or (("1", 1, "good", None),)

    async def _people(self, dice: random.Random, about: str, one: Moving, *, alone: bool) -> Command | None:
        """What the workflow does when it is told, and what somebody says."""
        doubted = await self.driver.doubted(about)
        if one.state == "pending_approval":
            return self.next("agree", about, dice.random() < 0.8)
        if one.state == "received" and not one.asks:
            return self.next("compare", about)
        if not alone:
            return None
        if doubted:
            return self.next("attend", about, doubted)
        if one.state in ON_THE_WAY and one.asks is None and dice.random() < 0.1:
            return self.next("cancelled", about)  # a case asks what becomes of the goods on their way
        if dice.random() < 0.2:
            return self.next("count", "", dice.choice(PLACES), dice.choice(SKUS), dice.randint(0, 9))
        if dice.random() < 0.2:
            return self.next("claim", "", dice.randint(0, 99), dice.randint(0, 3))
        if options := await self.driver.options(about):
            return self.next("decide", about, dice.choice(options)["id"])
        if one.state in (*TO_BE_SHIPPED, *ON_THE_WAY, "discrepancy_review") and (dues := await self.driver.dues(about)):
            return self.next("due", about, dice.choice(dues))
        return None

    async def drawn(self, numbers: tuple[int, ...]) -> list[Command]:
        found = [await self._command(number, alone=len(numbers) == 1) for number in numbers]
        return [command for command in found if command is not None]

    def may_be_sent_again(self, command: Command, answer: str) -> bool:
        return command.kind not in (*ALONE, "agree", "compare")

    @rule(number=ANYTHING)
    def another(self, number: int) -> None:
        """One by itself, as often again as the others: most of what people do is done alone."""
        self.one(number)


@pytest.mark.timeout(60 + 10 * RUNS)
def test_goods_are_never_in_two_places_nor_in_none(postgres_url: str, template_database: str) -> None:
    Between.run_on(postgres_url, template_database, runs=RUNS, default=DEFAULT)
