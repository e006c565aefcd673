"""A server, a worker and fakes of all steps, on which the scenes of the replay tests are played."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.testing import TimeSkipper

from domain.messages import Message, Situation, Told
from tests.fakes import FakeSteps

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
