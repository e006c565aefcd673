"""What approvers answer, and what follows where no journey waits for it; the clock of those who do not.

This stands above what asks for approvals; `ledger.approval`, which opens and withdraws them, stands below it.
"""

from ledger.verdicts.checks import Way
from ledger.verdicts.clock import on_due
from ledger.verdicts.questions import answer
from ledger.verdicts.recording import record_verdict

__all__ = ["Way", "answer", "on_due", "record_verdict"]
