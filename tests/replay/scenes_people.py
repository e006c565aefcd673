"""Scenes whose histories replay tests read: cases, approvals, decisions in bulk."""

from __future__ import annotations

from domain.messages import Message, Situation
from tests.fakes import due_in
from tests.replay.recorder import Handle, Recorder


async def case_ladder(scene: Recorder) -> Handle:
    """Two levels, a claim, the end."""
    first, second = due_in("level", hours=1), due_in("level", hours=2)
    held = Situation(subject="7", state="open")
    scene.steps.answer("case.on_due", held.model_copy(update={"dues": (second,)}), held)
    handle = await scene.start("case", held.model_copy(update={"dues": (first,)}))
    await scene.skip(handle, 1.1)
    await scene.took(1)
    await scene.skip(handle, 1.1)
    await scene.took(2)
    await scene.tell(handle, Message.CASE_CHANGED, held.model_copy(update={"seq": 2, "state": "claimed"}))
    closed = held.model_copy(update={"seq": 3, "state": "resolved", "ended": True})
    await scene.tell(handle, Message.CASE_CLOSED, closed)
    return handle


async def approval_expired(scene: Recorder) -> Handle:
    """A reminder, then nobody answers."""
    first, second = due_in("next", hours=4), due_in("next", hours=8)
    held = Situation(subject="3", state="pending")
    scene.steps.answer(
        "approval.on_due",
        held.model_copy(update={"dues": (second,)}),
        held.model_copy(update={"state": "expired", "ended": True}),
    )
    handle = await scene.start("approval", held.model_copy(update={"dues": (first,)}))
    await scene.skip(handle, 4.1)
    await scene.took(1)
    await scene.skip(handle, 4.1)
    return handle


async def bulk_in_portions(scene: Recorder) -> Handle:
    """It waits while it can be called off, decides a portion, and the rest."""
    held = Situation(subject="5", state="waiting")
    scene.steps.answer(
        "bulk.on_due",
        held.model_copy(update={"state": "running", "dues": (due_in("next", hours=1.1),)}),
        held.model_copy(update={"state": "done", "ended": True}),
    )
    handle = await scene.start("bulk", held.model_copy(update={"dues": (due_in("next", hours=1),)}))
    await scene.skip(handle, 1.05)
    await scene.took(1)
    await scene.skip(handle, 0.5)
    return handle
