"""Child processes: their end, the end of their parent, and the words said when they do not start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from embedded.children import Child, child_environment, http_answers, run_once
from embedded.ports import free_port
from embedded.process import StackError, base_environment, spawn, stop, tail
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(demo=True, database_url="postgresql://nobody", temporal_address="nowhere:1")
WAITS = "import signal, sys; print('up', flush=True); signal.pause()"
IGNORES = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
HAS_A_CHILD = (
    "import signal, subprocess, sys;"
    "inner = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
    "print(inner.pid, flush=True); signal.pause()"
)


async def started(program: str, log: Path, eventually: Callable[..., Any]) -> asyncio.subprocess.Process:
    """Spawn a Python program and wait until it has printed something."""
    process = await spawn([sys.executable, "-c", program], log=log, env=base_environment())
    await eventually(lambda: log.read_text().strip())
    return process


class TestEnvironment:
    def test_the_demo_has_shelf_labels_and_what_is_set_by_hand_stands(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ENDCAP_PRICE_CHANNELS", raising=False)
        told = json.loads(child_environment(SETTINGS)["ENDCAP_PRICE_CHANNELS"])
        monkeypatch.setenv("ENDCAP_PRICE_CHANNELS", json.dumps(told))
        read = Settings(database_url="postgresql://nobody", temporal_address="nowhere:1", demo=True).price_channels
        assert sorted(read) == ["labels", "pos", "web"]
        assert read["labels"].folder == SETTINGS.home / "labels"
        monkeypatch.setenv("ENDCAP_PRICE_CHANNELS", '{"till": {"kind": "sandbox"}}')
        own = Settings(database_url="postgresql://nobody", temporal_address="nowhere:1", demo=True)
        assert sorted(json.loads(child_environment(own)["ENDCAP_PRICE_CHANNELS"])) == ["till"]


class TestStopping:
    async def test_a_child_that_listens_ends_by_the_signal(
        self, tmp_path: Path, eventually: Callable[..., Any]
    ) -> None:
        process = await started(WAITS, tmp_path / "log", eventually)
        assert await stop(process, ending=signal.SIGTERM, grace_s=10) == -signal.SIGTERM

    async def test_a_child_that_does_not_listen_is_killed(self, tmp_path: Path, eventually: Callable[..., Any]) -> None:
        process = await started(IGNORES, tmp_path / "log", eventually)
        assert await stop(process, ending=signal.SIGTERM, grace_s=0.2) == -signal.SIGKILL

    async def test_what_a_child_started_goes_with_it(self, tmp_path: Path, eventually: Callable[..., Any]) -> None:
        process = await started(HAS_A_CHILD, tmp_path / "log", eventually)
        inner = int((tmp_path / "log").read_text())
        await stop(process, ending=signal.SIGTERM, grace_s=10)
        await eventually(lambda: not psutil.pid_exists(inner) or psutil.Process(inner).status() == psutil.STATUS_ZOMBIE)

    async def test_a_child_that_is_gone_can_be_stopped(self, tmp_path: Path) -> None:
        process = await spawn([sys.executable, "-c", "raise SystemExit(3)"], log=tmp_path / "log", env={})
        await process.wait()
        assert await stop(process, ending=signal.SIGTERM, grace_s=1) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="only the Linux kernel tells a child of its parent's death")
async def test_kill_9_of_the_parent_ends_the_child(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    log = tmp_path / "log"
    parent_program = (
        "import asyncio, sys, os; from pathlib import Path; from embedded.process import spawn\n"
        "async def main():\n"
        f"    child = await spawn([sys.executable, '-c', {WAITS!r}], log=Path(sys.argv[1]), env=dict(os.environ))\n"
        "    print(child.pid, flush=True); await child.wait()\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen(  # noqa: ASYNC220  a parent of its own is the subject
        [sys.executable, "-c", parent_program, str(log)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        await eventually(lambda: log.exists() and log.read_text())
        assert psutil.pid_exists(child)
        os.kill(parent.pid, signal.SIGKILL)
    await eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


class TestChild:
    async def test_one_that_stops_at_once_is_reported_with_its_last_words(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        argv = [sys.executable, "-c", "print('the disk is full'); raise SystemExit(7)"]
        child = Child(
            "web",
            log,
            lambda: spawn(argv, log=log, env=base_environment()),
            answers=http_answers("127.0.0.1", free_port(), "/"),
        )
        with pytest.raises(StackError, match=r"(?s)exit code 7.*the disk is full"):
            await child.start()

    async def test_one_that_never_answers_is_given_up(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        child = Child(
            "web",
            log,
            lambda: spawn([sys.executable, "-c", WAITS], log=log, env=base_environment()),
            answers=http_answers("127.0.0.1", free_port(), "/"),
        )
        with pytest.raises(StackError, match="did not answer"):
            await child.start(timeout_s=0.3)
        await child.stop()

    async def test_a_command_that_fails_is_reported_with_its_last_words(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match=r"(?s)exit code 1.*No module named"):
            await run_once(SETTINGS, "-m", "no_such_module_of_ours", log=tmp_path / "log")

    async def test_a_command_that_succeeds_says_nothing(self, tmp_path: Path) -> None:
        await run_once(SETTINGS, "-c", "pass", log=tmp_path / "log")
        assert tail(tmp_path / "log") == ""

    async def test_secrets_travel_in_the_environment_and_never_on_the_command_line(self, tmp_path: Path) -> None:
        program = "import os, sys; s = os.environ['ENDCAP_SECRET']; print(s in ' '.join(sys.orig_argv), len(s) > 0)"
        await run_once(SETTINGS, "-c", program, log=tmp_path / "log")
        assert tail(tmp_path / "log") == "False True"
