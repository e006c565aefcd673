"""Signing in and out by the provider of single sign-on."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from domain.errors import Busy
from ports.provider import ProviderAwayError
from ports.sign_on import IdentityRefusedError
from web import sign_on
from web.console.sign_in import as_typed
from web.kept import AS_CHOSEN, MAX_CHARACTERS, read_kept
from web.pages import ConsoleRoute, page, sign_in_page
from web.sessions import SignedIn, Visitor, cookie_name, same_site_path

router = APIRouter(route_class=ConsoleRoute)
MAX_LOGOUT_TOKEN = 16_000


@router.get("/sign-in/with")
async def there(request: Request, next: str = "/", fresh: bool = False) -> Response:  # noqa: A002, FBT001, FBT002
    """Send the browser to the provider; `fresh`: to prove oneself anew, whatever session one has there."""
    provider = sign_on.sign_on_of(request)
    if provider is None:
        return RedirectResponse("/sign-in", status_code=303)
    response = RedirectResponse("/", status_code=303, headers={"Cache-Control": "no-store"})
    try:
        response.headers["location"] = await sign_on.begin(
            request, response, provider, same_site_path(next), is_fresh=fresh
        )
    except sign_on.NotSignedOn as refused:
        return sign_in_page(request, next=same_site_path(next), problem=refused.words, status=503)
    return response


@router.get("/sign-in/back")
async def back(request: Request) -> Response:
    """Begin the session of whoever the provider sends back, or say why not."""
    provider = sign_on.sign_on_of(request)
    if provider is None:
        return RedirectResponse("/sign-in", status_code=303)
    response: Response = RedirectResponse("/", status_code=303, headers={"Cache-Control": "no-store"})
    try:
        target = await sign_on.finish(request, response, provider)
        response.headers["location"] = quote(target, safe=":/%#?=@[]!$&'()*+,;")
    except sign_on.NotSignedOn as refused:
        request.state.denied = f"sign_on_{refused.reason}"
        status = 503 if refused.is_away else 401
        response = sign_in_page(request, problem=refused.words, status=status)
    except Busy as refused:
        response = sign_in_page(request, problem=refused.detail, status=429)
    sign_on.forget(request, response)
    return response


@router.get("/sign-in/done")
async def done(request: Request, person: SignedIn) -> Response:
    """Where a sign-in ends that was begun beside a form which waits in another tab."""
    return page(request, "signed.html", {"person": person, "is_in": True, "way_out": None})


@router.post("/sign-in/go-on")
async def go_on(
    request: Request,
    person: Visitor,
    next: Annotated[str, Form()] = "/",  # noqa: A002
    kept: Annotated[str, Form(max_length=MAX_CHARACTERS)] = "",
) -> Response:
    """Back to a form that waited while its person signed in, in another tab, with what was typed in it."""
    target, form = same_site_path(next), read_kept(kept)
    if person is None:
        return sign_in_page(request, next=target, kept=kept, problem="You are not signed in yet.", status=401)
    if form is None:
        return RedirectResponse(target, status_code=303)
    cookie = f"{cookie_name(request)}={request.cookies[cookie_name(request)]}"
    return await as_typed(request, target, cookie, form, AS_CHOSEN)


@router.post("/sign-out/by-provider")
async def ended_there(
    request: Request, logout_token: Annotated[str, Form(max_length=MAX_LOGOUT_TOKEN)] = ""
) -> Response:
    """The provider says that a session has ended there, or all of somebody's (OpenID Connect Back-Channel Logout 1.0).

    200 when they have ended here as well, or there were none; 400 for what is not believed; 503 to come again.
    """
    provider = sign_on.sign_on_of(request)
    if provider is None:
        return _said(404, "not_found", "Single sign-on is not set up here.")
    try:
        await sign_on.end(request, provider, logout_token)
    except IdentityRefusedError as refused:
        request.state.denied = f"sign_off_{refused.reason}"
        return _said(400, "invalid_request", str(refused))
    except (ProviderAwayError, Busy) as away:
        return _said(503, "temporarily_unavailable", str(away))
    return Response(headers={"Cache-Control": "no-store"})


def _said(status: int, error: str, words: str) -> Response:
    """A refusal as programs that speak OpenID Connect read it."""
    headers = {"Cache-Control": "no-store", **({"Retry-After": "60"} if status == 503 else {})}
    return JSONResponse({"error": error, "error_description": words}, status_code=status, headers=headers)


@router.get("/signed-out")
async def out(request: Request) -> Response:
    """Nobody is signed in here any more; the way to end the session at the provider, too."""
    provider = sign_on.sign_on_of(request)
    base_url: str = request.app.state.settings.base_url
    way_out = await provider.way_out(f"{base_url}/sign-in") if provider else None
    return page(request, "signed.html", {"is_in": False, "way_out": way_out})
