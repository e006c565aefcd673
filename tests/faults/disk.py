"""A disk of a few hundred megabytes for a test to fill: a file system in memory, mounted where we may.

Where nobody may mount (a container without that right), `/dev/shm` is such a disk if it is small: the other tests work
there only where it has gigabytes to spare (`tests/conftest.py`), so nobody else is in the way.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_MB = 256
SMALL = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
SMALL_BYTES = 1_000_000_000
NEEDED_BYTES = 60_000_000  # what a stack has on its disk when it is new
PIECES = (1 << 20, 4096, 1)


class Disk:
    """A folder on a small disk, and a file that takes what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take whatever is free now; again and again, since servers remove files of theirs."""
        handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in PIECES:
                self._write(handle, bytes(size))
        finally:
            os.close(handle)

    @staticmethod
    def _write(handle: int, piece: bytes) -> None:
        try:
            while True:
                os.write(handle, piece)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise

    def make_room(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk() -> Iterator[Disk]:
    """A disk that goes with the block. Raises LookupError, which says what is needed, where there can be none."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-disk-"))
    options = f"size={SIZE_MB}m,mode=755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        try:
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
            folder.rmdir()
        return
    folder.rmdir()
    # Beside another process of tests it is no disk of ours: that one's PostgreSQL and browser work there as well.
    is_ours = SMALL.is_dir() and "PYTEST_XDIST_WORKER" not in os.environ
    space = shutil.disk_usage(SMALL) if is_ours else None
    if space is None or space.total > SMALL_BYTES or space.free < NEEDED_BYTES:
        raise LookupError(
            f"no small disk to fill: mount says {done.stderr.strip()!r}, and {SMALL} is none of 60 to 1,000 MB for"
            " us alone. Run it as root with the right to mount, or with -n 0 in a container with --shm-size=256m."
        )
    folder = Path(tempfile.mkdtemp(prefix="endcap-disk-", dir=SMALL))
    folder.chmod(0o755)
    try:
        yield Disk(folder)
    finally:
        shutil.rmtree(folder)
