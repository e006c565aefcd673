"""The processes of the stack that run Endcap's own code: how each is started, and how to tell that it works.

They get their settings by name in their environment, never by file or argument, so that `ps` shows no secret.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from embedded.process import StackError, base_environment, spawn, stop, tail
from embedded.temporal import Pollers
from settings import Settings

ROOT = Path(__file__).resolve().parent.parent
_POLL_S = 0.05


@dataclass
class Child:
    """One long-running process: `launch` starts it, `answers` tells whether it works, `ending` asks it to stop.

    Of two children the one that was started later is stopped first.
    """

    name: str
    log: Path
    launch: Callable[[], Awaitable[asyncio.subprocess.Process]]
    answers: Callable[[], Awaitable[bool]] | None = None
    ending: signal.Signals = signal.SIGTERM
    grace_s: float = 15.0
    ends_by_itself: bool = False
    process: asyncio.subprocess.Process | None = field(default=None)

    async def start(self, timeout_s: float = 45.0) -> None:
        """Launch and wait until it answers. Raises StackError with the end of its log when it does not."""
        process = self.process = await self.launch()
        if self.answers is None:
            return
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.answers():
                    if process.returncode is not None:
                        raise StackError(
                            f"{self.name} stopped at once (exit code {process.returncode}); the end of "
                            f"{self.log}:\n{tail(self.log)}"
                        )
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StackError(
                f"{self.name} did not answer in {timeout_s:g} s; the end of {self.log}:\n{tail(self.log)}"
            ) from None

    async def stop(self) -> int | None:
        """Stop it; returns its exit code, None when it never ran."""
        return None if self.process is None else await stop(self.process, ending=self.ending, grace_s=self.grace_s)


def child_environment(settings: Settings) -> dict[str, str]:
    """The environment of our own processes: the parent's, with every setting that the stack has decided."""
    decided = {
        "DATABASE_URL": settings.require_database_url(),
        "TEMPORAL_ADDRESS": settings.require_temporal_address(),
        "ENDCAP_HOME": str(settings.home),
        "ENDCAP_HOST": settings.host,
        "ENDCAP_PORT": str(settings.port),
        "ENDCAP_PUBLIC_URL": settings.base_url,
        "ENDCAP_TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "ENDCAP_SMTP_TLS": settings.smtp_tls,
        "ENDCAP_SMTP_PORT": str(settings.smtp_port),
        "ENDCAP_SECRET": settings.secret.get_secret_value(),
        "ENDCAP_PAYLOAD_KEYS": settings.payload_keys.get_secret_value(),
        "ENDCAP_DEMO": "on" if settings.demo else "off",
        "PYTHONUNBUFFERED": "1",
    }
    if settings.demo and "price_channels" not in settings.model_fields_set:
        decided["ENDCAP_PRICE_CHANNELS"] = json.dumps(demo_channels(settings.home))
    if settings.smtp_host is not None:
        decided["ENDCAP_SMTP_HOST"] = settings.smtp_host
    if settings.temporal_ui_url is not None:
        decided["ENDCAP_TEMPORAL_UI_URL"] = settings.temporal_ui_url
    if settings.mailbox_url is not None:
        decided["ENDCAP_MAILBOX_URL"] = settings.mailbox_url
    return base_environment() | decided


def demo_channels(home: Path) -> dict[str, dict[str, str]]:
    """The price channels of the demo: two sandboxes, and shelf labels that its crew looks after, by files."""
    sandbox = {"kind": "sandbox"}
    return {"web": sandbox, "pos": sandbox, "labels": {"kind": "csv", "folder": str(home / "labels")}}


def command(settings: Settings, *words: str, log: Path) -> Callable[[], Awaitable[asyncio.subprocess.Process]]:
    """A launcher for `python <words>` in the folder of the code."""

    def launch() -> Awaitable[asyncio.subprocess.Process]:
        return spawn([sys.executable, *words], log=log, env=child_environment(settings), cwd=ROOT)

    return launch


def web(settings: Settings, logs: Path) -> Child:
    """The console and the API."""
    log = logs / "web.log"
    words = [
        "-m",
        "uvicorn",
        "web.process:create_app",
        "--factory",
        "--host",
        settings.host,
        "--port",
        str(settings.port),
        "--no-server-header",
        "--no-proxy-headers",
        "--timeout-graceful-shutdown",
        "3",
        "--no-access-log",
        "--log-level",
        settings.log_level,
    ]
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104  compared, not bound
    return Child("web", log, command(settings, *words, log=log), answers=http_answers(host, settings.port, "/healthz"))


def worker(settings: Settings, logs: Path) -> Child:
    """Workflows and activities, the relay and the sender of mails."""
    log = logs / "worker.log"
    grace_s = settings.graceful_shutdown_timeout_s + 5
    child = Child("worker", log, command(settings, "worker.py", log=log), grace_s=grace_s)
    pollers = Pollers(settings.require_temporal_address(), settings.temporal_namespace, settings.task_queue)

    async def polls() -> bool:
        return child.process is not None and await pollers.include(child.process.pid)

    child.answers = polls
    return child


def mailbox(settings: Settings, logs: Path, *, folder: Path, page_port: int) -> Child:
    """The mail server of the demo and its page."""
    log = logs / "mailbox.log"
    words = [
        "-m",
        "embedded.mailbox",
        "--folder",
        str(folder),
        "--smtp-port",
        str(settings.smtp_port),
        "--page-port",
        str(page_port),
    ]
    return Child("mailbox", log, command(settings, *words, log=log), answers=http_answers("127.0.0.1", page_port, "/"))


def demo(settings: Settings, logs: Path) -> Child:
    """The scripted day; it may end by itself."""
    log = logs / "demo.log"
    return Child("demo", log, command(settings, "cli.py", "demo", log=log), ends_by_itself=True)


async def run_once(settings: Settings, *words: str, log: Path) -> None:
    """Run `python <words>` to its end. Raises StackError with the end of its log unless it exits with 0."""
    process = await command(settings, *words, log=log)()
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await stop(process, ending=signal.SIGTERM, grace_s=5)
        raise
    if code != 0:
        raise StackError(f"`{' '.join(words)}` failed with exit code {code}; the end of {log}:\n{tail(log)}")


def http_answers(host: str, port: int, path: str) -> Callable[[], Awaitable[bool]]:
    """A check that `GET path` is answered with 200."""

    async def answers() -> bool:
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                    await writer.drain()
                    status = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return status.split(b" ")[1:2] == [b"200"]

    return answers
