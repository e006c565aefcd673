"""Approvals: opened for a decision, asked up a ladder, withdrawn when the facts have changed.

What approvers answer is above the journeys that ask them, in `ledger.verdicts`.
"""

from ledger.approval.links import LinkRow, create_link, link, mail_again, revoke_links
from ledger.approval.opening import Request, open_approval
from ledger.approval.withdrawing import supersede, superseded_at

__all__ = [
    "LinkRow",
    "Request",
    "create_link",
    "link",
    "mail_again",
    "open_approval",
    "revoke_links",
    "supersede",
    "superseded_at",
]
