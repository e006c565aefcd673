"""Draws the state figures from the transition tables: `python docs/states.py` rewrites `docs/states/*.md`.

A test compares the files with what this draws, so that no figure says something else than the code.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from domain.approval import APPROVAL_TRANSITIONS  # noqa: E402
from domain.bulk import BULK_TRANSITIONS  # noqa: E402
from domain.case import CASE_TRANSITIONS  # noqa: E402
from domain.journey_kinds import JOURNEY_KINDS  # noqa: E402
from domain.offer import OFFER_TRANSITIONS  # noqa: E402

FOLDER = Path(__file__).parent / "states"

INTRODUCTIONS = {
    **{kind.kind: kind.introduction for kind in JOURNEY_KINDS.values()},
    "case": "One episode of a case. *Escalated* is a level, not a state; a closed case that comes back is a new"
    " episode.",
    "offer": "A question to a customer. After silence the order's own fallback happens: by default the missing line is"
    " refunded. `accepted` waits for an approval of what it costs us.",
    "approval": "An approval. Silence leads to the next level and in the end to `expired`, never to `approved`.",
    "bulk": "One decision for several cases. Until it begins it can be called off as a whole; a case that refuses is"
    " left to its owner.",
}
FIRST = {
    **{kind.kind: kind.begins for kind in JOURNEY_KINDS.values()},
    "case": ("open",),
    "approval": ("pending",),
    "offer": ("open",),
    "bulk": ("waiting",),
}


def tables() -> dict[str, dict[str, list[str]]]:
    """Transition tables by workflow, as plain words in a fixed order."""
    return {
        **{kind.kind: _words(kind.transitions) for kind in JOURNEY_KINDS.values()},
        "case": _words(CASE_TRANSITIONS),
        "approval": _words(APPROVAL_TRANSITIONS),
        "offer": _words(OFFER_TRANSITIONS),
        "bulk": _words(BULK_TRANSITIONS),
    }


def _words(table: Mapping[str, frozenset[str]]) -> dict[str, list[str]]:
    return {state: sorted(after) for state, after in table.items()}


def figure(name: str, table: Mapping[str, list[str]]) -> str:
    """A Markdown page with the Mermaid figure of one workflow."""
    lines = [f"# States: {name}", "", INTRODUCTIONS[name], "", "```mermaid", "stateDiagram-v2"]
    lines += [f"    [*] --> {state}" for state in FIRST[name]]
    lines += [f"    {state} --> {then}" for state, after in table.items() for then in after if then != state]
    lines += [f"    {state} --> [*]" for state, after in table.items() if not after]
    lines += ["```", "", "Drawn by `docs/states.py` from the transition tables of `domain/`.", ""]
    return "\n".join(lines)


def figures() -> dict[str, str]:
    """All pages by file name."""
    return {f"{name}.md": figure(name, table) for name, table in tables().items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, page in figures().items():
        (FOLDER / file).write_text(page)
