"""Scenes whose histories replay tests read: orders, counts, returns and transfers."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from domain.messages import Message, Situation
from tests.fakes import due_in, order
from tests.replay.recorder import Handle, Recorder


async def collected(scene: Recorder) -> Handle:
    """Picked and handed over in time."""
    handle = await scene.start("bopis", order("reserved", dues=(due_in("pick_nag_1", hours=1),)))
    await scene.tell(handle, Message.PICK_RECORDED, order("ready_for_pickup", 2, dues=(due_in("window", hours=90),)))
    await scene.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 3, ended=True))
    return handle


async def reminded(scene: Recorder) -> Handle:
    """A due step that the worker takes by itself, and one that fails there and is left to Temporal."""
    first, second = due_in("pick_nag_1", hours=1), due_in("pick_nag_2", hours=2)
    away = OSError("away")
    left = order("reserved", dues=(second,))
    scene.steps.answer("bopis.on_due", left, away, order("reserved"))
    handle = await scene.start("bopis", order("reserved", dues=(first, second), dues_here=True))
    await scene.skip(handle, 1.2)
    await scene.took(1)
    await scene.skip(handle, 1)
    await scene.took(3)
    await scene.tell(handle, Message.CANCEL_RECORDED, order("cancelled", 2, ended=True))
    return handle


async def approved_refund(scene: Recorder) -> Handle:
    """Not there; cancel and refund above the limit; approved; the provider's first answer is lost."""
    asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
    owed = order("cancelled", 3, operations=("refund-1",))
    scene.steps.answer("bopis.open_case", order("reservation_failed", case_id=7))
    scene.steps.answer("bopis.open_approval", order("reservation_failed", 2, **asked, approval_id=3))
    scene.steps.answer("bopis.apply_decision", owed)
    scene.steps.answer("payment.carry_out", owed, order("cancelled", 3, ended=True))
    handle = await scene.start("bopis", order("reservation_failed"))
    await scene.took(1)
    await scene.tell(handle, Message.DECISION_RECORDED, order("reservation_failed", 2, **asked))
    await scene.took(2)
    verdict = order("reservation_failed", 3, **asked, approval_id=3, verdict="approved")
    await scene.tell(handle, Message.VERDICT_RECORDED, verdict)
    await scene.took(4)
    await scene.skip(handle, 1)
    return handle


async def asked_customer(scene: Recorder) -> Handle:
    """A substitute is offered; the customer says yes; what it costs is approved; silence ends a second question."""
    offer = due_in("offer", hours=2)
    asked = {"offer_id": 5, "approval_id": 3}
    scene.steps.answer("bopis.open_case", order("substituting", offer_id=5, dues=(offer,)))
    scene.steps.answer("bopis.settle_offer", order("reserved", 3))
    scene.steps.answer("bopis.on_due", order("cancelled", 4, ended=True))
    handle = await scene.start("bopis", order("reservation_failed"))
    await scene.took(1)
    await scene.tell(handle, Message.CUSTOMER_ANSWERED, order("substituting", 2, **asked))
    await scene.tell(handle, Message.VERDICT_RECORDED, order("substituting", 3, **asked, verdict="approved"))
    await scene.took(2)
    again = order("awaiting_customer", 4, offer_id=6, dues=(offer,))
    await scene.tell(handle, Message.PICK_RECORDED, again)
    await scene.skip(handle, 3)
    await scene.took(3)
    return handle


async def no_show(scene: Recorder) -> Handle:
    """A reminder, an attended doubt, an extension, then the window ends and the goods are put away."""
    window = due_in("window", hours=30)
    scene.steps.answer(
        "bopis.on_due", order("ready_for_pickup", 3, dues=(window,)), order("expired", 3, dues=(due_in("x", hours=60),))
    )
    reminder = due_in("window_reminder_1", hours=8)
    scene.steps.answer("bopis.attend", order("ready_for_pickup", 2, dues=(reminder, window)))
    handle = await scene.start("bopis", order("ready_for_pickup", dues=(reminder,)))
    await scene.tell(handle, Message.UNIT_DOUBTED, order("ready_for_pickup", 2, attention=("doubted",)))
    await scene.took(1)
    extended = order("ready_for_pickup", 3, dues=(reminder, window))
    await scene.tell(handle, Message.WINDOW_EXTENDED, extended)
    await scene.skip(handle, 9)
    await scene.took(2)
    await scene.skip(handle, 30)
    await scene.took(3)
    await scene.tell(handle, Message.PUT_AWAY_RECORDED, order("expired", 4, ended=True))
    return handle


async def suspended(scene: Recorder) -> Handle:
    """A step fails in a way that nobody expected; a person resumes."""
    failed = order("reservation_failed")
    scene.steps.answer(
        "bopis.open_case",
        ApplicationError("no", type="KeyError", non_retryable=True),
        order("reserved", 2),
    )
    scene.steps.answer("bopis.suspend", failed.model_copy(update={"suspended": True}))
    handle = await scene.start("bopis", failed)
    await scene.took(2)
    await scene.tell(handle, Message.RESUMED, order("reservation_failed", 2))
    await scene.took(3)
    await scene.tell(handle, Message.CANCEL_RECORDED, order("cancelled", 3, ended=True))
    return handle


def sheet(state: str, seq: int = 1, **more: object) -> Situation:
    return Situation.model_validate({"subject": "count:store:C-1", "state": state, "seq": seq, **more})


async def count_posted(scene: Recorder) -> Handle:
    """Counted late, again by somebody else, and posted when the till has spoken."""
    look = due_in("feed", hours=40)
    scene.steps.answer("count.on_due", sheet("scheduled"), sheet("posted", 3, ended=True))
    scene.steps.answer("count.compare", sheet("recount", 2), sheet("approved", 3))
    scene.steps.answer("count.post", sheet("approved", 3, dues=(look,)))
    handle = await scene.start("count", sheet("scheduled", dues=(due_in("count", hours=24),)))
    await scene.skip(handle, 25)
    await scene.took(1)
    await scene.tell(handle, Message.COUNT_SUBMITTED, sheet("submitted", 2))
    await scene.took(2)
    await scene.tell(handle, Message.COUNT_SUBMITTED, sheet("submitted", 3))
    await scene.took(4)
    await scene.skip(handle, 20)
    return handle


async def count_rejected(scene: Recorder) -> Handle:
    """A case, an approval that is not given, counted again, agreed, posted."""
    asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
    scene.steps.answer("count.compare", sheet("submitted", case_id=7), sheet("approved", 4))
    scene.steps.answer("count.open_approval", sheet("pending_approval", 2, **asked, approval_id=3))
    scene.steps.answer("count.give_back", sheet("rejected", 3))
    scene.steps.answer("count.count_again", sheet("recount", 3))
    scene.steps.answer("count.post", sheet("posted", 4, ended=True))
    handle = await scene.start("count", sheet("submitted"))
    await scene.took(1)
    await scene.tell(handle, Message.DECISION_RECORDED, sheet("submitted", 2, **asked))
    await scene.took(2)
    verdict = sheet("pending_approval", 3, **asked, approval_id=3, verdict="rejected")
    await scene.tell(handle, Message.VERDICT_RECORDED, verdict)
    await scene.took(4)
    await scene.tell(handle, Message.COUNT_SUBMITTED, sheet("submitted", 4))
    return handle


async def counts_of_the_day(scene: Recorder) -> Handle:
    """One run of the schedule."""
    scene.steps.answer("count.open_days_counts", Situation(subject="counts", state="2 opened", ended=True))
    return await scene.start_plain("count_schedule")


def back(state: str, seq: int = 1, **more: object) -> Situation:
    return Situation.model_validate({"subject": "returns:web:RT-1", "state": state, "seq": seq, **more})


async def returned_by_mail(scene: Recorder) -> Handle:
    """A reminder, the goods, an inspection in time, and a refund whose first answer is lost."""
    goods, inspection = due_in("goods", hours=336), due_in("inspection", hours=400)
    owed = back("refund_pending", 4, operations=("refund-1",))
    scene.steps.answer("returns.on_due", back("in_transit", 2, dues=(goods,)))
    scene.steps.answer("payment.carry_out", owed, back("closed", 4, ended=True))
    handle = await scene.start("returns", back("authorized", dues=(due_in("goods_reminder", hours=168), goods)))
    await scene.tell(
        handle, Message.RETURN_RECORDED, back("in_transit", 2, dues=(due_in("goods_reminder", hours=168), goods))
    )
    await scene.skip(handle, 169)
    await scene.took(1)
    await scene.tell(handle, Message.RETURN_RECORDED, back("received", 3, dues=(inspection,)))
    await scene.tell(handle, Message.RETURN_RECORDED, owed)
    await scene.took(2)
    await scene.skip(handle, 1)
    return handle


async def returned_and_reviewed(scene: Recorder) -> Handle:
    """A refund that somebody looks at, that is not approved, and then declined; nobody inspects in time."""
    asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
    inspection = due_in("inspection", hours=24)
    scene.steps.answer("returns.open_approval", back("received", 2, **asked, approval_id=3))
    scene.steps.answer("returns.give_back", back("received", 3, case_id=7, dues=(inspection,)))
    scene.steps.answer("returns.on_due", back("received", 3, case_id=7))
    scene.steps.answer("returns.apply_decision", back("received", 4))
    handle = await scene.start("returns", back("received", case_id=7))
    await scene.tell(handle, Message.DECISION_RECORDED, back("received", 2, **asked))
    await scene.took(1)
    verdict = back("received", 3, **asked, approval_id=3, verdict="rejected")
    await scene.tell(handle, Message.VERDICT_RECORDED, verdict)
    await scene.took(2)
    await scene.skip(handle, 25)
    await scene.took(3)
    await scene.tell(handle, Message.DECISION_RECORDED, back("received", 4, case_id=7, decision_id=10))
    await scene.took(4)
    await scene.tell(handle, Message.RETURN_RECORDED, back("closed", 5, ended=True))
    return handle


def moved(state: str, seq: int = 1, **more: object) -> Situation:
    return Situation.model_validate({"subject": "transfer:wms:T-1", "state": state, "seq": seq, **more})


async def transfer_written_off(scene: Recorder) -> Handle:
    """Agreed, sent late, received in parts, short; a case, an approval, written off."""
    late = due_in("ship", hours=24)
    asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
    scene.steps.answer("transfer.settle_agreement", moved("ready_to_ship", 2, dues=(late,)))
    scene.steps.answer("transfer.on_due", moved("ready_to_ship", 2, case_id=5))
    scene.steps.answer("transfer.compare", moved("discrepancy_review", 5, case_id=7))
    scene.steps.answer("transfer.open_approval", moved("discrepancy_review", 6, **asked, approval_id=4))
    scene.steps.answer("transfer.apply_decision", moved("closed", 7, ended=True))
    handle = await scene.start("transfer", moved("pending_approval", approval_id=3))
    await scene.tell(handle, Message.VERDICT_RECORDED, moved("pending_approval", 2, approval_id=3, verdict="approved"))
    await scene.took(1)
    await scene.skip(handle, 25)
    await scene.took(2)
    await scene.tell(handle, Message.TRANSFER_SHIPPED, moved("in_transit", 3, dues=(due_in("receipt", hours=90),)))
    await scene.tell(handle, Message.TRANSFER_RECEIVED, moved("partially_received", 4))
    await scene.tell(handle, Message.TRANSFER_RECEIVED, moved("received", 5))
    await scene.took(3)
    await scene.tell(handle, Message.DECISION_RECORDED, moved("discrepancy_review", 6, **asked))
    await scene.took(4)
    verdict = moved("discrepancy_review", 7, **asked, approval_id=4, verdict="approved")
    await scene.tell(handle, Message.VERDICT_RECORDED, verdict)
    return handle


async def transfer_closed(scene: Recorder) -> Handle:
    """Reserved, sent, received: no step at all."""
    handle = await scene.start("transfer", moved("ready_to_ship", dues=(due_in("ship", hours=24),)))
    await scene.tell(handle, Message.TRANSFER_SHIPPED, moved("in_transit", 2, dues=(due_in("receipt", hours=90),)))
    await scene.tell(handle, Message.TRANSFER_RECEIVED, moved("closed", 3, ended=True))
    return handle
