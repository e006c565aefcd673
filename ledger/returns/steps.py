"""The steps of the returns workflow: what a return says about those that every journey has."""

from datetime import datetime
from typing import override

from sqlalchemy import RowMapping, update

from domain.case import CaseOption
from domain.errors import NothingOffered
from domain.messages import Situation, Step
from domain.returns import NOT_REFUNDED, ReturnState
from domain.words import money
from ledger import case
from ledger.case.offers import refused_stay_refused
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, take_step
from ledger.returns import agreeing, dues, exchange, overriding, refunding, settling
from ledger.returns.document import Return
from ledger.returns.goods import Decided
from ledger.tables import return_disposition
from ledger.transaction import Transaction


class ReturnSteps(JourneySteps[Return]):
    """A return: a refund above its limit, or of a high score, is approved; one that is refused stays to be decided."""

    word = "return"

    @override
    async def load(self, tx: Transaction, row: RowMapping) -> Return:
        it = await super().load(tx, row)
        await it.lock_goods()
        return it

    @override
    async def to_approve(self, it: Return, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        amount = sum(abs(effect.amount_minor) for effect in option.consequence.money)
        return Asked("refund", amount, facts={"order": it.order, "score": it.row["detail"]["fraud"]})

    @override
    async def carry_out(self, it: Return, decision: RowMapping, at: datetime) -> str:
        option, cause = decision["option_id"], f"decision:{decision['id']}"
        if option in ("as_proposed", "as_inspected"):
            return await _dispose(it, option, cause, at)
        if option == "accept":
            return _accept(it)
        if option == "decline":
            await it.mail_customer("return_declined", cause, at)
            return await _decline(it, at)
        return _grant(it, decision)

    @override
    async def carried_out(self, it: Return, at: datetime) -> None:
        """The case is closed: what it kept back goes on."""
        it.row["asks"] = {}
        at = await it.tx.now(it.row["clock_offset_s"])
        if it.state not in (ReturnState.DECLINED, ReturnState.CANCELLED):
            await settling.settle(it, f"answered:{it.id}:{it.row['version']}", at)

    @override
    async def refuse(self, it: Return, decision: RowMapping, because: str, at: datetime) -> None:
        await self._give_back(it, decision, because, None, at)

    @override
    async def not_approved(self, it: Return, decision: RowMapping, because: str, at: datetime) -> None:
        rejected = CaseOption.model_validate(decision["option"] | {"allowed": False, "why_not": because})
        await self._give_back(it, decision, because, rejected, at)

    async def _give_back(
        self, it: Return, decision: RowMapping, because: str, rejected: CaseOption | None, at: datetime
    ) -> None:
        options = None
        if it.row["detail"].get("under_review"):
            options = settling.review_options(it, refunding.refund_due(it))
            if rejected is not None:
                options = refused_stay_refused([rejected], options)
        await case.give_back(it.tx, decision["case_id"], because, at, options=options)
        it.row["asks"] = {"case_id": decision["case_id"]}

    @override
    def abandoning(self, it: Return) -> CaseOption:
        return CaseOption(id="abandon", label="End the return; nothing more is refunded", rank=2)


async def _dispose(it: Return, option: str, cause: str, at: datetime) -> str:
    """What waited for somebody's word gets its disposition."""
    rows = await settling.asked_about(it)
    decided = Decided(it, cause, at, it.tx.actor)
    for row in rows:
        line = it.lines[row["line_id"]]
        line["asked"] -= row["quantity"]
        chosen = row["proposed"] if option == "as_proposed" else row["disposition"]
        await it.tx.conn.execute(
            update(return_disposition).where(return_disposition.c.id == row["id"]).values(state="overruled")
        )
        await decided.record(
            line,
            row["quantity"],
            condition=row["condition"],
            proposed=row["proposed"],
            disposition=chosen,
            state="applied",
            reason=row["reason"],
        )
    await decided.post()
    if any(row["disposition" if option == "as_inspected" else "proposed"] in NOT_REFUNDED for row in rows):
        await it.mail_customer("return_declined", cause, at)
    unpaid = any(row["disposition"] in NOT_REFUNDED for row in rows) and option == "as_inspected"
    said = "As it was inspected." if option == "as_inspected" else "As the rule proposes."
    return f"{said} These units are not refunded." if unpaid else said


def _accept(it: Return) -> str:
    """Taken back without a receipt: looked at before anything is paid, and paid as a credit."""
    for line in it.lines.values():
        line["ruling"] = line["ruling"] | {"asks": False}
    if it.state is ReturnState.REQUESTED:
        it.go(ReturnState.AUTHORIZED)
    return "It is taken back without a receipt."


async def _decline(it: Return, at: datetime) -> str:
    """Not refunded. What is here goes back to the customer when it is inspected."""
    for line in it.lines.values():
        if not line["refunded"]:
            line["ruling"] = line["ruling"] | {
                "asks": False,
                "refused": line["ruling"].get("refused") or "suspected_fraud",
            }
    it.row["detail"].pop("under_review", None)
    await exchange.take_off(it, "the return was declined", at)
    if not any(line["received"] for line in it.lines.values()):
        it.go(ReturnState.DECLINED)
        return "Declined."
    return "Declined; the goods go back to the customer."


def _grant(it: Return, decision: RowMapping) -> str:
    """The refund may be paid, up to what was looked at. Raises `NothingOffered` where more is due by now."""
    option = CaseOption.model_validate(decision["option"])
    looked_at = sum(effect.amount_minor for effect in option.consequence.money)
    due = refunding.refund_due(it)
    if due.total_minor > looked_at:
        raise NothingOffered(
            f"{money(due.total_minor, it.row['currency'])} are due by now, more than was looked at; look at it again."
        )
    it.row["detail"]["granted_minor"] = looked_at
    if option.id == "pay_credit":
        it.row["detail"]["credit_only"] = "store_credit"
    return f"{option.label}."


_STEPS = ReturnSteps(Return)
on_due = dues.on_due
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend


async def attend(database: Database, step: Step) -> Situation:
    """Somebody has answered what was asked of them without a case."""

    async def take_up(it: Return) -> str:
        await it.lock_goods()
        cause = f"step:{it.id}:attend:{step.occurrence}"
        told = [await overriding.heed(it, f"{cause}:override", step.at)]
        if agreeing.has_answered(it):
            told.append(await settling.heed(it, cause, step.at))
        return " ".join(one for one in told if one)

    return await take_step(database, "attend", step, Return, take_up)
