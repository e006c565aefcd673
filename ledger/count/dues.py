"""What happens to a count by itself: nobody counts in time, another look at the till's feed, the end of a search."""

from datetime import datetime

from sqlalchemy import text

from domain.case import CaseOption
from domain.count import BEING_COUNTED, CountState
from domain.messages import Situation, Step
from domain.words import units
from ledger.count.comparing import compare
from ledger.count.feeding import post_when_the_feed_allows
from ledger.count.sheet import Sheet
from ledger.engine import Database
from ledger.journey_steps import take_due

_PENDING = text(
    "SELECT coalesce(sum(count_pending), 0)::int FROM stock"
    " WHERE location = :location AND sku = ANY(CAST(:skus AS text[]))"
)


async def on_due(database: Database, step: Step) -> Situation:
    """The due instant `step.due` has come; does nothing where something else was recorded first."""
    return await take_due(database, step, Sheet, _due)


async def _due(sheet: Sheet, due: str, cause: str, at: datetime) -> str:
    if due == "count" and sheet.state in BEING_COUNTED:
        return await _overdue(sheet, at)
    if due == "feed" and sheet.state is CountState.APPROVED:
        return await post_when_the_feed_allows(sheet, cause, at)
    if due == "search" and sheet.state is CountState.SUBMITTED:
        return await compare(sheet, at)
    return ""


async def pending_units(sheet: Sheet) -> int:
    """Units of the sheet's items that wait for a count."""
    found = await sheet.tx.conn.execute(
        _PENDING, {"location": sheet.location, "skus": sorted({sku for sku, bucket in sheet.lines if not bucket})}
    )
    return int(found.scalar_one())


async def _overdue(sheet: Sheet, at: datetime) -> str:
    """A routine count that nobody has begun ends by itself and comes back by its risk; any other is asked about."""
    waiting = await pending_units(sheet)
    routine = sheet.row["detail"]["reason"] == "schedule" and sheet.state is CountState.SCHEDULED
    if routine and not waiting:
        sheet.go(CountState.CANCELLED)
        return "Nobody counted in time; what is risky is on the next sheet."
    ref = await sheet.open_case(
        "count_overdue",
        at,
        facts={"count": sheet.row["key"], "reason": sheet.row["detail"]["reason"], "units_that_wait": waiting},
        options=(
            CaseOption(id="more_time", label="Give the store another day", rank=1, because="nobody has looked yet"),
            CaseOption(id="acknowledge", label="The store was called", rank=2),
        ),
        text=f"Count {sheet.row['key']} is not handed in; {units(waiting)} wait for it.",
    )
    return f"The count is overdue; case {ref.id}."
