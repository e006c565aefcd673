"""What people write on cases: who is mentioned in it, and replies that are written once and used often.

A mention is `@` before a person's id, or chosen from a list. Comments are text; nothing in them is ever markup.
"""

import re
from collections.abc import Collection, Mapping

from domain.errors import Malformed

# An address such as kim@shop.example names nobody; what ends a sentence is no part of a name.
_MENTION = re.compile(r"(?<![\w.@-])@(\w[\w.-]*\w|\w)")
_PLACEHOLDER = re.compile(r"{([^{}]*)}")
# What stands in a reply for something of the case that it is used on.
PLACEHOLDERS = ("case", "order", "item", "place", "promised")
LONGEST_TITLE = 80
LONGEST_REPLY = 2_000
MOST_TOLD = 20  # people who are told of one comment


def mentioned(text: str) -> list[str]:
    """The words after an `@`, each once, in lower case, in their order."""
    return list(dict.fromkeys(found.lower() for found in _MENTION.findall(text)))


def check_reply(title: str, text: str) -> tuple[str, str]:
    """A canned reply as it may be kept. Raises `Malformed` with what to change."""
    title, text = " ".join(title.split()), text.replace("\r\n", "\n").strip()
    if not 1 <= len(title) <= LONGEST_TITLE:
        raise Malformed(f"Give the reply a title of 1 to {LONGEST_TITLE} characters.", pointer="/title")
    if not 1 <= len(text) <= LONGEST_REPLY:
        raise Malformed(f"Write a reply of 1 to {LONGEST_REPLY:,} characters.", pointer="/text")
    unknown = [name for name in _PLACEHOLDER.findall(text) if name not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise Malformed(f"{{{unknown[0]}}} stands for nothing; there is {known}.", pointer="/text")
    return title, text


def fill(text: str, values: Mapping[str, str]) -> str:
    """A reply for one case; what the case has no value for stays to be written by hand."""
    return _PLACEHOLDER.sub(lambda found: values.get(found[1]) or found[0], text)


def strangers(text: str, told: Collection[str]) -> list[str]:
    """Words after an `@` by which nobody was told."""
    known = {one.lower() for one in told}
    return [word for word in mentioned(text) if word not in known]
