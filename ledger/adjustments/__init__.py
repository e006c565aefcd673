"""Adjustments: below the band posted at once, above it parked until a manager or finance has decided."""

from ledger.adjustments.asking import ask, report
from ledger.adjustments.carrying_out import decide_review, on_verdict

__all__ = ["ask", "decide_review", "on_verdict", "report"]
