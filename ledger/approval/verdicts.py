"""Verdicts: given once under the row's lock, by page, API or link; a question stops the clock until its answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, and_, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import check_may_approve
from domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalSuperseded,
    Malformed,
    NotAllowed,
    NotFound,
    SignInNeeded,
    StaleVersion,
    StateConflict,
)
from domain.ids import approval_target
from domain.messages import Message
from domain.people import Person
from domain.words import local
from ledger import mails, people, reference
from ledger.approval import endings
from ledger.approval.links import revoke_links
from ledger.engine import Database
from ledger.tables import approval, approval_verdict, delegation, journey, person_note
from ledger.transaction import Transaction


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
) -> None:
    """Record a verdict once. A second comer is told who decided, and when.

    Raises `AlreadyDecided`, `ApprovalExpired`, `ApprovalSuperseded`, `OwnRequest`, `NotAllowed`, `SignInNeeded` (a link
    alone does not decide above the policy's amount), `StaleVersion`, `Malformed`, `NotFound`.
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
        row = await tx.lock_approval(approval_id)
        await _check(tx, row, person, version)
        behalf = await _may(tx, row, person)
        at = await tx.now(row["clock_offset_s"])
        if by_link and row["amount_minor"] >= await _sign_in_limit(tx, row, at):
            raise SignInNeeded("This amount is above what a link alone may decide: sign in as yourself, then decide.")
        await _write_verdict(tx, row, person, verdict, note, behalf, at)
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


async def _check(tx: Transaction, row: RowMapping, person: Person, version: int | None) -> None:
    """Raise unless the approval is still to be decided, saying what became of it."""
    if not person.may_see(row["entity"], row["region"], row["location"]):
        raise NotFound(f"There is no approval {row['id']}.")
    if row["state"] in ("approved", "rejected"):
        raise AlreadyDecided(await decided_sentence(tx.conn, row))
    if row["state"] == "expired":
        raise ApprovalExpired("Nobody decided in time; the request has ended and the case is with its owner again.")
    if row["state"] == "superseded":
        raise ApprovalSuperseded("The facts have changed since this was asked; it is no longer to be decided.")
    if version is not None and version != row["version"]:
        raise StaleVersion("This request has changed since you opened it; look at it again before you decide.")


async def decided_sentence(conn: AsyncConnection, row: RowMapping) -> str:
    """`Approved by Ana Ruiz, Tue 3 Mar, 14:02 CET.`"""
    known = await people.names(conn, [row["decided_by"], row["decided_for"]])
    behalf = f" for {known.get(row['decided_for'], row['decided_for'])}" if row["decided_for"] else ""
    who = known.get(row["decided_by"], row["decided_by"])
    at = local(row["decided_at"], await reference.time_zone(conn, row["location"]))
    return f"{row['state'].capitalize()} by {who}{behalf}, {at}."


async def _may(tx: Transaction, row: RowMapping, person: Person) -> str | None:
    """Check that the person may decide; returns whom they stand in for, None when they decide for themselves."""
    asked = row["roles"][: max(row["level"], 1)]
    roles = person.roles_at(row["entity"], row["region"], row["location"])
    if not set(roles) & set(asked) and person.id not in row["barred"]:
        for principal in await _principals(tx, person.id, await tx.now()):
            theirs = principal.roles_at(row["entity"], row["region"], row["location"])
            if set(theirs) & set(asked) and principal.id not in row["barred"]:
                return principal.id
    check_may_approve(person.id, roles, asked_roles=asked, barred=row["barred"])
    return None


async def _principals(tx: Transaction, person_id: str, now: datetime) -> list[Person]:
    """People who have delegated to this one today; a delegation is never passed on."""
    rows = await tx.conn.execute(
        select(delegation.c.from_person).where(
            and_(delegation.c.to_person == person_id, delegation.c.starts_at <= now, delegation.c.ends_at > now)
        )
    )
    found = [await people.person_by_id(tx.conn, one) for one in rows.scalars().all()]
    return [one for one in found if one is not None]


async def _sign_in_limit(tx: Transaction, row: RowMapping, at: datetime) -> int:
    place = await reference.place(tx.conn, row["location"])
    return (await reference.policy_at(tx.conn, place, at)).bands.sign_in_minor


async def _write_verdict(
    tx: Transaction, row: RowMapping, person: Person, verdict: str, note: str, behalf: str | None, at: datetime
) -> None:
    note_id = None
    if note.strip():
        made = await tx.conn.execute(
            insert(person_note)
            .values(subject=f"approval:{row['id']}", author=person.id, text=note.strip())
            .returning(person_note.c.id)
        )
        note_id = made.scalar_one()
    await tx.conn.execute(
        insert(approval_verdict).values(
            approval_id=row["id"],
            person_id=person.id,
            on_behalf_of=behalf,
            verdict=verdict,
            via=tx.via,
            note_id=note_id,
            at=at,
        )
    )
    if verdict == "ask":
        values: dict[str, Any] = {"note_id": note_id}
        if row["paused_at"] is None:
            values |= {"paused_at": at, "paused_next_at": row["next_at"], "next_at": None}
        await _mail_question(tx, row, person, at)
    else:
        values = {
            "state": "approved" if verdict == "approve" else "rejected",
            "decided_by": person.id,
            "decided_for": behalf,
            "decided_via": tx.via,
            "decided_at": at,
            "note_id": note_id,
            "next_at": None,
        }
        await revoke_links(tx, row["id"], at)
    await tx.conn.execute(
        update(approval).where(approval.c.id == row["id"]).values(**values, version=row["version"] + 1)
    )
    tx.record(f"approval.{verdict}", f"approval:{row['id']}", at, after={"for": behalf, "via": tx.via})


async def _mail_question(tx: Transaction, row: RowMapping, asker: Person, at: datetime) -> None:
    await mails.queue(
        tx,
        template="approval_question",
        dedupe_key=f"approval:{row['id']}:question:{row['version']}:{asker.id}",
        not_before=at,
        person_id=row["requester"],
        approval_id=row["id"],
        case_id=row["case_id"],
        journey_id=row["journey_id"],
    )


async def answer(database: Database, approval_id: int, person: Person, *, text: str, via: str) -> None:
    """Answer an approver's question: the clock goes on with the time that was left when it was asked.

    Raises `StateConflict` when nothing was asked, `NotAllowed` for somebody who does not decide at this place,
    `Malformed` for an empty answer, `NotFound`.
    """
    words = text.strip()

    async def work(tx: Transaction) -> None:
        row = await tx.lock_approval(approval_id)
        await _check(tx, row, person, None)
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
