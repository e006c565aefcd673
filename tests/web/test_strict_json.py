"""The quick look at a body vouches for nothing that a careful reader would refuse or change, and for what is usual."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from web.errors import WebError
from web.strict_json import carefully_checked, checked_json, is_sound

# Texts as they are sent, between their quotation marks: what looks like structure, like a figure, or like another text.
TEXTS = st.lists(
    st.sampled_from(
        ["a", "b", "aa", ":", '\\":', '\\"', "{", "}", "[", "]", ",", " ", "\\u0061", "\\u0000", "\\ud800", "\\u0301",
         "\\ud83d\\ude00", "e\u0301", "\u00e9", "\u202e", "\u05e0", "0" * 19, "1e400", "e000", "\\n", "\\/", "\x01"]
    ),
    max_size=3,
).map("".join)  # fmt: skip
FIGURES = st.sampled_from(
    ["0", "-1", "1.5", "1E5", "1e+05", "1e-400", "1e400", "1e+0400", "12e0000001", "9223372036854775807", "NaN", "01",
     "9223372036854775808", "-9223372036854775808", "-Infinity", "0.1234567890123456789", "1.", "null", "true"]
)  # fmt: skip
BLANKS = st.sampled_from(["", "", "", " ", "\n", "\t \r", "\x0b", "\u00a0"])


def _text(sent: str) -> str:
    return f'"{sent}"'


def _several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    names = st.builds("{}{}{}:{}".format, BLANKS, TEXTS.map(_text), BLANKS, BLANKS)
    members = st.lists(st.builds("{}{}{}".format, names, values, BLANKS), max_size=3)
    return st.one_of(
        members.map(lambda found: "{" + ",".join(found) + "}"),
        st.lists(values, max_size=3).map(lambda found: "[" + ",".join(found) + "]"),
        st.builds("{}{}{}".format, st.just("[" * 29), values, st.just("]" * 29)),
    )


DOCUMENTS = st.recursive(st.one_of(TEXTS.map(_text), FIGURES), _several, max_leaves=12)


def carefully(body: bytes) -> bytes | str:
    """What comes of it, or the name of its refusal."""
    try:
        return carefully_checked(body)
    except WebError as refusal:
        return refusal.code


@settings(max_examples=1_500)
@given(DOCUMENTS, st.integers(0, 60), st.sampled_from(["", "", "", "x", '"', "}", ",", ":", " "]))
def test_what_a_quick_look_lets_pass_a_careful_reader_lets_pass_as_it_is(document: str, at: int, more: str) -> None:
    body = (document[:at] + more + document[at:]).encode("utf-8", "surrogatepass")
    if is_sound(body):
        assert carefully(body) == body


@pytest.mark.parametrize(
    "document",
    [
        {"orders": [{"order_id": f"W-{n}", "lines": [{"line_id": "1", "quantity": 2}]} for n in range(50)]},
        {"events": [{"occurred_at": "2026-11-22T10:00:00+00:00", "data": {"note": 'so he said: "no": why?'}}]},
        {"id": "1e000ce5-7a30-4e12-9f00-0a1b2c3de400", "name": "Jürgen Müller", "figures": [1e99, -0.5]},
        {"name": "שלום", "below": [[[[[[]]]]]]},
        [],
        "text",
    ],
)
@pytest.mark.parametrize("is_escaped", [True, False])
def test_what_is_usual_needs_no_careful_look(document: Any, *, is_escaped: bool) -> None:
    for separators in ((",", ":"), (", ", ": "), (" ,\n", " : ")):
        body = json.dumps(document, ensure_ascii=is_escaped, separators=separators).encode()
        assert is_sound(body) is ('no": why' not in str(document))
        assert checked_json(body) is body
