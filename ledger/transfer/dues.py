"""What happens to a transfer by itself: it is not sent, or does not come, in time; a wait or a recount has ended."""

from datetime import datetime

from domain.messages import Situation, Step
from domain.transfer import ON_THE_WAY, TO_BE_SHIPPED, TransferState
from ledger.engine import Database
from ledger.journey_steps import take_due
from ledger.transfer import asking, comparing
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment


async def on_due(database: Database, step: Step) -> Situation:
    """The due instant `step.due` has come; does nothing where something else was recorded first."""
    return await take_due(database, step, Transfer, _due)


async def _due(it: Transfer, due: str, cause: str, at: datetime) -> str:
    await it.lock_goods()
    now = it.quantities()
    if it.row["asks"].get("case_id"):  # one question at a time: what waits is asked when that one is answered
        it.row["detail"]["waits"] = sorted({*it.row["detail"].get("waits", ()), due})
        return ""
    if due == "ship" and now.to_ship and (it.state in TO_BE_SHIPPED or it.state in ON_THE_WAY):
        return f"It has not left in time; case {await asking.shipment_overdue(it, at)}."
    if due == "receipt" and now.in_transit and it.state in ON_THE_WAY:
        return f"It has not come in time; case {await asking.receipt_overdue(it, at)}."
    if due in ("await", "recount") and it.state is TransferState.DISCREPANCY_REVIEW:
        return await comparing.compare(it, Moment(cause, at))
    return ""
