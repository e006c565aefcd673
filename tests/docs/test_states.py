"""The figures of the states say what the transition tables say."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DRAWN = runpy.run_path(str(DOCS / "states.py"), run_name="drawing")


@pytest.mark.parametrize("file", ["bopis.md", "count.md", "case.md", "approval.md", "offer.md", "bulk.md"])
def test_a_stored_figure_is_current(file: str) -> None:
    drawn: dict[str, str] = DRAWN["figures"]()
    assert (DOCS / "states" / file).read_text() == drawn[file], "run: python docs/states.py"


def test_a_new_state_would_be_noticed() -> None:
    table: dict[str, list[str]] = DRAWN["tables"]()["case"]
    assert DRAWN["figure"]("case", table | {"lost": []}) != (DOCS / "states" / "case.md").read_text()
