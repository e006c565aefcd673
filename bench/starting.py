"""S13: from `make up` to a usable console, the second time on the same folder, beside the start of both bare servers.

The first time, with an empty folder, is in the note: it makes the database and loads the retail data of the demo. What
`make` itself installs is not counted.
"""

import asyncio
import os
import secrets
import signal
import statistics
import sys
import time
from pathlib import Path

from bench import place
from bench.rows import Row, row
from embedded.children import ROOT, http_answers
from embedded.ports import free_port
from embedded.postgres import EmbeddedPostgres
from embedded.process import spawn, stop, tail
from embedded.temporal import EmbeddedTemporal

RUNS = 3
_LOOK_S = 0.02
_PATIENCE_S = 180.0
_READY = "Ready after"


async def up(home: Path, port: int, *, demo: bool) -> float:
    """Seconds from the command to a console that answers and a stack that says it is ready; then it is stopped.

    Raises RuntimeError with what it said last when it ends by itself.
    """
    log = home.parent / f"up-{time.monotonic_ns()}.log"
    env = {
        **os.environ, "ENDCAP_HOME": str(home), "ENDCAP_PORT": str(port), "ENDCAP_DEMO": "on" if demo else "off",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    answers = http_answers("127.0.0.1", port, "/sign-in")
    began = time.perf_counter()
    process = await spawn([sys.executable, "cli.py", "up"], log=log, env=env, cwd=ROOT, ending=signal.SIGINT)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while _READY not in tail(log, 30) or not await answers():
                if process.returncode is not None:
                    raise RuntimeError(f"`endcap up` ended with {process.returncode}: {tail(log)}")
                await asyncio.sleep(_LOOK_S)
        return time.perf_counter() - began
    finally:
        await stop(process, ending=signal.SIGINT, grace_s=60)


async def bare(home: Path) -> float:
    """Seconds until PostgreSQL and Temporal answer, both started at once on what they have in this folder."""
    postgres = EmbeddedPostgres(home, free_port(), "bench-password")
    temporal = EmbeddedTemporal(home / "temporal.log", free_port(), free_port(), home / "temporal.db")
    began = time.perf_counter()
    try:
        await asyncio.gather(postgres.start(), temporal.start())
        return time.perf_counter() - began
    finally:
        await asyncio.gather(postgres.stop(), temporal.stop())


async def twice(_server_url: str, *, seconds: float, demo: bool = True, times: int = RUNS) -> list[Row]:  # noqa: ARG001  starts take what they take
    """S13: the ratio is how many times longer it takes; its bar is an upper one."""
    port = free_port()
    async with place.room() as room:
        home, alone = room / secrets.token_hex(4), room / secrets.token_hex(4)
        first, first_bare = await up(home, port, demo=demo), await bare(alone)
        again, again_bare = [], []
        for _ in range(times):
            again.append(await up(home, port, demo=demo))
            again_bare.append(await bare(alone))
    note = f"the first time {first:.1f} s, where both bare servers take {first_bare:.1f} s"
    return [row("S13", "`make up` to a usable console, second run", again, "s", statistics.median(again_bare), note)]
