"""Processor time of the processes of a measurement: what a piece of work costs is the same on a busy machine, where its
time is not.
"""

import contextlib
import os
from collections.abc import Mapping

import psutil

from ledger.engine import Database


class Costs:
    """Seconds of processor time that each process of a measurement has taken, with its children's; of this process
    alone, since the others are its children.
    """

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self._before: dict[str, float] = {}
        self.spent = dict.fromkeys(processes, 0.0)

    def __enter__(self) -> None:
        self._before = {name: _cpu_s(process) for name, process in self._processes.items()}

    def __exit__(self, *_: object) -> None:
        for name, process in self._processes.items():
            self.spent[name] += _cpu_s(process) - self._before[name]

    def each_ms(self, pieces: int) -> str:
        """Milliseconds of each process for one piece of work, in words."""
        return ", ".join(f"{name} {spent * 1e3 / pieces:.3g}" for name, spent in self.spent.items())


def _cpu_s(process: psutil.Process) -> float:
    """User's and system's, and both of children that have ended; `cpu_times` gives the four of them first."""
    if process.pid == os.getpid():
        return float(sum(process.cpu_times()[:2]))
    spent = float(sum(process.cpu_times()[:4]))
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended: its parent has its time from now on
            spent += sum(child.cpu_times()[:4])
    return spent


async def postmaster(database: Database) -> int:
    """The number of the server's first process: the parent of the one that answers."""
    async with database.read() as conn:
        backend = (await conn.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
    return int(psutil.Process(backend).ppid())
