"""What happens to a claim by itself: it is not handed over, answered or paid in time."""

from datetime import datetime

from domain.claim import WITH_THE_VENDOR, ClaimState
from domain.messages import Situation, Step
from ledger.claim import asking
from ledger.claim.document import Claim
from ledger.engine import Database
from ledger.journey_steps import take_due


async def on_due(database: Database, step: Step) -> Situation:
    """The due instant `step.due` has come; does nothing where something else was recorded first."""
    return await take_due(database, step, Claim, _due)


async def _due(it: Claim, due: str, _cause: str, at: datetime) -> str:
    if it.row["asks"].get("case_id"):  # one question at a time: what waits is asked when that one is answered
        it.row["detail"]["waits"] = sorted({*it.row["detail"].get("waits", ()), due})
        return ""
    now = it.figures()
    if due == "unsent" and it.state is ClaimState.APPROVED:
        return f"It has not been handed over; case {await asking.overdue(it, 'sent', at)}."
    if due == "answer" and it.state in WITH_THE_VENDOR and now.open_minor:
        if it.state is ClaimState.DISPUTED and now.short_minor:
            return f"The dispute has had no answer; case {await asking.short_paid(it, at)}."
        return f"The vendor has not answered; case {await asking.overdue(it, 'answer', at)}."
    if due == "payment" and it.state in WITH_THE_VENDOR and now.unpaid_minor > 0:
        return f"The vendor has not paid; case {await asking.overdue(it, 'payment', at)}."
    return ""
