"""What approvers ask before they decide. It is mailed to whoever can answer; the answer is mailed to them, and starts
the clock again.
"""

from datetime import datetime

from sqlalchemy import RowMapping, func, insert, select, update

from domain.approval_words import is_person
from domain.errors import Malformed, NotAllowed, StateConflict
from domain.ids import approval_target
from domain.messages import Message
from domain.people import Person
from ledger import mails, people
from ledger.approval.sides import sides_of
from ledger.engine import Database
from ledger.reads.questions import STANDS_IN
from ledger.tables import approval, approval_verdict, person_note
from ledger.transaction import Transaction
from ledger.verdicts.checks import check_pending, check_sees


async def mail_question(tx: Transaction, row: RowMapping, asker: str, at: datetime) -> None:
    """To whoever asked; where that is a system, a customer or a policy, to everybody who answers in its stead."""
    for one in await _who_answers(tx, row, asker):
        await mails.queue(
            tx,
            template="approval_question",
            dedupe_key=f"approval:{row['id']}:question:{row['version']}:{asker}:{one}",
            not_before=at,
            person_id=one,
            approval_id=row["id"],
            case_id=row["case_id"],
            journey_id=row["journey_id"],
        )


async def _who_answers(tx: Transaction, row: RowMapping, asker: str) -> list[str]:
    """Ids of people: a clock that stands until somebody answers must not stand unheard."""
    if is_person(row["requester"]):
        return [row["requester"]]
    place = {"entity": row["entity"], "region": row["region"], "location": row["location"]}
    for role in STANDS_IN:
        found = [one.id for one in await people.holders_of_role(tx.conn, role, **place) if one.id != asker]
        if found:
            return found
    return []


async def _mail_answer(tx: Transaction, row: RowMapping, at: datetime) -> None:
    """To those who have asked since the last answer, with a link to decide by: what they waited for has come."""
    said = approval_verdict.c
    last = select(func.max(said.id)).where(said.approval_id == row["id"], said.verdict == "answer").scalar_subquery()
    asked = select(said.person_id).where(
        said.approval_id == row["id"], said.verdict == "ask", said.id > func.coalesce(last, 0)
    )
    for one in sorted(set((await tx.conn.execute(asked)).scalars())):
        await mails.queue(
            tx,
            template="approval_request",
            dedupe_key=f"approval:{row['id']}:answered:{row['version']}:{one}",
            not_before=at,
            person_id=one,
            approval_id=row["id"],
            case_id=row["case_id"],
            journey_id=row["journey_id"],
            context={"occasion": "answered"},
        )


async def answer(database: Database, approval_id: int, person: Person, *, text: str, via: str) -> None:
    """Answer an approver's question: the clock goes on with the time that was left when it was asked, and whoever has
    asked is told by mail.

    Raises `StateConflict` when nothing was asked, `NotAllowed` for somebody who does not decide at this place,
    `Malformed` for an empty answer, `NotFound`.
    """
    words = text.strip()

    async def work(tx: Transaction) -> None:
        row = await tx.lock_approval(approval_id)
        check_sees(row, (await sides_of(tx.conn, [row]))[approval_id], [person])
        await check_pending(tx, row, None)
        if row["paused_at"] is None:
            raise StateConflict("Nobody has asked a question about this request.")
        if not person.may_decide(row["entity"], row["region"], row["location"]):
            raise NotAllowed("Your role may look at this request, not answer for it.")
        if not words:
            raise Malformed("Write your answer first.", pointer="/text")
        at = await tx.now(row["clock_offset_s"])
        paused_for = at - row["paused_at"]
        await _mail_answer(tx, row, at)
        made = await tx.conn.execute(
            insert(person_note)
            .values(subject=f"approval:{approval_id}", author=person.id, text=words)
            .returning(person_note.c.id)
        )
        note_id = made.scalar_one()
        await tx.conn.execute(
            insert(approval_verdict).values(
                approval_id=approval_id, person_id=person.id, verdict="answer", via=tx.via, note_id=note_id, at=at
            )
        )
        await tx.conn.execute(
            update(approval)
            .where(approval.c.id == approval_id)
            .values(
                paused_at=None,
                paused_next_at=None,
                next_at=row["paused_next_at"] + paused_for,
                deadline_at=row["deadline_at"] + paused_for,
                expires_at=row["expires_at"] + paused_for,
                version=row["version"] + 1,
            )
        )
        tx.record("approval.answered", f"approval:{approval_id}", at)
        tx.tell(approval_target(approval_id), Message.APPROVAL_ASKED)

    await database.write(work, actor=person.id, via=via)
