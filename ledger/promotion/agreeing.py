"""Who must agree to a promotion whose forecast earns less than its floor: merchandising first, then finance.

Nobody agrees to what they asked for, and whoever spoke for merchandising does not speak for finance as well.
"""

from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select

from domain.bands import Level
from domain.promotion import PromotionState, in_words, offer_of
from ledger.promotion.document import Promotion
from ledger.tables import approval_verdict, promotion_line

S = PromotionState
Stage = Literal["merchandising", "finance"]
_SHOWN = 20  # lines on the page of an approver


async def ask(it: Promotion, stage: Stage, at: datetime) -> int:
    """Ask them; returns the approval's number."""
    head = it.head
    it.row["detail"]["stage"] = stage
    share = head["margin_permille"]
    lines = (
        await it.tx.conn.execute(
            select(promotion_line).where(promotion_line.c.journey_id == it.id).order_by(promotion_line.c.number)
        )
    ).mappings()
    return await it.open_approval(
        "promotion",
        at,
        subject=f"Promotion {it.row['key']}: {head['name']}",
        requester=it.row["requested_by"],
        barred=it.row["detail"].get("barred", ()),
        amount_minor=head["discount_minor"],
        facts={
            "promotion": it.row["key"],
            "offer": in_words(offer_of(head["offer"])),
            "starts_at": head["starts_at"].isoformat(),
            "ends_at": head["ends_at"].isoformat(),
            "margin_at_forecast": "nothing is taken in" if share is None else f"{share / 10:g} %",
            "margin_floor": f"{head['margin_floor_permille'] / 10:g} %",
            "asked_for": stage,
            "lines": [
                {"item": line["sku"] or line["category"], "forecast_units": line["forecast_units"]}
                for line in list(lines)[:_SHOWN]
            ],
        },
        level=Level.FINANCE if stage == "finance" else Level.MANAGER,
    )


async def settle(it: Promotion, at: datetime) -> str:
    """A verdict was given, or nobody gave one in time: ask finance next, go on, or go back to a draft."""
    verdict, number = it.row["asks"]["verdict"], it.row["asks"]["approval_id"]
    it.row["asks"] = {}
    if verdict != "approved":
        return back_to_draft(it, "Rejected." if verdict == "rejected" else "Nobody agreed in time.")
    if it.row["detail"].get("stage") == "merchandising":
        spoken = await it.tx.conn.execute(
            select(approval_verdict.c.person_id, approval_verdict.c.on_behalf_of).where(
                approval_verdict.c.approval_id == number, approval_verdict.c.verdict == "approve"
            )
        )
        it.bar({who for row in spoken for who in row if who})
        it.row["asks"] = {"approval_id": await ask(it, "finance", at)}
        return "Merchandising agreed; finance is asked."
    return agreed(it, at)


def agreed(it: Promotion, at: datetime) -> str:
    """Nobody has anything against it: its prices go out in time."""
    it.go(S.APPROVED)
    it.head["approved_at"] = at
    it.drop_dues("start", "lapse")
    out = max(at, it.head["starts_at"] - timedelta(seconds=it.policy.promotion.publish_before_s))
    it.due("publish", out)
    return f"Agreed; its prices go out {'at once' if out == at else it.local(out)}."


def back_to_draft(it: Promotion, because: str) -> str:
    """It can be changed and submitted again until its end."""
    it.go(S.DRAFT)
    it.row["detail"].pop("stage", None)
    it.drop_dues("start", "publish")
    it.due("lapse", it.head["ends_at"])
    return f"{because} It is a draft again."
