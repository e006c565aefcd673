"""The rows of the table: what was measured, its limit, and what is written to `results/latest.json`."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.postgres import find_binaries

RESULTS = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Row:
    """One figure. `ratio` is value ÷ limit as the bar counts it; `runs` are the values whose median it is.

    A limit of None could not be measured here, and `note` says why.
    """

    id: str
    work: str
    value: float
    unit: str
    limit: float | None
    ratio: float | None
    runs: tuple[float, ...]
    note: str = ""


def row(id: str, work: str, runs: Sequence[float], unit: str, limit: float | None, note: str = "") -> Row:  # noqa: A002  the row's own word
    """A row from several runs: the median counts."""
    value = statistics.median(runs)
    ratio = None if not limit else value / limit
    return Row(id, work, value, unit, limit, ratio, tuple(runs), note)


def machine() -> str:
    """What it ran on, in one line; figures of other machines are not to be compared with it."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {system}, {_postgres()}"


def _postgres() -> str:
    told = subprocess.run([find_binaries() / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603  our own server
    return f"PostgreSQL {told.stdout.split()[-1]}"


def show(rows: Sequence[Row], *, head: bool = True) -> str:
    """The table as text."""
    lines = [f"{'id':10}{'work':52}{'value':>12} {'unit':10}{'limit':>12}{'ratio':>8}  note"] if head else []
    for one in rows:
        limit = "–" if one.limit is None else f"{one.limit:,.1f}"
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"{one.id:10}{one.work[:50]:52}{one.value:>12,.1f} {one.unit:10}{limit:>12}{ratio:>8}  {one.note}")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Write the rows with the machine and the instant; rows of before that were not measured now stay, where the same
    machine measured them. `measured` says when, by id.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    known: dict[str, dict[str, Any]] = {}
    measured: dict[str, str] = {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before.get("machine") == machine() and "measured" in before:
            known, measured = {one["id"]: one for one in before["rows"]}, before["measured"]
    known |= {one.id: asdict(one) for one in rows}
    measured |= {one.id: now for one in rows}
    document = {
        "machine": machine(),
        "at": now,
        "measured": {name: measured[name] for name in sorted(known)},
        "rows": [known[name] for name in sorted(known)],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
