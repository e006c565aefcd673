"""What the address of a list asks for: its filters, each by a name that the list knows and with a value that it takes.

What it says that is not understood is told, never dropped in silence.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

from domain.errors import Malformed

MOST_CHARACTERS = 200


class Address(NamedTuple):
    """The filters that an address gives; `unknown` is what of it means nothing, and is left out."""

    given: dict[str, str]
    unknown: list[str]

    def whole(self) -> Self:
        """The same for a file, where nobody would see that something was left out. Raises `Malformed`."""
        if self.unknown:
            raise Malformed(f"Not understood: {', '.join(self.unknown)}. Correct the address or leave it out.")
        return self


def read_address(query: Mapping[str, str], says: Mapping[str, Callable[[str], bool]]) -> Address:
    """`says` has a list's filters by their names, each with whether it takes a value."""
    given, unknown = {}, []
    for name, value in query.items():
        wanted = value.strip()
        if name == "cursor" or not wanted:
            continue
        if name in says and len(wanted) <= MOST_CHARACTERS and says[name](wanted):
            given[name] = wanted
        else:
            unknown.append(f"{name}={value}"[:80])
    return Address(given, unknown)
