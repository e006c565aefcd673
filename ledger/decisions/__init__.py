"""What people decide about cases: recorded, undone, carried out at once or by the journey that waits for it.

This stands above the journeys: it knows what each of them makes of an answer. `ledger.case` stands below them.
"""

from ledger.decisions.deciding import DecisionAnswer, decide, decide_in, decision
from ledger.decisions.ladder import on_due
from ledger.decisions.undoing import hasten, undo

__all__ = ["DecisionAnswer", "decide", "decide_in", "decision", "hasten", "on_due", "undo"]
