"""How a promotion ends: in time, earlier, called off or abandoned. Where channels were told of its prices, what is
right by then is published to every place in their stead, and it is over when each channel shows it.
"""

from datetime import datetime

from sqlalchemy import RowMapping

from domain.errors import StateConflict
from domain.messages import Message
from domain.promotion import FINAL, OPEN_TO_CHANGE, PromotionState
from ledger.promotion import cases, publishing
from ledger.promotion.document import Promotion
from ledger.transaction import Transaction

S = PromotionState


async def take_back(it: Promotion, at: datetime, because: str, *, after: PromotionState = S.ENDED) -> None:
    """From now on its prices count no more. The promotion is locked, with its cases; `after` is how it ends then."""
    planned = datetime.fromisoformat(it.row["detail"].get("planned_end", it.head["ends_at"].isoformat()))
    it.row["detail"] |= {"planned_end": max(planned, it.head["ends_at"]).isoformat(), "after": after.value}
    it.head["ends_at"] = max(min(at, it.head["ends_at"]), it.head["starts_at"])
    it.drop_dues("start", "end", "publish")
    for row in await publishing.open_publications(it.tx.conn, it.id):
        await cases.healed(it, row, because, at)
    it.go(S.REVERTING)
    await publishing.begin(it, "revert", at)


async def finish_if_over(it: Promotion, at: datetime) -> bool:
    """Where it is being taken back and every channel has come right, it is over."""
    if it.state is not S.REVERTING or await publishing.open_publications(it.tx.conn, it.id):
        return False
    it.head["reverted_at"] = at
    it.go(PromotionState(it.row["detail"].get("after", S.ENDED.value)))
    return True


async def call_off(it: Promotion, at: datetime) -> str:
    """Before anything was published it is cancelled; afterwards its prices are taken back first.

    Raises `StateConflict` once it is over, or on its way there. The promotion is locked, with its cases.
    """
    if it.state in FINAL:
        raise StateConflict(f"The promotion is {it.state.value} already.")
    if it.state is S.REVERTING:
        raise StateConflict("Its prices are being taken back already; nothing is left to call off.")
    if it.state in OPEN_TO_CHANGE:
        await it.answer_asks("the promotion was called off", at)
        it.go(S.CANCELLED)
        return "Nothing had been published."
    if it.state is S.PUBLISHING:
        await take_back(it, at, "the promotion was called off", after=S.CANCELLED)
        return "What channels were told is taken back."
    await take_back(it, at, "the promotion was ended")
    return "It has begun, so it ends now; its prices are taken back."


async def give_up(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """What is not right stays as it is; a promotion that waited for it alone is over."""
    it, row = await cases.incident(tx, case_row, journey_row)
    left = await publishing.waive(it, row, at)
    await finish_if_over(it, at)
    await it.save(at)
    tx.tell(it.id, Message.PROMOTION_CHANGED)
    return f"{left:,} prices at {row['channel']} were given up."
