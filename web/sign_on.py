"""A sign-in by the provider of single sign-on, our part of it: where the browser is sent, the cookie
that waits for it here, and the session that the answer begins.

The cookie is sealed and lives for ten minutes; it holds what the answer must fit. Nothing is written before the answer
is believed.
"""

import json
import logging
import secrets
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography.fernet import InvalidToken
from fastapi import Request, Response

from domain.errors import DomainError
from ledger import sign_on as records
from ledger.sealing import Seal
from ports.provider import ProviderAwayError
from ports.sign_on import LEEWAY_S, Begun, IdentityRefusedError, SignOn
from web.sessions import (
    attempts_of,
    cookie_name,
    database_of,
    is_https,
    remote_of,
    same_site_path,
    set_cookie,
)

log = logging.getLogger("endcap.web")
LIFETIME = timedelta(minutes=10)
MAX_NEXT = 1_500  # a cookie holds 4 KB
ANSWER = ("state", "code", "error", "iss")
BEGIN_AGAIN = (
    "The answer does not belong to a sign-in that was begun in this browser, or it was used already. Begin again."
)
WORDS = {
    "wrong_state": BEGIN_AGAIN,
    "refused_there": "You were not let in there, so you are not signed in here.",
    "not_fresh": "You were to prove yourself anew, and the provider has not asked you. Tell whoever runs it.",
}
NOT_BELIEVED = (
    "What the provider answered cannot be believed, so you are not signed in. Begin again, and tell an administrator "
    "if it stays so."
)


class NotSignedOn(Exception):
    """Nobody was signed in; the text says why, in words for them. `reason` is for the record."""

    def __init__(self, reason: str, words: str, *, is_away: bool = False) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words
        self.is_away = is_away


class _Waiting(NamedTuple):
    begun: Begun
    target: str


def sign_on_of(request: Request) -> SignOn | None:
    """The provider of this application, where it has one."""
    found: SignOn | None = request.app.state.sign_on
    return found


def way_back(request: Request) -> str:
    """The address that the provider knows as ours."""
    base_url: str = request.app.state.settings.base_url
    return f"{base_url}/sign-in/back"


def _cookie(request: Request) -> str:
    return "__Host-endcap_sign_on" if is_https(request) else "endcap_sign_on"


def _seal(request: Request) -> Seal:
    return Seal(request.app.state.settings.payload_keyring)


async def begin(request: Request, response: Response, provider: SignOn, target: str, *, is_fresh: bool) -> str:
    """Where to send the browser; `response` gets the cookie that waits for it. Raises `NotSignedOn`."""
    begun = await _asked(provider.begin(way_back(request), is_fresh=is_fresh))
    path = same_site_path(target)
    waiting = json.dumps([*begun[1:], path if len(path) <= MAX_NEXT else "/"])
    value = _seal(request).close(f"sign-on\n{waiting}").decode()
    set_cookie(request, response, _cookie(request), value, LIFETIME)
    return begun.url


async def finish(request: Request, response: Response, provider: SignOn) -> str:
    """Begin the session of whoever came back, in place of any earlier one; returns where they wanted to go.

    Raises `NotSignedOn`, and `Busy` for one address of the network that tries too often.
    """
    attempts_of(request).check_answer(remote_of(request))
    waiting = _waiting(request)
    if waiting is None:
        raise NotSignedOn("no_cookie", BEGIN_AGAIN)
    given = request.query_params.multi_items()
    answer = {name: value for name, value in given if name in ANSWER}
    if len(answer) != sum(name in ANSWER for name, _ in given):
        raise NotSignedOn("twice", NOT_BELIEVED)
    identity = await _asked(provider.finish(waiting.begun, answer, way_back(request)))
    token = secrets.token_urlsafe(32)
    lasts = timedelta(hours=request.app.state.settings.oidc_session_hours)
    try:
        await records.begin(
            database_of(request),
            token,
            issuer=identity.issuer,
            subject=identity.subject,
            email=identity.email,
            proven_at=identity.proven_at,
            state=waiting.begun.state,
            replaces=request.cookies.get(cookie_name(request)),
            provider_session=identity.session,
            lasts=lasts,
        )
    except DomainError as refused:
        raise NotSignedOn(refused.code, refused.detail) from refused
    set_cookie(request, response, cookie_name(request), token, lasts)
    return waiting.target


async def end(request: Request, provider: SignOn, token: str) -> int:
    """End the sessions here that the provider says have ended there; returns how many there were.

    Raises `IdentityRefusedError` for what it has not said, `ProviderAwayError`, and `Busy` for one address of the
    network from which too much comes that is not believed.
    """
    attempts_of(request).check_disbelieved(remote_of(request))
    try:
        ended = await provider.ended(token)
    except IdentityRefusedError:
        attempts_of(request).disbelieved(remote_of(request))
        raise
    return await records.end(
        database_of(request),
        issuer=ended.issuer,
        subject=ended.subject,
        provider_session=ended.session,
        before=ended.at + timedelta(seconds=LEEWAY_S),
    )


def forget(request: Request, response: Response) -> None:
    """Take back the cookie: what waited has come, or will not."""
    response.delete_cookie(_cookie(request), path="/", secure=is_https(request), httponly=True, samesite="lax")


def _waiting(request: Request) -> _Waiting | None:
    """What the browser's cookie says is on its way; None for none, a forged one, or an old one."""
    try:
        word, _, written = _seal(request).open(request.cookies.get(_cookie(request), "").encode()).partition("\n")
    except InvalidToken:
        return None
    if word != "sign-on":
        return None
    *begun, target = json.loads(written)
    found = _Waiting(Begun("", *begun), target)
    is_late = found.begun.since < (datetime.now(UTC) - LIFETIME).timestamp()
    return None if is_late else found


async def _asked[T](answer: Awaitable[T]) -> T:
    """What the provider answers, its refusals in words. Raises `NotSignedOn`."""
    try:
        return await answer
    except ProviderAwayError as error:
        log.warning("single sign-on: the provider is away: %s", error)
        words = "The provider of single sign-on does not answer as it should. Try again in a moment."
        raise NotSignedOn("provider_away", words, is_away=True) from error
    except IdentityRefusedError as error:
        log.warning("single sign-on: refused: %s", error)
        raise NotSignedOn(error.reason, WORDS.get(error.reason, NOT_BELIEVED)) from error
