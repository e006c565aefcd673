"""Approvals: opened for a decision, asked up a ladder, decided once under the row's lock."""

from ledger.approval.clock import on_due, supersede
from ledger.approval.links import LinkRow, create_link, link, revoke_links
from ledger.approval.opening import Request, open_approval
from ledger.approval.verdicts import Proven, answer, decided_sentence, record_verdict

__all__ = [
    "LinkRow",
    "Proven",
    "Request",
    "answer",
    "create_link",
    "decided_sentence",
    "link",
    "on_due",
    "open_approval",
    "record_verdict",
    "revoke_links",
    "supersede",
]
