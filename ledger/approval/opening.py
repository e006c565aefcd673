"""How an approval begins: written for a decision, asked of the first level of its ladder that has anybody in it."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, update

from domain.approval import Side
from domain.bands import Level, ladder_of
from domain.calendars import add_open_time
from domain.ids import approval_target
from domain.people import Person
from domain.policy import Policy
from ledger import delegations, mails, people, reference, situations
from ledger.approval import levels
from ledger.approval.sides import sides_of, words_of
from ledger.outbox import search_attributes
from ledger.tables import approval, approval_side
from ledger.transaction import Transaction


class Request(NamedTuple):
    """What is to be approved. `barred` are people who may never approve it; `facts` is what the page says.

    `sides` are the places of which each needs its own people's word, as many as the quorum says (a transfer between two
    entities); the request's own place is the first of them. Without, the place's people alone are asked.
    """

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
    sides: Sequence[reference.Place] = ()


async def open_approval(tx: Transaction, request: Request) -> int:
    """Write the request, mail the first level of the ladder that has people enough, and start its clock.

    Raises `ValueError` for sides that are not at least two different places, the first of them the request's own.
    """
    ladder = ladder_of(request.level, request.policy.approvals.ladder(request.kind))
    barred = sorted({request.requester, *request.barred})
    quorum = request.policy.approvals.quorum_of(request.kind, request.level)
    asked = await levels.first_levels(tx.conn, _sides(request, ladder), quorum, barred)
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
                    barred=barred,
                    roles=list(ladder),
                    level=0,
                    quorum=sum(side.need for side in asked.sides),
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
    for side in asked.sides if request.sides else ():
        await tx.conn.execute(
            insert(approval_side).values(
                approval_id=row["id"], name=side.name, entity=side.entity, region=side.region, need=side.need
            )
        )
    row = await _ask(tx, row, asked, request.place, request.policy, request.at, previous_due=request.at)
    tx.record(
        "approval.opened",
        f"approval:{row['id']}",
        request.at,
        after={"kind": request.kind, "amount_minor": request.amount_minor, "quorum": row["quorum"]},
    )
    tx.start(approval_target(row["id"]), "approval", situations.of_approval_row(row, 1), search_attributes(row))
    return int(row["id"])


def _sides(request: Request, ladder: tuple[str, ...]) -> list[Side]:
    """What is asked, with nothing settled yet."""
    if not request.sides:
        place = request.place
        return [Side("", place.entity, place.region, place.code, ladder, 0)]
    codes = [place.code for place in request.sides]
    if len(set(codes)) < max(len(codes), 2) or codes[0] != request.place.code:
        raise ValueError("sides are at least two different places, the first of them the request's own")
    return [Side(place.code, place.entity, place.region, place.code, ladder, 0) for place in request.sides]


async def ask_level(
    tx: Transaction,
    row: RowMapping,
    place: reference.Place,
    policy: Policy,
    at: datetime,
    *,
    previous_due: datetime,
) -> RowMapping:
    """Ask the next level that has people enough; one that has not is passed over together with it."""
    sides = (await sides_of(tx.conn, [row]))[row["id"]]
    words = (await words_of(tx.conn, [row["id"]])).get(row["id"], [])
    asked = await levels.next_levels(tx.conn, sides, words, row["level"], row["barred"])
    return await _ask(tx, row, asked, place, policy, at, previous_due=previous_due)


async def _ask(
    tx: Transaction,
    row: RowMapping,
    asked: levels.Asked,
    place: reference.Place,
    policy: Policy,
    at: datetime,
    *,
    previous_due: datetime,
) -> RowMapping:
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
                    level=asked.level,
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
    await mail_approvers(tx, changed, asked.people, f"level:{asked.level}", at)
    if not asked.is_enough:
        await _alert_admins(tx, changed, at)
    return changed


async def mail_approvers(
    tx: Transaction, row: RowMapping, asked: Collection[Person], occasion: str, at: datetime
) -> None:
    """One mail to each, and to those who stand in for them today; whoever may not approve it gets none."""
    substitutes = await delegations.delegates(tx.conn, [one.id for one in asked], await tx.now())
    told = {one.id for one in asked} | {one.id for some in substitutes.values() for one in some}
    for person_id in sorted(told - set(row["barred"])):
        await _mail(tx, row, "approval_request", person_id, occasion, at)


async def _alert_admins(tx: Transaction, row: RowMapping, at: datetime) -> None:
    """Nobody, or too few, can approve it: whoever hands out roles is told while the clock still runs."""
    admins = await people.holders_of_role(
        tx.conn, "admin", entity=row["entity"], region=row["region"], location=row["location"]
    )
    for one in admins:
        await _mail(tx, row, "approval_unanswerable", one.id, f"unanswerable:{row['level']}", at)
    tx.record("approval.unanswerable", f"approval:{row['id']}", at, after={"told": [one.id for one in admins]})


async def _mail(tx: Transaction, row: RowMapping, template: str, person_id: str, occasion: str, at: datetime) -> None:
    await mails.queue(
        tx,
        template=template,
        dedupe_key=f"approval:{row['id']}:{occasion}:{person_id}",
        not_before=at,
        person_id=person_id,
        approval_id=row["id"],
        case_id=row["case_id"],
        journey_id=row["journey_id"],
        context={"occasion": occasion.split(":", maxsplit=1)[0]},
    )
