"""Who is looking: sign-in with a local account, the session cookie, and the dependency that pages ask for a person.

Sessions live on the server (`ledger.sessions`); the cookie carries an opaque token. Nothing here decides what a person
may do.
"""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import quote, urlsplit

from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, Request, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from domain.errors import Busy, NotAllowed
from domain.people import Person
from ledger import sessions as records
from ledger.access import password_hasher
from ledger.engine import Database
from web.together import Together

PER_ACCOUNT = RateLimitItemPerMinute(8, 5)
PER_ADDRESS = RateLimitItemPerMinute(300, 5)
UNKNOWN_LINKS = RateLimitItemPerMinute(30, 5)
WRONG = "This address and password do not go together."

_hasher = password_hasher()
# Checked when an account does not exist, so that the answer takes as long as for one that does.
_NOBODYS_HASH = _hasher.hash(secrets.token_urlsafe(16))


class SignInFirstError(Exception):
    """Nobody is signed in; `ConsoleRoute` turns it into a way to the sign-in page and back."""


class Attempts:
    """Counts attempts to sign in, per account and per address of the network; one for each process."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, email: str, remote: str) -> None:
        """Count an attempt before it is judged, so that many at once do not slip through. Raises `Busy` at too many."""
        within = self._limiter.hit(PER_ADDRESS, "address", remote)
        if not (self._limiter.hit(PER_ACCOUNT, "account", email.strip().lower()) and within):
            raise Busy("Too many attempts to sign in. Wait five minutes, then try again.")

    def succeeded(self, email: str) -> None:
        """The right password: what was counted for the account is forgotten; what counts for the network stays."""
        self._limiter.clear(PER_ACCOUNT, "account", email.strip().lower())

    def check_answer(self, remote: str) -> None:
        """Count an answer of the provider of single sign-on. Raises `Busy` at too many from one address."""
        if not self._limiter.hit(PER_ADDRESS, "address", remote):
            raise Busy("Too many attempts to sign in. Wait five minutes, then try again.")

    def check_disbelieved(self, remote: str) -> None:
        """Raises `Busy` for an address of the network from which too much came that was not believed: each makes us ask
        the provider for its keys anew.
        """
        if not self._limiter.test(UNKNOWN_LINKS, "disbelieved", remote):
            raise Busy("Too much came from there that cannot be believed. Wait five minutes.")

    def disbelieved(self, remote: str) -> None:
        """Count what an address of the network said in the provider's name."""
        self._limiter.hit(UNKNOWN_LINKS, "disbelieved", remote)

    def check_link(self, remote: str) -> None:
        """Count a mail link that is not known. Raises `Busy` when one address of the network tries many."""
        if not self._limiter.hit(UNKNOWN_LINKS, "link", remote):
            raise Busy("Too many links that are not known. Wait five minutes, then open the one in your mail.")


def attempts_of(request: Request) -> Attempts:
    """The counter of this application."""
    state = request.app.state
    if not hasattr(state, "sign_in_attempts"):
        state.sign_in_attempts = Attempts()
    counter: Attempts = state.sign_in_attempts
    return counter


def database_of(request: Request) -> Database:
    """The ledger that the application was started with."""
    database: Database = request.app.state.database
    return database


def cookie_name(request: Request) -> str:
    """`__Host-` binds the cookie to this host and to https; over plain http browsers refuse that prefix."""
    return "__Host-endcap" if is_https(request) else "endcap_session"


def is_https(request: Request) -> bool:
    """Whether people reach this Endcap by https, by its public address."""
    base_url: str = request.app.state.settings.base_url
    return base_url.startswith("https://")


def set_cookie(request: Request, response: Response, name: str, value: str, lasts: timedelta, path: str = "/") -> None:
    """A cookie that no script reads, sent when a link from a mail is followed, never with another site's form. It lasts
    for a time and not until an instant: the browser's clock may be another one.
    """
    response.set_cookie(
        name,
        value,
        max_age=int(lasts.total_seconds()),
        path=path,
        secure=is_https(request),
        httponly=True,
        samesite="lax",
    )


def remote_of(request: Request) -> str:
    """The address of the network that asks."""
    return request.client.host if request.client else "unknown"


async def sign_in(request: Request, response: Response, email: str, password: str) -> str:
    """Check the password, start a session in place of any earlier one, set its cookie; returns its token.

    Raises `NotAllowed` (the same for an unknown address and a wrong password) or `Busy`.
    """
    attempts_of(request).check(email, remote_of(request))
    database = database_of(request)
    async with database.read() as conn:
        account = await records.account(conn, email)
    right = await asyncio.to_thread(_matches, account.password_hash if account else _NOBODYS_HASH, password)
    if account is not None:
        request.state.who = f"person:{account.person_id}"  # who was tried, should it be refused
    if account is None or not right:
        request.state.denied = "wrong_password"
        raise NotAllowed(WRONG)
    attempts_of(request).succeeded(email)
    settings = request.app.state.settings
    if settings.local_sign_in == "admins" and not account.is_admin:
        raise NotAllowed(f"Passwords of Endcap let in administrators alone. Sign in with {settings.oidc_name}.")
    token = secrets.token_urlsafe(32)
    earlier = request.cookies.get(cookie_name(request))
    await records.begin(database, account.person_id, token, replaces=earlier)
    set_cookie(request, response, cookie_name(request), token, records.LIFETIME)
    return token


async def sign_out(request: Request, response: Response, person: Person) -> bool:
    """End the session of this browser; returns whether a provider of single sign-on had begun it."""
    token = request.cookies.get(cookie_name(request))
    issuer = await records.end(database_of(request), token, person.id) if token else None
    forget(request, response)
    return issuer is not None


def forget(request: Request, response: Response) -> None:
    """Take back the cookie of a session."""
    response.delete_cookie(cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="lax")


type LookedUp = Together[str, records.Session | None]


def looked_up_with(database: Database) -> LookedUp:
    """Sessions by their tokens; requests of the same moment ask for theirs together."""

    async def read(tokens: Sequence[str]) -> dict[str, records.Session | None]:
        found = await database.alone(lambda conn: records.sessions_of(conn, tokens))
        return {token: found.get(token) for token in tokens}

    return Together(read)


def looked_up_of(request: Request) -> LookedUp:
    """The sessions of this application."""
    found: LookedUp = request.app.state.sessions
    return found


async def visitor(request: Request) -> Person | None:
    """The person who is signed in, or None."""
    token = request.cookies.get(cookie_name(request))
    if not token:
        return None
    session = await looked_up_of(request).ask(token)
    if session is None:
        return None
    request.state.who = f"person:{session.person.id}"
    request.state.person = session.person
    request.state.proven_at = session.proven_at
    if session.touch_due:
        await records.touch(database_of(request), token)
    return session.person


def proven_at(request: Request) -> datetime | None:
    """When whoever is signed in last proved who they are, where that is known."""
    found: datetime | None = getattr(request.state, "proven_at", None)
    return found


async def signed_in(request: Request) -> Person:
    """The person who is signed in. Raises `SignInFirstError`."""
    person = await visitor(request)
    if person is None:
        raise SignInFirstError
    return person


Visitor = Annotated[Person | None, Depends(visitor)]
SignedIn = Annotated[Person, Depends(signed_in)]


def same_site_path(wanted: str | None) -> str:
    """`wanted` if it is a path of this Endcap, else the first page: a sign-in link must not lead to another site."""
    if not wanted or not wanted.startswith("/") or any(sign in wanted for sign in "\\\r\n\t"):
        return "/"
    if wanted.startswith("//"):
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc else wanted


def way_back(request: Request) -> str:
    """The page that a request came from, or asks for when it can be opened again."""
    if request.method in {"GET", "HEAD"}:
        return same_site_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    try:
        came = urlsplit(request.headers.get("referer", ""))
    except ValueError:  # no address at all
        return "/"
    if came.netloc != request.headers.get("host", ""):
        return same_site_path(came.path)
    return same_site_path(came.path + (f"?{came.query}" if came.query else ""))


def way_to_sign_in(request: Request) -> str:
    """The sign-in page, with the way back."""
    return f"/sign-in?next={quote(way_back(request), safe='/')}"


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
