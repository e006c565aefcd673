"""A refund that is large and nothing else: whoever approves refunds is asked at once, without a case before it.

The request is withdrawn when the amount changes while they think. What they refuse, or leave unanswered, becomes the
case by which any other refund is looked at, with the other ways out.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from domain.words import money
from ledger import answers, approval
from ledger.returns.document import Return
from ledger.returns.refunding import Refund
from ledger.tables import return_disposition

KIND = "refund"


def is_large(it: Return, refund: Refund) -> bool:
    """Whether the amount asks for somebody's word, with what this return was paid before."""
    before = sum(line["refunded_minor"] - line["fee_minor"] for line in it.lines.values())
    return bool(refund.total_minor + before >= it.policy.bands.refund_approval_minor)


def may_be_direct(it: Return, refund: Refund) -> bool:
    """Whether the amount alone asks for somebody's word: a score that does asks for a look first."""
    is_direct = it.policy.returns.large_refund == "approval" and it.row["detail"]["fraud"]["band"] == "low"
    return is_direct and is_large(it, refund)


def is_asked(it: Return) -> bool:
    """Whether an approver is asked about the refund, without a case."""
    asks = it.row["asks"]
    return bool(asks.get("approval_id")) and not asks.get("case_id")


def has_answered(it: Return) -> bool:
    """Whether there is a verdict that nobody has acted on yet."""
    return is_asked(it) and bool(it.row["asks"].get("verdict"))


async def ask(it: Return, refund: Refund, at: datetime) -> str:
    """Ask for a refund, unless this very amount is asked for already; returns the sentence for the timeline."""
    amount = refund.total_minor
    said = money(amount, it.row["currency"])
    if is_asked(it):
        if it.row["asks"]["amount_minor"] == amount:
            return ""
        await withdraw(it, at)
        said = f"The refund is {said} by now and"
    it.row["asks"] = {"approval_id": await _open(it, refund, at), "amount_minor": amount}
    return f"{said} wait for approval {it.row['asks']['approval_id']}."


async def withdraw(it: Return, at: datetime) -> None:
    """What was asked is not the question any more."""
    if is_asked(it):
        await approval.supersede(it.tx, it.row["asks"]["approval_id"], at)
        it.row["asks"] = {}


async def _open(it: Return, refund: Refund, at: datetime) -> int:
    looked = await it.tx.conn.execute(
        select(return_disposition.c.inspected_by).where(return_disposition.c.journey_id == it.id).distinct()
    )
    return await it.open_approval(
        KIND,
        at,
        subject=f"Refund of return {it.row['key']}",
        requester=it.row["requested_by"],
        barred=sorted({it.tx.actor, *(str(one) for one in looked.scalars())}),
        amount_minor=refund.total_minor,
        facts={
            "return": it.row["key"],
            "order": it.order,
            "store": it.place.name,
            "units": sum(one.units for one in refund.lines.values()),
            "fee_minor": sum(one.fee_minor for one in refund.lines.values()),
            "clawed_minor": refund.clawed_minor,
            "inspected": not any(line["received"] > line["accepted"] for line in it.lines.values()),
        },
    )


class Answer(NamedTuple):
    """What came of the request. `looked_at_minor` may be paid; a refusal says `because`, and by which `verdict`."""

    verdict: str
    looked_at_minor: int
    because: str


async def take_answer(it: Return) -> Answer:
    """The verdict of the approval that was asked for; from here on nobody is asked."""
    asks = it.row["asks"]
    verdict, looked_at = str(asks["verdict"]), int(asks["amount_minor"])
    because = "" if verdict == "approved" else await answers.not_approved(it.tx, it.row)
    it.row["asks"] = {}
    return Answer(verdict, looked_at, because)
