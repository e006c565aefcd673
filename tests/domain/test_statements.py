"""Statements that a person makes along with a way out: every one that a way out asks for has its words."""

import re
from pathlib import Path

import domain
from domain.statements import BEFORE, STATEMENTS, before, statement

ROOT = Path(domain.__file__).parent.parent
ASKED = re.compile(r'confirms=\(((?:"\w+",? ?)+)\)')


def asked_for() -> set[str]:
    """Every statement that the ledger's ways out ask for."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "ledger").rglob("*.py"))
    return {name for source in sources for found in ASKED.findall(source) for name in re.findall(r"\w+", found)}


def test_every_statement_that_is_asked_for_is_a_sentence_of_the_person() -> None:
    assert "agreed_by_phone" in asked_for()
    assert asked_for() <= set(STATEMENTS)
    assert all(words.startswith("I ") for words in STATEMENTS.values())


def test_nothing_is_left_of_a_statement_that_nobody_asks_for() -> None:
    assert set(STATEMENTS) <= asked_for()
    assert set(BEFORE) <= set(STATEMENTS)


def test_one_that_is_not_known_is_said_by_its_name() -> None:
    assert statement("seen_by_two") == "Seen by two"
    assert before("seen_by_two") == ""
