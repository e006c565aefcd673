"""What the supervisor says of processes that it has started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded import supervisor as module
from embedded.access import read_access
from embedded.children import Child
from embedded.process import base_environment, spawn
from embedded.progress import Progress
from embedded.supervisor import Supervisor


class Silent(Child):
    """A process that lives and does not answer within its time."""

    async def start(self, timeout_s: float = 0.05) -> None:
        await super().start(timeout_s)


@pytest.fixture
def supervisor(tmp_path: Path) -> Supervisor:
    """One that watches a single process, which has been started."""
    made = Supervisor(tmp_path / "home", Progress())
    given = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "temporal_address": "127.0.0.1:1"}
    made.settings = made.settings.model_copy(update=given)
    log = tmp_path / "child.log"

    async def launch() -> asyncio.subprocess.Process:
        waits = [sys.executable, "-c", "import signal; signal.pause()"]
        return await spawn(waits, log=log, env=base_environment())

    async def answers() -> bool:
        return False

    made.children.append(Silent("worker", log, launch, answers=answers))
    return made


async def told(supervisor: Supervisor) -> int:
    return int(read_access(supervisor.home.path)["pids"]["worker"])


async def test_one_that_is_slow_to_answer_is_named_all_the_same(
    supervisor: Supervisor, eventually: Callable[..., Any]
) -> None:
    """Found by the storm: whoever looked for it found the process that it had replaced."""
    (child,) = supervisor.children
    child.process = await child.launch()
    before = child.process.pid
    supervisor._write_access()
    watching = asyncio.create_task(supervisor.watch())
    try:
        os.kill(before, signal.SIGKILL)

        async def replaced() -> bool:
            return await told(supervisor) != before and await told(supervisor) == child.process.pid  # type: ignore[union-attr]

        await eventually(replaced)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await supervisor.stop()


async def test_what_cannot_be_written_is_written_when_there_is_room(
    supervisor: Supervisor, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITE_AGAIN_S", 0.01)
    (child,) = supervisor.children
    child.process = await child.launch()
    before = child.process.pid
    supervisor._write_access()
    whole, refusals = supervisor._write_access, [0]

    def full() -> None:
        if refusals[0] < 3:
            refusals[0] += 1
            raise OSError(28, "No space left on device")
        whole()

    monkeypatch.setattr(supervisor, "_write_access", full)
    watching = asyncio.create_task(supervisor.watch())
    try:
        os.kill(before, signal.SIGKILL)

        async def written() -> bool:
            return refusals[0] == 3 and await told(supervisor) != before

        await eventually(written)
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await supervisor.stop()
