"""What an OpenID provider says of itself: its description, its keys, and the answers of its endpoints.

Every call goes through `ports.guarded`, in bounded time and size; no redirect is followed. What was said is believed
for an hour.
"""

import json
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from domain.addresses import why_not
from ports import bounded
from ports.guarded import AddressRefusedError, Guarded, Resolve, resolve

TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 4.0
MOST_BYTES = 512_000  # of one answer
BELIEVED_FOR_S = 3_600.0
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
        # A symmetric key has no business in a public list: whoever can read it could sign with it.
        usable = [key for key in listed if isinstance(key, dict) and key.get("kty") in ("RSA", "EC")]
        try:
            keys = KeySet.import_key_set({"keys": usable})
        except (JoseError, ValueError) as error:
            raise ProviderAwayError("its keys cannot be read") from error
        self._keys = (self._clock(), keys)
        return keys

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
        except ValueError:
            found = {}
        return answer.status_code, found if isinstance(found, dict) else {}

    def _why_not(self, address: str) -> str | None:
        found = ip_address(address.partition("%")[0])
        if any(found in network for network in self._networks):
            return None
        return why_not(address, allow_loopback=False)


def _check_url(url: object) -> None:
    """Raises `ProviderAwayError` for an address that is none of a provider: http goes to this machine alone."""
    refused = ProviderAwayError("it names an address that is no https URL")
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
    except ValueError:
        raise refused from None
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    is_fit = parts.scheme == "https" or (parts.scheme == "http" and is_here)
    if not is_fit or not parts.hostname or parts.username is not None or parts.fragment:
        raise refused
