"""Cases: opened when something breaks, worked on and decided by people, closed by a decision or because the cause
went away.
"""

from ledger.case.acts import claim, keep_note, release, wait
from ledger.case.comments import comment, seen
from ledger.case.deciding import DecisionAnswer, decide, decide_in, decision
from ledger.case.ladder import on_due
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
from ledger.case.undoing import hasten, undo

__all__ = [
    "CaseRef",
    "DecisionAnswer",
    "Opening",
    "claim",
    "comment",
    "decide",
    "decide_in",
    "decision",
    "give_back",
    "hasten",
    "heal",
    "heal_kind",
    "keep_note",
    "on_due",
    "open_case",
    "open_delivery_stuck",
    "release",
    "resolve",
    "seen",
    "tell_case",
    "undo",
    "wait",
]
