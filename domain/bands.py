"""Bands: from which amount a document needs somebody's approval, alone or together with what the same actor did there
in the last thirty days. Pure; amounts are minor units of the entity's currency.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

ROLLING_DAYS = 30


class Level(IntEnum):
    """Who must approve. A higher level has looked at whatever a lower one has."""

    NONE = 0
    MANAGER = 1
    FINANCE = 2


class Limits(NamedTuple):
    """At or above a limit its level must approve; `None` never asks that level. A limit of 0 asks always."""

    manager_minor: int | None
    finance_minor: int | None


class Rolling(NamedTuple):
    """Gross amounts of the last thirty days: those that nobody approved, and those that finance did not approve."""

    by_nobody_minor: int = 0
    below_finance_minor: int = 0


def gross(amounts_minor: Sequence[int]) -> int:
    """The gross absolute value of a document: a loss and a gain never cancel each other out."""
    return sum(abs(amount) for amount in amounts_minor)


def level_of(limits: Limits, gross_minor: int, before: Rolling) -> Level:
    """The level that must approve a document worth `gross_minor`, on top of what was done before.

    What a level has approved counts no more against that level's limit, so one large document does not send every small
    one of the month after it; what only a manager has approved still counts against the limit of finance.
    """
    if limits.finance_minor is not None and gross_minor + before.below_finance_minor >= limits.finance_minor:
        return Level.FINANCE
    if limits.manager_minor is not None and gross_minor + before.by_nobody_minor >= limits.manager_minor:
        return Level.MANAGER
    return Level.NONE


def ladder_of(level: Level, ladder: Sequence[str]) -> tuple[str, ...]:
    """The roles that are asked one after the other: for finance, the ladder from `finance` on.

    Raises `ValueError` for a ladder without that role: it could never be asked as the band demands.
    """
    if level is not Level.FINANCE:
        return tuple(ladder)
    if "finance" not in ladder:
        raise ValueError(f"the ladder {', '.join(ladder)} has no finance to ask")
    return tuple(ladder[list(ladder).index("finance") :])
