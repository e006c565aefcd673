"""Connections and transactions: where one begins, when it is tried again, and that nothing outside is called within
it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from time import monotonic
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.alive import look_after
from ledger.clock import Clock
from ledger.closing import flush
from ledger.marked import MARKED, Kept
from ledger.outages import FAILURES, sqlstate
from ledger.prepared import ALONE, KNOWN, Hearer, Known, failed
from ledger.sealing import Seal
from ledger.storage import Storage
from ledger.transaction import Transaction
from ledger.warm import Warm

logger = logging.getLogger("endcap.ledger")

# The whole transaction is run again on these: two transactions met in a way that only one can win.
RETRYABLE = frozenset({"40001", "40P01"})
ATTEMPTS = 6
CONNECT_TIMEOUT_S = 10.0
# For a connection of the pool: with more requests than it serves, whoever waits longer has gone, or asks again.
LONGEST_WAIT_S = 10.0
_LOOK_FOR_CLIENT_MS = 5_000
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode ="
# What lists are asked for differs by very much in how many rows it finds, so each question has a plan of its own. What
# is asked about one thing finds as little whichever it is, so a plan that was made is kept; left to itself, PostgreSQL
# makes it anew for every list of one word.
_READ, _READ_BY_KEY = (f"{_BEGIN} force_{kind}_plan" for kind in ("custom", "generic"))
_TIME = "SELECT clock_timestamp()"
# Of one connection. Pages ask in more ways than the driver's own hundred, and for several lists in more words than its
# own 15,000 bytes, beyond which it would have each made ready again whenever it is sent.
_STATEMENTS_KEPT = 400
_LONGEST_KEPT = 200_000


def asyncpg_url(url: str) -> URL:
    """Any PostgreSQL URL (`postgres://`, `postgresql://`, with a driver or without) for SQLAlchemy with asyncpg."""
    text_url = "postgresql://" + url.split("://", 1)[1] if url.startswith("postgres://") else url
    return make_url(text_url).set(drivername="postgresql+asyncpg")


def given_up_there(timeout_s: float) -> dict[str, str]:
    """Settings of a connection by which the server itself ends a statement, shortly before nobody waits for it any more
    or soon after its client has gone. Left alone, what was given up here would go on there.
    """
    return {
        "statement_timeout": str(max(int(timeout_s * 900), 1)),  # in milliseconds
        "client_connection_check_interval": str(_LOOK_FOR_CLIENT_MS),
    }


class Database:
    """One per process: a pool of connections, and the two ways to use one.

    `url` is any PostgreSQL URL; up to twice `pool_size` connections are opened as they are needed, and kept.
    `sealing_keys` (name → 32 bytes, the first one encrypts) seal events that must be set aside. A statement without an
    answer within `timeout_s` is given up, and its connection with it: the network may be a black hole.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        application: str = "endcap",
        sealing_keys: Mapping[str, bytes] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._relays_to_tell = False
        self._telling: asyncio.Task[None] | None = None
        self.seal = Seal(sealing_keys)
        self.engine: AsyncEngine = create_async_engine(
            asyncpg_url(url),
            # Kept once they are opened: to make one takes five ways to the server, and it knows no statement yet.
            pool_size=2 * pool_size,
            max_overflow=0,
            pool_timeout=min(timeout_s, LONGEST_WAIT_S),
            hide_parameters=True,  # they hold names and addresses, and errors are logged
            connect_args={
                "server_settings": {"application_name": application, **given_up_there(timeout_s)},
                "command_timeout": timeout_s,
                "timeout": min(timeout_s, CONNECT_TIMEOUT_S),
                "statement_cache_size": _STATEMENTS_KEPT,
                "max_cacheable_statement_size": _LONGEST_KEPT,
            },
        )
        self.storage = Storage(self.engine)
        self.clock = Clock(self._time_there)
        self.hearers: set[Hearer] = set()  # of prepared queries: see `heard`
        self._kept: Kept = {}

        @event.listens_for(self.engine.sync_engine, "connect")
        def know(made: Any, record: Any) -> None:
            record.info.update(driver=made.driver_connection, hearers=self.hearers)
            record.info[MARKED] = self._kept

        look_after(self.engine.sync_engine)

        # SQLAlchemy begins nothing there: `read` does, so that prepared queries may come first.
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._warm = Warm(self._connected, most=pool_size // 2)

    @property
    def plain_url(self) -> str:
        """The address for asyncpg itself."""
        return asyncpg_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)

    async def write[T](self, work: Callable[[Transaction], Awaitable[T]], *, actor: str, via: str) -> T:
        """Run `work` in one transaction and commit it; serialization failures and deadlocks run the whole again.

        `work` may run more than once, so it must take everything it needs from its arguments and the database.
        `actor` and `via` go into every audit row that it writes.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.engine.begin() as conn:
                    tx = Transaction(conn, actor=actor, via=via, seal=self.seal)
                    result = await work(tx)
                    await flush(tx)
                if tx.has_messages:
                    self.wake_relays()
                return result
            except DBAPIError as error:
                self.storage.refused(error)
                if sqlstate(error) not in RETRYABLE or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.005 * 2**attempt)
        raise AssertionError("the loop returns or raises")

    @asynccontextmanager
    async def read(self, *, by_key: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection in a read-only transaction that sees one state of the database throughout.

        `by_key` is for what is asked about one thing, whichever it is: PostgreSQL keeps the plans then, which take it
        longer to make than to carry out. Nothing that may find very much for one and little for another belongs there.
        """
        begin = _READ_BY_KEY if by_key else _READ
        conn = await self._begun(begin)
        info = conn.info
        driver = info["driver"]
        info[KNOWN] = Known()
        try:
            yield conn
        finally:
            del info[KNOWN]
            self._warm.leave_after(conn, lambda: _leave(driver))  # whoever has read has what they wanted

    async def _connected(self) -> AsyncConnection:
        return await self._reading.connect()

    async def _begun(self, begin: str) -> AsyncConnection:
        """A connection on which that was sent. One that was lost since it was last used (see `alive`) is left for
        another: nothing was asked of it yet.
        """
        for is_last in (False, True):
            conn = await self._warm.take()
            driver = conn.info["driver"]
            try:
                await driver.execute(begin)
            except BaseException as error:
                driver.terminate()
                await conn.close()
                await self._warm.release()
                if not isinstance(error, FAILURES) or isinstance(error, TimeoutError):
                    raise
                if is_last:
                    raise failed(driver, begin, error) from error
            else:
                return conn
        raise AssertionError("the loop returns or raises")

    async def alone[T](self, look: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """What `look` finds by one prepared query that stands for itself: PostgreSQL makes a transaction of it unasked,
        and what takes three round trips in `read` takes one. Two queries would not see the same state. It is
        asked again where the connection was lost since it was last used (see `alive`).
        """
        try:
            return await self._look_alone(look)
        except InterfaceError as error:
            if isinstance(error.orig, TimeoutError):
                raise
            return await self._look_alone(look)

    async def _look_alone[T](self, look: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        conn = await self._warm.take()
        info = conn.info
        info[ALONE] = True
        try:
            return await look(conn)
        except InterfaceError:
            info["driver"].terminate()
            await self._warm.release()
            raise
        finally:
            del info[ALONE]
            await self._warm.leave(conn)

    @contextmanager
    def heard(self, hearer: Hearer) -> Iterator[None]:
        """`hearer` gets the words and the values of each statement that this process sends meanwhile; COPY is none."""

        def hear(_conn: Any, _cursor: Any, statement: str, given: Any, _context: Any, is_many: bool) -> None:  # noqa: FBT001
            for values in given if is_many else [given]:
                hearer(statement, tuple(values))

        event.listen(self.engine.sync_engine, "before_cursor_execute", hear)
        self.hearers.add(hearer)
        try:
            yield
        finally:
            self.hearers.discard(hearer)
            event.remove(self.engine.sync_engine, "before_cursor_execute", hear)

    async def now(self) -> datetime:
        """What time it is by PostgreSQL's clock, whatever this machine's says; within a transaction ask that."""
        return await self.clock.now()

    async def _time_there(self) -> tuple[datetime, float]:
        """What time it is there, half-way between question and answer; a wait for a connection is before both."""
        async with self.read(by_key=True) as conn:
            driver = conn.info["driver"]
            asked_at = monotonic()
            try:
                there: datetime = await driver.fetchval(_TIME)
            except FAILURES as error:
                raise failed(driver, _TIME, error) from error
            return there, (asked_at + monotonic()) / 2

    async def let_one_go(self) -> bool:
        """Close one of the pool's, where the server has none left and somebody needs one apart. False: it has none."""
        await self._warm.release()
        try:
            async with self._reading.connect() as conn:
                await conn.info["driver"].close(timeout=CONNECT_TIMEOUT_S)
                await conn.invalidate()
        except (*FAILURES, DBAPIError, PoolTimeout) as error:
            logger.warning("there is no connection to let go: %s", type(error).__name__)
            return False
        return True

    def wake_relays(self) -> None:
        """Wake the relays after the commit, on another connection: NOTIFY within a transaction makes commits queue up.

        What commits while one is under way shares the next. Relays poll, so a lost one costs a moment and nothing else.
        """
        self._relays_to_tell = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        try:
            while self._relays_to_tell:
                self._relays_to_tell = False
                async with self.engine.begin() as conn:
                    await conn.execute(text("NOTIFY endcap_outbox"))
        except (DBAPIError, OSError) as error:
            logger.info("relays were not woken: %s", type(error).__name__)

    async def dispose(self) -> None:
        if self._telling is not None:
            await self._telling
        await self.clock.close()
        await self._warm.close()
        await self.engine.dispose()


async def _leave(driver: Any) -> None:
    """End what `read` has begun. A connection on which that fails is closed: none goes back into the pool with a
    transaction open, whose next reader would see what was there long ago.
    """
    try:
        if not driver.is_closed():
            await driver.execute("ROLLBACK")
    except BaseException as error:
        driver.terminate()
        if not isinstance(error, FAILURES):
            raise
