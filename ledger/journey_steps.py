"""The steps that every kind of journey has: somebody's answer is approved, carried out or given back, something falls
due, a failure suspends.

A journey says in its own `steps.py` what differs. Each step yields to what was recorded first: then it changes nothing
and answers with what is true.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, update

from domain.bands import Level
from domain.case import CaseOption
from domain.errors import DomainError
from domain.messages import Situation, Step
from domain.words import money
from ledger import answers, case
from ledger.document import Document
from ledger.engine import Database
from ledger.steps import take_journey_step
from ledger.tables import case_decision, case_file
from ledger.transaction import Transaction


@dataclass(frozen=True)
class Asked:
    """What a decision has approved. `barred` are people who may never approve it, beside whoever decided; `facts` is
    what the page says beside the option, the place and the note.
    """

    kind: str
    amount_minor: int
    facts: Mapping[str, Any]
    barred: Sequence[str] = ()
    level: Level = Level.MANAGER


_RESUMING = CaseOption(id="resume", label="Resume", rank=1, because="the cause is mended")

type FallsDue[T: Document] = Callable[[T, str, str, datetime], Awaitable[str]]


async def take_step[T: Document](
    database: Database,
    name: str,
    step: Step,
    document: type[T],
    act: Callable[[T], Awaitable[str]],
    *,
    unless: Callable[[RowMapping], bool] = lambda _row: False,
) -> Situation:
    """A step of one kind of journey: load it with its cases locked, act, save. `act` returns the sentence for the
    timeline.

    Nothing happens where `unless` says of the journey's row that something else was recorded first.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        if unless(row):
            return ""
        it = await document.load_with_cases(tx, row)
        told = await act(it)
        await it.save(step.at)
        return told

    return await take_journey_step(database, name, step, work)


async def take_due[T: Document](database: Database, step: Step, document: type[T], falls_due: FallsDue[T]) -> Situation:
    """The due instant `step.due` has come; nothing happens where it was put off or dropped first.

    `falls_due` is given the journey, the name of the due instant, its cause and its time, and returns the sentence for
    the timeline.
    """
    due = step.due or ""

    def was_put_off(row: RowMapping) -> bool:
        at = row["dues"].get(due)
        return at is None or datetime.fromisoformat(at) > step.at

    async def act(it: T) -> str:
        it.row["dues"].pop(due)
        return await falls_due(it, due, cause_of(it, due, step), step.at)

    return await take_step(database, "on_due", step, document, act, unless=was_put_off)


def is_asking(row: RowMapping) -> bool:
    """Whether a journey waits for the answer to a case."""
    return bool(row["asks"].get("case_id"))


def cause_of(it: Document, name: str, step: Step) -> str:
    """What the movements and postings of a step are caused by."""
    return f"step:{it.id}:{name}:{step.occurrence}"


class JourneySteps[T: Document](ABC):
    """What a kind of journey says for itself. `word` is what people call it: "order", "count"."""

    word: str

    def __init__(self, document: type[T]) -> None:
        self._document = document

    async def load(self, tx: Transaction, row: RowMapping) -> T:
        """The journey of a locked row, with its cases locked, and with all else that every answer needs locked."""
        return await self._document.load_with_cases(tx, row)

    @abstractmethod
    async def to_approve(self, it: T, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        """What somebody has to agree to before the decision is carried out."""

    async def waits_for_approval(self, it: T, asked: Asked) -> None:  # noqa: B027  most have nothing to add
        """The approval has been asked for; what else changes until there is a verdict."""

    @abstractmethod
    async def carry_out(self, it: T, decision: RowMapping, at: datetime) -> str:
        """Do what was decided; a refusal (`DomainError`) gives the case back. Returns what was done, as a sentence."""

    async def carried_out(self, it: T, at: datetime) -> None:  # noqa: ARG002
        """The decision is applied and its case is closed; what is asked now."""
        it.row["asks"] = {}

    @abstractmethod
    async def refuse(self, it: T, decision: RowMapping, because: str, at: datetime) -> None:
        """The decision is not possible any more; its case goes back to its owner with what is possible now."""

    @abstractmethod
    async def not_approved(self, it: T, decision: RowMapping, because: str, at: datetime) -> None:
        """Nobody agreed to the decision."""

    @abstractmethod
    def abandoning(self, it: T) -> CaseOption:
        """Ending a journey that has stopped, for whoever will not resume it; `ABANDON` of `ledger.decisions.effects`
        does it.
        """

    # ------------------------------------------------------------------ the steps
    async def open_approval(self, database: Database, step: Step) -> Situation:
        """A decision needs somebody's agreement before it is applied; the journey stands as it is until then."""

        async def work(tx: Transaction, row: RowMapping) -> str:
            decision = await answers.pending(tx, row, step.decision_id)
            if decision is None or row["asks"].get("approval_id"):
                return ""
            it = await self.load(tx, row)
            option = CaseOption.model_validate(decision["option"])
            asked = await self.to_approve(it, decision, option, step.at)
            approval_id = await self._ask_for_approval(it, decision, option, asked, step.at)
            await tx.conn.execute(
                update(case_decision)
                .where(case_decision.c.id == decision["id"])
                .values(state="awaiting_approval", approval_id=approval_id)
            )
            it.row["asks"] |= {"approval_id": approval_id}
            await self.waits_for_approval(it, asked)
            await it.save(step.at)
            return f"Approval {approval_id} asked for {money(asked.amount_minor, it.place.currency)}."

        return await take_journey_step(database, "open_approval", step, work)

    async def _ask_for_approval(
        self, it: T, decision: RowMapping, option: CaseOption, asked: Asked, at: datetime
    ) -> int:
        return await it.open_approval(
            asked.kind,
            at,
            subject=f"{option.label}: {self.word} {it.row['key']}",
            requester=decision["decided_by"],
            barred=asked.barred,
            amount_minor=asked.amount_minor,
            facts={
                self.word: it.row["key"],
                "option": option.model_dump(mode="json"),
                "store": it.place.name,
                "note_id": decision["note_id"],
                **asked.facts,
            },
            level=asked.level,
            case_id=decision["case_id"],
            decision_id=decision["id"],
        )

    async def apply_decision(self, database: Database, step: Step) -> Situation:
        """Do what was chosen and approved; where it is not possible any more the case goes back, saying why."""

        async def work(tx: Transaction, row: RowMapping) -> str:
            decision = await answers.pending(tx, row, step.decision_id)
            if decision is None:
                return ""
            it = await self.load(tx, row)
            try:
                done = await self.carry_out(it, decision, step.at)
            except DomainError as refusal:
                await _refused(tx, decision, refusal.detail)
                await self.refuse(it, decision, refusal.detail, step.at)
                await it.save(step.at)
                return f"Not applied: {refusal.detail}"
            await tx.conn.execute(
                update(case_decision).where(case_decision.c.id == decision["id"]).values(state="applied")
            )
            cause = decision["parameters"].get("root_cause")
            if cause:
                await tx.conn.execute(
                    update(case_file).where(case_file.c.id == decision["case_id"]).values(root_cause=cause)
                )
            await case.resolve(tx, decision["case_id"], decision["option_id"], done, step.at, by=decision["decided_by"])
            await self.carried_out(it, step.at)
            await it.save(step.at)
            return done

        return await take_journey_step(database, "apply_decision", step, work)

    async def give_back(self, database: Database, step: Step) -> Situation:
        """A decision was not approved, or refused."""

        async def work(tx: Transaction, row: RowMapping) -> str:
            decision = await answers.pending(tx, row, step.decision_id)
            if decision is None:
                return ""
            it = await self.load(tx, row)
            because = await answers.not_approved(tx, row)
            await _refused(tx, decision, because)
            await self.not_approved(it, decision, because, step.at)
            await it.save(step.at)
            return because

        return await take_journey_step(database, "give_back", step, work)

    async def suspend(self, database: Database, step: Step) -> Situation:
        """An unexpected failure: the journey stops where it is, nothing is lost, and an admin is asked."""

        async def work(tx: Transaction, row: RowMapping) -> str:
            if row["suspended_from"] is not None or row["closed_at"] is not None:
                return ""
            it = await self.load(tx, row)
            it.row["suspended_from"] = row["state"]
            ref = await it.open_case(
                "journey_stuck",
                step.at,
                place=it.place,
                facts={self.word: it.row["key"], "state": row["state"], "reason": step.reason},
                options=(_RESUMING, self.abandoning(it)),
                text=f"The journey stopped: {step.reason}",
            )
            await it.save(step.at)
            return f"Suspended after an unexpected failure; case {ref.id}."

        return await take_journey_step(database, "suspend", step, work)


async def _refused(tx: Transaction, decision: RowMapping, because: str) -> None:
    await tx.conn.execute(
        update(case_decision).where(case_decision.c.id == decision["id"]).values(state="refused", reason=because)
    )


async def nothing_to_attend(database: Database, step: Step) -> Situation:
    """The step `attend` of a journey that is never given stock by others."""

    async def work(_tx: Transaction, _row: RowMapping) -> str:
        return ""

    return await take_journey_step(database, "attend", step, work)
