"""Outgoing webhooks as rows: endpoints with their sealed secrets, and deliveries that change with what became of them.

State changes queue their messages by triggers (`journey_announces`, `case_announces`). It speaks to no endpoint.
"""

from ledger.webhooks.announcing import announce
from ledger.webhooks.deliveries import Claimed, accepted, claim, clean, not_accepted, redeliver
from ledger.webhooks.endpoints import enable, ping, register, remove, rotate

__all__ = [
    "Claimed",
    "accepted",
    "announce",
    "claim",
    "clean",
    "enable",
    "not_accepted",
    "ping",
    "redeliver",
    "register",
    "remove",
    "rotate",
]
