"""Scenes whose histories replay tests read: promotions and what their vendors owe."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError

from domain.messages import Message, Situation
from tests.fakes import due_in
from tests.replay.recorder import Handle, Recorder


async def looks_at_promotions(scene: Recorder) -> Handle:
    """One run of the schedule, of which a look fails at first."""
    done = Situation(subject="promotions", state="3 looked at", ended=True)
    scene.steps.answer("promotion.look_at_all", ApplicationError("1 of 3 looks failed"), done)
    return await scene.start_plain("promotion_looks")


def promoted(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": "promotion:pim:P-1", "state": state, "seq": seq, **more})


async def promotion_ended(scene: Recorder) -> Handle:
    """Both agree, two channels are told, one of them twice; it begins, ends early, and its prices are taken back."""
    pos, web = due_in("prices:pos", seconds=-1), due_in("prices:web", seconds=-1)
    start, again = due_in("start", hours=24), due_in("prices:pos", hours=1)
    scene.steps.answer(
        "promotion.settle_agreement",
        promoted("pending_approval", 2, approval_id=4),
        promoted("approved", 3, dues=(due_in("publish", hours=1),)),
    )
    scene.steps.answer(
        "promotion.on_due",
        promoted("publishing", 3, dues=(pos, web, start)),
        promoted("active", 5, dues=(due_in("end", hours=90),)),
    )
    scene.steps.answer(
        "promotion.publish",
        promoted("publishing", 3, dues=(again, start)),
        promoted("publishing", 3, dues=(again, start)),
        promoted("publishing", 3, dues=(start,)),
        promoted("reverting", 6),
    )
    handle = await scene.start("promotion", promoted("pending_approval", approval_id=3))
    held = promoted("pending_approval", 2, approval_id=3, verdict="approved")
    await scene.tell(handle, Message.VERDICT_RECORDED, held)
    await scene.took(1)
    held = promoted("pending_approval", 3, approval_id=4, verdict="approved")
    await scene.tell(handle, Message.VERDICT_RECORDED, held)
    await scene.took(2)
    await scene.skip(handle, 1.1)
    await scene.took(5)
    await scene.skip(handle, 1.1)
    await scene.took(6)
    await scene.skip(handle, 24)
    await scene.took(7)
    await scene.tell(handle, Message.PROMOTION_ENDED, promoted("reverting", 6, dues=(pos,)))
    await scene.took(8)
    await scene.tell(handle, Message.PRICES_TRIED, promoted("ended", 7, ended=True))
    return handle


def owed(state: str, seq: int = 1, **more: object) -> Situation:
    return Situation.model_validate({"subject": "claim:erp:A-17-1", "state": state, "seq": seq, **more})


async def claim_disputed(scene: Recorder) -> Handle:
    """Agreed, sent, silence, short-paid, disputed, written off with somebody's word."""
    asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
    scene.steps.answer("claim.settle_approval", owed("sent", 2, dues=(due_in("answer", hours=720),)))
    scene.steps.answer("claim.on_due", owed("sent", 2, case_id=5))
    scene.steps.answer("claim.apply_decision", owed("disputed", 5), owed("written_off", 8, ended=True))
    scene.steps.answer("claim.open_approval", owed("matched", 7, **asked, approval_id=4))
    handle = await scene.start("claim", owed("prepared", approval_id=3))
    await scene.tell(handle, Message.VERDICT_RECORDED, owed("prepared", 2, approval_id=3, verdict="approved"))
    await scene.took(1)
    await scene.skip(handle, 721)
    await scene.took(2)
    await scene.tell(handle, Message.CLAIM_ANSWERED, owed("matched", 3, case_id=6))
    await scene.tell(handle, Message.DECISION_RECORDED, owed("matched", 5, case_id=6, decision_id=8))
    await scene.took(3)
    await scene.tell(handle, Message.CLAIM_ANSWERED, owed("matched", 6, case_id=7))
    await scene.tell(handle, Message.DECISION_RECORDED, owed("matched", 7, **asked))
    await scene.took(4)
    await scene.tell(handle, Message.VERDICT_RECORDED, owed("matched", 8, **asked, approval_id=4, verdict="approved"))
    return handle


async def claim_settled(scene: Recorder) -> Handle:
    """Sent, answered, paid: no step at all."""
    handle = await scene.start("claim", owed("sent", dues=(due_in("answer", hours=720),)))
    await scene.tell(handle, Message.CLAIM_ANSWERED, owed("matched", 2, dues=(due_in("payment", hours=720),)))
    await scene.tell(handle, Message.CLAIM_SETTLED, owed("settled", 3, ended=True))
    return handle
