"""The table of the release gate says what was seen, and nothing better."""

from __future__ import annotations

import re

import pytest

from tests.gate import PLAN, Case, Gate, chosen, plan

A, B = ("tests/a.py", "test_a"), ("tests/b.py", "test_b")


def seen(*ended: tuple[tuple[str, str], str], tests: tuple[tuple[str, str], ...] = (A, B)) -> str:
    case = Case("A1", "a fault", "an end", frozenset(tests))
    gate = Gate([case])
    for name, outcome in ended:
        gate.ended[name].append(outcome)
    return gate.seen(case)


def test_a_case_is_held_when_each_of_its_tests_has_passed() -> None:
    assert seen((A, "passed"), (B, "passed"), (B, "passed")) == "held, 3 runs"


def test_one_failure_among_many_is_named() -> None:
    assert seen((A, "passed"), (B, "passed"), (B, "failed")) == "FAILED: tests/b.py::test_b"


@pytest.mark.parametrize("ended", [[(A, "passed")], [(A, "passed"), (B, "skipped")]])
def test_what_did_not_run_holds_nothing(ended: list[tuple[tuple[str, str], str]]) -> None:
    assert seen(*ended) == "not run: tests/b.py::test_b"


def test_what_nothing_tries_is_open() -> None:
    assert seen(tests=()).startswith("open")


def test_a_case_that_is_not_in_the_plan_is_refused() -> None:
    assert [case.number for case in chosen(["A1"])] == ["A1"]
    assert {case.number[0] for case in chosen(["B"])} == {"B"}
    assert chosen([]) == plan()
    with pytest.raises(SystemExit, match="no case Z9"):
        chosen(["Z9"])


def test_each_of_the_seventy_two_names_rows_that_there_are() -> None:
    found = dict(re.findall(r"^\| (\d+) \| .+? \| (.+) \|$", PLAN.read_text(), re.MULTILINE))
    assert list(found) == [str(number) for number in range(1, 73)]
    numbers = {case.number for case in plan()}
    for number, held_by in found.items():
        rows = re.findall(r"\b[A-E]\d+\b", held_by)
        assert rows or "not held" in held_by, f"{number}: {held_by}"
        assert set(rows) <= numbers, f"{number}: {held_by}"
