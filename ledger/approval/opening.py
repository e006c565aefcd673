"""How an approval begins: written for a decision, asked of the first level of its ladder that has anybody in it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, update

from domain.bands import Level, ladder_of
from domain.calendars import add_open_time
from domain.ids import approval_target
from domain.people import Person
from domain.policy import Policy
from ledger import mails, people, reference, situations
from ledger.outbox import search_attributes
from ledger.tables import approval
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
    level: Level = Level.MANAGER  # of the band: finance is not asked through a manager


async def open_approval(tx: Transaction, request: Request) -> int:
    """Write the request, mail the first level of the ladder that has anybody in it, and start its clock."""
    ladder = ladder_of(request.level, request.policy.approvals.ladder(request.kind))
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
    row = await ask_level(tx, row, request.place, request.policy, request.at, previous_due=request.at)
    tx.record(
        "approval.opened",
        f"approval:{row['id']}",
        request.at,
        after={"kind": request.kind, "amount_minor": request.amount_minor},
    )
    tx.start(approval_target(row["id"]), "approval", situations.of_approval_row(row, 1), search_attributes(row))
    return int(row["id"])


async def ask_level(
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
        await mail_approver(tx, changed, one, f"level:{level}", at)
    return changed


async def mail_approver(tx: Transaction, row: RowMapping, person: Person, occasion: str, at: datetime) -> None:
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
