"""The rows of the table: what was measured, its limit, and what is written to `results/latest.json`."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

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
    return f"{os.cpu_count()} cores, {memory_gb:.0f} GB, {system}"


def show(rows: Sequence[Row]) -> str:
    """The table as text."""
    lines = [f"{'id':8}{'work':52}{'value':>12} {'unit':10}{'limit':>12}{'ratio':>8}  note"]
    for one in rows:
        limit = "–" if one.limit is None else f"{one.limit:,.1f}"
        ratio = "–" if one.ratio is None else f"{one.ratio:.2f}"
        lines.append(f"{one.id:8}{one.work[:50]:52}{one.value:>12,.1f} {one.unit:10}{limit:>12}{ratio:>8}  {one.note}")
    return "\n".join(lines)


def write(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Write the rows with the machine and the instant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": [asdict(one) for one in rows],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
