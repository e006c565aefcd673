"""Who calls the API: bearer keys with scopes, how often they may, and in whose name a decision is made.

Only the ledger knows keys, and only by their hash; nothing here is logged or repeated in an answer.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from domain.errors import NotAllowed
from domain.ids import OWN_SOURCE
from domain.people import Person
from ledger.engine import Database
from ledger.people import Caller, person_by_email, person_by_id
from web.errors import WebError
from web.known_keys import KnownKeys

bearer = HTTPBearer(auto_error=False, description="An API key of a source, or a person's own token.")
MAX_KEY_CHARACTERS = 200
WRONG_KEYS_PER_MINUTE = 60


class Limits:
    """Counters of this process: requests per key, and wrong keys per address of the network."""

    def __init__(self, per_key_per_minute: int, wrong_keys_per_minute: int = WRONG_KEYS_PER_MINUTE) -> None:
        self._strategy = FixedWindowRateLimiter(MemoryStorage())
        self._per_key = RateLimitItemPerMinute(per_key_per_minute)
        self._wrong = RateLimitItemPerMinute(wrong_keys_per_minute)

    async def check_key(self, key_id: str) -> None:
        """Count a request of a key; raises 429 with `Retry-After` above the limit."""
        if not await self._strategy.hit(self._per_key, "key", key_id):
            raise await self._too_many(self._per_key, "key", key_id)

    async def check_address(self, remote: str) -> None:
        """Raises 429 when this address has sent too many wrong keys."""
        if not await self._strategy.test(self._wrong, "wrong", remote):
            raise await self._too_many(self._wrong, "wrong", remote)

    async def count_wrong(self, remote: str) -> None:
        await self._strategy.hit(self._wrong, "wrong", remote)

    async def _too_many(self, item: RateLimitItem, *identifiers: str) -> WebError:
        window = await self._strategy.get_window_stats(item, *identifiers)
        wait_s = max(1, round(window.reset_time - time.time()))
        detail = f"More than {item.amount} requests in a minute. Wait {wait_s} s, then go on."
        return WebError(429, "too_many_requests", detail, headers={"Retry-After": str(wait_s)})


def database_of(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def limits_of(request: Request) -> Limits:
    found: Limits = request.app.state.limits
    return found


async def caller_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Caller:
    """Who is behind the bearer key. Raises 401 for none, an unknown or a revoked one, 429 above the limits."""
    limits = limits_of(request)
    remote = request.client.host if request.client else "unknown"
    if credentials is None:
        raise _unauthorized("Send a key: Authorization: Bearer <key>.", "missing_key")
    key = credentials.credentials
    caller = None
    if 0 < len(key) <= MAX_KEY_CHARACTERS and key.isascii():
        known: KnownKeys = request.app.state.known_keys
        caller = await known.caller(database_of(request), key)
    if caller is None:
        # Counted after the look-up: behind a proxy many systems share an address, and a wrong key of one must not
        # stop the others. A key has 160 bits; what is slowed down is the noise, not a guess that might be right.
        await limits.check_address(remote)
        await limits.count_wrong(remote)
        raise _unauthorized("This key is unknown or was revoked. Ask for a new one.", "unknown_key")
    request.state.who = f"key:{caller.key_id}"
    await limits.check_key(caller.key_id)
    return caller


def _unauthorized(detail: str, code: str) -> WebError:
    return WebError(401, code, detail, headers={"WWW-Authenticate": 'Bearer realm="endcap"'})


def require(scope: str) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency: the caller, whose key has `scope`. Raises 403 that names the scope."""

    async def with_scope(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if scope not in caller.scopes:
            raise WebError(
                403,
                "insufficient_scope",
                f"This key does not have the scope {scope}. Use one that has it.",
                headers={"WWW-Authenticate": f'Bearer realm="endcap", error="insufficient_scope", scope="{scope}"'},
            )
        return caller

    return with_scope


class View(NamedTuple):
    """What a caller may see: a person's grants, or the sources of a system's key."""

    viewer: Person | None
    sources: frozenset[str] | None


def view_of(caller: Caller) -> View:
    """A personal token sees what its person sees; a system's key the journeys of its own and its listed sources, and
    those that Endcap begins by itself, which belong to no source."""
    if caller.person is not None:
        return View(caller.person, None)
    return View(None, caller.sources | {caller.source, OWN_SOURCE})


OnBehalfOf = Annotated[
    str | None,
    Header(alias="X-On-Behalf-Of", max_length=200, description="A person's id or e-mail; needs the scope act_as."),
]


class Decider(NamedTuple):
    """The person a decision is recorded for, and the key that acted in their name, if one did."""

    person: Person
    on_behalf: str | None


async def decider_of(request: Request, caller: Caller, on_behalf_of: str | None) -> Decider:
    """The person behind the key, or the one it may act for. Raises `NotAllowed` where there is none."""
    if on_behalf_of is None:
        if caller.person is None:
            raise NotAllowed(
                "A decision is made by a person, and this key is a system's. Use a personal token, or name the person "
                "in X-On-Behalf-Of with a key that may act for them."
            )
        return Decider(caller.person, None)
    refusal = NotAllowed("This key may not act for that person; its list of persons is kept by an admin.")
    if caller.person is not None:
        raise NotAllowed("A person's own token acts for that person alone. Leave X-On-Behalf-Of out.")
    if "act_as" not in caller.scopes:
        raise refusal
    async with database_of(request).read() as conn:
        named = on_behalf_of.strip()
        person = await (person_by_email(conn, named) if "@" in named else person_by_id(conn, named))
    if person is None or person.id not in caller.act_as:
        raise refusal
    return Decider(person, caller.key_id)


Reader = Annotated[Caller, Depends(require("read"))]
