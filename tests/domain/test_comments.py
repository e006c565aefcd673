"""Who a text mentions, and what a canned reply says on a case."""

import pytest

from domain.comments import fill, mentioned, strangers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@ana.ruiz look", ["ana.ruiz"]),
        ("(@max), @Max. And @max!", ["max"]),
        ("ask @ana, then @max-1.", ["ana", "max-1"]),
        ("kim@customer.example wrote", []),
        ("a@b@c, @@ana, @ ana, @", []),
        ("first line\n@ana", ["ana"]),
        ("", []),
    ],
)
def test_a_mention_is_an_at_sign_before_a_word_of_its_own(text: str, found: list[str]) -> None:
    assert mentioned(text) == found


def test_a_word_by_which_nobody_was_told_is_named() -> None:
    assert strangers("@ana and @anna, see kim@shop.example", ["ana"]) == ["anna"]


def test_a_reply_takes_what_the_case_says_and_leaves_what_it_does_not() -> None:
    assert fill("{item} at {place} by {promised}", {"item": "Tea", "place": "Mainz", "promised": ""}) == (
        "Tea at Mainz by {promised}"
    )
