"""What the address of a list asks for, and what of it is not understood."""

import pytest

from domain.errors import Malformed
from web.console.list_address import MOST_CHARACTERS, read_address

SAYS = {"state": lambda value: value in ("open", "closed"), "text": bool}


def test_filters_are_read_and_the_cursor_is_none_of_them() -> None:
    found = read_address({"state": " open ", "text": "tea", "cursor": "c", "by": ""}, SAYS)
    assert (found.given, found.unknown) == ({"state": "open", "text": "tea"}, [])
    assert found.whole() is found


@pytest.mark.parametrize(
    ("query", "unknown"),
    [
        ({"colour": "red"}, "colour=red"),
        ({"state": "lost"}, "state=lost"),
        ({"text": "t" * (MOST_CHARACTERS + 1)}, f"text={'t' * 75}"),
    ],
)
def test_what_is_not_understood_is_left_out_and_told(query: dict[str, str], unknown: str) -> None:
    assert read_address({"text": "tea", **query}, SAYS).unknown == [unknown]


def test_a_file_is_refused_where_nobody_would_see_that_something_was_left_out() -> None:
    with pytest.raises(Malformed, match="Not understood: colour=red"):
        read_address({"state": "open", "colour": "red"}, SAYS).whole()
