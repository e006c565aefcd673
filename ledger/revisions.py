"""Which migration is the newest, by the files alone: whoever only wants to know it need not load Alembic."""

import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent / "migrations"
_REVISION = re.compile(r'^revision = "([^"]+)"$', re.MULTILINE)


@cache
def head() -> str:
    """The newest migration that this code knows. They are numbered, and each follows the one before."""
    newest = max((HERE / "versions").glob("[0-9]*.py"), key=lambda file: file.name)
    found = _REVISION.search(newest.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"{newest.name} does not say which revision it is")
    return found.group(1)
