"""Questions of the same moment are answered by one reading, and by none that began before they were asked."""

import asyncio
from collections.abc import Sequence

import pytest

from web.together import Together


class Source:
    """What is read: a figure that changes, by readings that end when they are let."""

    def __init__(self) -> None:
        self.value = 1
        self.readings: list[list[str]] = []
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.failure: Exception | None = None

    async def read(self, asked: Sequence[str]) -> dict[str, tuple[str, int]]:
        self.readings.append(list(asked))
        seen = self.value
        self.begun.set()
        await self.goes_on.wait()
        if self.failure is not None:
            raise self.failure
        return {one: (one, seen) for one in asked}

    async def hold(self, together: Together[str, tuple[str, int]]) -> "asyncio.Task[tuple[str, int]]":
        """A reading that has begun and does not end."""
        self.goes_on.clear()
        self.begun.clear()
        first = asyncio.create_task(together.ask("first"))
        await self.begun.wait()
        return first


async def _asked(together: Together[str, tuple[str, int]], *names: str) -> "list[asyncio.Task[tuple[str, int]]]":
    """Each is waiting when this returns."""
    tasks = [asyncio.create_task(together.ask(name)) for name in names]
    await asyncio.sleep(0)  # each runs until it waits
    assert together.waiting == len(set(names))
    return tasks


async def test_who_asks_alone_is_answered_alone() -> None:
    source = Source()
    together = Together(source.read)
    assert [await together.ask("a"), await together.ask("b")] == [("a", 1), ("b", 1)]
    assert source.readings == [["a"], ["b"]]


async def test_what_is_asked_during_a_reading_is_answered_by_the_next_one_and_never_by_that() -> None:
    source = Source()
    together = Together(source.read)
    first = await source.hold(together)
    source.value = 2  # it happens, and is told; then they ask
    rest = await _asked(together, "a", "b", "a", "first")
    source.goes_on.set()
    assert await first == ("first", 1)
    assert await asyncio.gather(*rest) == [("a", 2), ("b", 2), ("a", 2), ("first", 2)]
    assert source.readings == [["first"], ["a", "b", "first"]]


async def test_no_reading_is_larger_than_it_may_be() -> None:
    source = Source()
    together = Together(source.read, most=2)
    first = await source.hold(together)
    rest = await _asked(together, "a", "b", "c")
    source.goes_on.set()
    await asyncio.gather(first, *rest)
    assert source.readings == [["first"], ["a", "b"], ["c"]]


async def test_the_first_waits_for_others_where_it_may() -> None:
    source = Source()
    together = Together(source.read, wait_s=0.01)
    found = await asyncio.gather(together.ask("a"), together.ask("b"))
    assert list(found) == [("a", 1), ("b", 1)]
    assert source.readings == [["a", "b"]]


async def test_a_failure_is_raised_to_each_who_asked_and_the_next_reading_is_made() -> None:
    source = Source()
    together = Together(source.read)
    first = await source.hold(together)
    source.failure = ValueError("no")
    rest = await _asked(together, "a", "b")
    source.goes_on.set()
    found = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [str(one) for one in found] == ["no", "no", "no"]
    source.failure = None
    assert await together.ask("a") == ("a", 1)


async def test_an_answer_that_is_missing_is_an_error_and_nobody_waits_for_ever() -> None:
    async def read(asked: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(asked[:1], 1)

    together = Together(read, wait_s=0.01)
    found = await asyncio.gather(together.ask("a"), together.ask("b"), return_exceptions=True)
    assert found[0] == 1
    assert isinstance(found[1], KeyError)


async def test_who_gives_up_takes_the_answer_from_nobody_else() -> None:
    source = Source()
    together = Together(source.read)
    first = await source.hold(together)
    impatient, patient = await _asked(together, "a", "a")
    first.cancel()
    impatient.cancel()
    source.goes_on.set()
    assert await patient == ("a", 1)
    found = await asyncio.gather(first, impatient, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError] * 2


async def test_closing_waits_until_everybody_is_answered() -> None:
    source = Source()
    together = Together(source.read)
    first = await source.hold(together)
    closing = asyncio.create_task(together.close())
    await asyncio.sleep(0)
    assert not closing.done()
    source.goes_on.set()
    await closing
    assert first.done() or await first == ("first", 1)
    await together.close()  # nothing is being read


async def test_a_reading_that_is_cancelled_leaves_nobody_waiting() -> None:
    source = Source()
    together = Together(source.read, wait_s=0.001)
    first = await source.hold(together)
    rest = await _asked(together, "a")
    assert together._reading is not None
    together._reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(asyncio.CancelledError):
        await rest[0]
    source.goes_on.set()
    assert await together.ask("a") == ("a", 1)


async def test_who_gives_up_a_reading_of_their_own_holds_up_nobody_who_has_asked_since() -> None:
    source = Source()
    together = Together(source.read)
    first = await source.hold(together)
    rest = await _asked(together, "a", "b")
    first.cancel()
    source.goes_on.set()
    assert await asyncio.gather(*rest) == [("a", 1), ("b", 1)]
    assert source.readings == [["first"], ["a", "b"]]
    await together.close()


async def test_a_reading_of_ones_own_that_fails_fails_nobody_else() -> None:
    source = Source()

    async def read(asked: Sequence[str]) -> dict[str, tuple[str, int]]:
        found = await source.read(asked)
        if "first" in asked:
            raise ValueError("no")
        return found

    together = Together(read)
    first = await source.hold(together)
    rest = await _asked(together, "a")
    source.goes_on.set()
    with pytest.raises(ValueError, match="no"):
        await first
    assert await rest[0] == ("a", 1)
