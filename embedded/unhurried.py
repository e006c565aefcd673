"""An output that never makes its writer wait."""

from __future__ import annotations

import contextlib
import io
import threading
from queue import SimpleQueue
from typing import TextIO, override


class Unhurried(io.TextIOBase):
    """What is written is carried to `stream` by a thread of its own, in its order.

    A terminal that was paused, or a pipe that nobody reads, would otherwise hold up whoever supervises processes. A
    stream that cannot be written (its disk is full, its reader is gone) loses lines and stops nobody.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: SimpleQueue[str | threading.Event] = SimpleQueue()
        threading.Thread(target=self._carry, name="output", daemon=True).start()

    @property
    @override
    def encoding(self) -> str:  # type: ignore[override]  # of whom it stands in for
        return self._stream.encoding

    @override
    def isatty(self) -> bool:
        return self._stream.isatty()

    @override
    def fileno(self) -> int:
        return self._stream.fileno()

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, text: str) -> int:
        self._waiting.put(text)
        return len(text)

    def drain(self, timeout_s: float) -> bool:
        """Wait until what was written so far has arrived, for so many seconds at the most; whether it has."""
        arrived = threading.Event()
        self._waiting.put(arrived)
        return arrived.wait(timeout_s)

    def _carry(self) -> None:
        while True:
            one = self._waiting.get()
            if isinstance(one, threading.Event):
                one.set()
                continue
            with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
                self._stream.write(one)
                self._stream.flush()
