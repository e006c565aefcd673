"""What the supervisor says of processes that it has started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from embedded import children
from embedded import supervisor as module
from embedded.access import read_access
from embedded.children import Child
from embedded.process import base_environment, spawn
from embedded.progress import Progress
from embedded.supervisor import Supervisor
from settings import Settings
from tests.conftest import Database

Asked = Callable[[str], Awaitable[list[str]]]


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


class TestMigrations:
    """What a start does about the schema: nothing where it is there."""

    @pytest.fixture
    def asked(self, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
        """`await asked(url)`: the commands that a start on this database runs before all else."""
        commands: list[str] = []

        async def run_once(_settings: Settings, *words: str, **_: object) -> None:
            commands.append(" ".join(words))

        monkeypatch.setattr(children, "run_once", run_once)

        async def ask(url: str) -> list[str]:
            commands.clear()
            given = {"database_url": url, "temporal_address": "127.0.0.1:1", "demo": False}
            supervisor.settings = supervisor.settings.model_copy(update=given)
            no_slice: asyncio.Task[Path | None] = asyncio.create_task(asyncio.sleep(0, None))
            await supervisor._start_ledger(no_slice)
            await no_slice
            return list(commands)

        yield ask
        supervisor.home.release()

    async def test_a_database_that_has_them_all_is_left_as_it_is(self, asked: Asked, database: Database) -> None:
        assert await asked(database.url) == []

    async def test_an_empty_one_and_one_that_is_behind_are_migrated(
        self, asked: Asked, database: Database, bare_database: Database
    ) -> None:
        assert await asked(bare_database.url) == ["cli.py migrate"]
        connection = await asyncpg.connect(database.url)
        try:
            await connection.execute("UPDATE alembic_version SET version_num = '0001'")
        finally:
            await connection.close()
        assert await asked(database.url) == ["cli.py migrate"]

    @pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "mysql://root@127.0.0.1/x"])
    async def test_what_is_wrong_with_an_address_is_said_by_the_command(self, asked: Asked, url: str) -> None:
        assert await asked(url) == ["cli.py migrate"]
