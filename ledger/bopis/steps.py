"""The steps of the BOPIS workflow: those of its own, and what it says about those that every journey has."""

from datetime import datetime, timedelta
from typing import override

from sqlalchemy import RowMapping

from domain.bopis import BopisState
from domain.calendars import add_open_time
from domain.case import CaseOption, Consequence
from domain.messages import Situation, Step
from domain.words import local, units
from ledger import case
from ledger.bopis import asking, cases, decisions, dues, waiting
from ledger.bopis.order import Order
from ledger.bopis.ways_out import ways_out
from ledger.case.offers import refused_stay_refused
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, is_asking, take_step


async def open_case(database: Database, step: Step) -> Situation:
    """The order cannot be kept as it is: ask its customer, where policy and the customer allow that, or open a case
    with ranked and priced ways out. Does nothing when it healed meanwhile.
    """

    async def look(order: Order) -> str:
        if told := await asking.by_policy(order, step.at):
            return told
        ref = await cases.ask_for_way_out(order, step.at)
        return f"Case {ref.id} opened: somebody has to choose a way out."

    def is_done(row: RowMapping) -> bool:
        return row["state"] != BopisState.RESERVATION_FAILED or is_asking(row)

    return await take_step(database, "open_case", step, Order, look, unless=is_done)


class OrderSteps(JourneySteps[Order]):
    """An order: a refund above its limit is approved; whatever is refused is offered again with the other ways out."""

    word = "order"

    @override
    async def to_approve(self, it: Order, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        amount = sum(abs(effect.amount_minor) for effect in option.consequence.money)
        return Asked("refund", amount, facts={})

    @override
    async def carry_out(self, it: Order, decision: RowMapping, at: datetime) -> str:
        option, parameters = decision["option_id"], decision["parameters"]
        await it.lock_goods(decisions.places(it, option, parameters))
        return await decisions.apply(it, option, parameters, f"decision:{decision['id']}", at)

    @override
    async def carried_out(self, it: Order, at: datetime) -> None:
        if not it.shorts():
            await waiting.end(it)
        it.row["asks"] = {name: value for name, value in it.row["asks"].items() if name == "offer_id"}
        it.row["detail"]["failure"] = it.row["detail"].get("failure") if it.row["asks"] else None

    @override
    async def refuse(self, it: Order, decision: RowMapping, because: str, at: datetime) -> None:
        await _give_back(it, decision, because, await ways_out(it), at)

    @override
    async def not_approved(self, it: Order, decision: RowMapping, because: str, at: datetime) -> None:
        await it.lock_goods()
        rejected = CaseOption.model_validate(decision["option"] | {"allowed": False, "why_not": because})
        await _give_back(it, decision, because, refused_stay_refused([rejected], await ways_out(it)), at)

    @override
    def abandoning(self, it: Order) -> CaseOption:
        return CaseOption(
            id="abandon",
            label="End the order, undo everything",
            rank=2,
            consequence=Consequence(customer="Gets no goods and the whole amount back."),
        )


async def _give_back(order: Order, decision: RowMapping, because: str, options: list[CaseOption], at: datetime) -> None:
    await case.give_back(order.tx, decision["case_id"], because, at, options=options)
    order.row["asks"] = {"case_id": decision["case_id"]}
    await waiting.wait_again(order, at)


_STEPS = OrderSteps(Order)
on_due = dues.on_due
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend


async def attend(database: Database, step: Step) -> Situation:
    """Take up what others left for this order: units that turned up are its own now, a doubted one is to be
    verified.
    """

    async def take_up(order: Order) -> str:
        await order.lock_goods()
        told = [f"Turned up and reserved: {units(order.taken_up)}."] if order.taken_up else []
        if order.fell_short:
            told.append(f"Of what was to come, {units(order.fell_short)} will not.")
        told += await _doubt(order, step.at)
        return " ".join(told)

    return await take_step(database, "attend", step, Order, take_up)


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
