"""Runs pgbench on scripts and returns what PostgreSQL does of them in a second."""

import asyncio
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from embedded.postgres import find_binaries

# The settings of the connections that carry the product's own batches of orders; all others have the server's.
BATCHES = " ".join(
    f"-c {setting}"
    for setting in (
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "jit=off",
    )
)


# `:n` is another number for every transaction of every client of every run: below 2^32, for it becomes part of an id.
# A run may send 2^24 transactions; by the time the numbers come round, after 256 runs, the database is another one.
MOST_CLIENTS = 64
NEXT_NUMBER = f"\\set count :count + 1\n\\set n :start + :client_id + {MOST_CLIENTS} * :count"
_starts = itertools.cycle(range(0, 2**32, 2**24))


class Load(NamedTuple):
    """Transactions a second, and the latency of one in milliseconds, with so many clients."""

    per_s: float
    latency_ms: float
    clients: int


def program() -> Path:
    """pgbench beside the server's programs, or the system's. Raises FileNotFoundError, saying what to install."""
    beside = find_binaries() / "pgbench"
    if beside.exists():
        return beside
    on_path = shutil.which("pgbench")
    if on_path is None:
        raise FileNotFoundError(
            "pgbench is missing: install Debian's postgresql-contrib, or the server's client tools."
        )
    return Path(on_path)


async def once(url: str, script: str, *, planner: str = BATCHES) -> None:
    """One transaction by one client."""
    await _pgbench(url, [script], planner, "-c", "1", "-t", "1")


async def run(url: str, scripts: Sequence[str], *, clients: int, seconds: int, planner: str = BATCHES) -> Load:
    """Prepared statements, generic plans, two threads; what deadlocks is sent again.

    Raises RuntimeError with pgbench's words when it fails.
    """
    told = await _pgbench(url, scripts, planner, "-c", str(clients), "-j", str(min(clients, 2)), "-T", str(seconds))
    latency = re.search(r"latency average = ([\d.]+) ms", told)
    found = re.search(r"tps = ([\d.]+)", told)
    if latency is None or found is None:  # so many clients that none got to its end in this time
        return Load(0.0, float("inf"), clients)
    return Load(float(found.group(1)), float(latency.group(1)), clients)


async def latencies(url: str, scripts: Sequence[str], *, seconds: int, planner: str = "") -> list[list[float]]:
    """Milliseconds of every transaction of each script, sent by one client; each script at least three times."""
    with tempfile.TemporaryDirectory(prefix="endcap-pgbench-log-") as folder:
        for _ in range(20):
            await _pgbench(url, scripts, planner, "-c", "1", "-T", str(seconds), "-l", f"--log-prefix={folder}/log")
            taken: list[list[float]] = [[] for _ in scripts]
            for line in await asyncio.to_thread(_logged, Path(folder)):
                _, _, micros, script, *_ = line.split()
                taken[int(script)].append(int(micros) / 1e3)
            if min(len(some) for some in taken) >= 3:
                return taken
    raise RuntimeError(f"pgbench did not get to every script within {20 * seconds} s")


def _logged(folder: Path) -> list[str]:
    return [line for file in folder.iterdir() for line in file.read_text(encoding="utf-8").splitlines()]


async def _pgbench(url: str, scripts: Sequence[str], planner: str, *options: str) -> str:
    at = urlsplit(url)
    with tempfile.TemporaryDirectory(prefix="endcap-pgbench-") as folder:
        files = []
        for number, script in enumerate(scripts):
            file = Path(folder) / f"{number}.sql"
            file.write_text(script, encoding="utf-8")
            files += ["-f", str(file)]
        process = await asyncio.create_subprocess_exec(
            str(program()), "-n", "-M", "prepared", "--max-tries=20",
            "-D", f"start={next(_starts)}", "-D", "count=-1", *options,
            "-h", str(at.hostname), "-p", str(at.port), "-U", str(at.username), *files, at.path.lstrip("/"),
            env=os.environ | {"PGPASSWORD": at.password or "", "PGOPTIONS": planner},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await process.communicate()
    told = out.decode()
    failed = re.search(r"number of failed transactions: (\d+)", told)
    if process.returncode or (failed and int(failed.group(1))):
        raise RuntimeError(f"pgbench failed: {error.decode()[-2000:]}{told[-500:]}")
    return told


async def best(
    url: str,
    scripts: Sequence[str],
    *,
    seconds: int,
    clients: Sequence[int] = (1, 4, 16, MOST_CLIENTS),
    planner: str = BATCHES,
) -> Load:
    """The best of several numbers of clients."""
    loads = [await run(url, scripts, clients=number, seconds=seconds, planner=planner) for number in clients]
    return max(loads, key=lambda load: load.per_s)


async def best_apart(url: str, scripts: Sequence[str], *, seconds: int, clients: Sequence[int] = (1, 2, 4)) -> Load:
    """The best of several numbers of clients that never send the same script, so that none waits for another's rows."""
    loads = []
    for number in clients:
        each = await asyncio.gather(
            *(run(url, scripts[part::number], clients=1, seconds=seconds) for part in range(number))
        )
        per_s = sum(load.per_s for load in each)
        loads.append(Load(per_s, sum(load.latency_ms for load in each) / number, number))
    return max(loads, key=lambda load: load.per_s)
