"""Receives events: each takes its whole effect in one transaction, once; what cannot be understood is set aside,
never lost.
"""

from ledger.facts.parked import apply_all_parked, apply_parked
from ledger.facts.receiving import receive
from ledger.facts.replays import discard, finish, replay

__all__ = ["apply_all_parked", "apply_parked", "discard", "finish", "receive", "replay"]
