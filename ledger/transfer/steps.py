"""The steps of the transfer workflow: those of its own, and what it says about those that every journey has."""

from datetime import datetime
from typing import override

from sqlalchemy import RowMapping, select

from domain.bands import Level
from domain.case import CaseOption
from domain.messages import Situation, Step
from domain.transfer import TO_BE_SHIPPED, TransferState
from domain.words import units
from ledger import case
from ledger.case.offers import refused_stay_refused
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, cause_of, is_asking, take_step
from ledger.tables import journey
from ledger.transfer import agreeing, asking, comparing, dues, settling, unneeded, yielding
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

S = TransferState


def _moment(it: Transfer, name: str, step: Step) -> Moment:
    return Moment(cause_of(it, name, step), step.at)


async def settle_agreement(database: Database, step: Step) -> Situation:
    """Somebody has agreed, or has not: ask the next, reserve and go on, or end it."""

    async def settle(it: Transfer) -> str:
        return await agreeing.settle(it, _moment(it, "settle_agreement", step))

    def is_done(row: RowMapping) -> bool:
        asks = row["asks"]
        return row["state"] != S.PENDING_APPROVAL or not (
            asks.get("verdict") and asks.get("approval_id") == step.approval_id
        )

    return await take_step(database, "settle_agreement", step, Transfer, settle, unless=is_done)


async def compare(database: Database, step: Step) -> Situation:
    """Nothing more comes: settle what is tolerated, ask about the rest."""

    async def look(it: Transfer) -> str:
        await it.lock_goods()
        return await comparing.compare(it, _moment(it, "compare", step))

    def is_done(row: RowMapping) -> bool:
        return row["state"] != S.RECEIVED or is_asking(row)

    return await take_step(database, "compare", step, Transfer, look, unless=is_done)


async def attend(database: Database, step: Step) -> Situation:
    """Take up what others left: the till has sold what was held, a count that was waited for is over, an order needs
    its goods no more.
    """

    async def take_up(it: Transfer) -> str:
        await it.lock_goods()
        moment = _moment(it, "attend", step)
        told = [
            await _give_way(it, moment),
            await _look_at_counts(it, moment),
            await unneeded.take_up(it, moment),
        ]
        return " ".join(filter(None, told))

    return await take_step(database, "attend", step, Transfer, take_up)


async def _give_way(it: Transfer, moment: Moment) -> str:
    """A customer's goods go first: what the till has sold is not sent."""
    given = 0
    for held in it.holds.values():
        if held["doubted_at"] is None:
            continue
        held["doubted_at"] = None
        lacking = -it.tx.shelf.quantity(it.place.code, str(held["sku"]), "available")
        lacking = min(held["reserved"], max(lacking, 0))
        if lacking:
            yielding.give_up(it, held, lacking, "available", "sold", moment)
            given += lacking
    if not given:
        return ""
    await yielding.stand_after(it, moment)
    return f"Sold at {it.place.name} meanwhile: {units(given)} less are sent."


async def _look_at_counts(it: Transfer, moment: Moment) -> str:
    """A recount is over: what does not add up is asked about again."""
    if "recount" not in it.row["dues"] or not await counts_are_over(it):
        return ""
    it.drop_dues("recount")
    if it.state is not S.DISCREPANCY_REVIEW or it.row["asks"].get("case_id"):
        return ""
    return f"It was counted. {await comparing.compare(it, moment)}"


async def counts_are_over(it: Transfer) -> bool:
    """Whether nothing is counted any more because of this transfer."""
    asked = it.row["detail"].get("recounts", [])
    still = select(journey.c.id).where(journey.c.id.in_(asked), journey.c.closed_at.is_(None)).limit(1)
    return (await it.tx.conn.execute(still)).first() is None


class TransferSteps(JourneySteps[Transfer]):
    """A transfer: what is written off above its limit is approved; what nobody agrees to is asked again."""

    word = "transfer"

    @override
    async def to_approve(self, it: Transfer, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        return Asked(
            "write_off",
            sum(abs(effect.amount_minor) for effect in option.consequence.money),
            facts={"root_cause": decision["parameters"].get("root_cause")},
            barred=it.row["detail"].get("barred", []),
            level=Level.MANAGER,
        )

    @override
    async def carry_out(self, it: Transfer, decision: RowMapping, at: datetime) -> str:
        await it.lock_goods()
        moment = Moment(f"decision:{decision['id']}", at)
        it.row["detail"]["decided"] = decision["option_id"]
        return await settling.carry_out(it, decision["option_id"], decision["parameters"], moment)

    @override
    async def carried_out(self, it: Transfer, at: datetime) -> None:
        option = it.row["detail"].pop("decided")
        it.row["asks"] = {}
        await settling.after_decision(it, option, Moment(f"after:{it.id}:{it.row['version']}", at))
        for name in it.row["detail"].pop("waits", ()):  # it fell due while another question was open
            if name not in it.row["dues"] and not it.row["asks"]:
                it.due(name, at)

    @override
    async def refuse(self, it: Transfer, decision: RowMapping, because: str, at: datetime) -> None:
        it.row["detail"].pop("decided", None)
        await self._again(it, decision, because, at, rejected=None)

    @override
    async def not_approved(self, it: Transfer, decision: RowMapping, because: str, at: datetime) -> None:
        rejected = CaseOption.model_validate(decision["option"] | {"allowed": False, "why_not": because})
        await self._again(it, decision, because, at, rejected=rejected)

    async def _again(
        self, it: Transfer, decision: RowMapping, because: str, at: datetime, *, rejected: CaseOption | None
    ) -> None:
        options = asking.options_now(it)
        if rejected is not None:
            options = refused_stay_refused([rejected], options)
        await case.give_back(it.tx, decision["case_id"], because, at, options=options or None)
        it.row["asks"] = {"case_id": decision["case_id"]}

    @override
    def abandoning(self, it: Transfer) -> CaseOption:
        out = it.quantities().in_transit
        return CaseOption(
            id="abandon",
            label="End the transfer, nothing is sent",
            rank=2,
            allowed=it.state in TO_BE_SHIPPED or it.state is TransferState.PENDING_APPROVAL,
            why_not=f"{units(out)} are on their way" if out else "goods have moved already",
        )


_STEPS = TransferSteps(Transfer)
on_due = dues.on_due
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend
