"""The form that asks for goods to be taken back although policy refused them: in the console and at the counter."""

from pydantic import ValidationError

from domain.errors import Malformed
from domain.overrides import NewOverride


def wanted_of(lines: list[str], reason: str, note: str) -> NewOverride:
    """What a form asks for. Raises `Malformed` for one that is not filled in."""
    if not lines:
        raise Malformed("Tick what is to be taken back.", pointer="/lines")
    if not reason:
        raise Malformed("Choose why it is taken back although it was refused.", pointer="/reason")
    try:
        return NewOverride(lines=tuple(dict.fromkeys(lines)), reason=reason, note=note)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0])
        raise Malformed(
            f"The {wrong} cannot be taken as it was sent. Open the page again.", pointer=f"/{wrong}"
        ) from error
