"""What systems and people ask of a promotion that stands: end it earlier, later, or call it off. Refused by name where
the recorded state does not allow it.
"""

from datetime import datetime

from sqlalchemy import RowMapping, select, text

from domain.errors import AlreadyPublished, Malformed, NotFound, StateConflict
from domain.ids import OWN_SOURCE, journey_id
from domain.messages import Message
from domain.promotion import FINAL, RUNS, PromotionState
from ledger import steps
from ledger.engine import Database
from ledger.people import Caller
from ledger.promotion import ending
from ledger.promotion.defining import Ground, check_overlap
from ledger.promotion.document import Promotion, lock_ground
from ledger.promotion.intake import entity_of
from ledger.tables import journey
from ledger.transaction import Transaction

S = PromotionState


async def find(tx: Transaction, caller: Caller, promotion_id: str) -> str:
    """The journey that a caller means by a promotion's id, or by the journey's own. Raises `NotFound`."""
    sources = sorted({caller.source, *caller.sources, OWN_SOURCE})
    wanted = [promotion_id, *(journey_id("promotion", one, promotion_id) for one in sources)]
    rows = await tx.conn.execute(
        select(journey.c.id).where(
            journey.c.id.in_(wanted), journey.c.kind == "promotion", journey.c.source.in_(sources)
        )
    )
    found = sorted(rows.scalars(), key=wanted.index)
    if not found:
        raise NotFound(f"There is no promotion {promotion_id} that this key may speak about.")
    return str(found[0])


async def found_by(database: Database, caller: Caller, promotion_id: str) -> str:
    """The same outside of a transaction that changes anything."""

    async def work(tx: Transaction) -> str:
        return await find(tx, caller, promotion_id)

    return await database.write(work, actor=f"key:{caller.key_id}", via="api")


async def cancel(database: Database, about: str, *, reason: str, actor: str, via: str) -> None:
    """Call it off before it begins. Raises `StateConflict` once it has begun (it is ended then) or is over."""

    async def work(tx: Transaction) -> None:
        row = await tx.lock_journey(about)
        it = await Promotion.load_with_cases(tx, row)
        if it.state is S.ACTIVE:
            raise StateConflict("The promotion has begun; end it instead.")
        at = await tx.now(row["clock_offset_s"])
        told = await ending.call_off(it, at)
        await _written(it, row, "cancelled", f"Called off ({reason.replace('_', ' ')}). {told}", reason, at)

    await database.write(work, actor=actor, via=via)


async def end(database: Database, about: str, *, at: datetime | None, reason: str, actor: str, via: str) -> None:
    """End a running promotion now, or at an instant before its end.

    Raises `StateConflict` for one that is not running, `Malformed` for an instant that is no earlier end.
    """

    async def work(tx: Transaction) -> None:
        row = await tx.lock_journey(about)
        it = await Promotion.load_with_cases(tx, row)
        if it.state is not S.ACTIVE:
            was = it.row["state"].replace("_", " ")
            raise StateConflict(f"The promotion is {was}; only one that has begun is ended, another is cancelled.")
        now = await tx.now(row["clock_offset_s"])
        said = reason.replace("_", " ")
        if at is None or at <= now:
            if at is not None and at <= it.head["starts_at"]:
                raise Malformed("It would have ended before it began; choose a later instant.", pointer="/at")
            await ending.take_back(it, now, "the promotion was ended")
            await _written(it, row, "ended_early", f"Ended early ({said}); its prices are taken back.", reason, now)
            return
        if at >= it.head["ends_at"]:
            raise Malformed("That is no earlier end; extend it instead.", pointer="/at")
        planned = datetime.fromisoformat(it.row["detail"].get("planned_end", it.head["ends_at"].isoformat()))
        it.row["detail"]["planned_end"] = max(planned, it.head["ends_at"]).isoformat()
        it.head["ends_at"] = at
        it.due("end", at)
        await _written(it, row, "end_moved", f"It ends earlier ({said}): {it.local(at)}.", reason, now)

    await database.write(work, actor=actor, via=via)


_NEXT = text(
    """
    SELECT o.promotion_id FROM promotion p
    JOIN promotion o ON o.entity = p.entity AND o.state = 'publishing' AND o.journey_id <> p.journey_id
        AND o.starts_at >= p.ends_at AND o.starts_at < :until
    WHERE p.journey_id = :id
      AND EXISTS (SELECT FROM promotion_item a JOIN promotion_item b USING (sku)
                  WHERE a.journey_id = p.journey_id AND b.journey_id = o.journey_id)
      AND EXISTS (SELECT FROM promotion_place a JOIN promotion_place b USING (channel, location)
                  WHERE a.journey_id = p.journey_id AND b.journey_id = o.journey_id)
    ORDER BY o.starts_at LIMIT 1
    """
)


async def extend(database: Database, about: str, *, ends_at: datetime, reason: str, actor: str, via: str) -> None:
    """A later end for a promotion that is agreed to, goes out, or runs.

    Raises `StateConflict`, `Malformed`, `PromotionOverlap`, and `AlreadyPublished` where prices of another one have
    gone out that begin when this one should have ended.
    """

    async def work(tx: Transaction) -> None:
        whose = await entity_of(tx, about)
        await lock_ground(tx, whose)
        row = await tx.lock_journey(about)
        it = await Promotion.load_with_cases(tx, row)
        if it.state not in RUNS:
            was = it.row["state"].replace("_", " ")
            raise StateConflict(f"The promotion is {was}; one that is agreed to or runs is extended, a draft changed.")
        before = it.head["ends_at"]
        if ends_at <= before:
            raise Malformed("That is no later end; end it earlier instead.", pointer="/ends_at")
        places = await it.places()
        ground = Ground(
            it.id, whose, it.head["stacking"], before, ends_at, await it.items(),
            sorted({channel for channel, _ in places}), sorted({code for _, code in places}),
        )  # fmt: skip
        await check_overlap(tx.conn, ground)
        if other := (await tx.conn.execute(_NEXT, {"id": about, "until": ends_at})).scalar():
            raise AlreadyPublished(
                f"Prices of promotion {other} have gone out to begin by then, and they count on this end; define a"
                " promotion of its own for the time after.",
                pointer="/ends_at",
            )
        now = await tx.now(row["clock_offset_s"])
        it.head["ends_at"] = ends_at
        if it.state is S.ACTIVE:
            it.due("end", ends_at)
        told = f"It runs longer, to {it.local(ends_at)} instead of {it.local(before)}."
        await _written(it, row, "extended", told, reason, now)

    await database.write(work, actor=actor, via=via)


async def settled(tx: Transaction, about: str, at: datetime) -> bool:
    """The last of its claims is closed: a promotion that has ended is settled, one whose prices are still being taken
    back when they are. False for any other.
    """
    row = await tx.lock_journey(about)
    it = await Promotion.load(tx, row)
    if it.state is S.REVERTING and it.row["detail"]["after"] == S.ENDED:
        it.row["detail"]["after"] = S.SETTLED.value
    elif it.state is S.ENDED:
        it.go(S.SETTLED)
    else:
        return False
    await steps.note(tx, about, "settled", str(row["version"]), "Every claim is closed.", at)
    await it.save(at)
    return True


async def abandon(tx: Transaction, journey_row: RowMapping, at: datetime) -> str:
    """End a suspended promotion; what channels were told is taken back. The journey is locked, with its case."""
    it = await Promotion.load_with_cases(tx, journey_row)
    it.row["suspended_from"] = None
    told = await ending.call_off(it, at)
    await it.save(at)
    tx.tell(it.id, Message.PROMOTION_ENDED)
    return f"The promotion was ended. {told}"


async def _written(it: Promotion, row: RowMapping, name: str, told: str, reason: str, at: datetime) -> None:
    await steps.note(it.tx, it.id, name, str(row["version"]), told, at)
    it.tx.record(f"promotion.{name}", it.id, at, reason=reason, after={"ends_at": it.head["ends_at"].isoformat()})
    await it.save(at)
    over = it.state in FINAL or it.state is S.REVERTING
    it.tx.tell(it.id, Message.PROMOTION_ENDED if over else Message.PROMOTION_CHANGED)
