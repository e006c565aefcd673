"""Walls that import-linter cannot hold: those of single files, and those inside of the Temporal library."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ABOVE = {"cli", "commands", "demo", "embedded"}  # what nobody imports but the command line
FORBIDDEN = {
    "settings": ABOVE | {"activities", "domain", "ledger", "ports", "relay", "sender", "web", "worker", "workflows",
                         "temporalio", "sqlalchemy", "fastapi"},
    "relay": ABOVE | {"web", "fastapi", "activities", "sender", "worker"},
    "starts": ABOVE | {"web", "fastapi", "activities", "relay", "sender", "settings", "worker"},
    "sender": ABOVE | {"fastapi", "activities", "relay", "worker", "workflows", "temporalio"},
    "letters": ABOVE | {"fastapi", "activities", "relay", "sender", "settings", "worker", "workflows", "temporalio"},
    "notifier": ABOVE | {"web", "fastapi", "activities", "relay", "worker", "workflows", "temporalio"},
    "sweeps": ABOVE | {"web", "fastapi", "relay", "sender", "worker", "workflows", "temporalio"},
    "wire": ABOVE | {"web", "fastapi", "relay", "sender", "worker", "ledger", "ports"},
    "telemetry": ABOVE | {"activities", "domain", "ledger", "notifier", "ports", "relay", "sender", "web", "wire",
                          "worker", "workflows", "temporalio", "sqlalchemy", "fastapi"},
    "worker": ABOVE | {"web", "fastapi"},
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


def modules(root: Path) -> dict[str, Path]:
    """Every module below a folder by its name, without tests, migrations and what tools have put there."""
    tops = [top for top in root.iterdir() if top.name != "tests" and not top.name.startswith(".")]
    files = [file for top in tops for file in (top.rglob("*.py") if top.is_dir() else [top] * (top.suffix == ".py"))]
    names = {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}
    return {name: file for name, file in names.items() if ".migrations." not in name}


def circle(root: Path) -> list[str]:
    """Modules that import each other in a circle, for types alone as well; the first that is found."""
    known = modules(root)
    needs = {
        name: {one for one in imported(file) & known.keys() if one != name and not name.startswith(f"{one}.")}
        for name, file in known.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert len(modules(ROOT)) > 500
    assert circle(ROOT) == []


def test_a_circle_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text("import lines\n")
    (tmp_path / "lines.py").write_text("if 0:\n    from order import Order\n")
    assert sorted(set(circle(tmp_path))) == ["lines", "order"]
