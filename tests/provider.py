"""An OpenID provider on this machine that keeps to the rules, and breaks the one that a test asks it to break.

It checks what it is sent (client, PKCE, address of return, each code once) as a strict provider does.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.serving import serving

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
CLIENT, SECRET = "endcap at home", "a secret: of/ours"  # both need to be encoded before they are joined


def _written(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


_KEYS = [RSAKey.generate_key(2048, {"kid": f"k{number}", "use": "sig"}) for number in (1, 2)]


class Provider:
    """`issuer` is where it listens. What a test changes: `description`, `person`, `claims`, `userinfo`, `sign`,
    `status`, `raw`, `access_token`, `keys`, and its clock, which stands still; `asked` is what it was asked."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.now = int(time.time())
        self.keys = [_KEYS[0]]
        self.description: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/out",
            "response_types_supported": ["code"],
        }
        self.person: dict[str, Any] = {"sub": "p-7", "email": "sam.ortega@stores.example", "email_verified": True}
        self.claims: dict[str, Any] = {}  # over those that are right; None leaves one out
        self.userinfo: dict[str, Any] | None = None
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.status: dict[str, int] = {}  # path: what it answers instead
        self.raw: dict[str, str] = {}  # path: the text that it answers instead
        self.access_token: object = "at-1"
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """A token as it should be, in ASCII whatever its claims hold."""
        written = {"alg": "RS256", "typ": "JWT", "kid": self.keys[-1].kid, **header}
        return jws.serialize_compact(written, json.dumps(claims).encode(), self.keys[-1])

    def logout_token(self, changed: dict[str, Any] | None = None, **header: Any) -> str:
        """What it sends when a session has ended there; None in `changed` leaves a claim out."""
        claims: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT, "iat": self.now, "exp": self.now + 120}
        claims |= {"jti": "j-1", "events": {LOGOUT: {}}, "sub": "p-7", "sid": "s-1"} | (changed or {})
        kept = {name: value for name, value in claims.items() if value is not None}
        return self.signed(kept, **{"typ": "logout+jwt", **header})

    def change_keys(self) -> None:
        """Sign with another key from now on; the first one is gone."""
        self.keys = [_KEYS[1]]

    def let_in(self, url: str) -> dict[str, str]:
        """Somebody signs in there who was sent to `url`; the parameters with which they are sent back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "email"} <= set(asked["scope"].split())
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def forged(self, claims: dict[str, Any]) -> str:
        """Signed by somebody else under the provider's key id."""
        return jwt.encode({"alg": "RS256", "kid": self.keys[-1].kid}, claims, RSAKey.generate_key(2048))

    def unsigned(self, claims: dict[str, Any]) -> str:
        """`alg: none`, with nothing after the last dot."""
        return f"{_written({'alg': 'none', 'typ': 'JWT'})}.{_written(claims)}."

    def confused(self, claims: dict[str, Any]) -> str:
        """Signed with HS256, the provider's public key being the secret."""
        header = {"alg": "HS256", "typ": "JWT", "kid": self.keys[-1].kid}
        signed = f"{_written(header)}.{_written(claims)}"
        word = hmac.digest(self.keys[-1].as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(word).rstrip(b'=').decode()}"

    # ------------------------------------------------------------------ its endpoints
    async def say(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append(path)
        if (status := self.status.get(path)) is not None:
            return JSONResponse({"error": "invalid_client" if status == 401 else "no"}, status_code=status)
        if (written := self.raw.get(path)) is not None:
            return Response(written, media_type="application/json")
        if path == "/.well-known/openid-configuration":
            return JSONResponse(self.description)
        if path == "/keys":
            return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})
        if path == "/token":
            return await self.token(request)
        if path == "/userinfo":
            assert request.headers["authorization"] == "Bearer at-1"
            return JSONResponse(self.userinfo)
        if path == "/authorize":
            url = str(request.url)
            back = parse_qs(urlsplit(url).query)["redirect_uri"][0]
            return RedirectResponse(f"{back}?{urlencode(self.let_in(url))}", status_code=302)
        return Response("gone out", media_type="text/html")

    async def token(self, request: Request) -> Response:
        sent = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        name, _, secret = base64.b64decode(request.headers["authorization"].partition(" ")[2]).decode().partition(":")
        assert (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)
        asked = self._codes.pop(sent["code"], None)
        if (
            asked is None
            or sent["redirect_uri"] != asked["redirect_uri"]
            or create_s256_code_challenge(sent["code_verifier"]) != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = self.now
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        if asked.get("max_age") is not None:
            claims["auth_time"] = now
        claims |= self.person | self.claims
        token = self.sign({name: value for name, value in claims.items() if value is not None})
        return JSONResponse({"access_token": self.access_token, "token_type": "Bearer", "id_token": token})


@asynccontextmanager
async def provided() -> AsyncIterator[Provider]:
    """A provider behind a real server."""
    listening = socket.create_server(("127.0.0.1", 0))
    provider = Provider(listening.getsockname()[1])
    app = Starlette(routes=[Route("/{path:path}", provider.say, methods=["GET", "POST"])])
    async with serving(app, listening):
        yield provider
