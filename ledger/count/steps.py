"""The steps of the count workflow: those of its own, and what it says about those that every journey has."""

from datetime import datetime, timedelta
from typing import override

from sqlalchemy import RowMapping

from domain.bands import Level
from domain.case import CaseOption
from domain.count import CountState, Difference
from domain.errors import NothingOffered, OwnRequest
from domain.messages import Situation, Step
from domain.words import local
from ledger import case
from ledger.count import dues
from ledger.count.comparing import Compared, compare, compared, count_again, level_of, options_of, settle
from ledger.count.feeding import post_when_the_feed_allows
from ledger.count.sheet import LineKey, Sheet
from ledger.engine import Database
from ledger.journey_steps import Asked, JourneySteps, cause_of, is_asking, nothing_to_attend, take_step

_POSTS = {"post_first": -1, "post_second": 0}  # the round that is posted, beside the present one


async def compare_counts(database: Database, step: Step) -> Situation:
    """The count was handed in: compare it with the book of the instants at which it was counted."""

    def is_done(row: RowMapping) -> bool:
        return row["state"] != CountState.SUBMITTED or is_asking(row) or "search" in row["dues"]

    return await take_step(database, "compare", step, Sheet, lambda it: compare(it, step.at), unless=is_done)


async def count_once_more(database: Database, step: Step) -> Situation:
    """What was proposed is not approved: it is counted again by somebody else."""

    async def again(sheet: Sheet) -> str:
        count_again(sheet, sheet.lines_of_round(), step.at, await sheet.tx.now())
        return "It is counted again by somebody else."

    def is_done(row: RowMapping) -> bool:
        return CountState(row["state"]) is not CountState.REJECTED

    return await take_step(database, "count_again", step, Sheet, again, unless=is_done)


async def post(database: Database, step: Step) -> Situation:
    """Agreed: post it, or wait until the store's till has told everything that happened before it was counted."""

    async def when_told(sheet: Sheet) -> str:
        return await post_when_the_feed_allows(sheet, cause_of(sheet, "post", step), step.at)

    def is_done(row: RowMapping) -> bool:
        return row["state"] != CountState.APPROVED or is_asking(row) or "feed" in row["dues"]

    return await take_step(database, "post", step, Sheet, when_told, unless=is_done)


class CountSteps(JourneySteps[Sheet]):
    """A count: what would be posted is approved above its band; what nobody agrees to is counted again."""

    word = "count"

    @override
    async def to_approve(self, it: Sheet, decision: RowMapping, option: CaseOption, at: datetime) -> Asked:
        found = await compared(it)
        chosen = _chosen(found, option.id)
        return Asked(
            "count",
            sum(one.value_minor for one in chosen.values()),
            facts={"root_cause": decision["parameters"].get("root_cause")},
            barred=it.row["detail"].get("barred", []),
            level=max(await level_of(it, chosen, found.settled, at=at), Level.MANAGER),
        )

    @override
    async def waits_for_approval(self, it: Sheet, asked: Asked) -> None:
        it.go(CountState.PENDING_APPROVAL)
        it.row["detail"]["asked_level"] = int(asked.level)

    @override
    async def carry_out(self, it: Sheet, decision: RowMapping, at: datetime) -> str:
        return await _apply(it, decision, at)

    @override
    async def refuse(self, it: Sheet, decision: RowMapping, because: str, at: datetime) -> None:
        if it.state is CountState.PENDING_APPROVAL:
            it.go(CountState.SUBMITTED)
        options = await options_of(it, await compared(it), at) if it.state is CountState.SUBMITTED else None
        await case.give_back(it.tx, decision["case_id"], because, at, options=options)
        it.row["asks"] = {"case_id": decision["case_id"]}

    @override
    async def not_approved(self, it: Sheet, decision: RowMapping, because: str, at: datetime) -> None:
        told = f"{because} It is counted again."
        await case.resolve(it.tx, decision["case_id"], "counted_again", told, at, by="endcap")
        it.row["asks"] = {}
        it.go(CountState.REJECTED)

    @override
    def abandoning(self, it: Sheet) -> CaseOption:
        return CaseOption(id="abandon", label="End the count, post nothing", rank=2)


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
    sheet.drop_dues("feed")
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
    sheet.drop_dues("search")
    return f"Count {round_} is posted; cause: {cause.replace('_', ' ')}."


def _chosen(found: Compared, option_id: str) -> dict[LineKey, Difference]:
    return found.before if option_id == "post_first" else found.now


_STEPS = CountSteps(Sheet)
on_due = dues.on_due
open_approval = _STEPS.open_approval
apply_decision = _STEPS.apply_decision
give_back = _STEPS.give_back
suspend = _STEPS.suspend
attend = nothing_to_attend  # a count is never given stock
