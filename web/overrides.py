"""The form by which somebody asks to take back what was refused: at the console and at the counter."""

from domain.errors import Malformed
from domain.overrides import NewOverride


def wanted_of(lines: list[str], reason: str, note: str) -> NewOverride:
    """What a form asks for. Raises `Malformed` for one that is not filled in."""
    if not lines:
        raise Malformed("Tick what is to be taken back.", pointer="/lines")
    if not reason:
        raise Malformed("Choose why it is taken back although it was refused.", pointer="/reason")
    return NewOverride(lines=tuple(dict.fromkeys(lines)), reason=reason[:80], note=note)
