"""Verdicts: given once under the row's lock, by page, API or link.

Where several must agree, each word is recorded by itself and the last one that is needed approves. One rejection ends
it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, select, update

from domain.approval import Side, Word, tally
from domain.errors import (
    Malformed,
    NotFound,
)
from domain.ids import approval_target
from domain.messages import Message
from domain.people import Person
from ledger import delegations, people
from ledger.approval.links import revoke_links
from ledger.approval.sides import sides_of, words_of
from ledger.case.life import add_event
from ledger.engine import Database
from ledger.tables import approval, approval_verdict, journey, person_note
from ledger.transaction import Transaction
from ledger.verdicts import endings
from ledger.verdicts.checks import Way, check_pending, check_sees, check_way, word_of
from ledger.verdicts.questions import mail_question


async def record_verdict(
    database: Database,
    approval_id: int,
    person: Person,
    *,
    verdict: str,
    note: str,
    version: int | None = None,
    via: str,
    way: Way | None = None,
) -> None:
    """Record a verdict once. A second comer is told who decided, and when.

    Where more people must agree, the request stays pending and says whose word is missing; whoever has agreed may still
    reject or ask. Large amounts want more than some ways prove; without a `way` that is not looked at.

    Raises `AlreadyDecided`, `ApprovalExpired`, `ApprovalSuperseded`, `OwnRequest`, `NotAllowed`, `SignInNeeded` (a link
    alone does not decide above the policy's amount, a token alone does not agree to it) and `ProofTooOld` (nor a
    session of long ago), `StaleVersion`, `Malformed`, `NotFound`.
    """
    if verdict not in ("approve", "reject", "ask"):
        raise Malformed("Choose approve, reject or ask.", pointer="/verdict")
    if verdict != "approve" and not note.strip():
        raise Malformed("Say why you reject." if verdict == "reject" else "Write your question first.", pointer="/note")

    async def work(tx: Transaction) -> None:
        found = (
            await tx.conn.execute(select(approval.c.journey_id, approval.c.case_id).where(approval.c.id == approval_id))
        ).first()
        if found is None:
            raise NotFound(f"There is no approval {approval_id}.")
        journey_row = await tx.lock_journey(found.journey_id) if found.journey_id else None
        case_row = await tx.lock_case(found.case_id) if found.case_id else None
        row = await tx.lock_approval(approval_id)
        voices = [person, *await delegations.principals(tx.conn, person.id, await tx.now())]
        sides = (await sides_of(tx.conn, [row]))[approval_id]
        check_sees(row, sides, voices)
        await check_pending(tx, row, version)
        words = (await words_of(tx.conn, [approval_id])).get(approval_id, [])
        word = await word_of(tx, row, voices, sides, words, agrees=verdict == "approve")
        at = await tx.now(row["clock_offset_s"])
        if way is not None:
            await check_way(tx, row, verdict, at, way)
        is_last = verdict == "reject" or (verdict == "approve" and tally(sides, [*words, word]).is_complete)
        note_id = await _write_verdict(tx, row, _Given(word, verdict, note, is_last), at)
        if case_row is not None and not is_last:
            await _tell_case(tx, case_row, row, sides, [*words, word], verdict, note_id, at)
        if verdict == "approve" and not is_last:
            return
        if verdict == "ask":
            tx.tell(approval_target(approval_id), Message.APPROVAL_ASKED)
            return
        state = "approved" if verdict == "approve" else "rejected"
        if journey_row is not None and journey_row["asks"].get("approval_id") == approval_id:
            await tx.conn.execute(
                update(journey)
                .where(journey.c.id == journey_row["id"])
                .values(asks=journey_row["asks"] | {"verdict": state}, version=journey_row["version"] + 1)
            )
            tx.tell(journey_row["id"], Message.VERDICT_RECORDED)
        tx.tell(approval_target(approval_id), Message.APPROVAL_CLOSED)
        await endings.carry_out(tx, row, state, at)

    await database.write(work, actor=person.id, via=via)


class _Given(NamedTuple):
    """A verdict as it is recorded. `ends_it`: it is a rejection, or the last agreement that was needed."""

    word: Word
    verdict: str
    note: str
    ends_it: bool

    @property
    def behalf(self) -> str | None:
        return self.word.voice if self.word.voice != self.word.person else None


async def _tell_case(
    tx: Transaction,
    case_row: RowMapping,
    row: RowMapping,
    sides: Sequence[Side],
    words: Sequence[Word],
    verdict: str,
    note_id: int | None,
    at: datetime,
) -> None:
    """A line of the timeline for what does not end the request: one word of several, or a question."""
    known = await people.names(tx.conn, {tx.actor, words[-1].voice})
    name, voice = known.get(tx.actor, tx.actor), words[-1].voice
    if verdict == "ask":
        text = f"{name} has a question about approval {row['id']}; its clock stands until it is answered."
    else:
        short, needed = tally(sides, words).short_of, sum(side.need for side in sides)
        behalf = f" for {known.get(voice, voice)}" if voice != tx.actor else ""
        text = f"{name} agreed{behalf} (approval {row['id']}): {needed - short} of {needed}, {short} still missing."
    await add_event(tx, case_row, f"approval_{verdict}", text, at, note_id=note_id, detail={"approval_id": row["id"]})


async def _write_verdict(tx: Transaction, row: RowMapping, given: _Given, at: datetime) -> int | None:
    """Returns the number of its note."""
    note_id = None
    person_id, verdict = given.word.person, given.verdict
    if given.note.strip():
        made = await tx.conn.execute(
            insert(person_note)
            .values(subject=f"approval:{row['id']}", author=person_id, text=given.note.strip())
            .returning(person_note.c.id)
        )
        note_id = made.scalar_one()
    await tx.conn.execute(
        insert(approval_verdict).values(
            approval_id=row["id"],
            person_id=person_id,
            on_behalf_of=given.behalf,
            verdict=verdict,
            sides=sorted(given.word.sides),
            via=tx.via,
            note_id=note_id,
            at=at,
        )
    )
    tx.record(f"approval.{verdict}", f"approval:{row['id']}", at, after={"for": given.behalf, "via": tx.via})
    if verdict == "ask":
        values: dict[str, Any] = {"note_id": note_id}
        if row["paused_at"] is None:
            values |= {"paused_at": at, "paused_next_at": row["next_at"], "next_at": None}
        await mail_question(tx, row, person_id, at)
    elif given.ends_it:
        values = {
            "state": "approved" if verdict == "approve" else "rejected",
            "decided_by": person_id,
            "decided_for": given.behalf,
            "decided_via": tx.via,
            "decided_at": at,
            "note_id": note_id,
            "next_at": None,
        }
        await revoke_links(tx, row["id"], at)
    else:
        return note_id  # what others have open before them is still what they decide about: its version stays
    await tx.conn.execute(
        update(approval).where(approval.c.id == row["id"]).values(**values, version=row["version"] + 1)
    )
    return note_id
