"""One transaction for many orders: keys, then stock, then holds, then everything that the orders write, messages last.

The order of locks is `ledger.transaction.Rank`'s. A batch never waits for a lock while it holds one: what somebody else
has locked is left out (`Taken.skipped`), except where the caller is alone and patient.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import asyncpg

from domain.errors import DomainError, IdempotencyMismatch
from domain.ids import checkout_id
from domain.orders import BopisOrder, PlacedOrder
from ledger.idempotency import LOCK_KEYS, TRY_KEYS, body_hash, lock_name
from ledger.intake.catalogue import Catalogue
from ledger.intake.checking import Checked, check
from ledger.intake.deciding import Decided, HeldLine, Shelf, Spot, decide
from ledger.intake.rows import Rows
from ledger.outages import FAILURES
from ledger.people import Caller
from ledger.traces import traceparent

logger = logging.getLogger("endcap.intake")

type Connection = asyncpg.Connection[asyncpg.Record]

# `OFFSET 0`: each key is looked up by the index, whatever the size of the table was when the plan was made. Joined, a
# plan from the first minute of a database reads the whole table for each batch.
ANSWERS = """
    SELECT i.source, i.key, i.body_hash, i.answer::text AS answer
    FROM unnest($1::text[], $2::text[]) AS w(source, key) CROSS JOIN LATERAL (
        SELECT source, key, body_hash, answer FROM idempotency WHERE source = w.source AND key = w.key OFFSET 0
    ) i
"""
_LOCK = """
    SELECT s.location, s.sku, s.available, s.safety_stock, s.confidence_permille
    FROM (SELECT * FROM unnest($1::text[], $2::text[]) AS given(location, sku) ORDER BY location, sku) w
    CROSS JOIN LATERAL (
        SELECT location, sku, available, safety_stock, confidence_permille FROM stock
        WHERE location = w.location AND sku = w.sku FOR UPDATE {or_not}
    ) s
"""
LOCK = _LOCK.format(or_not="")
LOCK_WHAT_IS_FREE = _LOCK.format(or_not="SKIP LOCKED")
# A trigger on new orders would cost every order; this costs nothing where no webhook listens.
_ANNOUNCE = """
    SELECT announce_journey(new.j, NULL) FROM unnest($1::text[]) AS w(id)
    CROSS JOIN LATERAL (SELECT j FROM journey j WHERE j.id = w.id OFFSET 0) new
"""
_MAKE_MISSING = "INSERT INTO stock (location, sku) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING"
HOLD_SPOTS = "SELECT checkout, location, sku FROM hold WHERE checkout = ANY($1::text[])"
# Sorted by an expression, so that no plan reads all holds in the order of their ids instead of sorting these few.
HOLDS = """
    SELECT id, checkout, location, sku, reserved, staged, committed, released, expired, lost, expires_at, now() AS now
    FROM hold WHERE checkout = ANY($1::text[]) ORDER BY id || '' FOR UPDATE
"""
PARKED = """
    SELECT DISTINCT waits_for FROM event_inbox WHERE outcome = 'parked' AND waits_for = ANY($1::text[])
"""


@dataclass(slots=True, eq=False)
class Submission:
    """An order that somebody waits for. `keys` are its idempotency keys within `source`."""

    order: BopisOrder
    source: str
    actor: str
    keys: tuple[str, ...]
    digest: bytes
    received_at: datetime
    trace: str | None = None  # of the caller: the batch is nobody's own
    is_outcome_unknown: bool = False  # a commit was sent and not answered: a stored answer is this call's own

    @property
    def spots(self) -> list[Spot]:
        return [(self.order.pickup_location, line.sku) for line in self.order.lines]

    @property
    def checkout(self) -> str | None:
        return None if self.order.hold_id is None else checkout_id(self.source, self.order.hold_id)


def submission(caller: Caller, order: BopisOrder, idempotency_key: str | None, received_at: datetime) -> Submission:
    """What a caller asks for, with the keys under which the answer is kept."""
    keys = (f"order:{order.order_id}", *([f"key:{idempotency_key}"] if idempotency_key else ()))
    # An order that was taken before lines could name a promotion is recognised when it is sent again.
    digest = body_hash(order.model_dump_json().replace(',"promotion_id":null,"regular_price_minor":null', ""))
    return Submission(order, caller.source, f"key:{caller.key_id}", keys, digest, received_at, traceparent())


class Placement(NamedTuple):
    """201 and the answer, or 200 and the same answer for a repeat. `has_parked`: events waited for this order."""

    status: int
    answer: PlacedOrder
    has_parked: bool = False


@dataclass(slots=True)
class Taken:
    """What became of each order of a batch, after its commit. `skipped` met somebody else's lock and wrote nothing."""

    placed: dict[Submission, Placement] = field(default_factory=dict)
    refused: dict[Submission, DomainError] = field(default_factory=dict)
    skipped: list[Submission] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class Batch:
    """`is_patient`: wait for locks, as an order may that holds nobody else up."""

    conn: Connection
    catalogue: Catalogue
    is_patient: bool = False

    async def take(self, wanted: Sequence[Submission]) -> Taken:
        """Decide and record orders. Refusals are in the answer; what PostgreSQL refuses is raised, with nothing
        written.
        """
        taken = Taken()
        checked = await self._check(wanted)
        held_at = await self._hold_spots(wanted)
        await self.conn.execute("BEGIN")
        try:
            missing = await self._decide_and_write(wanted, checked, held_at, taken)
            for one, placed in taken.placed.items():
                one.is_outcome_unknown |= placed.status == 201  # until this method has returned
            await self.conn.execute("COMMIT")
        except BaseException:
            await self._roll_back()
            raise
        if missing:
            # After the commit, so that nothing is held while it may have to wait. The orders come again and find them.
            await self._make_missing(missing)
        await self._look_for_parked(taken)
        return taken

    async def _roll_back(self) -> None:
        """A connection that cannot even do that is given up: nobody else must find its transaction open."""
        try:
            if not self.conn.is_closed():
                await self.conn.execute("ROLLBACK")
        except FAILURES:
            self.conn.terminate()

    async def _check(self, wanted: Sequence[Submission]) -> dict[Submission, Checked | DomainError]:
        await self.catalogue.load(
            self.conn,
            {one.order.pickup_location for one in wanted},
            {line.sku for one in wanted for line in one.order.lines},
        )
        found: dict[Submission, Checked | DomainError] = {}
        for one in wanted:
            try:
                found[one] = check(
                    self.catalogue, one.order, source=one.source, actor=one.actor, received_at=one.received_at
                )
            except DomainError as error:
                found[one] = error
        await self.catalogue.keep(self.conn, (one.policy for one in found.values() if isinstance(one, Checked)))
        return found

    async def _hold_spots(self, wanted: Sequence[Submission]) -> dict[str, set[Spot]]:
        """Where the lines of each checkout hold are; a line never moves, so this needs no lock."""
        names = sorted({one.checkout for one in wanted if one.checkout})
        spots: dict[str, set[Spot]] = {}
        if names:
            for row in await self.conn.fetch(HOLD_SPOTS, names):
                spots.setdefault(row["checkout"], set()).add((row["location"], row["sku"]))
        return spots

    async def _decide_and_write(
        self,
        wanted: Sequence[Submission],
        checked: dict[Submission, Checked | DomainError],
        held_at: dict[str, set[Spot]],
        taken: Taken,
    ) -> set[Spot]:
        """Returns the spots of skipped orders: somebody has locked them, or they have no row yet."""
        new = await self._claim(wanted, taken)
        ready: list[tuple[Submission, Checked]] = []
        for one in new:
            found = checked[one]
            if isinstance(found, DomainError):
                taken.refused[one] = found
            else:
                ready.append((one, found))
        spots_of = {one: {*one.spots, *held_at.get(one.checkout or "", ())} for one, _ in ready}
        stock = await self._lock({spot for spots in spots_of.values() for spot in spots})
        skipped = {one for one, spots in spots_of.items() if not spots <= stock.keys()}
        taken.skipped += [one for one, _ in ready if one in skipped]
        ready = [(one, found) for one, found in ready if one not in skipped]
        held, now = await self._lock_holds({one.checkout for one, _ in ready if one.checkout})
        rows = Rows()
        for one, found in ready:
            try:
                decided = decide(found, stock, held, now or one.received_at)
            except DomainError as error:
                taken.refused[one] = error
                continue
            taken.placed[one] = self._gather(rows, one, decided)
            parts = held.get(one.checkout or "", [])
            if any(line.taken for line in parts):
                for line in parts:
                    rows.take(line.id, line.taken)
                    line.taken = 0
        if rows.is_any:
            await rows.write(self.conn)
            if self.catalogue.has_listeners:
                ids = [placed.answer.journey_id for placed in taken.placed.values() if placed.status == 201]
                await self.conn.execute(_ANNOUNCE, ids)
        return {spot for one in skipped for spot in spots_of[one]} - stock.keys()

    @staticmethod
    def _gather(rows: Rows, one: Submission, decided: Decided) -> Placement:
        answer = decided.answer()
        rows.add(decided, one.keys, one.digest, answer.model_dump_json(), one.trace)
        return Placement(201, answer)

    async def _claim(self, wanted: Sequence[Submission], taken: Taken) -> list[Submission]:
        """Take the keys for this transaction; returns the orders that were not answered before.

        The advisory locks come first and the stored answers are read by a later statement, which sees whatever the
        holder before has committed.
        """
        names = {lock_name(one.source, key) for one in wanted for key in one.keys}
        if self.is_patient:
            await self.conn.fetch(LOCK_KEYS, list(names))
            busy: set[str] = set()
        else:
            busy = {row[0] for row in await self.conn.fetch(TRY_KEYS, list(names))}
        pairs = [(one.source, key) for one in wanted for key in one.keys]
        rows = await self.conn.fetch(ANSWERS, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        known = {(row["source"], row["key"]): row for row in rows}
        new: list[Submission] = []
        mine: set[str] = set()
        for one in wanted:
            locks = {lock_name(one.source, key) for key in one.keys}
            if locks & busy or locks & mine:  # in use elsewhere, or by an earlier order of this batch
                taken.skipped.append(one)
                continue
            before = next((row for key in sorted(one.keys) if (row := known.get((one.source, key)))), None)
            if before is None:
                new.append(one)
                mine |= locks
            elif before["body_hash"] != one.digest:
                taken.refused[one] = IdempotencyMismatch(
                    f"{before['key'].split(':', 1)[1]} was used before with another body; send the same body again, or"
                    " use a new id."
                )
            else:
                status = 201 if one.is_outcome_unknown else 200
                taken.placed[one] = Placement(status, PlacedOrder.model_validate_json(before["answer"]))
        return new

    async def _lock(self, spots: Iterable[Spot]) -> dict[Spot, Shelf]:
        wanted = sorted(spots)
        if not wanted:
            return {}
        arrays = [spot[0] for spot in wanted], [spot[1] for spot in wanted]
        if self.is_patient:
            await self.conn.execute(_MAKE_MISSING, *arrays)
        rows = await self.conn.fetch(LOCK if self.is_patient else LOCK_WHAT_IS_FREE, *arrays)
        return {(row[0], row[1]): Shelf(row[2], row[3], row[4]) for row in rows}

    async def _lock_holds(self, checkouts: set[str]) -> tuple[dict[str, list[HeldLine]], datetime | None]:
        """The lines of checkout holds, all under the lock of their stock rows; and the database's time."""
        held: dict[str, list[HeldLine]] = {}
        now = None
        if checkouts:
            for row in await self.conn.fetch(HOLDS, sorted(checkouts)):
                now = row["now"]
                line = HeldLine(
                    id=row["id"],
                    checkout=row["checkout"],
                    location=row["location"],
                    sku=row["sku"],
                    open=row["reserved"],
                    expires_at=row["expires_at"],
                    ended=what_became_of(row),
                )
                held.setdefault(line.checkout, []).append(line)
        return held, now

    async def _make_missing(self, spots: Iterable[Spot]) -> None:
        wanted = sorted(spots)
        try:
            await self.conn.execute(_MAKE_MISSING, [spot[0] for spot in wanted], [spot[1] for spot in wanted])
        except asyncpg.LockNotAvailableError:
            logger.info("somebody else is making stock rows; the orders that need them come again")

    async def _look_for_parked(self, taken: Taken) -> None:
        """Mark new orders that events wait for. Read after the commit: an event parks when it sees no order."""
        new = [one for one, placed in taken.placed.items() if placed.status == 201]
        if not new:
            return
        names = [name for one in new for name in (one.order.order_id, taken.placed[one].answer.journey_id)]
        parked = {row[0] for row in await self.conn.fetch(PARKED, names)}
        for one in new:
            if one.order.order_id in parked or taken.placed[one].answer.journey_id in parked:
                taken.placed[one] = taken.placed[one]._replace(has_parked=True)


_ENDS = ("committed", "released", "expired", "lost")


def what_became_of(row: asyncpg.Record) -> str:
    """Why nothing of a hold's line is open, in a word; empty while something is."""
    if row["reserved"] + row["staged"] > 0:
        return ""
    return max(_ENDS, key=lambda part: (row[part], -_ENDS.index(part)))
