"""Takes orders in by batches that form by themselves: each lane takes whatever has queued up while the others were on
their way to PostgreSQL. There is no timer; an order that comes alone goes alone.
"""

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from domain.errors import Busy, StorageFull
from domain.orders import BopisOrder, PlacedOrder
from ledger import facts
from ledger.engine import RETRYABLE, Database, given_up_there
from ledger.idempotency import lock_name
from ledger.intake.batch import Batch, Placement, Submission, Taken, submission
from ledger.intake.catalogue import Catalogue
from ledger.intake.deciding import Spot
from ledger.outages import FAILURES, FULL, is_away, is_full
from ledger.outbox import CHANNEL
from ledger.people import Caller

logger = logging.getLogger("endcap.intake")

# A stock row (location, sku), or the name of an idempotency key.
type Need = Spot | str
type Connection = asyncpg.Connection[asyncpg.Record]

LANES = 2
MAX_BATCH = 200
MAX_LINES = 2_000  # a batch is closed by the order that reaches it
MAX_WAITING = 2_000
MAX_SKIPS = 12
MAX_LOSSES = 4
ATTEMPTS = 6
_IN_USE = "What this order needs is in use; nothing was recorded. Send the same order again in a moment."
_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.25
_CONNECT_TIMEOUT_S = 5.0
RING_EVERY_S = 0.05  # while batch follows on batch
# A transaction of its own, since one with a NOTIFY makes others queue for their commit; nothing of it must last.
_RING = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}; COMMIT"
# How statements of a lane run. Arrays of any length use one plan, which reaches rows by their keys even while a new
# table has no statistics.
SESSION = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "lock_timeout": "500ms",  # for rows that no batch expects to wait for: whoever else waits is not held up by them
}


@dataclass(slots=True, eq=False)
class Waiting:
    """An order in the queue, until `done`. `number` is its place in the order of arrival."""

    number: int
    one: Submission
    needs: frozenset[Need]  # what two batches of this process must not touch at the same time
    done: "asyncio.Future[Placement]"
    skips: int = 0
    losses: int = 0

    def __lt__(self, other: "Waiting") -> bool:
        return self.number < other.number


@dataclass(slots=True)
class Queue:
    """Orders that wait, in the order of arrival; those that need what a batch is using stand behind it."""

    ready: list[Waiting] = field(default_factory=list)
    behind: dict[Need, list[Waiting]] = field(default_factory=dict)
    in_use: set[Need] = field(default_factory=set)

    def put(self, waiting: Waiting) -> None:
        heapq.heappush(self.ready, waiting)

    def take(self, limit: int) -> list[Waiting]:
        """Up to `limit` orders that need nothing of what is in use; what they need is in use until `give_back`.

        Orders of one batch may need the same stock, never the same key.
        """
        batch: list[Waiting] = []
        mine: set[Need] = set()
        lines = 0
        while self.ready and len(batch) < limit and lines < MAX_LINES:
            waiting = heapq.heappop(self.ready)
            if waiting.done.cancelled():  # the caller has gone; nothing was sent
                continue
            blocked = next((need for need in waiting.needs if need in self.in_use), None)
            if blocked is None:
                blocked = next((need for need in waiting.needs if isinstance(need, str) and need in mine), None)
            if blocked is not None:
                self.behind.setdefault(blocked, []).append(waiting)
                continue
            mine |= waiting.needs
            batch.append(waiting)
            lines += len(waiting.one.order.lines)
        self.in_use |= mine
        return batch

    def give_back(self, batch: Sequence[Waiting]) -> None:
        """A batch has ended: what it used is free, and who stood behind it is in the queue again."""
        for need in {need for waiting in batch for need in waiting.needs}:
            self.in_use.discard(need)
            for waiting in self.behind.pop(need, ()):
                self.put(waiting)


class Intake:
    """One per web process. `place` is the way in; `close` takes what has come in and then refuses.

    It keeps `lanes` connections of its own to the database's address. `max_waiting` orders may wait; one more is
    refused as `Busy`. Several processes may do this at once: rows that another has locked are come back to.
    """

    def __init__(
        self,
        database: Database,
        *,
        lanes: int = LANES,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._database = database
        self._catalogue = catalogue or Catalogue()
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._queue = Queue()
        self._numbers = 0
        self._waiting = 0
        self._wake = [asyncio.Event() for _ in range(lanes)]
        self._lanes: list[asyncio.Task[None]] = []
        self._later: set[asyncio.TimerHandle] = set()
        self._is_closing = False

    @property
    def waiting(self) -> int:
        """Orders that have come in and are not answered yet."""
        return self._waiting

    async def place(
        self, caller: Caller, order: BopisOrder, *, idempotency_key: str | None, received_at: datetime
    ) -> tuple[int, PlacedOrder]:
        """Reserve an order and record it: (201, answer), or (200, the same answer) for a repeat.

        Raises the refusals of `place_order`, and `Busy` where too much waits, a row stays locked, the database cannot
        be reached, or Endcap is shutting down.
        """
        if self._is_closing:
            raise Busy("Endcap is shutting down; send the same order again in a moment.")
        if self._waiting >= self._max_waiting:
            raise Busy("Too many orders are waiting; nothing was recorded. Send the same order again in a moment.")
        if not self._lanes:
            self._lanes = [asyncio.create_task(self._run(wake)) for wake in self._wake]
        one = submission(caller, order, idempotency_key, received_at)
        needs: set[Need] = {*one.spots}
        needs.update(lock_name(one.source, key) for key in one.keys)
        self._numbers += 1
        waiting = Waiting(self._numbers, one, frozenset(needs), asyncio.get_running_loop().create_future())
        self._waiting += 1
        self._enqueue(waiting)
        try:
            placed = await waiting.done
        finally:
            self._waiting -= 1
            if self._is_drained:
                self._wake_lanes()
        if placed.has_parked:
            await facts.apply_parked(self._database, one.source, order.order_id, placed.answer.journey_id)
        return placed.status, placed.answer

    async def close(self) -> None:
        """Take in what has come in, then end the lanes and their connections. New orders are refused meanwhile."""
        self._is_closing = True
        self._wake_lanes()
        if self._lanes:
            await asyncio.gather(*self._lanes)

    def _enqueue(self, waiting: Waiting) -> None:
        self._queue.put(waiting)
        self._wake_lanes()

    def _wake_lanes(self) -> None:
        for wake in self._wake:
            wake.set()

    def _enqueue_later(self, waiting: Waiting, times: int) -> None:
        """What met somebody else's lock, or a broken connection, comes again after a growing pause."""
        pause_s = min(_FIRST_PAUSE_S * 2 ** (times - 1), _LONGEST_PAUSE_S)

        def again() -> None:
            self._later.discard(handle)
            self._enqueue(waiting)

        handle = asyncio.get_running_loop().call_later(pause_s, again)
        self._later.add(handle)

    @property
    def _is_drained(self) -> bool:
        return self._is_closing and self._waiting == 0

    async def _run(self, wake: asyncio.Event) -> None:
        lane = Lane(self._database, self._catalogue)
        try:
            while not self._is_drained:
                batch = self._queue.take(self._max_batch)
                if not batch:
                    if lane.has_begun:  # while it rings, orders may come
                        await lane.ring()
                        continue
                    wake.clear()
                    await wake.wait()
                    continue
                try:
                    await self._settle(lane, batch)
                finally:
                    self._queue.give_back(batch)
                    self._wake_lanes()
        finally:
            await lane.ring()
            await lane.close()

    async def _settle(self, lane: "Lane", batch: Sequence[Waiting]) -> None:
        """Bring a batch to PostgreSQL and tell each caller. A poisoned order fails alone: the batch is halved until it
        stands by itself.
        """
        by_order = {waiting.one: waiting for waiting in batch}
        try:
            taken = await lane.take([waiting.one for waiting in batch])
        except LostConnection as lost:
            logger.warning("a batch of %d orders lost its connection: %s", len(batch), lost)
            self._come_again(batch, lost)
            return
        except Exception as error:  # noqa: BLE001  whatever it is, each caller of the batch must hear of it
            if len(batch) == 1:
                locked = isinstance(error, asyncpg.LockNotAvailableError)
                _fail(batch[0], Busy(_IN_USE) if locked else error)
                return
            logger.warning("a batch of %d orders failed and is halved: %s", len(batch), type(error).__name__)
            middle = len(batch) // 2
            await self._settle(lane, batch[:middle])
            await self._settle(lane, batch[middle:])
            return
        self._tell(taken, by_order)
        if any(placed.status == 201 for placed in taken.placed.values()):
            lane.has_begun = True
            await lane.ring(pause_s=RING_EVERY_S)  # when the callers have their answers

    def _tell(self, taken: Taken, by_order: dict[Submission, Waiting]) -> None:
        for one, placed in taken.placed.items():
            done = by_order[one].done
            if not done.done():
                done.set_result(placed)
        for one, refusal in taken.refused.items():
            _fail(by_order[one], refusal)
        for one in taken.skipped:
            waiting = by_order[one]
            waiting.skips += 1
            if waiting.skips > MAX_SKIPS:
                _fail(waiting, Busy(_IN_USE))
            else:
                self._enqueue_later(waiting, waiting.skips)

    def _come_again(self, batch: Sequence[Waiting], lost: "LostConnection") -> None:
        for waiting in batch:
            waiting.losses += 1
            if waiting.losses < MAX_LOSSES:
                self._enqueue_later(waiting, 4 * waiting.losses)
            elif waiting.one.is_outcome_unknown:
                _fail(waiting, Busy("The database went away while it answered; send the same order again to learn."))
            elif lost.is_full:
                _fail(waiting, StorageFull(FULL))
            else:
                _fail(waiting, Busy("The database cannot be reached; nothing was recorded. Send the same order again."))


def _fail(waiting: Waiting, error: Exception) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


class LostConnection(Exception):
    """The connection broke, or could not be made, or the server cannot serve now; the text names how."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.is_full = is_full(error)


class Lane:
    """One connection that carries batches, one at a time; it is made again when it breaks."""

    def __init__(
        self, database: Database, catalogue: Catalogue, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._conn: Connection | None = None
        self._rang_at = float("-inf")
        self.has_begun = False  # whether journeys have begun of which no relay was told

    async def take(self, wanted: Sequence[Submission]) -> Taken:
        """Raises `LostConnection`, or what PostgreSQL refused; serialization failures and deadlocks are run again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await Batch(await self._connection(), self._catalogue).take(wanted)
            except FAILURES as error:
                if is_lost(error, self._conn):
                    self._database.storage.refused(error)
                    await self.close()
                    raise LostConnection(error) from error
                if getattr(error, "sqlstate", "") not in RETRYABLE or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(0.005 * 2**attempt)
        raise AssertionError("the loop returns or raises")

    async def ring(self, *, pause_s: float = 0.0) -> None:
        """Wake the relays for all that has begun since they were woken, unless that was within `pause_s`: then it is
        for a later call. They poll, so a lost call costs a moment.
        """
        now = self._clock()
        if not self.has_begun or now - self._rang_at < pause_s:
            return
        self.has_begun, self._rang_at = False, now
        try:
            if self._conn is not None:
                await self._conn.execute(_RING)
        except FAILURES as error:
            logger.info("relays were not woken: %s", type(error).__name__)

    async def _connection(self) -> Connection:
        if self._conn is None or self._conn.is_closed():
            try:
                self._conn = await self._connect()
            except asyncpg.TooManyConnectionsError:
                if not await self._database.let_one_go():  # orders come before pages
                    raise
                self._conn = await self._connect()
        return self._conn

    def _connect(self) -> Awaitable[Connection]:
        return asyncpg.connect(
            self._database.plain_url,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=self._database.timeout_s,
            server_settings={
                "application_name": "endcap-intake",
                **SESSION,
                **given_up_there(self._database.timeout_s),
            },
        )

    async def close(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None and not conn.is_closed():
            conn.terminate()


def is_lost(error: BaseException, conn: Connection | None) -> bool:
    """Whether an error means that there is no connection, rather than that PostgreSQL refused a statement."""
    if conn is None or conn.is_closed() or isinstance(error, OSError | asyncpg.InternalClientError):
        return True
    return is_away(error)
