"""`endcap up` as a user runs it: started, looked at, broken, stopped, started again. No demo, so that it is quick."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psutil
import pytest

from embedded.access import read_access
from embedded.ports import free_port
from embedded.postgres import outside_place

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Stack:
    """`endcap up` on a folder of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.port = free_port()
        ours = {
            key: value for key, value in os.environ.items() if not key.startswith(("ENDCAP_", "DATABASE_", "TEMPORAL_"))
        }
        self.environment = ours | {
            "ENDCAP_HOME": str(home),
            "ENDCAP_PORT": str(self.port),
            "ENDCAP_DEMO": "off",
            "PYTHONUNBUFFERED": "1",
            **settings,
        }
        self.process: subprocess.Popen[str] | None = None
        self.said: list[str] = []

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command beside it, to its end."""
        return subprocess.run(
            [sys.executable, "cli.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def start(self) -> None:
        """Start it and read what it says until it is ready."""
        self.process = subprocess.Popen(
            [sys.executable, "cli.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.read_until("Ready after")

    def read_until(self, words: str) -> str:
        """The next line that holds `words`; fails with all it said when it ends before."""
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        pytest.fail(f"it ended without saying {words!r}:\n{''.join(self.said)}")

    def access(self) -> dict[str, Any]:
        """Its access file."""
        return read_access(self.home)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        rest, _ = self.process.communicate(timeout=300)
        self.said.append(rest)
        return self.process.returncode

    def health(self) -> int:
        """Status of /healthz."""
        return httpx2.get(f"http://127.0.0.1:{self.port}/healthz", timeout=120).status_code


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack, stopped and cleared away whatever the test did to it."""
    home = Path(tempfile.mkdtemp(prefix="endcap-up-"))
    home.chmod(0o755)
    made = Stack(home)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()
    outside = outside_place(home)
    if outside is not None:
        shutil.rmtree(outside)
    shutil.rmtree(home, ignore_errors=True)


def gone(pid: int) -> bool:
    """True when no such process runs."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def value(url: str, question: str) -> Any:
    """One value of one query."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_it_starts_is_usable_stops_in_order_and_goes_on_with_what_it_had(stack: Stack) -> None:
    stack.start()
    access = stack.access()
    assert stack.health() == 200
    assert access["base_url"] == f"http://127.0.0.1:{stack.port}"
    assert (stack.home / "access.json").stat().st_mode & 0o077 == 0
    assert set(access["pids"]) == {"postgres", "temporal", "worker", "web"}
    await value(access["database_url"], "CREATE TABLE kept AS SELECT 42 AS figure")
    refused = stack.run("up")
    assert refused.returncode == 1
    assert "already runs" in refused.stderr
    assert stack.run("reset").returncode == 1, "the state of a running stack must not be deleted"
    assert stack.stop() == 0, "".join(stack.said)
    stopped = [line.split()[0] for line in "".join(stack.said).splitlines() if line.strip().endswith("stopped")]
    assert stopped.index("web") < stopped.index("temporal"), stopped
    assert stopped[-1] == "postgres"
    assert all(gone(pid) for pid in access["pids"].values())
    stack.start()
    again = stack.access()
    assert again["database_url"] == access["database_url"]
    assert again["temporal_address"] == access["temporal_address"]
    assert await value(again["database_url"], "SELECT figure FROM kept") == 42
    assert stack.stop(signal.SIGTERM) == 0
    emptied = stack.run("reset")
    assert emptied.returncode == 0, emptied.stderr
    assert not stack.home.exists()


async def test_each_process_that_is_killed_comes_back(stack: Stack, eventually: Callable[..., Any]) -> None:
    stack.start()
    for name in ("web", "worker", "temporal", "postgres"):
        before = stack.access()["pids"][name]
        os.kill(before, signal.SIGKILL)
        stack.read_until(f"{name} ended with exit code -9")
        stack.read_until(f"{name} runs again")
        assert stack.access()["pids"][name] != before
    await eventually(lambda: stack.health() == 200)
    assert await value(stack.access()["database_url"], "SELECT 1") == 1
    assert stack.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what was left")
async def test_kill_9_of_the_supervisor_leaves_nothing_behind_and_the_next_start_works(
    stack: Stack, eventually: Callable[..., Any]
) -> None:
    stack.start()
    pids = stack.access()["pids"].values()
    assert stack.process is not None
    stack.process.kill()
    stack.process.communicate()
    await eventually(lambda: all(gone(pid) for pid in pids))
    stack.start()
    assert stack.health() == 200
    assert stack.stop() == 0


async def test_a_taken_port_is_refused_before_anything_is_started(stack: Stack) -> None:
    import socket

    with socket.create_server(("127.0.0.1", stack.port)):
        refused = stack.run("up")
    assert refused.returncode == 1
    assert "ENDCAP_PORT" in refused.stderr
    assert not (stack.home / "postgres").exists()


async def test_a_setting_out_of_bounds_is_named_and_not_repeated(stack: Stack) -> None:
    stack.environment["ENDCAP_SECRET"] = "short-secret"
    refused = stack.run("up")
    assert refused.returncode == 1
    assert "ENDCAP_SECRET must have 32 characters" in refused.stderr
    assert "short-secret" not in refused.stderr + refused.stdout


async def test_a_given_database_is_used_and_none_is_started(stack: Stack, bare_database: Any) -> None:
    stack.environment["DATABASE_URL"] = bare_database.url
    stack.start()
    assert "postgres" not in stack.access()["pids"]
    assert await value(bare_database.url, "SELECT count(*) FROM location") == 0
    assert stack.stop() == 0
    assert await value(bare_database.url, "SELECT 1") == 1
