"""Which migration is the newest, by the files alone: to know that, nobody has to load Alembic."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent / "migrations"
_REVISION = re.compile(r'^revision = "([^"]+)"$', re.MULTILINE)


class Taken(NamedTuple):
    """What a migration takes away, and what an older process would do on the schema that results."""

    what: str
    older: str


# By its number: code that is older than the migration does not run on the schema that it makes. Whatever can be is
# divided in two: one release stops asking for a thing, a later one takes it away, and then it need not stand here.
TAKES = {
    "0012": Taken(
        "the table `approval_link`, called `link` since",
        "fail at every mail that asks for an approval, and at its links",
    ),
    "0029": Taken("the key by which an item had one price at a place", "fail to load prices of items"),
    "0041": Taken("`case_file.parent_id`, which nothing had written", "fail at every read of a case"),
}


@cache
def head() -> str:
    """The newest migration that this code knows. They are numbered, and each follows the one before."""
    newest = max((HERE / "versions").glob("[0-9]*.py"), key=lambda file: file.name)
    found = _REVISION.search(newest.read_text(encoding="utf-8"))
    if found is None:
        raise RuntimeError(f"{newest.name} does not say which revision it is")
    return found.group(1)
