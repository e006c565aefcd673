"""The sign-in page and the way out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from domain.errors import Busy, NotAllowed
from web.pages import ConsoleRoute, page
from web.sessions import Visitor, same_site_path, sign_in, sign_out

router = APIRouter(route_class=ConsoleRoute)


@router.get("/sign-in")
async def show(request: Request, person: Visitor, next: str = "/") -> Response:  # noqa: A002  the name in the address
    """The form; who is signed in already goes straight on."""
    if person is not None:
        return RedirectResponse(same_site_path(next), status_code=303)
    return page(request, "sign_in.html", {"next": same_site_path(next), "email": ""})


@router.post("/sign-in")
async def enter(
    request: Request,
    email: Annotated[str, Form(max_length=320)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Start a session, or say that the two do not go together; the address that was typed stays in the form."""
    target = same_site_path(next)
    response = RedirectResponse(target, status_code=303)
    try:
        await sign_in(request, response, email, password)
    except (NotAllowed, Busy) as refused:
        context = {"next": target, "email": email, "problem": refused.detail}
        status = 401 if isinstance(refused, NotAllowed) else 429
        return page(request, "sign_in.html", context, status=status)
    return response


@router.post("/sign-out")
async def leave(request: Request, person: Visitor) -> Response:
    """End the session of this browser; without one there is nothing to end."""
    response = RedirectResponse("/sign-in", status_code=303)
    if person is not None:
        await sign_out(request, response, person)
    return response
