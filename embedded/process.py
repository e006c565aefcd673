"""Child processes of the one-command stack: started in a group of their own, bound to the life of their parent.

Knows nothing about what the children do. On Linux the kernel signals a child when its parent dies
(PR_SET_PDEATHSIG), so that even `kill -9` of the parent leaves no orphans; elsewhere the next start ends them.
"""

from __future__ import annotations

import asyncio
import ctypes
import grp
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


class StackError(Exception):
    """The embedded stack cannot do what was asked; the message says what to do about it."""


@dataclass(frozen=True)
class Account:
    """A user of the operating system that a child runs as."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """The account for servers that refuse to run as root; None when we are not root ourselves.

    Raises StackError when we are root and the system has no account without rights.
    """
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, grp.getgrgid(entry.pw_gid).gr_gid)
    raise StackError("PostgreSQL will not run as root and there is no account 'nobody': start Endcap as another user.")


def end_with_parent(ending: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that asks the kernel to send `ending` when the parent dies; None where that is impossible.

    The library is loaded here, before the fork: between fork and exec nothing may take a lock.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(ending))
        if os.getppid() != parent:  # it died between fork and here: nobody would tell us any more
            os._exit(1)

    return ask


async def spawn(
    argv: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    account: Account | None = None,
    cwd: Path | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> asyncio.subprocess.Process:
    """Start `argv` in its own process group with both outputs appended to `log` (created with mode 0600).

    Must be called from the main thread: the kernel binds the child to the thread that started it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *(str(word) for word in argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=dict(env),
            cwd=cwd,
            process_group=0,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=end_with_parent(ending),
        )
    finally:
        os.close(descriptor)


async def stop(process: asyncio.subprocess.Process, *, ending: signal.Signals, grace_s: float) -> int:
    """End one child with `ending`, its whole group with SIGKILL when it outlives `grace_s`. Returns its exit code."""
    if process.returncode is None:
        try:
            process.send_signal(ending)
        except ProcessLookupError:
            return await process.wait()
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            kill_group(process.pid)
    code = await process.wait()
    kill_group(process.pid)  # whatever it started and left behind
    return code


def kill_group(pid: int) -> bool:
    """SIGKILL to the process group `pid`; False when there is none any more."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers EPERM for a group whose processes are all zombies
        return False
    return True


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message; empty when there is no log."""
    if not log.exists():
        return ""
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return "\n".join(line if len(line) <= 300 else f"{line[:300]}…" for line in last)


def base_environment() -> dict[str, str]:
    """What every child inherits. Nothing of ours is added here: settings are passed by name by whoever spawns."""
    return dict(os.environ)
