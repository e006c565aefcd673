"""What happens to a promotion by itself: its prices go out, it begins, it ends; a draft that nobody submits lapses."""

from datetime import datetime

from domain.messages import Situation, Step
from domain.promotion import PromotionState
from ledger.engine import Database
from ledger.journey_steps import take_due
from ledger.promotion import agreeing, cases, publishing
from ledger.promotion.document import Promotion
from ledger.promotion.ending import take_back

S = PromotionState


async def on_due(database: Database, step: Step) -> Situation:
    """The due instant `step.due` has come; does nothing where something else was recorded first."""
    return await take_due(database, step, Promotion, _due)


async def _due(it: Promotion, due: str, _cause: str, at: datetime) -> str:
    match it.state, due:
        case S.DRAFT, "lapse":
            it.go(S.CANCELLED)
            return "Nobody submitted it before its end; it is cancelled."
        case S.PENDING_APPROVAL, "start":
            await it.answer_asks("its start has come", at)
            return agreeing.back_to_draft(it, "Its start has come before everybody agreed.")
        case S.APPROVED, "publish":
            it.go(S.PUBLISHING)
            it.due("start", it.head["starts_at"])
            await publishing.begin(it, "publish", at)
            return "Its prices go out to every channel."
        case S.PUBLISHING, "start":
            return await _begins(it, at)
        case S.ACTIVE, "end":
            await take_back(it, at, "the promotion has ended")
            return "It has ended; what is right now is published in its stead."
    return ""


async def _begins(it: Promotion, at: datetime) -> str:
    """It has begun, whatever the channels show; where they are not right by now, somebody is asked at once."""
    it.go(S.ACTIVE)
    it.due("end", it.head["ends_at"])
    told = "It has begun."
    for row in await publishing.open_publications(it.tx.conn, it.id):
        wrong = await publishing.pending(it.tx.conn, row["id"])
        ref = await cases.open_or_refresh(it, row, wrong, row["error"], at)
        told += f" {row['channel']} does not show {wrong:,} of its prices yet; case {ref.id}."
    return told
