"""What a customer is asked about a replacement that costs more, by the link in its mail: the figures, and yes or no."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from domain.errors import DomainError
from ledger.links import Link
from ledger.reads.exchanges import ExchangeOffer
from web.approvals import proof
from web.errors import STATUS_OF_FAMILY
from web.pages import page

GONE = ("expired", "withdrawn", "rejected")


def view_of(found: Link, swap: ExchangeOffer, now: datetime) -> str:
    """Which page: what became of the question; one whose time is over has expired, whether or not that was recorded."""
    there = now + timedelta(seconds=swap.clock_offset_s)
    if swap.state == "open":
        return "expired" if min(swap.due_at, found.expires_at) <= there else "ask"
    return swap.state


def show(
    request: Request, token: str, swap: ExchangeOffer, *, view: str, refused: DomainError | None = None
) -> Response:
    """The page. It changes nothing, however often it is opened, by whomever."""
    nonce = proof.nonce_of(request, token)
    context: dict[str, Any] = {
        "swap": swap,
        "view": view,
        "token": token,
        "proof": proof.proof_for(request, token, nonce),
        "refusal": refused,
    }
    status = STATUS_OF_FAMILY[refused.family] if refused else 410 if view in GONE else 200
    response = page(request, "customer_exchange.html", context, status=status)
    proof.give(request, response, token, nonce, base="/c")
    return proof.private(response)
