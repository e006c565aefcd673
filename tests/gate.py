"""The release gate: runs the tests that docs/gate.md names and says for each of its cases what was seen.

`python -m tests.gate` (all) or `python -m tests.gate A1 C` (one case, one section). It ends with 1 where a case failed,
is open, or ran no test.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
PLAN = ROOT / "docs" / "gate.md"
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


class Case(NamedTuple):
    """A case of the plan: what is done to Endcap, what has to come of it, and the tests (file, name) that see to it."""

    number: str
    fault: str
    expected: str
    tests: frozenset[tuple[str, str]]


def plan() -> list[Case]:
    """Every case of docs/gate.md, in its order."""
    return [
        Case(number, fault, expected, frozenset(NAMED.findall(held_by)))
        for number, fault, expected, held_by in ROW.findall(PLAN.read_text())
    ]


def chosen(words: Sequence[str]) -> list[Case]:
    """The cases called by number (`A1`) or section (`A`); all of them without a word. Raises SystemExit for none."""
    cases = [case for case in plan() if not words or case.number in words or case.number[0] in words]
    if not cases:
        raise SystemExit(f"docs/gate.md has no case {' '.join(words)}")
    return cases


class Gate:
    """A plugin of pytest: runs only the tests of some cases, says how each ended, and fails where one is not held."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.wanted = {test for case in cases for test in case.tests}
        self.ended: dict[tuple[str, str], list[str]] = defaultdict(list)

    @property
    def files(self) -> list[str]:
        return sorted({file for file, _ in self.wanted})

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        left_out = [item for item in items if _named(item.nodeid) not in self.wanted]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _named(item.nodeid) in self.wanted]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.ended[_named(report.nodeid)].append(report.outcome)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if any(not self.seen(case).startswith("held") for case in self.cases):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self) -> None:
        """The table; written here because the process may leave right after the last test."""
        table = Table("", "fault or attack", "what has to come of it", "seen")
        for case in self.cases:
            table.add_row(case.number, case.fault, case.expected, self.seen(case))
        out = Console(width=180)
        out.print(table)
        out.print(f"{sum(self.seen(case).startswith('held') for case in self.cases)} of {len(self.cases)} cases held.")

    def seen(self, case: Case) -> str:
        """What was seen of a case: `held`, or why not."""
        if not case.tests:
            return "open: nothing tries it yet"
        ended = {f"{file}::{name}": self.ended.get((file, name), []) for file, name in sorted(case.tests)}
        if bad := [name for name, outcomes in ended.items() if "failed" in outcomes]:
            return "FAILED: " + ", ".join(bad)
        if unseen := [name for name, outcomes in ended.items() if "passed" not in outcomes]:
            return "not run: " + ", ".join(unseen)
        return f"held, {sum(map(len, ended.values()))} runs"


def _named(nodeid: str) -> tuple[str, str]:
    """The file and the name of a test, without its class and parameters."""
    file, _, rest = nodeid.partition("::")
    return file, rest.partition("[")[0].rpartition("::")[2]


def main(words: Sequence[str]) -> int:
    """Run the cases and print the table; the exit code."""
    gate = Gate(chosen(words))
    return int(pytest.main(["-q", "--no-header", *(gate.files or ["tests/docs"])], plugins=[gate]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
