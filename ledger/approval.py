"""Approvals: opened for a decision, asked up a ladder, decided once under the row's lock, by page, by API or by
link.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, and_, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import check_may_approve
from domain.calendars import add_open_time
from domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalSuperseded,
    Malformed,
    NotFound,
    SignInNeeded,
    StaleVersion,
)
from domain.ids import approval_target
from domain.messages import Message, Situation, Step
from domain.people import Person
from domain.policy import Policy
from ledger import mails, people, reference, situations
from ledger.engine import Database
from ledger.outbox import search_attributes
from ledger.steps import take_row_step
from ledger.tables import approval, approval_link, approval_verdict, delegation, journey, person_note
from ledger.transaction import Transaction


class Request(NamedTuple):
    """What is to be approved. `barred` are people who may never approve it; `facts` is what the page says."""

    kind: str
    subject: str
    place: reference.Place
    policy: Policy
    at: datetime
    requester: str
    barred: Sequence[str]
    amount_minor: int
    facts: dict[str, Any]
    journey_id: str | None
    case_id: int | None
    decision_id: int | None
    clock_offset_s: int = 0


class LinkRow(NamedTuple):
    """A mail link: whose it is, for what, and whether it still opens."""

    approval_id: int
    person_id: str
    expires_at: datetime
    revoked_at: datetime | None
    state: str


async def open_approval(tx: Transaction, request: Request) -> int:
    """Write the request, mail the first level of the ladder that has anybody in it, and start its clock."""
    ladder = request.policy.approvals.ladders[request.kind]
    row = (
        (
            await tx.conn.execute(
                insert(approval)
                .values(
                    kind=request.kind,
                    subject=request.subject,
                    case_id=request.case_id,
                    decision_id=request.decision_id,
                    journey_id=request.journey_id,
                    location=request.place.code,
                    region=request.place.region,
                    entity=request.place.entity,
                    facts=request.facts,
                    amount_minor=request.amount_minor,
                    currency=request.place.currency,
                    band=request.kind,
                    requester=request.requester,
                    barred=sorted({request.requester, *request.barred}),
                    roles=list(ladder),
                    level=0,
                    quorum=request.policy.approvals.quorum,
                    opened_at=request.at,
                    deadline_at=request.at,
                    expires_at=request.at,
                    clock_offset_s=request.clock_offset_s,
                )
                .returning(*approval.c)
            )
        )
        .mappings()
        .one()
    )
    row = await _ask_level(tx, row, request.place, request.policy, request.at, previous_due=request.at)
    tx.record(
        "approval.opened",
        f"approval:{row['id']}",
        request.at,
        after={"kind": request.kind, "amount_minor": request.amount_minor},
    )
    tx.start(approval_target(row["id"]), "approval", situations.of_approval_row(row, 1), search_attributes(row))
    return int(row["id"])


async def _ask_level(
    tx: Transaction,
    row: RowMapping,
    place: reference.Place,
    policy: Policy,
    at: datetime,
    *,
    previous_due: datetime,
) -> RowMapping:
    """Ask the next level that has an approver; an empty one is passed over, and nobody at all never means
    "approved".
    """
    level = row["level"]
    asked: list[Person] = []
    while level < len(row["roles"]) and not asked:
        asked = [
            one
            for one in await people.holders_of_role(
                tx.conn, row["roles"][level], entity=row["entity"], region=row["region"], location=row["location"]
            )
            if one.id not in row["barred"]
        ]
        level += 1
    span = timedelta(seconds=policy.approvals.level_s)
    deadline = add_open_time(previous_due, span, place.hours)
    reminders = [
        add_open_time(previous_due, span * permille / 1000, place.hours)
        for permille in policy.approvals.reminder_permille
    ]
    changed = (
        (
            await tx.conn.execute(
                update(approval)
                .where(approval.c.id == row["id"])
                .values(
                    level=level,
                    deadline_at=deadline,
                    expires_at=deadline,
                    next_at=min([when for when in reminders if when > at] + [deadline]),
                    version=row["version"] + 1,
                )
                .returning(*approval.c)
            )
        )
        .mappings()
        .one()
    )
    for one in asked:
        await _mail(tx, changed, one, f"level:{level}", at)
    return changed


async def _mail(tx: Transaction, row: RowMapping, person: Person, occasion: str, at: datetime) -> None:
    await mails.queue(
        tx,
        template="approval_request",
        dedupe_key=f"approval:{row['id']}:{occasion}:{person.id}",
        not_before=at,
        person_id=person.id,
        approval_id=row["id"],
        case_id=row["case_id"],
        journey_id=row["journey_id"],
        context={"occasion": occasion.split(":", maxsplit=1)[0]},
    )


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
    """`Approved by Ana Ruiz, 14:02 UTC, 3 Mar 2026`."""
    known = await people.names(conn, [row["decided_by"], row["decided_for"]])
    behalf = f" for {known.get(row['decided_for'], row['decided_for'])}" if row["decided_for"] else ""
    who = known.get(row["decided_by"], row["decided_by"])
    return f"{row['state'].capitalize()} by {who}{behalf}, {row['decided_at']:%H:%M %Z, %-d %b %Y}."


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


async def supersede(tx: Transaction, approval_id: int, at: datetime) -> None:
    """The facts have changed: a pending request is withdrawn. Its row is locked by this transaction."""
    ended = await tx.conn.execute(
        update(approval)
        .where(approval.c.id == approval_id, approval.c.state == "pending")
        .values(state="superseded", next_at=None, version=approval.c.version + 1)
        .returning(approval.c.id)
    )
    if ended.first() is not None:
        await revoke_links(tx, approval_id, at)
        tx.record("approval.superseded", f"approval:{approval_id}", at)
        tx.tell(approval_target(approval_id), Message.APPROVAL_CLOSED)


async def on_due(database: Database, step: Step) -> Situation:
    """A reminder, the next level, or the end of an approval. A verdict recorded first wins: then nothing happens."""
    approval_id = int(step.subject)
    async with database.read() as conn:
        journey_id = (await conn.execute(select(approval.c.journey_id).where(approval.c.id == approval_id))).scalar()

    async def lock(tx: Transaction) -> RowMapping:
        if journey_id is not None:
            await tx.lock_journey(journey_id)
        return await tx.lock_approval(approval_id)

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != "pending" or row["next_at"] is None or row["next_at"] > step.at:
            return ""
        place = await reference.place(tx.conn, row["location"])
        policy = await reference.policy_at(tx.conn, place, step.at)
        if row["next_at"] < row["deadline_at"]:
            return await _remind(tx, row, place, policy, step.at)
        if row["level"] < len(row["roles"]):
            await _ask_level(tx, row, place, policy, step.at, previous_due=row["deadline_at"])
            return "Asked the next level."
        return await _expire(tx, row, step.at)

    return await take_row_step(
        database, f"approval:{approval_id}", approval_target(approval_id), "on_due", step, lock, work
    )


async def _remind(tx: Transaction, row: RowMapping, place: reference.Place, policy: Policy, at: datetime) -> str:
    role = row["roles"][row["level"] - 1]
    asked = await people.holders_of_role(
        tx.conn, role, entity=row["entity"], region=row["region"], location=row["location"]
    )
    for one in asked:
        if one.id not in row["barred"]:
            await _mail(tx, row, one, f"reminder:{row['next_at']:%Y%m%dT%H%M%S}", at)
    span = timedelta(seconds=policy.approvals.level_s)
    start = row["opened_at"] if row["level"] <= 1 else row["deadline_at"] - span
    left = [
        when
        for when in (
            add_open_time(start, span * permille / 1000, place.hours) for permille in policy.approvals.reminder_permille
        )
        if row["next_at"] < when < row["deadline_at"]
    ]
    await tx.conn.execute(
        update(approval)
        .where(approval.c.id == row["id"])
        .values(next_at=min([*left, row["deadline_at"]]), version=row["version"] + 1)
    )
    return "Reminded the approvers."


async def _expire(tx: Transaction, row: RowMapping, at: datetime) -> str:
    await tx.conn.execute(
        update(approval)
        .where(approval.c.id == row["id"])
        .values(state="expired", next_at=None, version=row["version"] + 1)
    )
    await revoke_links(tx, row["id"], at)
    tx.record("approval.expired", f"approval:{row['id']}", at)
    if row["journey_id"] is not None:
        asks = (await tx.conn.execute(select(journey.c.asks).where(journey.c.id == row["journey_id"]))).scalar_one()
        if asks.get("approval_id") == row["id"]:
            await tx.conn.execute(
                update(journey).where(journey.c.id == row["journey_id"]).values(asks=asks | {"verdict": "expired"})
            )
            tx.tell(row["journey_id"], Message.VERDICT_RECORDED)
    return "Nobody decided in time."


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create_link(tx: Transaction, approval_id: int, person_id: str, *, expires_at: datetime) -> str:
    """A new link for one approver; returns the token, of which only the hash is kept."""
    token = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    await tx.conn.execute(
        insert(approval_link).values(
            token_hash=token_hash(token),
            approval_id=approval_id,
            person_id=person_id,
            created_at=await tx.now(),
            expires_at=expires_at,
        )
    )
    return token


async def link(conn: AsyncConnection, token: str) -> LinkRow | None:
    """What a token opens, or None for one that never was."""
    row = (
        (
            await conn.execute(
                select(approval_link, approval.c.state)
                .join(approval, approval.c.id == approval_link.c.approval_id)
                .where(approval_link.c.token_hash == token_hash(token))
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    return LinkRow(row["approval_id"], row["person_id"], row["expires_at"], row["revoked_at"], row["state"])


async def revoke_links(tx: Transaction, approval_id: int, at: datetime) -> None:
    """Links of an approval that has ended still say what became of it, and decide nothing."""
    await tx.conn.execute(
        update(approval_link)
        .where(
            approval_link.c.approval_id == approval_id,
            or_(approval_link.c.revoked_at.is_(None), approval_link.c.revoked_at > at),
        )
        .values(revoked_at=at)
    )
