"""Records the histories that replay tests read: `python tests/replay/record.py`, after a change that was meant.

A history that was recorded before is kept: it stands for workflows that are running somewhere. Delete one only together
with the patch that still understood it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from temporalio.client import Client, WorkflowHandle  # noqa: E402
from temporalio.contrib.pydantic import pydantic_data_converter  # noqa: E402
from temporalio.exceptions import ApplicationError  # noqa: E402
from temporalio.testing import TimeSkipper, TimeSkippingConfig  # noqa: E402
from temporalio.worker import Worker  # noqa: E402

import wire  # noqa: E402
from domain.messages import Message, Situation, Told  # noqa: E402
from embedded.ports import free_port  # noqa: E402
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, TIME_SKIPPING, EmbeddedTemporal  # noqa: E402
from tests.fakes import FakeSteps, due_in  # noqa: E402
from worker import WORKFLOWS  # noqa: E402

HISTORIES = Path(__file__).parent / "histories"
QUEUE = "recorded"
type Handle = WorkflowHandle[object, object]


class Recorder:
    """One server, one worker, one scene after the other."""

    def __init__(self, client: Client, skipper: TimeSkipper) -> None:
        self._client = client
        self._skipper = skipper
        self.steps = FakeSteps()

    async def start(self, workflow: str, situation: Situation) -> Handle:
        handle: Handle = await self._client.start_workflow(
            workflow, situation, id=f"{workflow}:recorded:1", task_queue=QUEUE, static_summary=situation.subject
        )
        await self.hears(handle, situation.seq)
        return handle

    async def start_plain(self, workflow: str) -> Handle:
        """A workflow without a situation."""
        handle: Handle = await self._client.start_workflow(workflow, id=f"{workflow}:recorded:1", task_queue=QUEUE)
        return handle

    async def tell(self, handle: Handle, message: Message, situation: Situation) -> None:
        """Tell it, and wait until it has heard: histories must not depend on how quick this machine is."""
        await handle.signal("tell", Told(seq=situation.seq, message=message, situation=situation))
        await self.hears(handle, situation.seq)

    async def hears(self, handle: Handle, seq: int) -> None:
        while (await handle.query("situation", result_type=Situation)).seq < seq:  # noqa: ASYNC110  a query, no event
            await asyncio.sleep(0.02)

    async def took(self, count: int) -> None:
        while len(self.steps.taken) < count:  # noqa: ASYNC110  a script on one machine
            await asyncio.sleep(0.02)

    async def skip(self, handle: Handle, hours: float) -> None:
        await self._skipper.fast_forward(handle, timedelta(hours=hours))


def order(state: str, seq: int = 1, **more: object) -> Situation:
    return Situation.model_validate({"subject": "bopis:web:W-1", "state": state, "seq": seq, **more})


async def collected(scene: Recorder) -> Handle:
    """Picked and handed over in time."""
    handle = await scene.start("bopis", order("reserved", dues=(due_in("pick_nag_1", hours=1),)))
    await scene.tell(handle, Message.PICK_RECORDED, order("ready_for_pickup", 2, dues=(due_in("window", hours=90),)))
    await scene.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 3, ended=True))
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


async def looks_at_promotions(scene: Recorder) -> Handle:
    """One run of the schedule, of which a look fails at first."""
    done = Situation(subject="promotions", state="3 looked at", ended=True)
    scene.steps.answer("promotion.look_at_all", ApplicationError("1 of 3 looks failed"), done)
    return await scene.start_plain("promotion_looks")


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


SCENES: dict[str, Callable[[Recorder], Awaitable[Handle]]] = {
    "bopis-collected": collected,
    "bopis-approved-refund": approved_refund,
    "bopis-asked-customer": asked_customer,
    "bopis-no-show": no_show,
    "bopis-suspended": suspended,
    "claim-disputed": claim_disputed,
    "claim-settled": claim_settled,
    "count-posted": count_posted,
    "count-rejected": count_rejected,
    "count-schedule": counts_of_the_day,
    "promotion-ended": promotion_ended,
    "promotion-looks": looks_at_promotions,
    "returns-by-mail": returned_by_mail,
    "returns-reviewed": returned_and_reviewed,
    "transfer-closed": transfer_closed,
    "transfer-written-off": transfer_written_off,
    "case-ladder": case_ladder,
    "approval-expired": approval_expired,
    "bulk-in-portions": bulk_in_portions,
}


def without_traces(history: str) -> str:
    """A history without the stack traces of failures: they name files of this machine, and a replay ignores them."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(inner) for name, inner in value.items() if name != "stackTrace"}
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    return json.dumps(strip(json.loads(history)), indent=1)


async def record(folder: Path) -> None:
    """Write the history of every scene that has none yet."""
    missing = {name: scene for name, scene in SCENES.items() if not (HISTORIES / f"{name}.json").exists()}
    config = (*SINGLE_NODE, *TIME_SKIPPING, *QUICK_TIMERS)
    server = EmbeddedTemporal(folder / "temporal.log", free_port(), dynamic_config=config)
    await server.start()
    try:
        client = await Client.connect(
            server.address, namespace=server.namespace, data_converter=pydantic_data_converter, identity="recorder"
        )
        skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=True, max_session_skip_count=1000))
        for name, scene in missing.items():
            recorder = Recorder(client, skipper)
            worker = Worker(
                client,
                task_queue=QUEUE,
                workflows=WORKFLOWS,
                activities=recorder.steps.activities(),
                workflow_runner=wire.workflow_runner(),
                identity="recorder",
            )
            async with worker:
                handle = await scene(recorder)
                await asyncio.wait_for(handle.result(), 120)
            history = await handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(without_traces(history.to_json()) + "\n")
            sys.stdout.write(f"{name}: {len(history.events)} events\n")
    finally:
        await server.stop()


if __name__ == "__main__":
    HISTORIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        asyncio.run(record(Path(work)))
    sys.stdout.flush()
    os._exit(0)  # the Temporal library sometimes crashes an interpreter that exits normally
