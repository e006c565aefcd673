"""Returns of one order in any order, twice, at tills and at once, against a plain model that takes one command after
the other: a unit is paid back once, whoever asks, and nothing is for sale without a disposition.

Each run has a database of its own. After every command the ledger is what the model says; after commands that were
sent at once it is what the model says for one of their orders, and in the end the audit finds nothing. In half of the
runs whoever sends a command dies around one commit in four, and it is sent again.
`ENDCAP_RETURNS_RUNS` (default 3) is the number of runs of each kind.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from activities.payment import PaymentActivities
from domain.errors import DomainError
from domain.messages import Step
from embedded.postgres import create_database, drop_database
from ledger import facts
from ledger.returns import difference, requests
from tests.ledger.models.machine import agreeing
from tests.ledger.models.mortal import Bank, Mortal, heard
from tests.ledger.models.returns import Model
from tests.ledger.models.returns_seen import CARD_MINOR, GIFT_MINOR, PAID_MINOR, STOCK, UNITS, Command
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.exchanging import exchange, wanted
from tests.ledger.support.returning import Back, ask, asked, collected, now
from tests.shop import TEA, WEB, Shop, open_shop

RUNS = int(os.environ.get("ENDCAP_RETURNS_RUNS", "3"))
STEPS = 40
POLICY = {"returns": {"override_minor": 10**9}}


def journey(key: str) -> str:
    return f"returns:web:{key}"


@dataclass
class Driver:
    """Sends the model's commands to the ledger, and reads what became of them."""

    shop: Shop
    order: str
    bank: Bank
    bodies: dict[str, Any] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)  # the replacement of each return

    async def run(self, command: Command) -> str:
        """The answer in the model's words; a request that is refused by name is "refused"."""
        try:
            return str(await getattr(self, f"_{command.kind}")(command.key, *command.args))
        except DomainError as error:
            if "busy" in error.family:
                raise
            return "refused"

    def back(self, key: str) -> Back:
        return Back(self.shop, journey(key))

    async def _asked(self, key: str, units: int, by_mail: bool) -> str:
        body = asked(self.order, units, return_id=key, method="mail" if by_mail else "store")
        return await heard(lambda: self._ask(body))

    async def _ask(self, body: dict[str, Any]) -> str:
        return (await ask(self.shop, body)).state

    async def _told(self, kind: str, **data: Any) -> str:
        """What became of an event, which has the same id however often it is sent."""
        event = {"id": uuid.uuid4().hex, "type": kind, "occurred_at": now().isoformat(), "data": data}

        async def send() -> str:
            (outcome,) = await facts.receive(self.shop.database, WEB, [event], received_at=now())
            return outcome.outcome

        return await heard(send)

    async def _received(self, key: str, units: int, complete: bool) -> str:
        lines = [{"line_id": "1", "quantity": units}]
        return await self._told("return.received", return_id=journey(key), lines=lines, complete=complete)

    async def _inspected(self, key: str, units: int, disposition: str) -> str:
        condition = "used" if disposition == "liquidate" else "new"
        line = {"line_id": "1", "quantity": units, "condition": condition, "disposition": disposition}
        return await self._told("return.inspected", return_id=journey(key), lines=[line], actor="crew-1")

    async def _rung_up(self, key: str, receipt: str, paid: int) -> str:
        return await self._till(receipt, paid, return_id=journey(key))

    async def _rung_up_alone(self, key: str, paid: int) -> str:
        return await self._till(key.removeprefix("S1-"), paid, order_id=self.order.removeprefix("bopis:web:"))

    async def _till(self, receipt: str, paid: int, **about: str) -> str:
        line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000}
        refunds = [{"tender": "cash", "amount_minor": paid}] if paid else []
        return await self._told("pos.return", location="S1", receipt=receipt, lines=[line], refunds=refunds, **about)

    async def _called_off(self, key: str) -> str:
        async def cancel() -> str:
            await requests.cancel(self.shop.database, WEB, journey(key), reason="x", actor="a", via="test")
            return "cancelled"

        return await heard(cancel)

    async def _exchanged(self, key: str, price: int) -> str:
        body = wanted(1, price)

        async def ask_for_it() -> str:
            _, answer = await exchange(self.shop, self.back(key), body)
            self.orders[key] = answer.order_journey_id
            return answer.state

        return await heard(ask_for_it)

    async def _order_cancelled(self, key: str) -> str:
        return await self._told("bopis.cancelled", journey_id=self.orders[key], lines=None)

    async def _order_asks(self, key: str, says: str) -> str:
        self.bank.charges = says
        return await self._carry_out(self.orders[key])

    async def _answered(self, key: str, words: str) -> str:
        row = await self.back(key).row()
        number = row["detail"]["exchange"].get("offer_id", 0)

        async def answer() -> str:
            said = await difference.answer(self.shop.database, number, row["customer_id"], answer=words, via="link")
            return said.state

        return await heard(answer)

    async def _silent(self, key: str) -> str:
        async def fall_due() -> str:
            if "answer" in (await self.back(key).row())["dues"]:
                await self.back(key).fall_due("answer")
            return "done"

        return await heard(fall_due)

    async def _carry_out(self, journey_id: str) -> str:
        """All that is asked of a provider now, each by a step that is taken again under its own key."""
        worker = PaymentActivities(self.shop.database, self.bank)
        for operation in await Back(self.shop, journey_id).operations():
            step = Step(subject=journey_id, occurrence=uuid.uuid4().hex, at=now(), operation_id=operation)
            await heard(lambda step=step: _done(worker, step))  # type: ignore[misc]
        return "done"

    async def _collected(self, key: str) -> str:
        lines = [{"line_id": "1", "quantity": 1}]
        await self._told("bopis.picked", journey_id=self.orders[key], picker="p", lines=lines)
        return await self._told("bopis.handed_over", journey_id=self.orders[key], lines=None, actor="p")

    async def _paid(self, key: str) -> str:
        return await self._carry_out(journey(key))

    async def seen(self, keys: list[str]) -> dict[str, Any]:
        async with self.shop.database.read() as conn:

            async def rows(query: str) -> list[Any]:
                return list((await conn.execute(text(query), {"ids": [journey(key) for key in keys]})).all())

            (stock,) = await rows(
                "SELECT available, reserved, customer_returned, damaged FROM stock WHERE location = 'S1'"
            )
            (sale,) = await rows(
                "SELECT returned, return_refunded, return_refunded_minor FROM sale_line"
                " WHERE return_refunded_minor >= 0 ORDER BY recorded_at LIMIT 1"
            )
            lines = await rows(
                "SELECT j.key, j.state, l.received, l.booked, l.accepted, l.declined, l.refunded, l.refunded_minor"
                " FROM journey j JOIN return_line l ON l.journey_id = j.id WHERE j.id = ANY(:ids)"
            )
            paid = await rows(
                "SELECT j.key, CASE WHEN p.reference LIKE 'till:%' THEN 'till' ELSE p.tender END AS tender,"
                " p.refund_requested_minor AS asked, p.refunded_minor AS paid FROM journey j"
                " JOIN payment p ON p.journey_id = j.id WHERE j.id = ANY(:ids) AND p.refund_requested_minor > 0"
            )
            swaps = await rows(
                "SELECT j.key, j.detail -> 'exchange' ->> 'state' AS state, o.state AS order_state, p.captured_minor,"
                " p.voided_minor, p.refunded_minor, coalesce(d.captured_minor, 0), coalesce(d.voided_minor, 0),"
                " coalesce(d.refund_requested_minor, 0) FROM journey j"
                " JOIN journey o ON o.id = j.detail -> 'exchange' ->> 'order'"
                " JOIN payment p ON p.journey_id = o.id AND p.tender = 'exchange'"
                " LEFT JOIN payment d ON d.journey_id = o.id AND d.reference LIKE 'difference:%' WHERE j.id = ANY(:ids)"
            )
        money: dict[str, dict[str, Any]] = {row.key: {} for row in lines}
        for row in paid:
            money[row.key][row.tender] = (row.asked, row.paid)
        return {
            "stock": {name: units for name, units in stock._mapping.items() if units},
            "sale": tuple(sale),
            "returns": {row.key: tuple(row)[1:] for row in lines},
            "money": money,
            "exchanges": {row.key: tuple(row)[1:] for row in swaps},
        }


class Day:
    """One run: what may happen is drawn from what there is."""

    def __init__(self, driver: Driver, dice: random.Random) -> None:
        self.driver, self.dice, self.model = driver, dice, Model()
        self.done: list[tuple[Command, str]] = []
        self.made = 0

    def command(self) -> Command:
        dice, returns = self.dice, self.model.returns
        draw: dict[str, Callable[[], Command]] = {
            "asked": lambda: Command("asked", self._name("R"), (dice.randint(1, 3), dice.random() < 0.4)),
            "alone": lambda: Command("rung_up_alone", self._name("S1-T"), (dice.choice((0, 0, 100, 995)),)),
        }
        kinds = ["asked", "asked", "alone"]
        if returns:
            key = dice.choice([*returns][-4:])
            # What has come is mostly paid back: exchanges are wanted before that.
            fresh = [key for key, one in returns.items() if one.state == "authorized" and not one.keeps_refund]
            swapping = dice.choice(fresh or [*returns])
            draw |= {
                "received": lambda: Command("received", key, (dice.randint(0, 2), dice.random() < 0.6)),
                "inspected": lambda: Command("inspected", key, (dice.randint(1, 2), self._disposition())),
                "rung_up": lambda: Command(
                    "rung_up", key, (f"T-{dice.randint(1, 3)}", dice.choice((0, 0, 100, 2_000)))
                ),
                "called_off": lambda: Command("called_off", key),
                "paid": lambda: Command("paid", key),
                "exchanged": lambda: Command("exchanged", swapping, (dice.choice((400, 995, 1_990)),)),
            }
            kinds += (
                ["received"] * 4
                + ["inspected"] * 3
                + ["rung_up", "called_off", "paid", "paid"]
                + ["exchanged"] * (6 if fresh else 2)
            )
        swapped = [key for key, one in returns.items() if one.swap is not None and key in self.driver.orders]
        if swapped:
            other = dice.choice(swapped[-3:])
            asking = [key for key in swapped if (swap := returns[key].swap) is not None and swap.state == "asking"]
            asked = dice.choice(asking or swapped)
            says = dice.choice(("succeeded", "succeeded", "declined"))
            words = dice.choice(("accept", "accept", "decline"))
            draw |= {
                "order_cancelled": lambda: Command("order_cancelled", other),
                "order_asks": lambda: Command("order_asks", other, (says,)),
                "answered": lambda: Command("answered", asked, (words,)),
                "silent": lambda: Command("silent", other),
            }
            kinds += ["order_cancelled", "silent", "answered"] + ["order_asks"] * 3 + ["answered"] * 6 * bool(asking)
        return draw[dice.choice(kinds)]()

    def _name(self, prefix: str) -> str:
        self.made += 1
        return f"{prefix}{self.made}"

    def _disposition(self) -> str:
        return self.dice.choice(("restock", "restock", "liquidate", "send_back", "missing", "repackage"))

    async def happen(self) -> None:
        """One command, or two or three at once; or one that was sent before, again."""
        if self.done and self.dice.random() < 0.1:
            await self._again()
            return
        commands = [self.command() for _ in range(self.dice.choice((1, 1, 1, 2, 3)))]
        # An exchange is placed in steps of its own, and what was asked of a provider is what was asked when it looked.
        once = {one.kind + one.key: one for one in commands}
        if any(one.kind == "exchanged" for one in commands):
            once = {"": next(one for one in commands if one.kind == "exchanged")}
        # A provider is asked between two transactions: what else happens then is tried in test_exchange_dearer.
        charged = [one for one in commands if one.kind == "order_asks" and self._charges(one.key)]
        if charged:
            once = {"": charged[0]}
        await self.take(list(once.values()))

    def _charges(self, key: str) -> bool:
        swap = self.model.returns[key].swap
        return swap is not None and "charge" in swap.asked

    async def _again(self) -> None:
        """The answer was lost, so the same is sent again: what a till reports twice counts once."""
        sent = [command for command, answer in self.done if command.kind.startswith("rung_up") and answer == "accepted"]
        if sent:
            await self.take([self.dice.choice(sent)])

    async def take(self, commands: list[Command]) -> None:
        """Send the commands at once; the answers and the ledger must be those of one of their orders."""
        answers = await asyncio.gather(*(self.driver.run(command) for command in commands))
        self.done += zip(commands, answers, strict=True)

        async def seen(model: Model) -> dict[str, Any]:
            return await self.driver.seen([*model.returns])

        self.model = await agreeing(self.model, commands, answers, seen, self.done)
        self._check()

    def _check(self) -> None:
        """What holds whatever happens: each unit once, never more than was paid, nothing for sale unseen."""
        model = self.model
        assert model.refunded <= UNITS
        assert model.refunded_minor <= PAID_MINOR
        sold_back = sum(
            asked
            for one in model.returns.values()
            if one.has_sale
            for tender, (asked, _) in one.money.items()
            if tender != "till"
        )
        undone = sum(one.swap.back for one in model.returns.values() if one.swap is not None)
        assert sold_back - undone <= PAID_MINOR
        for one in model.returns.values():
            if one.swap is not None:
                assert one.swap.more_back <= one.swap.more_captured <= one.swap.more
        accepted = sum(one.accepted for one in model.returns.values())
        reserved = sum(one.swap.order == "collected" for one in model.returns.values() if one.swap is not None)
        there = model.stock["available"] + model.stock["reserved"] + model.stock["damaged"] + reserved
        assert there == STOCK - UNITS + accepted

    async def end(self) -> None:
        """What is asked for is carried out; then nothing is owed but for goods that still wait."""
        for key in [*self.driver.orders]:
            await self.take([Command("silent", key)])
        for _ in range(4):
            for key in [*self.model.returns]:
                await self.take([Command("paid", key)])
                if key in self.driver.orders:
                    await self.take([Command("order_asks", key, ("succeeded",))])
        assert not any(one.is_owed for one in self.model.returns.values())
        for key, one in self.model.returns.items():
            if one.swap is not None and one.swap.order == "reserved":
                await self.take([Command("collected", key)])
        await assert_books_agree(self.driver.shop.database)
        await self._check_the_bank()

    async def _check_the_bank(self) -> None:
        """What the provider paid for returns is what the ledger says that it paid, each operation once."""
        paid = sum(amount for kind, amount in self.driver.bank.paid.values() if kind == "refund")
        recorded = await self.driver.shop.value(
            "SELECT coalesce(sum(o.amount_minor), 0) FROM payment_operation o JOIN payment p ON p.id = o.payment_id"
            " WHERE o.kind = 'refund' AND o.state = 'succeeded' AND p.tender <> 'exchange'"
            " AND p.reference NOT LIKE 'till:%'"
        )
        assert paid == recorded


async def five(shop: Shop) -> str:
    """Five units, paid by a gift card and a card, at prices that do not divide."""
    lines = [
        {"line_id": "1", "sku": TEA, "quantity": UNITS, "unit_price_minor": 1_000, "discount_minor": 500,
         "tax_minor": 475}
    ]  # fmt: skip
    pays = [
        {"reference": "a-gift", "tender": "gift_card", "amount_minor": GIFT_MINOR, "state": "captured"},
        {"reference": "b-card", "tender": "card", "amount_minor": CARD_MINOR, "state": "captured"},
    ]
    return await collected(shop, UNITS, lines=lines, payments=pays, prices_include_tax=False)


async def _done(worker: PaymentActivities, step: Step) -> str:
    await worker.carry_out(step)
    return "done"


@pytest.mark.timeout(120 + 20 * RUNS)
@pytest.mark.parametrize("seed", range(RUNS))
@pytest.mark.parametrize("one_in", [0, 4], ids=["alive", "dying"])
async def test_the_ledger_agrees_with_the_model(
    postgres_url: str, template_database: str, seed: int, one_in: int
) -> None:
    """With `one_in`, whoever sends a command dies around one commit in so many, and around as many payments."""
    dice = random.Random(seed)  # noqa: S311  no secret, and the same day every time
    name = f"endcap_returns_{uuid.uuid4().hex[:12]}"
    url = await create_database(postgres_url, name, template=template_database)
    shop = await open_shop(url, tea={"S1": STOCK}, policy=POLICY)
    mortal = Mortal(url, dice, one_in=one_in)
    try:
        day = Day(Driver(Shop(mortal), await five(shop), Bank(dice, one_in=one_in)), dice)
        for _ in range(STEPS):
            await day.happen()
        await day.end()
        assert bool(mortal.deaths["before"] + mortal.deaths["after"]) == bool(one_in)
    finally:
        await mortal.dispose()
        await shop.database.dispose()
        await drop_database(postgres_url, name)
