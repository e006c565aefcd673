"""Single sign-on: asks an OpenID provider who somebody is (authorization code with PKCE), and believes only what it can
check. Authlib knows the protocol, `ports.provider` the provider. Which person of ours an identity is, and what they may
do, is not decided here.
"""

import hmac
import secrets
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidKeyIdError,
    JoseError,
    MissingClaimError,
)
from pydantic import SecretStr

from ports.guarded import Resolve, resolve
from ports.provider import TIMEOUT_S, Network, Provider, ProviderAwayError

LEEWAY_S = 60  # by which clocks may differ
INSTANTS = ("exp", "iat", "nbf", "auth_time")
LAST_S = 253_402_300_800  # of the year 9999
SCOPES = "openid email profile"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYPES = frozenset({"logout+jwt", "jwt"})


class IdentityRefusedError(Exception):
    """The provider answered, and the answer is not believed. `reason` is a word for the record."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class SignOnSettings(Protocol):
    """How the provider is reached, as the settings of a process say it."""

    @property
    def oidc_issuer(self) -> str | None: ...
    @property
    def oidc_client_id(self) -> str | None: ...
    @property
    def oidc_client_secret(self) -> SecretStr | None: ...
    @property
    def oidc_algorithm(self) -> str: ...
    @property
    def oidc_network_list(self) -> Sequence[Network]: ...


class Begun(NamedTuple):
    """A sign-in on its way: where the browser is sent, and what its answer must fit. `since`: seconds of the epoch;
    `is_fresh`: the person has to prove themselves again there, whatever session they have."""

    url: str
    state: str
    nonce: str
    verifier: str
    since: int
    is_fresh: bool


class Identity(NamedTuple):
    """Who somebody is to the provider. `email` is one that it has verified, or None. `proven_at`: when they proved it
    there, where the provider says so."""

    issuer: str
    subject: str
    email: str | None
    proven_at: datetime | None
    session: str | None = None  # what the provider calls the session that they have there


class Ended(NamedTuple):
    """What the provider says has ended there: one session by its name, or all of somebody's. `at`: when it said so."""

    issuer: str
    subject: str | None
    session: str | None
    at: datetime


def sign_on_of(settings: SignOnSettings) -> "SignOn | None":
    """The provider of the settings; None where there is none."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else None
    return SignOn(
        settings.oidc_issuer,
        settings.oidc_client_id,
        secret,
        algorithm=settings.oidc_algorithm,
        networks=settings.oidc_network_list,
    )


class SignOn:
    """Sign-in with one provider. `algorithm` is the only one that a token may be signed with."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        algorithm: str = "RS256",
        networks: Sequence[Network] = (),
        resolver: Resolve = resolve,
        clock: Callable[[], float] = time.time,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._algorithm = algorithm
        self._clock = clock
        self._provider = Provider(issuer, networks=networks, resolver=resolver, clock=clock, timeout_s=timeout_s)

    async def close(self) -> None:
        await self._provider.close()

    # ------------------------------------------------------------------ the way there
    async def begin(self, back: str, *, is_fresh: bool = False, hint: str = "") -> Begun:
        """Where to send a browser that should come back to `back`. Raises `ProviderAwayError`."""
        said = await self._provider.description()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        more = {"prompt": "login", "max_age": "0"} if is_fresh else {}
        url = prepare_grant_uri(
            said["authorization_endpoint"],
            self._client_id,
            "code",
            redirect_uri=back,
            scope=SCOPES,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            login_hint=hint or None,
            **more,
        )
        return Begun(url, state, nonce, verifier, int(self._clock()), is_fresh)

    async def way_out(self, back: str) -> str | None:
        """Where a browser ends its session at the provider as well; None where it has no such page or is away."""
        try:
            said = await self._provider.description()
        except ProviderAwayError:
            return None
        page = said.get("end_session_endpoint")
        if page is None:
            return None
        query = f"client_id={quote_plus(self._client_id)}&post_logout_redirect_uri={quote_plus(back)}"
        return f"{page}{'&' if '?' in page else '?'}{query}"

    # ------------------------------------------------------------------ the way back
    async def finish(self, begun: Begun, answer: Mapping[str, str], back: str) -> Identity:
        """Who came back with `answer`, the parameters of the address. Raises `IdentityRefusedError`,
        `ProviderAwayError`.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), begun.state.encode()):
            raise IdentityRefusedError("wrong_state", "the answer belongs to another sign-in")
        said = await self._provider.description()
        issuer = answer.get("iss")
        if (issuer is None and said.get("authorization_response_iss_parameter_supported") is True) or (
            issuer is not None and issuer != self.issuer
        ):
            raise IdentityRefusedError("wrong_issuer", "the answer comes from another provider")
        if "error" in answer:
            raise IdentityRefusedError("refused_there", "the provider has let nobody in")
        if not answer.get("code"):
            raise IdentityRefusedError("no_code", "the answer carries no code")
        tokens = await self._tokens(said, answer["code"], begun.verifier, back)
        claims = await self._checked(tokens, begun)
        return await self._identity(said, claims, tokens, begun)

    async def _tokens(self, said: Mapping[str, Any], code: str, verifier: str, back: str) -> dict[str, Any]:
        body = prepare_token_request(
            "authorization_code", redirect_uri=back, code=code, code_verifier=verifier,
            client_id=None if self._client_secret else self._client_id,
        )  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url = said["token_endpoint"]
        if self._client_secret is not None:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            methods = said.get("token_endpoint_auth_methods_supported")
            is_basic = not isinstance(methods, list) or "client_secret_basic" in methods
            encode = quote_plus if is_basic else str
            auth = ClientAuth(
                encode(self._client_id),
                encode(self._client_secret),
                "client_secret_basic" if is_basic else "client_secret_post",
            )
            url, headers, body = auth.prepare("POST", url, headers, body)
        status, found = await self._provider.ask("POST", url, headers=headers, content=body)
        if status in (400, 401):
            # 401 and invalid_client: our own secret is wrong, which whoever signs in cannot mend.
            word = str(found.get("error", ""))
            if status == 401 or word == "invalid_client":
                raise ProviderAwayError("it does not accept our client id and secret")
            raise IdentityRefusedError("code_refused", "the provider does not accept the code")
        if status != 200:
            raise ProviderAwayError(f"its token endpoint answered {status}")
        if not isinstance(found.get("id_token"), str):
            raise IdentityRefusedError("no_token", "the provider gave no ID token")
        return found

    async def _checked(self, tokens: Mapping[str, Any], begun: Begun) -> CodeIDToken:
        """The claims of the ID token, its signature and all that it says of itself being right."""
        try:
            token = await self._verified(tokens["id_token"])
            _check_instants(token.claims)
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self._client_id},
                },
                {
                    "nonce": begun.nonce,
                    "client_id": self._client_id,
                    "access_token": tokens.get("access_token"),
                    "max_age": begun.is_fresh,
                },
            )
            claims.validate(now=int(self._clock()), leeway=LEEWAY_S)
        except ExpiredTokenError as error:
            raise IdentityRefusedError("expired", "the token is no longer valid") from error
        except (InvalidClaimError, MissingClaimError) as error:
            raise IdentityRefusedError(f"wrong_{error.claim}", "a claim of the token is wrong or missing") from error
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise IdentityRefusedError("forged", f"the token is not believed: {type(error).__name__}") from error
        return claims

    async def _verified(self, token: str) -> jwt.Token:
        """The token with its signature checked. Keys change: an unknown or unfitting one is looked up anew, once."""
        keys = await self._provider.keys()
        try:
            return jwt.decode(token, keys, algorithms=[self._algorithm])
        except (InvalidKeyIdError, BadSignatureError):
            anew = await self._provider.keys(other_than=keys)
            return jwt.decode(token, anew, algorithms=[self._algorithm])

    async def _identity(
        self, said: Mapping[str, Any], claims: Mapping[str, Any], tokens: Mapping[str, Any], begun: Begun
    ) -> Identity:
        subject = claims["sub"]
        if _name(subject) is None:
            raise IdentityRefusedError("wrong_sub", "the token names nobody")
        proven = claims.get("auth_time")
        if proven is not None and not proven > 0:
            raise IdentityRefusedError("wrong_auth_time", "the token names no instant")
        if begun.is_fresh and (proven is None or proven < begun.since - LEEWAY_S):
            raise IdentityRefusedError("not_fresh", "the person has not proven themselves again")
        named: Mapping[str, Any] = claims
        if "email" not in claims and "userinfo_endpoint" in said and (access := tokens.get("access_token")) is not None:
            if not isinstance(access, str) or not access or not _is_plain(access):
                raise IdentityRefusedError("wrong_access_token", "the access token is none that a header holds")
            headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
            status, named = await self._provider.ask("GET", said["userinfo_endpoint"], headers=headers)
            if status != 200:
                raise ProviderAwayError(f"its userinfo endpoint answered {status}")
            if named.get("sub") != subject:
                raise IdentityRefusedError("wrong_userinfo", "what it says of the person is about somebody else")
        email = _address(named.get("email")) if named.get("email_verified") is True else None
        at = datetime.fromtimestamp(min(proven, self._clock()), UTC) if proven else None
        return Identity(self.issuer, subject, email, at, _name(claims.get("sid")))

    # ------------------------------------------------------------------ what it says by itself
    async def ended(self, token: str) -> Ended:
        """What a logout token says (OpenID Connect Back-Channel Logout 1.0, 2.6). Raises `IdentityRefusedError`, and
        `ProviderAwayError` where its keys cannot be read.
        """
        try:
            found = await self._verified(token)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise IdentityRefusedError("forged", f"the token is not believed: {type(error).__name__}") from error
        claims, now = found.claims, self._clock()
        _check_instants(claims)
        events, audience = claims.get("events"), claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        right = {
            "typ": str(found.header.get("typ", "JWT")).lower().removeprefix("application/") in LOGOUT_TYPES,
            "iss": claims.get("iss") == self.issuer,
            "aud": self._client_id in audiences,
            "iat": (claims.get("iat") or LAST_S) <= now + LEEWAY_S,
            "nbf": (claims.get("nbf") or 0) <= now + LEEWAY_S,
            "exp": claims.get("exp") is not None,
            "jti": _name(claims.get("jti")) is not None,
            "events": isinstance(events, dict) and isinstance(events.get(LOGOUT), dict),
            "nonce": "nonce" not in claims,  # that would be an ID token
            "sub": "sub" not in claims or _name(claims["sub"]) is not None,
            "sid": "sid" not in claims or _name(claims["sid"]) is not None,
        }
        if wrong := [name for name, is_right in right.items() if not is_right]:
            raise IdentityRefusedError(f"wrong_{wrong[0]}", "a claim of the token is wrong or missing")
        if claims["exp"] <= now - LEEWAY_S:
            raise IdentityRefusedError("expired", "the token is no longer valid")
        subject, session = _name(claims.get("sub")), _name(claims.get("sid"))
        if subject is None and session is None:
            raise IdentityRefusedError("wrong_sub", "the token names neither a person nor a session")
        return Ended(self.issuer, subject, session, datetime.fromtimestamp(min(claims["iat"], now), UTC))


def _name(given: object) -> str | None:
    """What the provider calls something; None for what is no name that is kept."""
    return given if isinstance(given, str) and 0 < len(given) <= 255 and _is_plain(given) else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _check_instants(claims: Mapping[str, Any]) -> None:
    """Raise `IdentityRefusedError` for an instant that is none: what is not a number is neither early nor late."""
    for name in INSTANTS:
        value = claims.get(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value < LAST_S):
            raise IdentityRefusedError(f"wrong_{name}", "the token names no instant")


def _address(given: object) -> str | None:
    """A mail address as it may be compared with those of people; None for what is none.

    Letters that only look like others are refused: the sign of the kelvin, made small, is a `k`, and would be somebody
    else's address.
    """
    if not isinstance(given, str) or not 3 <= len(given) <= 320 or unicodedata.normalize("NFKC", given) != given:
        return None
    name, _, host = given.rpartition("@")
    is_one = bool(name and host) and not any(sign in given for sign in ' ,;:<>()[]"\\') and "@" not in name
    return given if is_one and given.isprintable() else None
