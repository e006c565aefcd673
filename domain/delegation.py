"""Delegations: who may act in whose place, between which instants. Pure.

Both may act, and what was given is never passed on: whoever stands in for somebody acts with that person's rights, not
with those that a third one has given them. A circle gives nobody anything, so it is refused as a mistake.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from domain.errors import Malformed, StateConflict

LONGEST = timedelta(days=366)
Status = Literal["coming", "current", "over"]


class Delegation(NamedTuple):
    """From `starts_at` until `ends_at` (exclusive), `taker` may act in the place of `giver`; both are ids of people."""

    giver: str
    taker: str
    starts_at: datetime
    ends_at: datetime

    def status(self, now: datetime) -> Status:
        if self.ends_at <= now:
            return "over"
        return "current" if self.starts_at <= now else "coming"

    def shared_with(self, other: "Delegation") -> "Delegation | None":
        """This one cut to the time that both have, or None."""
        starts, ends = max(self.starts_at, other.starts_at), min(self.ends_at, other.ends_at)
        return self._replace(starts_at=starts, ends_at=ends) if starts < ends else None


def check(new: Delegation, known: Sequence[Delegation], now: datetime) -> None:
    """Raise unless `new` may stand beside the `known` ones.

    `Malformed` for oneself, dates that are over, turned round or longer than a year; `StateConflict` for one that
    exists at that time already, and for a circle, directly or by others.
    """
    if new.giver == new.taker:
        raise Malformed("Choose somebody else: nobody stands in for themselves.", pointer="/to")
    if new.ends_at <= new.starts_at:
        raise Malformed("The last day is before the first one. Turn them round.", pointer="/ends_at")
    if new.ends_at <= now:
        raise Malformed("These days are over. Choose a last day that is still to come.", pointer="/ends_at")
    if new.ends_at - new.starts_at > LONGEST:
        raise Malformed(
            "That is longer than a year. Choose an earlier last day, and renew it then.", pointer="/ends_at"
        )
    for one in known:
        if (one.giver, one.taker) == (new.giver, new.taker) and one.shared_with(new):
            raise StateConflict("They stand in already at that time. End that one first, or choose other days.")
    if _leads_back(new, new, known, frozenset()):
        raise StateConflict("That would be a circle: whoever is to stand in has handed it, by others perhaps, to you.")


def _leads_back(new: Delegation, at: Delegation, known: Sequence[Delegation], passed: frozenset[str]) -> bool:
    """Whether somebody who stands in for the taker of `at`, within its time, leads back to who gives `new`.

    `passed` are the people on the way here: a circle of others is not walked twice.
    """
    for one in known:
        link = one.shared_with(at) if one.giver == at.taker and one.taker not in passed else None
        if link is not None and (link.taker == new.giver or _leads_back(new, link, known, passed | {at.taker})):
            return True
    return False
