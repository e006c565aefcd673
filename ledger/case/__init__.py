"""Cases: opened when something breaks, worked on by people, closed by a decision or because the cause went away.

What people decide about them is above the journeys, in `ledger.decisions`.
"""

from ledger.case.acts import claim, keep_note, release, wait
from ledger.case.comments import comment, seen
from ledger.case.life import (
    CaseRef,
    Opening,
    give_back,
    heal,
    heal_kind,
    open_case,
    open_delivery_stuck,
    resolve,
    tell_case,
)

__all__ = [
    "CaseRef",
    "Opening",
    "claim",
    "comment",
    "give_back",
    "heal",
    "heal_kind",
    "keep_note",
    "open_case",
    "open_delivery_stuck",
    "release",
    "resolve",
    "seen",
    "tell_case",
    "wait",
]
