"""What approvers answer, and what follows where no journey waits for it; the clock of those who do not.

This stands above what asks for approvals; `ledger.approval`, which opens and withdraws them, stands below it.
"""

from ledger.verdicts.clock import on_due
from ledger.verdicts.recording import Proven, answer, decided_sentence, record_verdict

__all__ = ["Proven", "answer", "decided_sentence", "on_due", "record_verdict"]
