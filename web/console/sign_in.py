"""The sign-in page and the way out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from domain.errors import Busy, NotAllowed
from ledger.sessions import end_all
from web.kept import AS_CHOSEN, AS_TYPED, GONE, MAX_CHARACTERS, Kept, fill, look_at, read_kept, tell, texts_of
from web.pages import ConsoleRoute, sign_in_page
from web.sessions import (
    SignedIn,
    Visitor,
    cookie_name,
    database_of,
    forget,
    same_site_path,
    sign_in,
    sign_out,
    visitor,
)

router = APIRouter(route_class=ConsoleRoute)


@router.get("/sign-in")
async def show(request: Request, person: Visitor, next: str = "/") -> Response:  # noqa: A002  the name in the address
    """The form; who is signed in already goes straight on."""
    if person is not None:
        return RedirectResponse(same_site_path(next), status_code=303)
    return sign_in_page(request, next=same_site_path(next))


@router.post("/sign-in")
async def enter(
    request: Request,
    email: Annotated[str, Form(max_length=320)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
    kept: Annotated[str, Form(max_length=MAX_CHARACTERS)] = "",
) -> Response:
    """Start a session, or say that the two do not go together; the address that was typed stays in the form.

    `kept` is a form that was sent when the session had ended: its page comes back with it filled in.
    """
    target = same_site_path(next)
    form = read_kept(kept)
    said = AS_TYPED if await visitor(request) is None else AS_CHOSEN
    response: Response = RedirectResponse(target, status_code=303)
    try:
        token = await sign_in(request, response, email, password)
    except (NotAllowed, Busy) as refused:
        status = 401 if isinstance(refused, NotAllowed) else 429
        return sign_in_page(request, next=target, email=email, problem=refused.detail, kept=kept, status=status)
    if form is not None:
        cookie = response.headers["set-cookie"]
        response = await as_typed(request, target, f"{cookie_name(request)}={token}", form, said)
        response.headers["set-cookie"] = cookie
    return response


async def as_typed(request: Request, target: str, cookie: str, form: Kept, said: str = AS_TYPED) -> Response:
    """The page that a form was on, with what was typed in the form again; where it is gone, with what was written."""
    status, html = await look_at(request, target, cookie)
    if status != 200:
        html = (await look_at(request, "/console/help", cookie))[1]
    filled = fill(html, form)
    html = tell(html, GONE, texts_of(form)) if filled is None else tell(filled, said)
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


@router.post("/sign-out")
async def leave(request: Request, person: Visitor) -> Response:
    """End the session of this browser; without one there is nothing to end."""
    response = RedirectResponse("/sign-in", status_code=303)
    if person is not None and await sign_out(request, response, person):
        response.headers["location"] = "/signed-out"
    return response


@router.post("/sign-out/everywhere")
async def leave_everywhere(request: Request, person: SignedIn) -> Response:
    """End every session of the reader, in whatever browser."""
    await end_all(database_of(request), person.id)
    response = RedirectResponse("/sign-in", status_code=303)
    forget(request, response)
    return response
