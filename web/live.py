"""Open pages hear at once that a case or an approval has changed: one connection to PostgreSQL for each web process,
and one stream of server-sent events for each open page.

A stream carries numbers and versions, never what a case says: the page asks for that as it always does, and whoever
may not see it gets nothing. What has not been sent yet is a set, not a queue (`web.watching`), so that somebody slow
costs no more memory and holds nobody up.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from domain.errors import Busy
from domain.people import Person
from ledger import sessions
from ledger.engine import Database
from ledger.listening import Change, keep_hearing
from ledger.people import people_by_id
from web.watching import Cohorts, News, Watcher

logger = logging.getLogger("endcap.web")

MOST_STREAMS = 2_000  # of one process
MOST_OF_A_SESSION = 4  # browsers open six connections to one host, and forms need some
BEAT_S = 15.0  # proxies close what is silent for longer
TAKEN_WITHIN_S = 20.0  # a browser that reads nothing for so long is gone
LOOK_AT_SESSIONS_S = 5.0
COME_BACK_MS = (2_000, 8_000)  # after a restart not everybody at once
GONE = "gone"  # why a stream ends to which nobody listens any more


class Live:
    """All open pages of this process. The connection is opened with the first of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._era = secrets.token_hex(4)
        self._heard = 0
        self._is_hearing = False
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []
        self._cohorts = Cohorts(self.mark)
        self._by_session: dict[bytes, list[Watcher]] = defaultdict(list)

    @property
    def streams(self) -> int:
        return sum(len(some) for some in self._by_session.values())

    def mark(self) -> str:
        """How much was heard until now. A page takes it before it reads, and gives it to its stream, which tells what
        has happened between the two.
        """
        return f"{self._era}-{self._heard}" if self._is_hearing else ""

    def join(self, person: Person, token: str, since: str) -> Watcher:
        """A new stream. Raises `Busy` where there are too many; of one session the oldest makes room."""
        if self._closing or self.streams >= MOST_STREAMS:
            raise Busy("Too many pages are open here to tell each at once; this one looks by itself from time to time.")
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(keep_hearing(self._database.url, self._on_change)),
                asyncio.create_task(self._look_at_sessions()),
            ]
        made = Watcher(person, token)
        own = self._by_session[made.session]
        if len(own) >= MOST_OF_A_SESSION:
            own[0].end("elsewhere")
            self.leave(own[0])
            own = self._by_session[made.session]
        own.append(made)
        self._cohorts.join(made)
        if since != self.mark() or not since:
            self._tell_of_many(made)
        return made

    def _tell_of_many(self, watcher: Watcher) -> None:
        """It may have missed any number."""
        news = News()
        news.add_many()
        news.mark = self.mark()
        watcher.tell(news)

    def leave(self, watcher: Watcher) -> None:
        """The page is gone, or is told to go; a second time does nothing."""
        own = self._by_session.get(watcher.session, [])
        if watcher in own:
            own.remove(watcher)
            if not own:
                del self._by_session[watcher.session]
        self._cohorts.leave(watcher)

    def _on_change(self, change: Change | None) -> None:
        self._is_hearing = True
        self._heard += 1
        self._cohorts.hear(change)

    async def _look_at_sessions(self) -> None:
        """Ends the streams of sessions that do not hold any more, and notes who has other roles now."""
        while True:
            await asyncio.sleep(LOOK_AT_SESSIONS_S)
            try:
                await self.look_at_sessions()
            except (DBAPIError, OSError) as error:
                logger.info("sessions of open pages were not looked at: %s", type(error).__name__)

    async def look_at_sessions(self) -> None:
        watched = {held: list(watchers) for held, watchers in self._by_session.items()}
        if not watched:
            return
        async with self._database.read() as conn:
            held = await sessions.still_held(conn, watched)
            people = await people_by_id(conn, held.values())
        for session, watchers in watched.items():
            person = people.get(held.get(session, ""))
            for watcher in watchers:
                if person is None:
                    watcher.end("signed_out")
                    self.leave(watcher)
                elif person.grants != watcher.person.grants and watcher in self._by_session.get(session, []):
                    self._cohorts.leave(watcher)
                    watcher.person = person
                    self._cohorts.join(watcher)
                    self._tell_of_many(watcher)

    def close(self) -> None:
        """End every stream now and take no more; the pages come back by themselves, each at a moment of its own."""
        self._closing = True
        for watchers in list(self._by_session.values()):
            for watcher in list(watchers):
                watcher.end("restart")

    async def stop(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class EventStream(Response):
    """The answer to a page that listens; it sends itself until one of the two goes."""

    def __init__(self, live: Live, watcher: Watcher) -> None:
        super().__init__()
        self._live = live
        self._watcher = watcher

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self._until_gone(receive))
        try:
            async with asyncio.timeout(None) as limit:
                await self._run(send, limit)
        except (TimeoutError, OSError):
            logger.info("an open page took nothing for %g s; its stream was ended", TAKEN_WITHIN_S)
        finally:
            self._live.leave(self._watcher)
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._watcher.end(GONE)

    async def _run(self, send: Send, limit: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()

        async def give(message: Message) -> None:
            limit.reschedule(loop.time() + TAKEN_WITHIN_S)
            await send(message)
            limit.reschedule(None)

        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
        await give({"type": "http.response.start", "status": 200, "headers": headers})
        pause = COME_BACK_MS[0] + secrets.randbelow(COME_BACK_MS[1] - COME_BACK_MS[0])
        await give(_text(f"retry: {pause}\n\n"))
        while self._watcher.ended != GONE:
            await _within(BEAT_S, self._watcher.wake)
            news = self._watcher.take()
            if self._watcher.ended == GONE:
                return
            if self._watcher.ended is not None:
                if self._watcher.ended != "restart":
                    await give(_text(f"event: ended\ndata: {self._watcher.ended}\n\n"))
                break
            await give(_text(": still here\n\n" if news is None else news.text))
        await give({"type": "http.response.body", "body": b"", "more_body": False})


def _text(words: str) -> Message:
    return {"type": "http.response.body", "body": words.encode(), "more_body": True}


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait until the event comes or the time has passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


@contextlib.contextmanager
def ends_at_once(live: Live) -> Iterator[None]:
    """A server that is asked to stop waits for answers under way, and a stream would be one for ever: they are ended as
    soon as the signal comes, before the server waits. Only what a server listens to is listened to here: whoever runs
    the application in another way keeps their own handlers.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier = signal.getsignal(number) if threading.current_thread() is threading.main_thread() else None
        if not isinstance(getattr(earlier, "__self__", None), uvicorn.Server):
            continue

        def on_signal(got: int, frame: FrameType | None, earlier: Any = earlier) -> None:
            loop.call_soon_threadsafe(live.close)
            earlier(got, frame)

        before[number] = earlier
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
