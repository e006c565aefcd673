"""The steps of the BOPIS workflow. Each yields to what was recorded first: then it changes nothing and answers with
what is true.
"""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, update

from domain.bopis import BopisState
from domain.calendars import add_open_time
from domain.case import CaseOption
from domain.errors import DomainError
from domain.messages import Situation, Step
from domain.words import local, money, units
from ledger import answers, approval, case
from ledger.bopis import asking, cases, decisions, waiting
from ledger.bopis.order import Order
from ledger.bopis.ways_out import ways_out
from ledger.case.offers import refused_stay_refused
from ledger.engine import Database
from ledger.steps import take_journey_step
from ledger.tables import case_decision
from ledger.transaction import Transaction


async def open_case(database: Database, step: Step) -> Situation:
    """The order cannot be kept as it is: ask its customer, where policy and the customer allow that, or open a case
    with ranked and priced ways out. Does nothing when it healed meanwhile.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["state"] != BopisState.RESERVATION_FAILED or row["asks"].get("case_id"):
            return ""
        order = await Order.load(tx, row)
        await order.lock_cases()
        told = await asking.by_policy(order, step.at)
        if not told:
            ref = await cases.ask_for_way_out(order, step.at)
            told = f"Case {ref.id} opened: somebody has to choose a way out."
        if not order.is_loaded:
            await order.load_money()
        await order.save(step.at)
        return told

    return await take_journey_step(database, "open_case", step, work)


async def open_approval(database: Database, step: Step) -> Situation:
    """A decision needs somebody's approval before it is applied; the order stands as it is until then."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None or row["asks"].get("approval_id"):
            return ""
        order = await Order.load(tx, row)
        await order.lock_cases()
        option = CaseOption.model_validate(decision["option"])
        amount = sum(abs(effect.amount_minor) for effect in option.consequence.money)
        approval_id = await approval.open_approval(
            tx,
            approval.Request(
                kind="refund",
                subject=f"{option.label}: order {order.row['key']}",
                place=order.place,
                policy=order.policy,
                at=step.at,
                requester=decision["decided_by"],
                barred=[],
                amount_minor=amount,
                facts={
                    "order": order.row["key"],
                    "option": option.model_dump(mode="json"),
                    "store": order.place.name,
                    "note_id": decision["note_id"],
                },
                journey_id=order.id,
                case_id=decision["case_id"],
                decision_id=decision["id"],
                clock_offset_s=order.row["clock_offset_s"],
            ),
        )
        await tx.conn.execute(
            update(case_decision)
            .where(case_decision.c.id == decision["id"])
            .values(state="awaiting_approval", approval_id=approval_id)
        )
        order.row["asks"] |= {"approval_id": approval_id}
        await order.load_money()
        await order.save(step.at)
        return f"Approval {approval_id} asked for {money(amount, order.row['currency'])}."

    return await take_journey_step(database, "open_approval", step, work)


async def give_back(database: Database, step: Step) -> Situation:
    """A decision was not approved: the case goes back to its owner with its other options."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None:
            return ""
        order = await Order.load(tx, row)
        await order.lock_cases()
        because = await answers.not_approved(tx, row)
        await order.lock_goods()
        rejected = CaseOption.model_validate(decision["option"] | {"allowed": False, "why_not": because})
        options = refused_stay_refused([rejected], await ways_out(order))
        await _refuse(order, decision, because, options, step.at)
        return because

    return await take_journey_step(database, "give_back", step, work)


async def _refuse(order: Order, decision: RowMapping, because: str, options: list[CaseOption], at: datetime) -> None:
    await order.tx.conn.execute(
        update(case_decision).where(case_decision.c.id == decision["id"]).values(state="refused", reason=because)
    )
    await case.give_back(order.tx, decision["case_id"], because, at, options=options)
    order.row["asks"] = {"case_id": decision["case_id"]}
    await waiting.wait_again(order, at)
    await order.save(at)


async def apply_decision(database: Database, step: Step) -> Situation:
    """Apply the way out that was chosen and approved; where it is not there any more, the case goes back, saying
    why.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        decision = await answers.pending(tx, row, step.decision_id)
        if decision is None:
            return ""
        order = await Order.load(tx, row)
        await order.lock_cases()
        option, parameters = decision["option_id"], decision["parameters"]
        await order.lock_goods(decisions.places(order, option, parameters))
        cause = f"decision:{decision['id']}"
        try:
            done = await decisions.apply(order, option, parameters, cause, step.at)
        except DomainError as refusal:
            await _refuse(order, decision, refusal.detail, await ways_out(order), step.at)
            return f"Not applied: {refusal.detail}"
        await tx.conn.execute(update(case_decision).where(case_decision.c.id == decision["id"]).values(state="applied"))
        await case.resolve(tx, decision["case_id"], option, done, step.at, by=decision["decided_by"])
        if not order.shorts():
            await waiting.end(order)
        order.row["asks"] = {name: value for name, value in order.row["asks"].items() if name == "offer_id"}
        order.row["detail"]["failure"] = order.row["detail"].get("failure") if order.row["asks"] else None
        await order.save(step.at)
        return done

    return await take_journey_step(database, "apply_decision", step, work)


async def attend(database: Database, step: Step) -> Situation:
    """Take up what others left for this order: units that turned up are its own now, a doubted one is to be
    verified.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        order = await Order.load(tx, row)
        await order.lock_cases()
        await order.lock_goods()
        told = [f"Turned up and reserved: {units(order.taken_up)}."] if order.taken_up else []
        told += await _doubt(order, step.at)
        await order.save(step.at)
        return " ".join(told)

    return await take_journey_step(database, "attend", step, work)


async def _doubt(order: Order, at: datetime) -> list[str]:
    doubted = [row for row in order.holds if row["doubted_at"] is not None and row["line_id"] in order.lines]
    doubted = [row for row in doubted if row["reserved"] > 0]
    if not doubted or "verify" in order.row["dues"] or order.is_final:
        return []
    span = timedelta(seconds=order.policy.bopis.verify_open_s)
    until = add_open_time(at, span, order.place.staff_hours)
    order.due("verify", until)
    zone = order.place.hours.time_zone
    return [f"The till sold a promised unit. The store has until {local(until, zone)} to pick it or to say it is gone."]


async def suspend(database: Database, step: Step) -> Situation:
    """An unexpected failure: the journey stops where it is, nothing is lost, and an admin is asked."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        if row["suspended_from"] is not None or row["closed_at"] is not None:
            return ""
        order = await Order.load(tx, row)
        await order.lock_cases()
        order.row["suspended_from"] = row["state"]
        ref = await cases.journey_stuck(order, step.reason, step.at)
        await order.load_money()
        await order.save(step.at)
        return f"Suspended after an unexpected failure; case {ref.id}."

    return await take_journey_step(database, "suspend", step, work)
