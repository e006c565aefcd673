"""Callers of the ledger that die in the middle: with all written and nothing committed, or with all committed and the
answer unheard. Whoever comes after them does the same again, as a worker, a source or a browser would.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, override

from domain.errors import DomainError
from domain.payments import PaymentOutcome
from ledger.closing import flush
from ledger.engine import Database
from ledger.transaction import Transaction
from ports.payment import PaymentRequest
from tests.ledger.models.machine import LOST


class Killed(BaseException):
    """The process is gone: no code of its own hears of it, and nobody has the answer."""


class Mortal(Database):
    """A ledger whose caller dies around one commit in `one_in` (0: never); `deaths` counts before and after one."""

    def __init__(self, url: str, dice: random.Random, *, one_in: int) -> None:
        super().__init__(url, application="endcap-test", sealing_keys={"test": b"0" * 32})
        self._dice, self._one_in = dice, one_in
        self.deaths: Counter[str] = Counter()

    @override
    async def write[T](self, work: Callable[[Transaction], Awaitable[T]], *, actor: str, via: str) -> T:
        fate = self._dice.choice(("before", "after")) if self._one_in and not self._dice.randrange(self._one_in) else ""

        async def and_die(tx: Transaction) -> T:
            result = await work(tx)
            if fate == "before":
                await flush(tx)
                self.deaths[fate] += 1
                raise Killed
            return result

        result = await super().write(and_die, actor=actor, via=via)
        if fate == "after":
            self.deaths[fate] += 1
            raise Killed
        return result


class Bank:
    """A provider that answers each key once and for all, and whose caller may die before it hears so."""

    def __init__(self, dice: random.Random, *, one_in: int) -> None:
        self._dice, self._one_in = dice, one_in
        self.charges = "succeeded"  # what it says to the next new charge
        self.paid: dict[str, tuple[str, int]] = {}  # by key: of what kind, minor units
        self.said: dict[str, str] = {}  # by key
        self.deaths = 0

    async def carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        """Pay it, or say what was said before; one key never asks for two things."""
        state: Any = self.said.setdefault(
            request.operation_id, self.charges if request.kind == "charge" else "succeeded"
        )
        if state == "succeeded":
            paid = (request.kind, request.amount_minor)
            assert self.paid.setdefault(request.operation_id, paid) == paid
        if self._one_in and not self._dice.randrange(self._one_in):
            self.deaths += 1
            raise Killed
        if state == "declined":
            return PaymentOutcome("declined", None, "card expired")
        return PaymentOutcome("succeeded", f"b-{request.operation_id}")

    async def aclose(self) -> None:
        """Nothing is open."""


async def heard(do: Callable[[], Awaitable[str]]) -> str:
    """Do it again until nobody dies of it; the answer, or `LOST` where the first one may have been another."""
    was_lost = False
    while True:
        try:
            answer = await do()
        except Killed:
            was_lost = True
        except DomainError:
            if not was_lost:
                raise
            return LOST  # what it asked for was done before, and cannot be done again
        else:
            return LOST if was_lost else answer
