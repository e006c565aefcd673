"""What the person who started the stack sees: one line per step with its time, a spinner only on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.status import Status

from embedded.unhurried import Unhurried

DRAIN_S = 1.0  # how long the last lines may take to be read


class Progress:
    """Reports steps as they end. Several may run at once; on a terminal the spinner names those still running."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._output = Unhurried(stream or sys.stdout)
        self.console = Console(file=cast("TextIO", self._output), highlight=False, soft_wrap=True)
        self.began = time.monotonic()
        self._running: list[str] = []
        self._status: Status | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; a failure is shown with its name and raised on."""
        began = time.monotonic()
        self._running.append(name)
        self._spin()
        try:
            yield
        except BaseException:
            self._running.remove(name)
            self._spin()
            self.console.print(f"[red]failed[/red]  {name}")
            raise
        self._running.remove(name)
        self._spin()
        self.console.print(f"[green]{time.monotonic() - began:5.1f} s[/green]  {name}")

    def note(self, text: str) -> None:
        """A line of its own."""
        self._say(f"         {text}", markup=False)

    def warn(self, text: str) -> None:
        """A line that asks for attention."""
        self._say(f"[yellow]notice[/yellow]   {text}")

    def _say(self, line: str, *, markup: bool = True) -> None:
        self.console.print(line, markup=markup)

    def close(self) -> None:
        """Give the last lines a moment to arrive."""
        self._output.drain(DRAIN_S)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def _spin(self) -> None:
        if not self.console.is_terminal:
            return
        if not self._running:
            if self._status is not None:
                self._status.stop()
                self._status = None
            return
        text = ", ".join(self._running)
        if self._status is None:
            self._status = self.console.status(text)
            self._status.start()
        else:
            self._status.update(text)
