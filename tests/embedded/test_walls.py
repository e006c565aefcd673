"""Walls that import-linter cannot hold: those of single files, and those inside of the Temporal library."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "settings": {"activities", "cli", "demo", "domain", "embedded", "ledger", "ports", "relay", "sender", "web",
                 "worker", "workflows", "temporalio", "sqlalchemy", "fastapi"},
    "relay": {"cli", "demo", "embedded", "web", "fastapi", "activities", "sender", "worker"},
    "sender": {"cli", "demo", "embedded", "fastapi", "activities", "relay", "worker", "workflows", "temporalio"},
    "notifier": {"cli", "demo", "embedded", "web", "fastapi", "activities", "relay", "worker", "workflows",
                 "temporalio"},
    "wire": {"cli", "demo", "embedded", "web", "fastapi", "relay", "sender", "worker", "ledger", "ports"},
    "telemetry": {"activities", "cli", "demo", "domain", "embedded", "ledger", "notifier", "ports", "relay", "sender",
                  "web", "wire", "worker", "workflows", "temporalio", "sqlalchemy", "fastapi"},
    "worker": {"cli", "demo", "embedded", "web", "fastapi"},
}  # fmt: skip


TEMPORAL = {
    "activities": {"temporalio.client", "temporalio.worker", "temporalio.workflow"},
    "workflows": {"temporalio.client", "temporalio.worker", "temporalio.activity"},
}


def imported(file: Path) -> set[str]:
    """Every module that a file imports, wherever in the file it does so, with the names taken from packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(file: Path) -> set[str]:
    """The top-level names of what a file imports."""
    return {name.partition(".")[0] for name in imported(file)}


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
def test_a_single_file_room_imports_only_what_it_may(module: str) -> None:
    assert rooms(ROOT / f"{module}.py") & FORBIDDEN[module] == set()


@pytest.mark.parametrize("room", sorted(TEMPORAL))
def test_steps_and_order_of_steps_use_their_own_part_of_temporal(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    assert {file.name: found for file in files if (found := imported(file) & TEMPORAL[room])} == {}


def test_imports_inside_functions_are_seen_too() -> None:
    assert "demo" in rooms(ROOT / "cli.py"), "otherwise the check above would be blind to them"
