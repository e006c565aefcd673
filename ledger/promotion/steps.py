"""The steps of the promotion workflow: those of its own, and what it says about those that every journey has."""

from datetime import datetime
from typing import Never, override

from sqlalchemy import RowMapping, select

from domain.case import CaseOption
from domain.errors import StateConflict
from domain.messages import Message, Situation, Step
from domain.promotion import PRICES_DUE, PromotionState
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, nothing_to_attend, take_step
from ledger.promotion import agreeing, cases, dues, publishing
from ledger.promotion.document import Promotion
from ledger.promotion.ending import finish_if_over
from ledger.promotion.publishing import Task
from ledger.steps import take_journey_step
from ledger.tables import publication
from ledger.transaction import Transaction

S = PromotionState


async def settle_agreement(database: Database, step: Step) -> Situation:
    """Somebody has agreed, or has not: ask the next, go on, or make it a draft again."""

    def is_done(row: RowMapping) -> bool:
        asks = row["asks"]
        return row["state"] != S.PENDING_APPROVAL or not asks.get("verdict") or asks["approval_id"] != step.approval_id

    return await take_step(
        database, "settle_agreement", step, Promotion, lambda it: agreeing.settle(it, step.at), unless=is_done
    )


async def end_slice(database: Database, step: Step, task: Task, *, is_made: bool, away: str) -> Situation:
    """A channel was talked to for a while. Where its run is over, it is done, tried again later, or asked about.

    `is_made`: all its rows are there; `away`: why it could not be spoken to at all, which ends the run.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        found = (await tx.conn.execute(select(publication).where(publication.c.id == task.number))).mappings().one()
        if found["done_at"] is not None or found["run"] != task.run:
            return ""
        is_over = bool(away) or (is_made and not await publishing.is_untried(tx.conn, task))
        if not is_over:
            tx.tell(step.subject, Message.PRICES_TRIED)
            return ""
        it = await Promotion.load_with_cases(tx, row)
        told = await _run_over(it, found, away, step.at, is_made=is_made)
        await it.save(step.at)
        tx.tell(step.subject, Message.PRICES_TRIED)
        return told

    return await take_journey_step(database, "publish", step, work)


async def _run_over(it: Promotion, row: RowMapping, away: str, at: datetime, *, is_made: bool) -> str:
    channel, what = row["channel"], "taken back" if row["phase"] == "revert" else "published"
    wrong = await publishing.pending(it.tx.conn, row["id"])
    if not wrong and is_made:
        await publishing.close(it, row, at)
        it.drop_dues(PRICES_DUE + channel)
        await cases.healed(it, row, f"{channel} shows every price as it should", at)
        told = f"{channel}: all {row['prices']:,} prices are {what} and seen."
        return f"{told} The promotion is over." if await finish_if_over(it, at) else told
    then = await publishing.next_run(it, row, wrong, away, at)
    told = f"{channel}, run {row['run']}: {away or f'{wrong:,} of {row["prices"]:,} prices are not right'}."
    told += f" Tried again {it.local(then)}."
    if row["run"] >= it.policy.promotion.case_after_runs:
        ref = await cases.open_or_refresh(it, row, wrong, away, at)
        told += f" Case {ref.id}."
    return told


class PromotionSteps(JourneySteps[Promotion]):
    """A promotion: its cases are decided by themselves, so no decision ever waits for it."""

    word = "promotion"

    @override
    async def to_approve(self, it: Promotion, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        _waits_for_none()

    @override
    async def carry_out(self, it: Promotion, decision: RowMapping, at: datetime) -> str:
        _waits_for_none()

    @override
    async def refuse(self, it: Promotion, decision: RowMapping, because: str, at: datetime) -> None:
        _waits_for_none()

    @override
    async def not_approved(self, it: Promotion, decision: RowMapping, because: str, at: datetime) -> None:
        _waits_for_none()

    @override
    def abandoning(self, it: Promotion) -> CaseOption:
        taking_back = it.state is S.REVERTING
        return CaseOption(
            id="abandon",
            label="End the promotion; its prices are taken back",
            rank=2,
            allowed=not taking_back,
            why_not="its prices are being taken back already" if taking_back else None,
        )


def _waits_for_none() -> Never:
    raise StateConflict("A promotion waits for no decision; its cases are applied by themselves.")


_STEPS = PromotionSteps(Promotion)
on_due = dues.on_due
attend = nothing_to_attend  # a promotion is never given stock
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend
