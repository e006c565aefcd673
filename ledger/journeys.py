"""Moves the clock of a journey of any kind, together with everything that is asked about it."""

from sqlalchemy import update

from domain.errors import Malformed, NotFound, StateConflict
from domain.ids import approval_target, case_target
from domain.messages import Message
from domain.people import Person
from ledger import steps
from ledger.engine import Database
from ledger.tables import approval, case_file, journey
from ledger.transaction import Rank, Transaction

MAX_SKIP_S = 30 * 86_400


async def skip_time(database: Database, journey_id: str, person: Person, *, seconds: int, via: str) -> None:
    """Move a journey's clock on by `seconds`, and the clocks of its open cases and approvals with it.

    Timers in between fire in their order. Raises `NotFound`, `StateConflict` for a journey that has ended, `Malformed`
    for a span outside 1 s … 30 days.
    """
    if not 0 < seconds <= MAX_SKIP_S:
        raise Malformed("Skip between a second and thirty days.", pointer="/seconds")

    async def work(tx: Transaction) -> None:
        row = await tx.lock_journey(journey_id)
        if not person.may_see(row["entity"], row["region"], row["location"]):
            raise NotFound(f"There is no journey {journey_id}.")
        if row["closed_at"] is not None:
            raise StateConflict("The journey has ended; there is no time left to skip.")
        await tx.conn.execute(
            update(journey)
            .where(journey.c.id == journey_id)
            .values(clock_offset_s=journey.c.clock_offset_s + seconds, version=journey.c.version + 1)
        )
        tx.tell(journey_id, Message.TIME_SKIPPED)
        for target in await _asked(tx, journey_id, seconds):
            tx.tell(target, Message.TIME_SKIPPED)
        at = await tx.now(row["clock_offset_s"])
        hours = seconds / 3600
        await steps.note(
            tx,
            journey_id,
            "time_skipped",
            str(row["clock_offset_s"] + seconds),
            f"{person.name} skipped {round(hours, 1):g} h.",
            at,
        )
        tx.record("journey.time_skipped", journey_id, at, after={"seconds": seconds})

    await database.write(work, actor=person.id, via=via)


async def _asked(tx: Transaction, journey_id: str, seconds: int) -> list[str]:
    """Move open cases and approvals of the journey on; returns their targets."""
    tx.enter(Rank.CASE)
    cases = await tx.conn.execute(
        update(case_file)
        .where(case_file.c.journey_id == journey_id, case_file.c.closed_at.is_(None))
        .values(clock_offset_s=case_file.c.clock_offset_s + seconds)
        .returning(case_file.c.id, case_file.c.episode)
    )
    targets = [case_target(row.id, row.episode) for row in cases]
    tx.enter(Rank.APPROVAL)
    approvals = await tx.conn.execute(
        update(approval)
        .where(approval.c.journey_id == journey_id, approval.c.state == "pending")
        .values(clock_offset_s=approval.c.clock_offset_s + seconds)
        .returning(approval.c.id)
    )
    return targets + [approval_target(row.id) for row in approvals]
