"""What a person sees of the stack never holds the stack up."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.progress import Progress


class Pipe:
    """A pipe that holds no more than a page."""

    def __init__(self) -> None:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        self.stream = os.fdopen(writing, "w", encoding="utf-8")

    def read_until(self, words: str) -> str:
        """What arrives, as far as some words."""
        text = ""
        while words not in text:
            part = os.read(self.reading, 65_536).decode()
            assert part, f"ended before {words!r}"
            text += part
        return text

    def hang_up(self) -> None:
        """Nobody reads it any more."""
        os.close(self.reading)
        self.reading = -1

    def close(self) -> None:
        if self.reading >= 0:
            self.hang_up()
        with contextlib.suppress(OSError):  # what was still in it has nowhere to go
            self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    one = Pipe()
    yield one
    one.close()


def test_a_reader_that_pauses_holds_nobody_up_and_misses_nothing(pipe: Pipe) -> None:
    progress = Progress(pipe.stream)
    for number in range(200):
        progress.note(f"worker runs again (process {number:06})")  # some 10 kB: more than the pipe holds
    with progress.step("mailbox"):
        pass
    progress.close()  # gives up waiting for it
    seen = pipe.read_until("mailbox").splitlines()
    assert [line.split()[-1] for line in seen[:200]] == [f"{number:06})" for number in range(200)]


def test_a_reader_that_has_gone_stops_nobody(pipe: Pipe) -> None:
    progress = Progress(pipe.stream)
    progress.note("one")
    pipe.read_until("one")
    pipe.hang_up()
    progress.note("two")
    progress.warn("three")
    progress.close()


def test_a_disk_that_is_full_loses_lines_and_stops_nobody() -> None:
    with (
        contextlib.suppress(OSError),
        Path("/dev/full").open("w", encoding="utf-8") as full,
    ):  # closing it writes once more
        progress = Progress(full)
        progress.note("one")
        progress.close()


def test_the_last_lines_arrive_before_it_ends(pipe: Pipe) -> None:
    progress = Progress(pipe.stream)
    progress.note("web stopped")
    progress.close()
    pipe.stream.close()
    assert os.read(pipe.reading, 4096).decode().strip() == "web stopped"
