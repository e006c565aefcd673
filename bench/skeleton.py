"""The skeleton of a collected order: a workflow of the same shape in Temporal with nothing in it.

It must stay what `workflows.bopis` is to the server on the way from intake to collected: a start, a timer, a signal
that ends its wait, a second timer, a second signal, the end. A test compares the two histories, event by event.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow

QUEUE = "skeleton"
SIGNALS = 2


@workflow.defn(name="skeleton")
class Skeleton:
    """Waits for two signals, each against a timer."""

    def __init__(self) -> None:
        self.told = 0

    @workflow.signal
    def tell(self) -> None:
        """Something was recorded."""
        self.told += 1

    @workflow.run
    async def run(self) -> None:
        """Until the second signal."""
        while self.told < SIGNALS:
            await self._wait(self.told)
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _wait(self, told: int) -> None:
        try:
            await workflow.wait_condition(lambda: self.told > told, timeout=timedelta(hours=1))
        except asyncio.TimeoutError:  # noqa: UP041  the library's own name for it
            return
