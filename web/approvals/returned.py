"""A customer's own return, by a link in their mail: how far it is, and a form to say that something is wrong."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from domain.errors import DomainError, NotAllowed, NotFound
from ledger.links import Link
from ledger.reads.photos import customers_picture
from ledger.reads.returns_by_link import ReturnByLink
from ledger.returns import disputes
from web import photos
from web.approvals import proof
from web.pages import page, written
from web.sessions import database_of
from web.status import STATUS_OF_FAMILY


def takes_messages(found: Link, returned: ReturnByLink, now: datetime) -> bool:
    """Whether the link may still be written by; reading goes on."""
    return found.revoked_at is None and found.expires_at > now + timedelta(seconds=returned.clock_offset_s)


def show(
    request: Request,
    token: str,
    returned: ReturnByLink,
    *,
    may_say: bool,
    refused: DomainError | None = None,
    draft: str = "",
) -> Response:
    """The page of a return. It changes nothing."""
    nonce = proof.nonce_of(request, token)
    sent = "We have it. Somebody looks at your return again and writes to you."
    context: dict[str, Any] = {
        "returned": returned,
        "token": token,
        "proof": proof.proof_for(request, token, nonce),
        "may_say": may_say,
        "refusal": refused,
        "draft": draft,
        "said": sent if request.query_params.get("sent") == "yes" and (returned.said or returned.photos) else "",
    }
    response = page(
        request, "customer_return.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200
    )
    proof.give(request, response, token, nonce, base="/c")
    return proof.private(response)


async def say(
    request: Request, token: str, returned: ReturnByLink, *, may_say: bool, words: str, proof_sent: str
) -> Response:
    """Take what the customer has written and photographed, or show why not with their words still in the field."""
    form = await request.form()
    try:
        if not may_say:
            raise NotAllowed("This link takes no messages any more. Please call the store.")
        if not proof.holds(request, token, proof_sent):
            raise NotAllowed("This form was not opened in this browser. It is below: write to us here.")
        text = written(words)
        taken = await photos.pictures(request, form, "photo")
        assert returned.customer_id is not None  # a link is of its customer
        async with photos.put(request, [(None, one) for one in taken]) as stored:
            await disputes.say(
                database_of(request), returned.journey_id, returned.customer_id, text=text, photos=stored, via="link"
            )
    except DomainError as refused:
        return show(request, token, returned, may_say=may_say, refused=refused, draft=words)
    return RedirectResponse(f"/c/{token}?sent=yes", status_code=303, headers={"Cache-Control": "no-store"})


async def picture(request: Request, returned: ReturnByLink | None, photo_id: int) -> Response:
    """A photo that the customer has sent. Raises `NotFound` for any other."""
    if returned is None or returned.customer_id is None:
        raise NotFound("There is no such photo.")
    async with database_of(request).read() as conn:
        found = await customers_picture(conn, returned.journey_id, returned.customer_id, photo_id)
    return proof.private(await photos.shown(request, found))
