"""Two small workflows for the tests of the servers.

In a module of their own: the workflow sandbox imports a workflow's module anew, and a second import of asyncpg's
compiled parts crashes the interpreter.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow


@workflow.defn
class Patience:
    """Waits three hours and says when it was done."""

    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(timedelta(hours=3))
        return workflow.now().isoformat()


@workflow.defn
class Hopeless:
    """Fails at once."""

    @workflow.run
    async def run(self) -> None:
        raise RuntimeError("as foreseen")
