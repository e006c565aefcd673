"""Comments on cases: append-only text of people, and who is told of it."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, insert, select, update

from domain.comments import MOST_TOLD, mentioned
from domain.errors import Malformed, NotFound
from domain.people import Person
from ledger import mails, people, reference
from ledger.case.acts import keep_note
from ledger.case.life import add_event
from ledger.engine import Database
from ledger.tables import case_event, mention, person_note
from ledger.transaction import Transaction

SENT_TWICE = timedelta(minutes=1)


async def comment(
    database: Database, case_id: int, person: Person, *, text: str, tell: Collection[str] = (), via: str
) -> int:
    """Add a comment to the timeline, and tell those whom it mentions; returns its number among the case's events.

    `tell` are ids of people beside those that the text names after an `@`. Who does not see the case is not told, and
    a word that names nobody stays a word. Sent twice within a minute, it is one comment. Raises `Malformed` for an
    empty comment, one that tells too many, or a `tell` who does not see the case.
    """

    async def work(tx: Transaction) -> int:
        row = await tx.lock_case(case_id)
        if not person.may_see(row["entity"], row["region"], row["location"]):
            raise NotFound(f"There is no case {case_id}.")
        if not text.strip():
            raise Malformed("Write something first.", pointer="/text")
        at = await tx.now(row["clock_offset_s"])
        before = await _just_said(tx, case_id, person.id, text, at)
        if before is not None:
            return before
        told = await _told(tx, row, person, text, tell)
        note_id = await keep_note(tx, f"case:{case_id}", person.id, text)
        event_id = await add_event(tx, row, "comment", "", at, note_id=note_id)
        for one in told:
            await _tell(tx, row, event_id, one, at)
        await _answered(tx, case_id, person.id, at)
        tx.record("case.commented", f"case:{case_id}", at, after={"told": told} if told else None)
        return event_id

    return await database.write(work, actor=person.id, via=via)


async def seen(database: Database, case_id: int, person: Person, *, via: str) -> None:
    """Whoever was mentioned on a case has read it. Doing it twice does nothing."""

    async def work(tx: Transaction) -> None:
        row = await tx.lock_case(case_id)
        if not person.may_see(row["entity"], row["region"], row["location"]):
            raise NotFound(f"There is no case {case_id}.")
        await _answered(tx, case_id, person.id, await tx.now(row["clock_offset_s"]))

    await database.write(work, actor=person.id, via=via)


async def _told(tx: Transaction, row: RowMapping, by: Person, text: str, tell: Collection[str]) -> list[str]:
    wanted = list(dict.fromkeys([*tell, *mentioned(text)]))
    if len(wanted) > MOST_TOLD:
        raise Malformed(f"A comment tells {MOST_TOLD} people at most; this one names {len(wanted)}.", pointer="/text")
    there = {
        one.id.lower(): one.id
        for one in await people.by_ids(tx.conn, wanted)
        if one.may_see(row["entity"], row["region"], row["location"])
    }
    lost = [one for one in tell if one.lower() not in there]
    if lost:
        raise Malformed(f"{lost[0][:80]} does not see this case and cannot be told of it.", pointer="/tell")
    return [there[one.lower()] for one in wanted if there.get(one.lower(), by.id) != by.id]


async def _just_said(tx: Transaction, case_id: int, person_id: str, text: str, at: datetime) -> int | None:
    """The same words of the same person a moment ago: a form sent twice, or a call repeated."""
    found = await tx.conn.execute(
        select(case_event.c.id)
        .join(person_note, person_note.c.id == case_event.c.note_id)
        .where(
            case_event.c.case_id == case_id,
            case_event.c.kind == "comment",
            case_event.c.actor == person_id,
            case_event.c.at > at - SENT_TWICE,
            person_note.c.text == text.strip(),
        )
        .order_by(case_event.c.id.desc())
        .limit(1)
    )
    number: int | None = found.scalar_one_or_none()
    return number


async def _tell(tx: Transaction, row: RowMapping, event_id: int, person_id: str, at: datetime) -> None:
    made = {"case_id": row["id"], "event_id": event_id, "person_id": person_id, "at": at}
    await tx.conn.execute(insert(mention).values(made))
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    if policy.cases.mention_mail:
        await mails.queue(
            tx,
            template="case_mentioned",
            dedupe_key=f"mention:{event_id}:{person_id}",
            not_before=at,
            person_id=person_id,
            case_id=row["id"],
            context={"comment_id": event_id},
            offset_s=row["clock_offset_s"],
        )


async def _answered(tx: Transaction, case_id: int, person_id: str, at: datetime) -> None:
    await tx.conn.execute(
        update(mention)
        .where(mention.c.case_id == case_id, mention.c.person_id == person_id, mention.c.seen_at.is_(None))
        .values(seen_at=at)
    )
