"""The help page: the keys with the switch that turns them off, the words of the pages, who one is."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from web.pages import ConsoleRoute, page
from web.sessions import SignedIn

router = APIRouter(route_class=ConsoleRoute)

KEYS = (
    (("j", "k"), "next and previous case", "queue"),
    (("x",), "select the case", "queue"),
    (("o",), "open the case", "queue"),
    (("m",), "claim the case", "queue, case"),
    (("1 … 9",), "choose a way out by its number; nothing is decided yet", "case"),
    (
        ("Enter",),
        "decide, or go to what the way out still asks for; then the next case of the view opens",
        "case, in the ways out",
    ),
    (("u",), "undo the decision that was just made, while it says when it applies", "queue, case"),
    (("n",), "the next case of the view", "case"),
    (("e",), "to the ways out; in the queue: decide the selected cases together", "queue, case"),
    (("w",), "let it wait: for what, until when", "case"),
    (("a",), "take it over from somebody, with a reason", "case"),
    (("c",), "write a comment", "case"),
    (("/",), "search", "queue, orders, stock"),
    (("?",), "this page", "everywhere"),
)
WORDS = (
    ("Decided", "Your decision is recorded and applies at the time that is shown; until then you can undo it."),
    ("Undone", "It was taken back in time; nothing has happened."),
    ("Applying", "Your decision is recorded; the order has not carried it out yet."),
    ("Applied", "The order has carried it out."),
    (
        "Not applied",
        "It could not be carried out, or was not approved. The reason stands beside it.",
    ),
    ("Waiting for approval", "Somebody else must agree first; until then the order stands as it is."),
    ("Closed by itself", "The cause went away, for example because the missing unit turned up."),
    ("Claim, start, resolve", "Until when somebody takes the case, begins, and is done. Waiting stops these clocks."),
    (
        "On the way",
        "What has left one place and has come to none; it is worth what the books call goods in transit.",
    ),
    ("Settled", "Of a transfer: units that will not come, and it is known why."),
    ("To promise", "What a channel may still promise there: available, less safety stock and doubt about the book."),
)


@router.get("/console/help")
async def show(request: Request, person: SignedIn) -> Response:
    return page(request, "help.html", {"person": person, "section": "help", "keys": KEYS, "words": WORDS})
