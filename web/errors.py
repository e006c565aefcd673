"""Every refusal as an answer: Problem Details (RFC 9457) for systems, a page in words for browsers.

It decides statuses and shapes, never whether something is refused.
"""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import DomainError, StorageFull
from ledger.outages import FULL, TOOK_TOO_LONG, in_short, is_away, is_full, is_outage, sqlstate
from web.kept import Kept, kept_of
from web.pages import problem_page
from web.problem_words import AWAY, NO_PAGE, PEOPLE, PROGRAMS, TOO_LONG
from web.sessions import visitor
from web.status import STATUS_OF_FAMILY

log = logging.getLogger("endcap.web")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
DATA_EXCEPTION = "22"  # class of PostgreSQL's errors about values that a column cannot hold


class FieldError(BaseModel):
    """One thing wrong in a request; `pointer` is a JSON Pointer into the body, or `/query/…`, `/path/…`."""

    pointer: str
    code: str
    detail: str


class Problem(BaseModel):
    """Problem Details, RFC 9457. `code` is stable, for programs; `detail` says what is wrong and what to do."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldError] = []


class WebError(Exception):
    """A refusal of the HTTP layer itself: no key, too fast, too large."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}


def problem_of(error: DomainError, instance: str) -> Problem:
    """The problem that a refusal of the domain or the ledger is."""
    errors = []
    if error.pointer:
        errors = [FieldError(pointer=error.pointer, code=error.code, detail=error.detail)]
    return problem(STATUS_OF_FAMILY[error.family], error.code, error.detail, instance, errors)


def problem(status: int, code: str, detail: str, instance: str, errors: Sequence[FieldError] = ()) -> Problem:
    return Problem(
        type=f"urn:endcap:problem:{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        errors=list(errors),
    )


def answer(found: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    return JSONResponse(
        found.model_dump(mode="json"),
        status_code=found.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def validation_errors(errors: Sequence[Any], prefix: str = "") -> list[FieldError]:
    """pydantic's errors with a pointer per field. The value that was sent is not repeated: it may be personal data."""
    found: list[FieldError] = []
    for error in errors:
        place = [str(part).replace("~", "~0").replace("/", "~1") for part in error["loc"]]
        if place and place[0] == "body":
            place = place[1:]
        pointer = prefix + "".join(f"/{part}" for part in place)
        detail = str(error["msg"]).removeprefix("Value error, ")
        found.append(FieldError(pointer=pointer, code=str(error["type"]), detail=detail))
    # A list whose entries are wrong counts as empty besides: to say so as well only misleads.
    inside = [one.pointer for one in found]
    return [
        one
        for one in found
        if one.code != "too_short" or not any(pointer.startswith(f"{one.pointer}/") for pointer in inside)
    ]


def validation_problem(errors: Sequence[Any], instance: str) -> Problem:
    """The problem of a body or parameter that does not have the shape it must have."""
    fields = validation_errors(errors)
    first = fields[0]
    where = first.pointer or "the body"
    more = f" ({len(fields) - 1} more under `errors`)" if len(fields) > 1 else ""
    detail = f"{where}: {first.detail}{more}. Correct the request and send it again."
    return problem(422, "malformed", detail, instance, fields)


def wants_page(request: Request) -> bool:
    """Whether a person in a browser asked, so that the answer is a page in words."""
    path = request.url.path
    if path.startswith("/api/") or path in {"/healthz", "/readyz", "/metrics"}:
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


async def respond(
    request: Request,
    found: Problem,
    headers: dict[str, str] | None = None,
    *,
    words: str | None = None,
    sent: Kept | None = None,
) -> Response:
    """The problem in the form that whoever asked can read: `words` are for people, where `detail` is for programs.

    `sent` is the form that a person's browser sent, where it may be sent again or copied from.
    """
    if found.status in (401, 403, 429):
        request.state.denied = found.code
    if not wants_page(request):
        return answer(found, headers)
    said = words or PEOPLE.get(found.code) or found.detail
    response = await problem_page(request, found.status, said, sent=sent)
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


async def _domain(request: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    found = problem_of(error, request.url.path)
    is_busy = error.family == "busy"
    sent = await kept_of(request) if is_busy and wants_page(request) else None
    return await respond(request, found, {"Retry-After": str(RETRY_AFTER_S)} if is_busy else None, sent=sent)


async def _web(request: Request, error: Exception) -> Response:
    assert isinstance(error, WebError)
    found = problem(error.status, error.code, error.detail, request.url.path, error.errors)
    return await respond(request, found, error.headers)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    found = validation_problem(error.errors(), request.url.path)
    if found.errors[0].pointer.startswith("/path/"):
        return await respond(request, found, words=NO_PAGE)
    fields = ", ".join(dict.fromkeys(one.pointer.rpartition("/")[2] for one in found.errors))
    words = f"Something in the form or the address cannot be read: {fields}. Nothing was done. Go back and look at it."
    sent = await kept_of(request) if wants_page(request) else None
    return await respond(request, found, words=words, sent=sent)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    code, detail = PROGRAMS.get(status, (HTTPStatus(status).name.lower(), error.detail))
    if wants_page(request):
        await _know(request)
    words = NO_PAGE if status == 404 else None
    return await respond(
        request, problem(status, code, detail, request.url.path), dict(error.headers or {}), words=words
    )


async def _know(request: Request) -> None:
    """Who is signed in, so that a page that is none stands in their frame; nobody, while that cannot be asked."""
    try:
        await visitor(request)
    except Exception as error:
        if not (is_outage(error) or is_away(error)):
            raise
        log.warning("nobody knows who asks for %s: %s", request.url.path, in_short(error))


async def _database(request: Request, error: Exception) -> Response:
    """What PostgreSQL said, where no refusal of the ledger caught it first."""
    assert isinstance(error, DBAPIError)
    state = sqlstate(error)
    if state[:2] == DATA_EXCEPTION:
        return await respond(request, _beyond(request.url.path, state))
    if isinstance(error, OperationalError | InterfaceError) or is_away(error) or error.connection_invalidated:
        return await _unavailable(request, error)
    return await _unexpected(request, error)


async def _unavailable(request: Request, error: Exception) -> Response:
    if is_full(error):
        log.error("the disk is full: %s: %s", request.url.path, type(error).__name__)
        return await _domain(request, StorageFull(FULL))
    sent = await kept_of(request) if wants_page(request) else None
    if sqlstate(error) == TOOK_TOO_LONG:
        log.error("the database took too long: %s", request.url.path)
        found = problem(503, "unavailable", _TOO_LONG, request.url.path)
        return await respond(request, found, {"Retry-After": "10"}, words=TOO_LONG, sent=sent)
    log.error("the database cannot be reached: %s: %s", request.url.path, type(error).__name__)
    found = problem(503, "unavailable", _AWAY, request.url.path)
    return await respond(request, found, {"Retry-After": str(RETRY_AFTER_S)}, words=AWAY, sent=sent)


async def _stopped(request: Request) -> Response:
    log.warning("stopped before it was answered: %s %s", request.method, request.url.path)
    detail = "Endcap stopped before this was finished. It starts again: try the same again in a moment."
    found = problem(503, "unavailable", detail, request.url.path)
    return await respond(request, found, {"Retry-After": str(RETRY_AFTER_S)})


async def _postgres(request: Request, error: Exception) -> Response:
    """As `_database`, for statements that go to PostgreSQL without SQLAlchemy."""
    assert isinstance(error, asyncpg.PostgresError)
    state = sqlstate(error)
    if state[:2] == DATA_EXCEPTION:
        return await respond(request, _beyond(request.url.path, state))
    if is_away(error):
        return await _unavailable(request, error)
    return await _unexpected(request, error)


def _beyond(instance: str, state: str) -> Problem:
    log.warning("a value reached the database that it cannot hold: %s %s", instance, state)
    detail = "A figure or text in the request is outside of what can be stored. Correct it and send it again."
    return problem(422, "malformed", detail, instance)


def unexpected_problem(error: Exception, instance: str) -> Problem:
    """The problem of one part of a request that failed unexpectedly, where the other parts have their own answers."""
    state = sqlstate(error)
    if state[:2] == DATA_EXCEPTION:
        return _beyond(instance, state)
    if is_outage(error) or is_away(error):
        log.error("the database cannot be reached: %s: %s", instance, type(error).__name__)
        return problem(503, "unavailable", _AWAY, instance)
    log.error("unexpected failure at %s", instance, exc_info=error)
    return problem(500, "internal_error", _UNEXPECTED, instance)


_AWAY = "The database cannot be reached just now; nothing was recorded. Try the same again in a moment."
_TOO_LONG = "This takes the database longer than it may; nothing was recorded. Ask for less, or come again later."
_UNEXPECTED = "Something unexpected failed; it is in the log of the server. The same request may be sent again."


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected failure at %s %s", request.method, request.url.path, exc_info=error)
    sent: Kept | None = getattr(request.state, "sent", None)
    return await respond(request, problem(500, "internal_error", _UNEXPECTED, request.url.path), sent=sent)


def install(app: FastAPI) -> None:
    """Give the application its error handlers. What none of them knows is answered by `Guarded`."""
    app.add_exception_handler(DomainError, _domain)
    app.add_exception_handler(WebError, _web)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(asyncpg.PostgresError, _postgres)
    app.add_exception_handler(asyncpg.InternalClientError, _unavailable)
    app.add_exception_handler(PoolTimeout, _unavailable)
    app.add_exception_handler(OSError, _unavailable)


class Guarded:
    """ASGI middleware, inside of those that count and set headers: an unexpected failure is logged and answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            # The server stops and waits for nobody any more; left to itself it answers 500, as for a fault.
            if not begun:
                response = await _stopped(Request(scope, receive))
                await response(scope, receive, send)
            raise
        except Exception as error:
            if begun:
                raise  # half an answer is out; the server closes the connection
            response = await _unexpected(Request(scope, receive), error)
            await response(scope, receive, send)
