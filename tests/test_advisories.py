"""What is said of known faults in packages: never that there are none where nobody could be asked."""

import json
from collections.abc import Mapping

import pytest

from tests.advisories import judged

CLEAN = {"name": "good", "version": "1.0", "vulns": []}
FAULTY = {"name": "bad", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNASKED = {"name": "strange", "skip_reason": "Dependency not found on PyPI"}


def said(*packages: Mapping[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_all_asked_and_none_faulty_is_clean() -> None:
    assert judged(said(CLEAN, CLEAN), "") == (True, "No known fault in 2 packages.")


def test_a_fault_is_named_with_the_version_that_mends_it() -> None:
    verdict = judged(said(CLEAN, FAULTY, UNASKED), "")
    assert not verdict.is_clean
    assert verdict.words == "KNOWN FAULTS\nbad 2.0: PYSEC-1, mended in 2.1"


def test_one_about_which_nobody_could_be_asked_keeps_it_open() -> None:
    verdict = judged(said(CLEAN, UNASKED), "")
    assert not verdict.is_clean
    assert verdict.words.startswith("open: about 1 of 2 packages nobody could be asked (strange).")


@pytest.mark.parametrize("answer", ["", "{", "[]", "{}", said()])
def test_no_answer_keeps_it_open(answer: str) -> None:
    verdict = judged(answer, "first line\nConnectionError: no route\n")
    assert not verdict.is_clean
    assert verdict.words.startswith("open: ")
    assert "KNOWN" not in verdict.words
