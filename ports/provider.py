"""What an OpenID provider says of itself: its description, its keys, and the answers of its endpoints.

Every call goes through `ports.guarded`, in bounded time and size; no redirect is followed. What was said is believed
for an hour.
"""

import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from domain.addresses import MAX_URL, why_not
from ports import bounded
from ports.guarded import AddressRefusedError, Guarded, Resolve, resolve

TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 4.0
MOST_BYTES = 512_000  # of one answer
MOST_KEYS = 100
LEAST_RSA_BITS = 2_048  # RFC 7518, 3.3
BELIEVED_FOR_S = 3_600.0
_PARTS = ("kty", "crv", "x", "y", "n", "e", "kid", "use", "alg")
_PRINTED = re.compile(r"[!-\[\]-~]+")  # no space, no backslash, nothing that a parser leaves out
Network = IPv4Network | IPv6Network
NAMED = ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint")


class ProviderAwayError(Exception):
    """The provider does not answer, or not as one; the text says how. Trying again may help."""


class Provider:
    """One provider by its issuer. `networks` are networks of ours in which it may lie; whatever else is not public is
    refused."""

    def __init__(
        self,
        issuer: str,
        *,
        networks: Sequence[Network] = (),
        resolver: Resolve = resolve,
        clock: Callable[[], float] = time.time,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.issuer = issuer
        self._networks = tuple(networks)
        self._clock = clock
        self._timeout_s = timeout_s
        self._said: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._http = httpx2.AsyncClient(
            transport=Guarded(self._why_not, resolver=resolver),
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.aclose()

    async def description(self) -> dict[str, Any]:
        """Its metadata, whose addresses were looked at. Raises `ProviderAwayError`."""
        if self._said is not None and self._said[0] > self._clock() - BELIEVED_FOR_S:
            return self._said[1]
        url = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        status, found = await self.ask("GET", url, headers={"Accept": "application/json"})
        if status != 200:
            raise ProviderAwayError(f"its description answered {status}")
        said = OpenIDProviderMetadata(found)
        if said.get("issuer") != self.issuer:
            raise ProviderAwayError("its description is that of another issuer")
        for name in NAMED:
            if name in said:
                _check_url(said[name])
        try:
            for check in (
                said.validate_issuer,
                said.validate_authorization_endpoint,
                said.validate_token_endpoint,
                said.validate_jwks_uri,
            ):
                check()
        except ValueError as error:
            raise ProviderAwayError(f"its description is not one: {error}") from error
        self._said = (self._clock(), dict(said))
        return self._said[1]

    async def keys(self, *, other_than: KeySet | None = None) -> KeySet:
        """What its tokens are signed with; read anew where that is `other_than`. Raises `ProviderAwayError`."""
        known = self._keys
        if known is not None and known[1] is not other_than and known[0] > self._clock() - BELIEVED_FOR_S:
            return known[1]
        url = (await self.description())["jwks_uri"]
        status, found = await self.ask("GET", url, headers={"Accept": "application/json"})
        listed = found.get("keys")
        if status != 200 or not isinstance(listed, list):
            raise ProviderAwayError(f"its keys answered {status}")
        usable: list[Key] = [key for key in map(_key, listed[:MOST_KEYS]) if key is not None]
        if not usable:
            raise ProviderAwayError("it lists no key that can be read and is long enough")
        self._keys = (self._clock(), KeySet(usable))
        return self._keys[1]

    async def ask(self, method: str, url: str, **sent: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; an empty one for what is none. Raises `ProviderAwayError`."""
        _check_url(url)
        try:
            answer = await bounded.ask(self._http, method, url, within_s=self._timeout_s, most_bytes=MOST_BYTES, **sent)
        except AddressRefusedError as error:
            raise ProviderAwayError(str(error)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise ProviderAwayError(f"no answer: {type(error).__name__}") from error
        try:
            found = json.loads(answer.content)
        except (ValueError, RecursionError):  # also what is nested without end
            found = {}
        return answer.status_code, found if isinstance(found, dict) else {}

    def _why_not(self, address: str) -> str | None:
        found = ip_address(address.partition("%")[0])
        if any(found in network for network in self._networks):
            return None
        return why_not(address, allow_loopback=False)


def _key(listed: object) -> RSAKey | ECKey | None:
    """A key of the list; None for one that nothing is to be checked with. One that cannot be read (a kind of tomorrow)
    must not lock out everybody whose token another has signed; a symmetric one has no business in a public list, since
    whoever can read it could sign with it; and a short one can be found out."""
    if not isinstance(listed, dict) or not all(isinstance(part, str) for part in map(listed.get, _PARTS) if part):
        return None
    try:
        if listed.get("kty") == "EC":
            return ECKey.import_key(listed)
        if listed.get("kty") == "RSA" and _bits(listed["n"]) >= LEAST_RSA_BITS:
            return RSAKey.import_key(listed)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return None


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(f"{number}==")).bit_length()


def _check_url(url: object) -> None:
    """Raises `ProviderAwayError` for an address that is none of a provider: http goes to this machine alone."""
    refused = ProviderAwayError("it names an address that is no https URL")
    if not isinstance(url, str) or len(url) > MAX_URL or not _PRINTED.fullmatch(url):
        raise refused
    try:
        parts = urlsplit(url)
        _ = parts.port  # refuses one that is no number, or too large
    except ValueError:
        raise refused from None
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    is_fit = parts.scheme == "https" or (parts.scheme == "http" and is_here)
    if not is_fit or not parts.hostname or parts.username is not None or parts.fragment:
        raise refused
