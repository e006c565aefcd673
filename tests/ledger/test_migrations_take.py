"""A migration that takes away what older code asks for is named to whoever runs it: the old processes stop first."""

import re
from pathlib import Path

from ledger import revisions

ROOT = Path(__file__).parents[2]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
TAKES = re.compile(
    r"DROP COLUMN|DROP TABLE|\bdrop_column|\bdrop_table|ALTER COLUMN \w+ (SET NOT NULL|TYPE|SET DATA TYPE)"
    r"|RENAME (COLUMN|TO (?!ix_|uq_|pk_|ck_|fk_))|\brename_table|DROP CONSTRAINT (IF EXISTS )?(pk|uq)_"
)


def taking(folder: Path) -> set[str]:
    """Numbers of the migrations that take something away."""
    return {path.name[:4] for path in folder.glob("0*.py") if TAKES.search(path.read_text(encoding="utf-8"))}


def test_each_is_named_to_whoever_runs_it() -> None:
    named = set(re.findall(r"^\| (\d{4}) \| ", OPERATING, re.MULTILINE))
    assert taking(revisions.HERE / "versions") == named


def test_what_takes_is_noticed(tmp_path: Path) -> None:
    for number, statement in enumerate(
        ["DROP COLUMN a", "DROP TABLE b", "RENAME COLUMN a TO b", "RENAME TO c", "ALTER COLUMN a SET NOT NULL"]
    ):
        (tmp_path / f"{number:04}_x.py").write_text(f'op.execute("ALTER TABLE t {statement}")')
    (tmp_path / "0009_x.py").write_text(
        'op.execute("ALTER INDEX ix_a RENAME TO ix_b; ALTER TABLE t ADD COLUMN a text")'
    )
    assert taking(tmp_path) == {"0000", "0001", "0002", "0003", "0004"}
