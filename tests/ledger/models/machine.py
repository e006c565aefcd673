"""How the ledger is held against a plain model: commands are drawn from what there is, sent one by one, at once and
again; the answers and what the ledger shows must be those of the model for one of their orders.

A model takes one command after the other. `apply` returns its answer, `seen` what a ledger has to show after it.
"""

import asyncio
import copy
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from embedded.postgres import drop_database
from tests.ledger.support.books import assert_books_agree

ANYTHING = st.integers(0, 2**32)


class Command(NamedTuple):
    """One request, event or step. `at` is its number on the run's clock; `about` names what it is about."""

    kind: str
    at: int
    about: str = ""
    args: tuple[Any, ...] = ()


class Refused(Exception):
    """The command is answered with this and changes nothing."""


class Model[C](Protocol):
    def apply(self, command: C, /) -> str: ...
    def seen(self) -> dict[str, Any]: ...


LOST = "lost"  # the answer of a command that was sent again because its first answer was never heard


async def agreeing[C, M: Model[Any]](
    model: M,
    commands: Sequence[C],
    answers: Sequence[str],
    seen: Callable[[M], Awaitable[dict[str, Any]]],
    done: Sequence[tuple[C, str]],
) -> M:
    """The model after the commands, in an order that explains all. Fails where there is none, with what was done."""
    wrong = []
    for way in itertools.permutations(range(len(commands))):
        after = copy.deepcopy(model)
        said = {number: after.apply(commands[number]) for number in way}
        heard = {number: answer for number, answer in enumerate(answers) if answer != LOST}
        said = {number: answer for number, answer in said.items() if number in heard}
        found = differences({"answers": said, **after.seen()}, {"answers": heard, **await seen(after)})
        if not found:
            return after
        wrong.append(found)
    told = "\n".join(f"{command} → {answer}" for command, answer in done)
    raise AssertionError(f"after\n{told}\nthe model and the ledger differ: " + "\nor ".join(wrong))


def differences(model: dict[str, Any], ledger: dict[str, Any]) -> str:
    """What differs, as one line: the model's value, then the ledger's."""
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
    return "; ".join(sorted(found))


class Machine(RuleBasedStateMachine):
    """One run on a database of its own: `open` it when it is initialised, say in `drawn` what numbers mean."""

    server: ClassVar[str] = ""
    template: ClassVar[str] = ""
    repeated: ClassVar[dict[str, str]] = {}  # what is answered to what was sent before, where it is another answer
    driver: Any
    model: Any
    name: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.at = 0
        self.done: list[tuple[Command, str]] = []
        self.failed = False

    # ------------------------------------------------------------------ what a kind of machine says
    async def drawn(self, numbers: tuple[int, ...]) -> list[Command]:
        """The commands that the numbers stand for, given what there is; they are sent at once."""
        raise NotImplementedError

    def may_be_sent_again(self, command: Command, answer: str) -> bool:
        raise NotImplementedError

    async def check(self) -> None:
        """What holds after every command."""

    async def end(self) -> None:
        """What holds in the end."""
        await assert_books_agree(self.driver.shop.database)

    # ------------------------------------------------------------------ the run
    def until_done(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it; after a failure the run ends without the checks of its end, which would tell of it again."""
        try:
            self.loop.run_until_complete(work)
        except BaseException:
            self.failed = True
            raise

    def teardown(self) -> None:
        if hasattr(self, "driver"):
            try:
                if not self.failed:
                    self.loop.run_until_complete(self.end())
            finally:
                self.loop.run_until_complete(self._close())
        self.loop.close()

    async def _close(self) -> None:
        await self.driver.shop.database.dispose()
        await drop_database(self.server, self.name)

    def next(self, kind: str, about: str = "", *args: Any) -> Command:
        self.at += 1
        return Command(kind, self.at, about, args)

    async def take(self, commands: Sequence[Command]) -> None:
        """Send the commands at once."""
        answers = await self.driver.at_once(commands)
        self.done += zip(commands, answers, strict=True)
        found = await self.driver.seen()

        async def seen(_: object) -> dict[str, Any]:
            return dict(found)

        self.model = await agreeing(self.model, commands, answers, seen, self.done)
        await self.check()

    async def _happen(self, numbers: tuple[int, ...]) -> None:
        if commands := await self.drawn(numbers):
            await self.take(commands)

    @rule(number=ANYTHING)
    def one(self, number: int) -> None:
        self.until_done(self._happen((number,)))

    @rule(numbers=st.lists(ANYTHING, min_size=2, max_size=3))
    def at_once(self, numbers: list[int]) -> None:
        self.until_done(self._happen(tuple(numbers)))

    @rule(number=st.integers(0, 7))
    def lost_reply(self, number: int) -> None:
        """The answer was lost, so the same is sent again: it is answered, and changes nothing."""
        told = [one for one in self.done if self.may_be_sent_again(*one)]
        if told:
            command, answer = told[-1 - number % len(told)]
            self.until_done(self._send_again(command, self.repeated.get(answer, answer)))

    async def _send_again(self, command: Command, expected: str) -> None:
        assert await self.driver.run(command) == expected, command
        found = differences(self.model.seen(), await self.driver.seen())
        assert not found, f"{command} was sent again: {found}"

    @classmethod
    def run_on(cls: type[Self], server: str, template: str, *, runs: int, default: int) -> None:
        """So many runs on copies of the template; more than the default are drawn anew each time."""
        cls.server, cls.template = server, template
        run_state_machine_as_test(
            cls,
            settings=settings(
                max_examples=runs,
                stateful_step_count=40,
                phases=[Phase.generate],  # a run that failed says all that happened; smaller ones seldom meet it again
                deadline=None,
                derandomize=runs <= default,
                database=None,
                report_multiple_bugs=False,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
