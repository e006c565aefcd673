"""The steps of the count workflow. Each yields to what was recorded first: then it changes nothing and answers with
what is true.
"""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, update

from domain.bands import Level
from domain.case import CaseOption
from domain.count import CountState, Difference
from domain.errors import DomainError, NothingOffered, OwnRequest
from domain.messages import Situation, Step
from domain.words import local, money
from ledger import answers, approval, case
from ledger.count.comparing import Compared, compare, compared, count_again, level_of, options_of, settle
from ledger.count.feeding import post_when_the_feed_allows
from ledger.count.sheet import LineKey, Sheet
from ledger.engine import Database
from ledger.steps import take_journey_step
from ledger.tables import case_decision, case_file
from ledger.transaction import Transaction

_POSTS = {"post_first": -1, "post_second": 0}  # the round that is posted, beside the present one


async def compare_counts(database: Database, step: Step) -> Situation:
    """The count was handed in: compare it with the book of the instants at which it was counted."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != CountState.SUBMITTED or row["asks"].get("case_id") or "search" in row["dues"]:
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        told = await compare(sheet, step.at)
        await sheet.save(step.at)
        return told

    return await take_journey_step(database, "compare", step, work)


async def count_once_more(database: Database, step: Step) -> Situation:
    """What was proposed is not approved: it is counted again by somebody else."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != CountState.REJECTED:
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        count_again(sheet, sheet.lines_of_round(), step.at, await tx.now())
        await sheet.save(step.at)
        return "It is counted again by somebody else."

    return await take_journey_step(database, "count_again", step, work)


async def post(database: Database, step: Step) -> Situation:
    """Agreed: post it, or wait until the store's till has told everything that happened before it was counted."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != CountState.APPROVED or "feed" in row["dues"] or row["asks"].get("case_id"):
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        told = await post_when_the_feed_allows(sheet, f"step:{sheet.id}:post:{step.occurrence}", step.at)
        await sheet.save(step.at)
        return told

    return await take_journey_step(database, "post", step, work)


async def open_approval(database: Database, step: Step) -> Situation:
    """What was chosen is worth so much that somebody must agree who neither counted nor decided."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None or row["asks"].get("approval_id"):
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        option = CaseOption.model_validate(decision["option"])
        found = await compared(sheet)
        chosen = _chosen(found, option.id)
        level = max(await level_of(sheet, chosen, found.settled, at=step.at), Level.MANAGER)
        amount = sum(one.value_minor for one in chosen.values())
        approval_id = await approval.open_approval(
            tx,
            approval.Request(
                kind="count",
                subject=f"{option.label}: count {row['key']}",
                place=sheet.place,
                policy=sheet.policy,
                at=step.at,
                requester=decision["decided_by"],
                barred=sheet.row["detail"].get("barred", []),
                amount_minor=amount,
                facts={
                    "count": row["key"],
                    "option": option.model_dump(mode="json"),
                    "root_cause": decision["parameters"].get("root_cause"),
                    "store": sheet.place.name,
                    "note_id": decision["note_id"],
                },
                journey_id=sheet.id,
                case_id=decision["case_id"],
                decision_id=decision["id"],
                clock_offset_s=row["clock_offset_s"],
                level=level,
            ),
        )
        await tx.conn.execute(
            update(case_decision)
            .where(case_decision.c.id == decision["id"])
            .values(state="awaiting_approval", approval_id=approval_id)
        )
        sheet.go(CountState.PENDING_APPROVAL)
        sheet.row["asks"] |= {"approval_id": approval_id}
        sheet.row["detail"]["asked_level"] = int(level)
        await sheet.save(step.at)
        return f"Approval {approval_id} asked for {money(amount, sheet.place.currency)}."

    return await take_journey_step(database, "open_approval", step, work)


async def apply_decision(database: Database, step: Step) -> Situation:
    """Do what was chosen and approved; where it is not possible any more the case goes back, saying why."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None:
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        try:
            done = await _apply(sheet, decision, step.at)
        except DomainError as refusal:
            await _return(sheet, decision, refusal.detail, step.at)
            return f"Not applied: {refusal.detail}"
        await tx.conn.execute(update(case_decision).where(case_decision.c.id == decision["id"]).values(state="applied"))
        cause = decision["parameters"].get("root_cause")
        if cause:
            await tx.conn.execute(
                update(case_file).where(case_file.c.id == decision["case_id"]).values(root_cause=cause)
            )
        await case.resolve(tx, decision["case_id"], decision["option_id"], done, step.at, by=decision["decided_by"])
        sheet.row["asks"] = {}
        await sheet.save(step.at)
        return done

    return await take_journey_step(database, "apply_decision", step, work)


async def _apply(sheet: Sheet, decision: RowMapping, at: datetime) -> str:
    """Raises `OwnRequest` for somebody who counted, `NothingOffered` where late reports made it a larger matter."""
    option, detail = decision["option_id"], sheet.row["detail"]
    if option in _POSTS:
        return await _post_round(sheet, decision, at)
    if option == "count_again":
        count_again(sheet, sheet.lines_of_round(), at, await sheet.tx.now())
        return "It is counted again by somebody else."
    if option == "search":
        until = at + timedelta(seconds=sheet.policy.count.search_s)
        sheet.due("search", until)
        return f"Somebody searches until {local(until, sheet.place.hours.time_zone)}; then it is compared again."
    if option == "wait_on":
        detail["feed_wait_from"] = at.isoformat()
        return "Posting waits on for the till."
    detail["feed_waived"] = True
    sheet.drop_due("feed")
    return "It is posted without waiting for the till."


async def _post_round(sheet: Sheet, decision: RowMapping, at: datetime) -> str:
    if decision["decided_by"] in sheet.row["detail"].get("barred", ()):
        raise OwnRequest("Whoever counted does not decide what is posted; it needs somebody else.")
    found = await compared(sheet)
    chosen = _chosen(found, decision["option_id"])
    granted = Level(sheet.row["detail"].get("asked_level", 0)) if decision["approval_id"] else Level.NONE
    if await level_of(sheet, chosen, found.settled, at=at) > granted:
        raise NothingOffered("Late reports have made the difference larger than what was agreed to; look at it again.")
    sheet.row["detail"]["granted"] = int(granted)
    round_ = sheet.round + _POSTS[decision["option_id"]]
    cause = decision["parameters"]["root_cause"]
    settle(sheet, chosen, round_, cause)
    sheet.go(CountState.APPROVED)
    sheet.drop_due("search")
    return f"Count {round_} is posted; cause: {cause.replace('_', ' ')}."


def _chosen(found: Compared, option_id: str) -> dict[LineKey, Difference]:
    return found.before if option_id == "post_first" else found.now


async def _return(sheet: Sheet, decision: RowMapping, because: str, at: datetime) -> None:
    await sheet.tx.conn.execute(
        update(case_decision).where(case_decision.c.id == decision["id"]).values(state="refused", reason=because)
    )
    if sheet.state is CountState.PENDING_APPROVAL:
        sheet.go(CountState.SUBMITTED)
    options = await options_of(sheet, await compared(sheet), at) if sheet.state is CountState.SUBMITTED else None
    await case.give_back(sheet.tx, decision["case_id"], because, at, options=options)
    sheet.row["asks"] = {"case_id": decision["case_id"]}
    await sheet.save(at)


async def give_back(database: Database, step: Step) -> Situation:
    """Not approved, or refused: what was counted is counted again, and its case is closed with the reason."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None:
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        because = await answers.not_approved(tx, row)
        await tx.conn.execute(
            update(case_decision).where(case_decision.c.id == decision["id"]).values(state="refused", reason=because)
        )
        await case.resolve(
            tx, decision["case_id"], "counted_again", f"{because} It is counted again.", step.at, by="endcap"
        )
        sheet.row["asks"] = {}
        sheet.go(CountState.REJECTED)
        await sheet.save(step.at)
        return because

    return await take_journey_step(database, "give_back", step, work)


async def suspend(database: Database, step: Step) -> Situation:
    """An unexpected failure: the count stops where it is, nothing is lost, and an admin is asked."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["suspended_from"] is not None or row["closed_at"] is not None:
            return ""
        sheet = await Sheet.load(tx, row)
        await sheet.lock_cases()
        sheet.row["suspended_from"] = row["state"]
        ref = await case.open_case(
            tx,
            case.Opening(
                kind="journey_stuck",
                subject=sheet.id,
                place=sheet.place,
                policy=sheet.policy,
                at=step.at,
                journey_id=sheet.id,
                channel="store",
                facts={"count": row["key"], "state": row["state"], "reason": step.reason},
                options=(
                    CaseOption(id="resume", label="Resume", rank=1, because="the cause is mended"),
                    CaseOption(id="abandon", label="End the count, post nothing", rank=2),
                ),
                clock_offset_s=row["clock_offset_s"],
                text=f"The journey stopped: {step.reason}",
            ),
        )
        await sheet.save(step.at)
        return f"Suspended after an unexpected failure; case {ref.id}."

    return await take_journey_step(database, "suspend", step, work)


async def attend(database: Database, step: Step) -> Situation:
    """A count is never given stock; there is nothing to take up."""

    async def work(_tx: Transaction, _row: RowMapping) -> str:
        return ""

    return await take_journey_step(database, "attend", step, work)
