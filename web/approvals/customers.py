"""What a customer may answer by a link: a question about the order, or whether to keep it longer. Never a sign-in."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import exchanges
from domain.bopis import ON_THE_HOLD_SHELF, BopisState
from domain.errors import DomainError, Malformed, NotAllowed, StateConflict
from domain.ids import parse_journey_id
from domain.offer import ANSWERS
from ledger import links
from ledger.bopis import asking, by_link
from ledger.reads.exchanges import ExchangeOffer, exchange_offer
from ledger.reads.offers import OfferView, PickupView, offer_view, pickup_view
from ledger.reads.returns_by_link import ReturnByLink, return_by_link
from ledger.returns import difference
from web.approvals import exchanged, proof, returned
from web.pages import MAX_FORM, ConsoleRoute, page
from web.photos import PhotoId
from web.sessions import database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
LOCKED = "Call us, and say what you would like."
STATUS_OF_VIEW = {"ask": 200, "pickup": 200, "applied": 200, "accepted": 200, "declined": 200, "unknown": 404}


class Opened(NamedTuple):
    """A link that is known, what it is about, and which page that makes. One about a return takes messages as long as
    `may_say`.
    """

    customer_id: str
    offer: OfferView | None
    pickup: PickupView | None
    view: str
    returned: ReturnByLink | None = None
    may_say: bool = False
    swap: ExchangeOffer | None = None
    asks_code: bool = False
    is_over: bool = False


async def open_link(conn: AsyncConnection, token: str, now: datetime) -> Opened | None:
    """What the link shows; None for a token that never was, or that is no customer's (any more)."""
    found = await links.find(conn, token)
    if found is None or found.customer_id is None:
        return None
    if found.journey_id is not None and parse_journey_id(found.journey_id).kind == "returns":
        about_it = await return_by_link(conn, found.journey_id)
        if about_it is None or about_it.customer_id != found.customer_id:
            return None
        return Opened(found.customer_id, None, None, "return", about_it, returned.takes_messages(found, about_it, now))
    swap = await exchange_offer(conn, found.offer_id) if found.offer_id is not None else None
    if swap is not None:
        if swap.customer_id != found.customer_id:
            return None
        view = exchanged.view_of(found, swap, now)
        is_over = found.expires_at <= now + timedelta(seconds=swap.clock_offset_s)
        return Opened(found.customer_id, None, None, view, swap=swap, asks_code=found.asks_code, is_over=is_over)
    offer = await offer_view(conn, found.offer_id) if found.offer_id is not None else None
    pickup = await pickup_view(conn, found.journey_id) if found.journey_id is not None else None
    about = offer or pickup
    if about is None or about.customer_id != found.customer_id:
        return None
    there = now + timedelta(seconds=about.clock_offset_s)
    if offer is not None:
        is_late = offer.state == "open" and min(offer.due_at, found.expires_at) <= there
        view = "expired" if is_late else _view_of(offer.state)
        if view == "ask" and found.is_locked:
            view = "locked"
        is_over = found.expires_at <= there
        return Opened(found.customer_id, offer, None, view, asks_code=found.asks_code, is_over=is_over)
    assert pickup is not None
    is_over = found.revoked_at is not None or found.expires_at <= there
    # An order that somebody keeps waiting may outlast its link: then the page says where it is, and takes no answer.
    waiting = "pickup_closed" if is_over else "pickup"
    view = waiting if BopisState(pickup.state) in ON_THE_HOLD_SHELF else "pickup_over"
    return Opened(found.customer_id, None, pickup, view, is_over=is_over)


def _check_answer(answer: str, known: Collection[str]) -> None:
    """Raise `Malformed` for none: whoever has forgotten to choose has not mistyped the code."""
    if answer not in known:
        raise Malformed("Choose one of the answers; nothing is chosen for you.", pointer="/answer")


def _check_time(opened: Opened) -> None:
    """Raise `StateConflict` for a link that only reads any more: a form of it may have been kept for long."""
    if opened.is_over and opened.pickup is not None:
        raise StateConflict("This link takes no answer any more. Please call the store.")
    if opened.is_over and opened.view == "expired":
        raise StateConflict("The time to answer by this link is over.")


def _view_of(state: str) -> str:
    return "ask" if state == "open" else state


async def show_link(request: Request, token: str, *, refused: DomainError | None = None, chosen: str = "") -> Response:
    """The page of a link. It changes nothing, however often it is opened, by whomever. `chosen` is what an answer with
    a wrong code had chosen; without the right one the form decides nothing.
    """
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None:
        proof.count_unknown(request)
        return proof.private(page(request, "customer.html", {"view": "unknown", "refusal": None}, status=404))
    if opened.returned is not None:
        return returned.show(request, token, opened.returned, may_say=opened.may_say, refused=refused)
    if opened.swap is not None:
        asked = {"asks_code": opened.asks_code, "chosen": chosen if opened.asks_code else ""}
        return exchanged.show(request, token, opened.swap, view=opened.view, refused=refused, asked=asked)
    nonce = proof.nonce_of(request, token)
    context: dict[str, Any] = {
        "view": opened.view,
        "offer": opened.offer,
        "pickup": opened.pickup,
        "token": token,
        "proof": proof.proof_for(request, token, nonce),
        "refusal": refused,
        "asks_code": opened.asks_code,
        "chosen": chosen if opened.asks_code else "",
    }
    usual = STATUS_OF_FAMILY[refused.family] if refused else STATUS_OF_VIEW.get(opened.view, 410)
    response = page(request, "customer.html", context, status=usual)
    proof.give(request, response, token, nonce, base="/c")
    return proof.private(response)


@router.api_route("/c/{token}", methods=["GET", "HEAD"])
async def show(request: Request, token: str) -> Response:
    """Look. Mail scanners do this too, so nothing happens here."""
    return await show_link(request, token)


@router.post("/c/{token}")
async def give(
    request: Request,
    token: str,
    answer: Annotated[str, Form(max_length=40)] = "",
    window: Annotated[str, Form(max_length=60)] = "",
    words: Annotated[str, Form(max_length=MAX_FORM)] = "",
    proof_: Annotated[str, Form(alias="proof", max_length=200)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Record what the customer chose or wrote, once, or show why not."""
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None:
        return await show_link(request, token)
    if opened.returned is not None:
        return await returned.say(
            request, token, opened.returned, may_say=opened.may_say, words=words, proof_sent=proof_
        )
    try:
        if not proof.holds(request, token, proof_):
            raise NotAllowed("This form was not opened in this browser. It is below: answer here.")
        _check_time(opened)
        if opened.asks_code and opened.view in ("ask", "locked"):
            _check_answer(answer, exchanges.ANSWERS if opened.swap is not None else ANSWERS)
            await links.check_code(database, token, code, then=LOCKED)
        if opened.swap is not None:
            await difference.answer(database, opened.swap.id, opened.customer_id, answer=answer, via="link")
        elif opened.offer is not None:
            await asking.answer(database, opened.offer.id, opened.customer_id, answer=answer, via="link")
        elif opened.pickup is not None:
            await by_link.act(
                database, opened.pickup.journey_id, opened.customer_id, act=answer, window_seen=window, via="link"
            )
    except DomainError as refused:
        return await show_link(request, token, refused=refused, chosen=answer)
    return RedirectResponse(f"/c/{token}", status_code=303, headers={"Cache-Control": "no-store"})


@router.get("/c/{token}/photos/{photo_id}")
async def show_photo(request: Request, token: str, photo_id: PhotoId) -> Response:
    """A photo that the customer has sent by this link."""
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None:
        return await show_link(request, token)
    return await returned.picture(request, opened.returned, photo_id)
