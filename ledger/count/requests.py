"""What systems and people ask of a count: open one, enter figures, call it off. Each is one transaction."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select, update

from domain.count import BEING_COUNTED, CountState
from domain.counts import CountAnswer, EntriesAnswer, NewCount, SavedEntry
from domain.errors import CountPendingLeft, NotFound, StateConflict
from domain.events import CountEntered
from domain.ids import OWN_SOURCE, journey_id
from domain.messages import Message
from domain.words import units
from ledger import reference, steps
from ledger.case import heal_kind
from ledger.count import entries
from ledger.count.dues import pending_units
from ledger.count.opening import Opening, everything_at, open_count
from ledger.count.posting import open_for_what_waits
from ledger.count.sheet import Sheet
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.people import Caller
from ledger.tables import journey
from ledger.transaction import Transaction

type Find = Callable[[Transaction], Awaitable[str]]  # the count that is meant; raises `NotFound`

CANCELLABLE = frozenset({CountState.SCHEDULED, CountState.IN_PROGRESS, CountState.RECOUNT, CountState.SUBMITTED})


async def start(
    database: Database, source: str, wanted: NewCount, *, actor: str, via: str, idempotency_key: str | None = None
) -> tuple[int, CountAnswer]:
    """Open a count: (201, its sheet), or (200, the same) for a repeat. `skus: null` is everything at the place.

    Raises `UnknownLocation`, `UnknownSku`, `IdempotencyMismatch`, `Malformed` for a due instant that has passed.
    """
    digest = body_hash(wanted.model_dump_json())
    keys = [f"count:{wanted.count_id}"] + ([f"key:{idempotency_key}"] if idempotency_key else [])

    async def work(tx: Transaction) -> tuple[int, CountAnswer]:
        before = await claim_keys(tx, source, keys, digest)
        if before is not None:
            return 200, CountAnswer.model_validate(before.body)
        place = await reference.place(tx.conn, wanted.location, pointer="/location")
        skus = list(wanted.skus) if wanted.skus is not None else await everything_at(tx, wanted.location)
        if wanted.skus is not None:
            await reference.known_items(tx.conn, skus, pointer="/skus")
        now = await tx.now()
        wanted.check_due(now)
        count_id = await open_count(
            tx,
            Opening(
                place=place,
                policy=await reference.policy_at(tx.conn, place, now),
                reason=wanted.reason,
                skus=list(dict.fromkeys(skus)),
                at=now,
                source=source,
                key=wanted.count_id,
                requested_by=actor,
                due_at=wanted.due_at,
            ),
        )
        answer = CountAnswer.of(count_id, "scheduled", 1, sorted(set(skus)))
        await keep_answer(tx, source, keys, Answer(201, json.loads(answer.model_dump_json())))
        return 201, answer

    return await database.write(work, actor=actor, via=via)


async def _locked(tx: Transaction, count_id: str) -> Sheet:
    """The count with its cases locked. Raises `NotFound` also for a journey of another kind."""
    row = await tx.lock_journey(count_id)
    if row["kind"] != "count":
        raise NotFound(f"There is no count {count_id}.")
    sheet = await Sheet.load(tx, row)
    await sheet.lock_cases()
    return sheet


async def find(tx: Transaction, caller: Caller, count_id: str) -> str:
    """The journey that a caller means by a count's id, or by the journey's own. Raises `NotFound`."""
    sources = sorted({caller.source, *caller.sources, OWN_SOURCE})
    wanted = [count_id, *(journey_id("count", source, count_id) for source in sources)]
    rows = await tx.conn.execute(
        select(journey.c.id).where(journey.c.id.in_(wanted), journey.c.kind == "count", journey.c.source.in_(sources))
    )
    found = sorted(rows.scalars(), key=wanted.index)
    if not found:
        raise NotFound(f"There is no count {count_id} that this key may speak about.", pointer="/data/count_id")
    return str(found[0])


async def enter(tx: Transaction, count_id: str, source: str, data: CountEntered, cause: str) -> str:
    """Keep figures in a transaction that others began. Returns what was done, as a sentence."""
    sheet = await _locked(tx, count_id)
    return await entries.entered(sheet, source, data, cause, await tx.now(sheet.row["clock_offset_s"]))


async def record(
    database: Database,
    find_it: Find,
    source: str,
    data: CountEntered,
    *,
    actor: str,
    via: str,
) -> EntriesAnswer:
    """Keep figures, and say what is saved by now. Raises what `entries.entered` raises, and `StateConflict` when nobody
    counts any more: who sends it must know that it changes nothing.
    """

    async def work(tx: Transaction) -> EntriesAnswer:
        count_id = await find_it(tx)
        sheet = await _locked(tx, count_id)
        if sheet.state not in BEING_COUNTED:
            raise StateConflict(f"The count is {sheet.row['state'].replace('_', ' ')}; its figures stand as they are.")
        at = await tx.now(sheet.row["clock_offset_s"])
        # Rows of `journey_step` are told apart by their cause: a device may send any number of times.
        await entries.entered(sheet, source, data, f"{via}:{sheet.row['version']}", at)
        return saved(sheet, at)

    return await database.write(work, actor=actor, via=via)


def saved(sheet: Sheet, at: datetime) -> EntriesAnswer:
    """What stands on a sheet, without a word about the book."""
    given = sheet.entries.get(sheet.round, {})
    wanted = sheet.lines_of_round()
    return EntriesAnswer(
        journey_id=sheet.id,
        state=sheet.row["state"],
        round=sheet.round,
        saved_at=at,
        lines=tuple(
            SavedEntry(sku=sku, bucket=bucket or None, quantity=one.quantity, counted_at=one.counted_at)
            for (sku, bucket), one in sorted(given.items())
        ),
        left=len(wanted.keys() - given.keys()),
    )


async def cancel(
    database: Database,
    find_it: Find,
    *,
    reason: str,
    actor: str,
    via: str,
) -> str:
    """Call a count off; returns its journey. Raises `CountPendingLeft` while units wait for it, `StateConflict` once it
    is agreed or over, `NotFound`.
    """

    async def work(tx: Transaction) -> str:
        sheet = await _locked(tx, await find_it(tx))
        if sheet.state not in CANCELLABLE:
            raise StateConflict(
                f"The count is {sheet.row['state'].replace('_', ' ')}; it cannot be called off any more."
            )
        waiting = await pending_units(sheet)
        if waiting:
            raise CountPendingLeft(
                f"{units(waiting)} of its items wait for a count and cannot be sold until then; count them instead."
            )
        await call_off(sheet, await tx.now(sheet.row["clock_offset_s"]), reason)
        return sheet.id

    return await database.write(work, actor=actor, via=via)


async def abandon(tx: Transaction, journey_row: RowMapping, at: datetime) -> str:
    """End a suspended count with nothing posted; the journey is locked, with the case that says so. What waits for a
    count is counted by another one.
    """
    sheet = await Sheet.load(tx, journey_row)
    await sheet.lock_cases()
    sheet.row["suspended_from"] = None
    if not sheet.is_final:
        sheet.row["state"] = CountState.SUBMITTED.value  # wherever it stood, from here it may be called off
        await tx.lock_stock(sheet.places(sheet.lines))
        again = await open_for_what_waits(sheet)
        await call_off(sheet, at, "abandoned")
        return "The count was ended; nothing was posted." + (f" {again} counts what waits." if again else "")
    return "The count was over already."


async def call_off(sheet: Sheet, at: datetime, reason: str) -> None:
    """End a count that nothing was posted of. It is locked, with its cases."""
    sheet.go(CountState.CANCELLED)
    await sheet.answer_asks("the count was called off", at)
    await heal_kind(sheet.tx, sheet.id, "count_overdue", "the count was called off", at)
    told = f"Called off: {reason.replace('_', ' ')}."
    await steps.note(sheet.tx, sheet.id, "cancelled", str(sheet.row["version"]), told, at)
    sheet.tx.record("count.cancelled", sheet.id, at, reason=reason)
    await sheet.save(at)
    sheet.tx.tell(sheet.id, Message.COUNT_CANCELLED)


async def more_time(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """An overdue count gets another day before somebody is asked again."""
    dues = journey_row["dues"] | {"count": (at + timedelta(days=1)).isoformat()}
    await tx.conn.execute(update(journey).where(journey.c.id == journey_row["id"]).values(dues=dues))
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The store was given another day."
