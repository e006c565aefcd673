"""Verdicts: given once under the row's lock, by page, API or link; a question stops the clock until its answer.

Where several must agree, each word is recorded by itself and the last one that is needed approves. One rejection ends
it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Side, Word, check_may_approve, sides_heard, tally
from domain.approval_words import is_person
from domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalSuperseded,
    Malformed,
    NotAllowed,
    NotFound,
    ProofTooOld,
    SignInNeeded,
    StaleVersion,
    StateConflict,
)
from domain.ids import approval_target
from domain.messages import Message
from domain.people import Person
from domain.words import local
from ledger import delegations, mails, people, reference
from ledger.approval.links import revoke_links
from ledger.approval.sides import sides_of, words_of
from ledger.case.life import add_event
from ledger.engine import Database
from ledger.tables import approval, approval_verdict, journey, person_note
from ledger.transaction import Transaction
from ledger.verdicts import endings


class Proven(NamedTuple):
    """When somebody who is signed in last gave their password or proved themselves to a provider; None: not known."""

    proven_at: datetime | None


async def record_verdict(
    database: Database,
    approval_id: int,
    person: Person,
    *,
    verdict: str,
    note: str,
    version: int | None = None,
    via: str,
    by_link: bool = False,
    by_token: bool = False,
    session: Proven | None = None,
) -> None:
    """Record a verdict once. A second comer is told who decided, and when.

    Where more people must agree, the request stays pending and says whose word is missing; whoever has agreed may still
    reject or ask. `session`: how somebody is signed in who decides in the console.

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
        await _check(tx, row, version)
        words = (await words_of(tx.conn, [approval_id])).get(approval_id, [])
        word = await _word(tx, row, voices, sides, words, agrees=verdict == "approve")
        at = await tx.now(row["clock_offset_s"])
        await _check_way(tx, row, verdict, at, by_link=by_link, by_token=by_token, session=session)
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


def check_sees(row: RowMapping, sides: Sequence[Side], voices: Sequence[Person]) -> None:
    """Raises `NotFound` unless one of these people sees the request: its own place, or one of its sides."""
    seen = [(row["entity"], row["region"], row["location"]), *((one.entity, one.region, one.location) for one in sides)]
    if not any(voice.may_see(*where) for voice in voices for where in seen):
        raise NotFound(f"There is no approval {row['id']}.")


async def _check(tx: Transaction, row: RowMapping, version: int | None) -> None:
    """Raise unless the approval is still to be decided, saying what became of it."""
    if row["state"] in ("approved", "rejected"):
        raise AlreadyDecided(await decided_sentence(tx.conn, row))
    if row["state"] == "expired":
        raise ApprovalExpired("Nobody decided in time; the request has ended and the case is with its owner again.")
    if row["state"] == "superseded":
        raise ApprovalSuperseded("The facts have changed since this was asked; it is no longer to be decided.")
    if version is not None and version != row["version"]:
        raise StaleVersion("This request has changed since you opened it; look at it again before you decide.")


async def decided_sentence(conn: AsyncConnection, row: RowMapping) -> str:
    """`Approved by Ana Ruiz and Ben Oto for Max Weber, Tue 3 Mar, 14:02 CET.`"""
    given = (await words_of(conn, [row["id"]])).get(row["id"], []) if row["state"] == "approved" else []
    ways = [(word.person, word.voice) for word in given]
    if (row["decided_by"], row["decided_for"] or row["decided_by"]) not in ways:
        ways.append((row["decided_by"], row["decided_for"] or row["decided_by"]))
    known = await people.names(conn, [one for way in ways for one in way])
    said = [known.get(who, who) + (f" for {known.get(voice, voice)}" if voice != who else "") for who, voice in ways]
    at = local(row["decided_at"], await reference.time_zone(conn, row["location"]))
    return f"{row['state'].capitalize()} by {' and '.join(said)}, {at}."


async def _word(
    tx: Transaction,
    row: RowMapping,
    voices: Sequence[Person],
    sides: Sequence[Side],
    words: Sequence[Word],
    *,
    agrees: bool,
) -> Word:
    """Whose word this would be: the person's own, or that of the first who has delegated to them and is still needed.

    Raises `OwnRequest`, `NotAllowed`, and `AlreadyDecided` for an agreement that would count for nothing.
    """
    person = voices[0]
    if agrees:
        await _check_not_said(tx, person, words)
    heard = [(voice, sides_heard(voice, sides, row["level"])) for voice in voices]
    if person.id in row["barred"] or not any(names for voice, names in heard if voice.id not in row["barred"]):
        asked = sides[0].asked(row["level"])
        roles = {role for one in sides for role in person.roles_at(one.entity, one.region, one.location)}
        check_may_approve(person.id, roles, asked_roles=asked, barred=row["barred"])
    mine = [Word(person.id, voice.id, names) for voice, names in heard if names and voice.id not in row["barred"]]
    if not agrees:
        return mine[0]
    short = tally(sides, words).short_of
    for word in mine:
        if tally(sides, [*words, word]).short_of < short:
            return word
    given = {word.person for word in words} | {word.voice for word in words}
    for voice in voices[1:]:
        if voice.id in given:
            raise AlreadyDecided(f"{voice.name} has agreed already; it waits for somebody else's word.")
    raise AlreadyDecided("This side has said all that it was asked for; what is missing is somebody of the other one.")


async def _check_not_said(tx: Transaction, person: Person, words: Sequence[Word]) -> None:
    for word in words:
        if word.person == person.id:
            raise AlreadyDecided("You have agreed already; it waits for somebody else's word.")
        if word.voice == person.id:
            known = await people.names(tx.conn, [word.person])
            raise AlreadyDecided(f"{known.get(word.person, word.person)} has agreed for you already.")


async def _check_way(
    tx: Transaction,
    row: RowMapping,
    verdict: str,
    at: datetime,
    *,
    by_link: bool,
    by_token: bool,
    session: Proven | None,
) -> None:
    """Raise where the way by which the verdict comes does not suffice for the amount: `SignInNeeded`, `ProofTooOld`."""
    place = await reference.place(tx.conn, row["location"])
    bands = (await reference.policy_at(tx.conn, place, at)).bands
    if row["amount_minor"] < bands.sign_in_minor:
        return
    if by_link:
        raise SignInNeeded("This amount is above what a link alone may decide: sign in as yourself, then decide.")
    if verdict != "approve":
        return
    if by_token and not bands.token_agrees:
        raise SignInNeeded(
            "This amount is above what a token alone may agree to. Sign in to the console as yourself, and agree on "
            f"/console/approvals/{row['id']}; to reject or ask, the token is enough."
        )
    if session is not None and bands.proven_within_s is not None:
        oldest = await tx.now() - timedelta(seconds=bands.proven_within_s)
        if session.proven_at is None or session.proven_at < oldest:
            minutes = bands.proven_within_s // 60
            raise ProofTooOld(
                f"For this amount whoever agrees confirms who they are, at most {minutes} minutes before."
            )


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
        await _mail_question(tx, row, person_id, at)
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


async def _mail_question(tx: Transaction, row: RowMapping, asker: str, at: datetime) -> None:
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
    for role in ("regional_ops", "admin"):
        found = [one.id for one in await people.holders_of_role(tx.conn, role, **place) if one.id != asker]
        if found:
            return found
    return []


async def answer(database: Database, approval_id: int, person: Person, *, text: str, via: str) -> None:
    """Answer an approver's question: the clock goes on with the time that was left when it was asked.

    Raises `StateConflict` when nothing was asked, `NotAllowed` for somebody who does not decide at this place,
    `Malformed` for an empty answer, `NotFound`.
    """
    words = text.strip()

    async def work(tx: Transaction) -> None:
        row = await tx.lock_approval(approval_id)
        check_sees(row, (await sides_of(tx.conn, [row]))[approval_id], [person])
        await _check(tx, row, None)
        if row["paused_at"] is None:
            raise StateConflict("Nobody has asked a question about this request.")
        if not person.may_decide(row["entity"], row["region"], row["location"]):
            raise NotAllowed("Your role may look at this request, not answer for it.")
        if not words:
            raise Malformed("Write your answer first.", pointer="/text")
        at = await tx.now(row["clock_offset_s"])
        paused_for = at - row["paused_at"]
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
