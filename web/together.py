"""Answers that are read together: what is asked while one reading is under way is answered by the next, as a whole.

A reading begins after everything that it answers was asked, so nobody gets what is older than their question. Nothing
is kept: whoever asks after it has begun is answered by another one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from itertools import islice


class Together[Asked: Hashable, Answer]:
    """Questions that are equal are one.

    `read` gets at most `most` different ones and answers each of them; what it raises is raised to everybody who asked.
    The first waits `wait_s` for others, which costs it that and spares the others a reading of their own.
    """

    def __init__(
        self,
        read: Callable[[Sequence[Asked]], Awaitable[Mapping[Asked, Answer]]],
        *,
        wait_s: float = 0.0,
        most: int = 100,
    ) -> None:
        self._read = read
        self._wait_s = wait_s
        self._most = most
        self._asked: dict[Asked, asyncio.Future[Answer]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self.being_read = 0  # questions of the reading under way

    @property
    def waiting(self) -> int:
        """Questions that the next reading will answer."""
        return len(self._asked)

    async def ask(self, asked: Asked) -> Answer:
        """Its answer. Whoever gives up waiting takes it from nobody else."""
        if self._at_rest.is_set() and not self._wait_s:
            return await self._alone(asked)
        if asked not in self._asked:
            self._asked[asked] = asyncio.get_running_loop().create_future()
        answer = self._asked[asked]
        if self._at_rest.is_set():
            self._go_on()
        return await asyncio.shield(answer)

    async def close(self) -> None:
        """Wait until everybody is answered."""
        await self._at_rest.wait()

    async def _alone(self, asked: Asked) -> Answer:
        """Nobody else asks just now: whoever does reads, and no other task is woken for it."""
        self._at_rest.clear()
        self.being_read = 1
        try:
            return (await self._read([asked]))[asked]
        finally:
            self.being_read = 0
            self._go_on()

    def _go_on(self) -> None:
        """Have those who wait by now answered."""
        if self._asked:
            self._at_rest.clear()
            self._reading = asyncio.create_task(self._until_answered())
        else:
            self._at_rest.set()

    async def _until_answered(self) -> None:
        try:
            while self._asked:
                if self._wait_s:
                    await asyncio.sleep(self._wait_s)
                await self._answer({one: self._asked.pop(one) for one in list(islice(self._asked, self._most))})
        finally:
            self._reading = None
            for left in self._asked.values():  # nobody reads any more: the loop ends
                left.cancel()
            self._asked.clear()
            self._at_rest.set()

    async def _answer(self, taken: Mapping[Asked, asyncio.Future[Answer]]) -> None:
        self.being_read = len(taken)
        try:
            answers = await self._read(list(taken))
            for one, answer in taken.items():
                answer.set_result(answers[one])
        except Exception as error:  # noqa: BLE001  raised to whoever has asked
            for answer in taken.values():
                if not answer.done():
                    answer.set_exception(error)
                    answer.exception()  # it is known, whether or not somebody still waits
        finally:
            self.being_read = 0
            for answer in taken.values():
                answer.cancel()  # of a reading that was itself cancelled
