"""The state folder of the one-command stack: one supervisor at a time, its secrets, and what an earlier one left.

It knows files and process ids; it starts nothing.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from embedded.postgres import outside_place
from embedded.process import StackError, kill_group

LOG_LIMIT_BYTES = 10_000_000
_LEFTOVER_GRACE_S = 15.0


@dataclass
class Home:
    """A state folder held by this process."""

    path: Path
    lock: IO[str]

    @property
    def logs(self) -> Path:
        """One log file per child."""
        return self.path / "logs"

    @property
    def secrets(self) -> Path:
        """Secrets made by `make_secrets`, one file each, readable by their owner only."""
        return self.path / "secrets"

    @property
    def mailbox(self) -> Path:
        """The mails of the demo, one `.eml` file each."""
        return self.path / "mailbox"

    def release(self) -> None:
        """Let another supervisor have the folder."""
        self.lock.close()


def take(path: Path) -> Home:
    """Create the folder where missing and hold it. Raises StackError naming the process that holds it already."""
    path.mkdir(parents=True, exist_ok=True)
    lock = (path / "lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StackError(
            f"Endcap already runs on {path} (process {holder}). Stop it with Ctrl-C there or `kill {holder}`, "
            "or give this one another ENDCAP_HOME and ENDCAP_PORT."
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return Home(path, lock)


def make_secrets(folder: Path) -> None:
    """Write the secrets of this Endcap once: signing secret, payload key, password of the embedded database."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    payload_key = base64.b64encode(secrets.token_bytes(32)).decode()
    for name, value in (
        ("endcap_secret", secrets.token_urlsafe(48)),
        ("endcap_payload_keys", f"k1:{payload_key}"),
        ("postgres_password", secrets.token_urlsafe(24)),
    ):
        file = folder / name
        if not file.exists():
            write_private(file, value)


def write_private(file: Path, text: str) -> None:
    """Replace `file` with `text` in one move, mode 0600 from its first byte on."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(file)


def remember_children(home: Path, pids: dict[str, int]) -> None:
    """Note the children with the time of their birth: a pid alone may belong to somebody else tomorrow."""
    noted = {}
    for name, pid in pids.items():
        try:
            noted[name] = {"pid": pid, "born": psutil.Process(pid).create_time()}
        except psutil.NoSuchProcess:
            continue
    write_private(home / "children.json", json.dumps(noted))


def end_leftovers(home: Path) -> list[str]:
    """End children of a supervisor that was killed, if any still run; returns their names."""
    file = home / "children.json"
    if not file.exists():
        return []
    living = []
    for name, noted in json.loads(file.read_text(encoding="utf-8")).items():
        try:
            process = psutil.Process(noted["pid"])
            if abs(process.create_time() - noted["born"]) < 1:
                living.append((name, process))
        except psutil.NoSuchProcess:
            continue
    for _, process in living:
        process.terminate()
    _, stubborn = psutil.wait_procs([process for _, process in living], timeout=_LEFTOVER_GRACE_S)
    for process in stubborn:
        kill_group(process.pid)
    file.unlink()
    return [name for name, _ in living]


def shorten_logs(folder: Path) -> None:
    """Set aside logs that have grown large; one older generation is kept."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))


def empty(path: Path) -> list[Path]:
    """Delete all state of a home nobody holds; returns the folders that were deleted. Raises StackError when held."""
    if not path.exists():
        return []
    if not any((path / sign).exists() for sign in ("lock", "secrets", "ports.json")):
        raise StackError(f"{path} does not look like a state folder of Endcap: nothing was deleted.")
    home = take(path)
    try:
        end_leftovers(path)
        outside = outside_place(path)
        deleted = [folder for folder in (outside, path) if folder is not None and folder.exists()]
        for folder in deleted:
            shutil.rmtree(folder)
    finally:
        home.release()
    return deleted
