"""The steps of the claim workflow: those of its own, and what it says about those that every journey has."""

from datetime import datetime
from typing import override

from sqlalchemy import RowMapping

from domain.case import CaseOption
from domain.claim import ClaimState
from domain.errors import StateConflict
from domain.messages import Message, Situation, Step
from ledger import case
from ledger.case.offers import refused_stay_refused
from ledger.claim import asking, dues, preparing, settling
from ledger.claim.document import Claim, Moment
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, cause_of, nothing_to_attend, take_step
from ledger.transaction import Transaction


async def settle_approval(database: Database, step: Step) -> Situation:
    """Somebody has agreed, or has not: it goes out, or ends and leaves what it froze to the next claim."""

    async def settle(it: Claim) -> str:
        return await preparing.settle_approval(it, Moment(cause_of(it, "settle_approval", step), step.at))

    def is_done(row: RowMapping) -> bool:
        asks = row["asks"]
        return row["state"] != ClaimState.PREPARED or not (
            asks.get("verdict") and asks.get("approval_id") == step.approval_id
        )

    return await take_step(database, "settle_approval", step, Claim, settle, unless=is_done)


class ClaimSteps(JourneySteps[Claim]):
    """A claim: what is given up above its limit is approved; what nobody agrees to is asked again."""

    word = "claim"

    @override
    async def to_approve(self, it: Claim, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        amount = sum(abs(effect.amount_minor) for effect in option.consequence.money)
        return Asked("write_off", amount, facts={"vendor": it.vendor, "agreement": it.agreement["number"]})

    @override
    async def carry_out(self, it: Claim, decision: RowMapping, at: datetime) -> str:
        moment = Moment(f"decision:{decision['id']}", at)
        return await settling.carry_out(it, decision["option_id"], decision["parameters"], moment)

    @override
    async def carried_out(self, it: Claim, at: datetime) -> None:
        it.row["asks"] = {}
        for name in it.row["detail"].pop("waits", ()):  # it fell due while another question was open
            if name not in it.row["dues"] and not it.is_final:
                it.due(name, at)

    @override
    async def refuse(self, it: Claim, decision: RowMapping, because: str, at: datetime) -> None:
        await self._again(it, decision, because, at, rejected=None)

    @override
    async def not_approved(self, it: Claim, decision: RowMapping, because: str, at: datetime) -> None:
        rejected = CaseOption.model_validate(decision["option"] | {"allowed": False, "why_not": because})
        await self._again(it, decision, because, at, rejected=rejected)

    async def _again(
        self, it: Claim, decision: RowMapping, because: str, at: datetime, *, rejected: CaseOption | None
    ) -> None:
        options = asking.options_now(it)
        if rejected is not None:
            options = refused_stay_refused([rejected], options)
        await case.give_back(it.tx, decision["case_id"], because, at, options=options or None)
        kept = {name: it.row["asks"][name] for name in ("about", "waits_for") if name in it.row["asks"]}
        it.row["asks"] = {"case_id": decision["case_id"], **kept}

    @override
    def abandoning(self, it: Claim) -> CaseOption:
        gone = bool(it.head["is_billed"])
        return CaseOption(
            id="abandon",
            label="End the claim; what it claims belongs to the next one",
            rank=2,
            allowed=not gone,
            why_not=f"{it.vendor} has it already" if gone else None,
        )


async def abandon(tx: Transaction, row: RowMapping, at: datetime) -> str:
    """End a suspended claim that has not gone out. The journey is locked, with the case that says so."""
    it = await Claim.load(tx, row)
    await it.lock_cases()
    it.row["suspended_from"] = None
    if it.head["is_billed"]:
        raise StateConflict(f"{it.vendor} has the claim already; resume it and settle what is open of it.")
    await it.answer_asks("the claim was ended", at)
    await preparing.withdraw(it)
    it.drop_dues(*it.row["dues"])
    await it.save(at)
    tx.tell(it.id, Message.CLAIM_SETTLED)
    return "The claim was ended; what it claims belongs to the next claim."


on_due = dues.on_due
attend = nothing_to_attend  # nothing is ever left for a claim to take up
_STEPS = ClaimSteps(Claim)
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend
