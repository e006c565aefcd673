"""What a customer is asked about a replacement that costs more, by the link in its mail: the figures, and yes or no."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from domain.errors import DomainError
from ledger.links import Link
from ledger.reads.exchanges import ExchangeOffer
from web.approvals import proof
from web.pages import page
from web.status import STATUS_OF_FAMILY

GONE = ("expired", "locked", "withdrawn", "rejected")


def view_of(found: Link, swap: ExchangeOffer, now: datetime) -> str:
    """Which page: what became of the question; one whose time is over has expired, whether or not that was recorded."""
    there = now + timedelta(seconds=swap.clock_offset_s)
    if swap.state == "open":
        is_over = min(swap.due_at, found.expires_at) <= there
        return "expired" if is_over else "locked" if found.is_locked else "ask"
    return swap.state


def show(
    request: Request,
    token: str,
    swap: ExchangeOffer,
    *,
    view: str,
    asked: Mapping[str, Any],
    refused: DomainError | None = None,
) -> Response:
    """The page; `asked` says whether its form asks for a code, and what was chosen in it. It changes nothing, however
    often it is opened, by whomever.
    """
    nonce = proof.nonce_of(request, token)
    context: dict[str, Any] = {
        "swap": swap,
        "view": view,
        "token": token,
        "proof": proof.proof_for(request, token, nonce),
        "refusal": refused,
        **asked,
    }
    status = STATUS_OF_FAMILY[refused.family] if refused else 410 if view in GONE else 200
    response = page(request, "customer_exchange.html", context, status=status)
    proof.give(request, response, token, nonce, base="/c")
    return proof.private(response)
