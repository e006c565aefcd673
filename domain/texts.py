"""Texts as they are stored: in one normal form, without invisible characters that change what others read."""

import re
import unicodedata

MAX_COMBINING_RUN = 30  # as in Unicode's stream-safe text format

# Signs that turn the direction of whatever stands behind them: an amount would read backwards.
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
# What the number of a thing must not hold either, since it would look like another one; within a regular expression.
UNSEEN = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    r"\ufeff\uffa0\ufff0-\ufffb"
)
_NO_TURNING = dict.fromkeys(map(ord, TURNING))
_TURNING = re.compile(f"[{TURNING}]")
_UNSPEAKABLE = re.compile("[\\0\ud800-\udfff]")
# No mark that combines is ASCII: shorter runs cannot hold too many of them.
_MANY_BEYOND_ASCII = re.compile(rf"[^\x00-\x7f]{{{MAX_COMBINING_RUN + 1},}}")


def is_settled(text: str) -> bool:
    """Whether a text is already in the stored form. Raises ValueError for what no text may hold."""
    if text.isascii():
        if "\0" in text:
            raise ValueError("A text holds the character U+0000, which cannot be stored. Leave it out.")
        return True
    unspeakable = _UNSPEAKABLE.search(text)
    if unspeakable:
        if unspeakable[0] == "\0":
            raise ValueError("A text holds the character U+0000, which cannot be stored. Leave it out.")
        raise ValueError("A text holds half of a surrogate pair. Send whole characters.")
    if any(_has_too_many(beyond[0]) for beyond in _MANY_BEYOND_ASCII.finditer(text)):
        raise ValueError(f"More than {MAX_COMBINING_RUN} combining marks stand on one character.")
    return _TURNING.search(text) is None and unicodedata.is_normalized("NFC", text)


def _has_too_many(text: str) -> bool:
    """Whether a run of marks that combine is too long."""
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run > MAX_COMBINING_RUN:
            return True
    return False


def settled(text: str) -> str:
    """The text in NFC, without characters that turn its direction. Raises ValueError as `is_settled` does."""
    return text if is_settled(text) else unicodedata.normalize("NFC", text.translate(_NO_TURNING))


def as_kept(text: str) -> str:
    """`settled`, of a whole file: one that holds what no text may stays as it is, to be refused by line and name."""
    try:
        return settled(text)
    except ValueError:
        return text
