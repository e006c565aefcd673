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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from temporalio.client import Client  # noqa: E402
from temporalio.contrib.pydantic import pydantic_data_converter  # noqa: E402
from temporalio.testing import TimeSkipper, TimeSkippingConfig  # noqa: E402
from temporalio.worker import Worker  # noqa: E402

import wire  # noqa: E402
from embedded.ports import free_port  # noqa: E402
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, TIME_SKIPPING, EmbeddedTemporal  # noqa: E402
from tests.replay import scenes_goods, scenes_money, scenes_people  # noqa: E402
from tests.replay.recorder import QUEUE, Handle, Recorder  # noqa: E402
from worker import WORKFLOWS  # noqa: E402

HISTORIES = Path(__file__).parent / "histories"


SCENES: dict[str, Callable[[Recorder], Awaitable[Handle]]] = {
    "bopis-collected": scenes_goods.collected,
    "bopis-reminded": scenes_goods.reminded,
    "bopis-approved-refund": scenes_goods.approved_refund,
    "bopis-asked-customer": scenes_goods.asked_customer,
    "bopis-no-show": scenes_goods.no_show,
    "bopis-suspended": scenes_goods.suspended,
    "claim-disputed": scenes_money.claim_disputed,
    "claim-settled": scenes_money.claim_settled,
    "count-posted": scenes_goods.count_posted,
    "count-rejected": scenes_goods.count_rejected,
    "count-schedule": scenes_goods.counts_of_the_day,
    "promotion-ended": scenes_money.promotion_ended,
    "promotion-looks": scenes_money.looks_at_promotions,
    "returns-by-mail": scenes_goods.returned_by_mail,
    "returns-reviewed": scenes_goods.returned_and_reviewed,
    "transfer-closed": scenes_goods.transfer_closed,
    "transfer-written-off": scenes_goods.transfer_written_off,
    "case-ladder": scenes_people.case_ladder,
    "approval-expired": scenes_people.approval_expired,
    "bulk-in-portions": scenes_people.bulk_in_portions,
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
