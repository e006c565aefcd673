"""A provider of single sign-on that lies with care: whatever it says is a refusal by name or *away*, never an error of
ours, and nobody is taken for somebody else.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws, jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from ports.provider import ProviderAwayError
from ports.sign_on import IdentityRefusedError, SignOn
from tests.ports.test_sign_on import BACK, HERE, enter, provider, refused, sign_on
from tests.provider import CLIENT, SECRET, Provider

__all__ = ["provider", "sign_on"]
HUGE = 10**400
DEEP = "[" * 200_000
ODD = [float("nan"), float("inf"), float("-inf"), HUGE, -HUGE, True, [], {}, ""]


class TestClaims:
    @pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
    @pytest.mark.parametrize("value", ODD, ids=lambda one: repr(one)[:12])
    async def test_an_instant_that_is_none(
        self, sign_on: SignOn, provider: Provider, claim: str, value: object
    ) -> None:
        provider.claims = {claim: value}
        assert await refused(sign_on, provider) in (f"wrong_{claim}", "expired", "forged")

    @pytest.mark.parametrize("sub", ["p\x007", "p\ud800", "p\n7", 7, ["p-7"], {"p": 7}, True, "p" * 256])
    async def test_a_name_that_is_none(self, sign_on: SignOn, provider: Provider, sub: object) -> None:
        provider.claims = {"sub": sub}
        assert await refused(sign_on, provider) == "wrong_sub"

    @pytest.mark.parametrize(
        "email",
        [
            "sam.ortega@\N{KELVIN SIGN}stores.example",
            "sam.ortega@stores.example\x00",
            "sam.ortega@stores.example\n",
            "\N{EM SPACE}sam.ortega@stores.example",
            "sam.ortega\ud800@stores.example",
            "sam.ortega@stores.example, ana.ruiz@stores.example",
            "Sam Ortega <sam.ortega@stores.example>",
            ["sam.ortega@stores.example"],
            {"sam.ortega@stores.example": True},
            "@@@",
            "a" * 400 + "@stores.example",
        ],
    )
    async def test_an_address_that_is_not_written_as_addresses_are_is_none(
        self, sign_on: SignOn, provider: Provider, email: object
    ) -> None:
        provider.claims = {"email": email}
        assert (await enter(sign_on, provider)).email is None

    @pytest.mark.parametrize("groups", ["admin", {"admin": True}, ["admin"] * 2_000, None, 7])
    @pytest.mark.parametrize("claim", ["groups", "roles", "realm_access", "amr_values"])
    async def test_roles_in_a_token_are_nothing_to_us(
        self, sign_on: SignOn, provider: Provider, claim: str, groups: object
    ) -> None:
        provider.claims = {claim: groups}
        assert (await enter(sign_on, provider)).subject == "p-7"

    async def test_more_of_them_than_a_token_carries_is_refused(self, sign_on: SignOn, provider: Provider) -> None:
        provider.claims = {"groups": ["admin"] * 20_000}
        assert await refused(sign_on, provider) == "forged"

    @pytest.mark.parametrize("issuer", [str.upper, lambda one: f"{one}/", lambda one: f" {one}", lambda one: [one]])
    async def test_an_issuer_written_otherwise_is_another(
        self, sign_on: SignOn, provider: Provider, issuer: Callable[[str], object]
    ) -> None:
        provider.claims = {"iss": issuer(provider.issuer)}
        assert await refused(sign_on, provider) == "wrong_iss"

    @pytest.mark.parametrize("audience", [{"x": CLIENT}, [[CLIENT]], [CLIENT.upper()], [], 7, [{"a": 1}, CLIENT]])
    async def test_an_audience_of_another_shape(self, sign_on: SignOn, provider: Provider, audience: object) -> None:
        provider.claims = {"aud": audience}
        assert await refused(sign_on, provider) in ("wrong_aud", "wrong_azp", "forged")


def _token(*parts: str) -> str:
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


class TestTokens:
    @pytest.mark.parametrize(
        "text",
        [
            _token('{"alg":"RS256","kid":"k1"}', DEEP, "x"),
            _token(DEEP, "{}", "x"),
            _token('{"alg":"RSA-OAEP","enc":"A128GCM","zip":"DEF"}', "x", "x", "x", "x"),
            _token("[]", "{}", "x"),
            _token('{"alg":["RS256"]}', "{}", "x"),
            _token('{"alg":"RS256","kid":{"k":1}}', "{}", "x"),
            "." * 100_000,
        ],
        ids=["deep claims", "deep header", "encrypted", "a list", "two algorithms", "an odd key", "dots"],
    )
    async def test_what_is_no_token_of_ours(self, sign_on: SignOn, provider: Provider, text: str) -> None:
        provider.sign = lambda _: text
        assert await refused(sign_on, provider) == "forged"

    @pytest.mark.parametrize("claims", [f'{{"x":{DEEP}', "[]", "7", '{"a":1e999999999}', "\x00"])
    async def test_signed_by_the_provider_and_no_claims(self, sign_on: SignOn, provider: Provider, claims: str) -> None:
        key = provider.keys[-1]
        provider.sign = lambda _: jws.serialize_compact({"alg": "RS256", "kid": key.kid}, claims.encode(), key)
        assert await refused(sign_on, provider) in ("forged", "wrong_iss")

    @pytest.mark.parametrize(
        "header", [{"crit": ["exp"], "exp": 1}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"zip": "DEF"}]
    )
    async def test_a_header_that_asks_for_what_is_not_known(
        self, sign_on: SignOn, provider: Provider, header: dict[str, Any]
    ) -> None:
        written = {"alg": "RS256", "kid": provider.keys[-1].kid, **header}
        provider.sign = lambda claims: _token(json.dumps(written), json.dumps(claims), "x")
        assert await refused(sign_on, provider) == "forged"


class TestKeys:
    """`listed`: what stands in the list beside the right one, before it."""

    @pytest.mark.parametrize(
        "listed",
        [
            {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA", "kid": "new"},
            {"kty": "EC", "crv": ["P-256"], "x": 7, "y": None},
            {"kty": "RSA", "kid": "short"},
            {"kty": "RSA", "n": 7, "e": [], "kid": "numbers"},
            {"kty": "RSA", "n": "!!!!", "e": "AQAB"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
            {"kty": ["RSA"]},
            {"kty": {"RSA": 1}},
            {},
            "no key",
            7,
            None,
        ],
        ids=lambda one: repr(one)[:40],
    )
    async def test_one_that_cannot_be_read_locks_nobody_out(
        self, sign_on: SignOn, provider: Provider, listed: object
    ) -> None:
        provider.raw["/keys"] = json.dumps({"keys": [listed, provider.keys[0].as_dict(private=False)]})
        assert (await enter(sign_on, provider)).subject == "p-7"

    @pytest.mark.parametrize("written", ["[]", "7", '{"keys": {}}', '{"keys": []}', '{"keys": [7]}', DEEP, "", "\x00"])
    async def test_a_list_without_any(self, sign_on: SignOn, provider: Provider, written: str) -> None:
        provider.raw["/keys"] = written
        with pytest.raises(ProviderAwayError):
            await enter(sign_on, provider)

    async def test_a_shared_secret_in_the_list_signs_nothing(self, sign_on: SignOn, provider: Provider) -> None:
        secret = OctKey.generate_key(256, {"kid": "k1"})
        provider.raw["/keys"] = json.dumps({"keys": [secret.as_dict(), provider.keys[0].as_dict(private=False)]})
        provider.sign = lambda claims: jwt.encode({"alg": "HS256", "kid": "k1"}, claims, secret)
        assert await refused(sign_on, provider) == "forged"

    async def test_a_key_of_another_kind_or_for_something_else_signs_nothing(
        self, sign_on: SignOn, provider: Provider
    ) -> None:
        sealing = RSAKey.generate_key(2048, {"kid": "seal", "use": "enc"})
        curve = ECKey.generate_key("P-256", {"kid": "curve"})
        own = provider.keys[0].as_dict(private=False)
        keys = [sealing.as_dict(private=False), curve.as_dict(private=False), own]
        provider.raw["/keys"] = json.dumps({"keys": keys})
        provider.sign = lambda claims: jwt.encode(
            {"alg": "RS256", "kid": "seal"}, claims, RSAKey.import_key(sealing.as_dict(private=True) | {"use": "sig"})
        )
        assert await refused(sign_on, provider) == "forged"
        provider.sign = lambda claims: jwt.encode({"alg": "ES256", "kid": "curve"}, claims, curve)
        assert await refused(sign_on, provider) == "forged"

    async def test_a_token_that_names_none_of_several_keys(self, sign_on: SignOn, provider: Provider) -> None:
        other = RSAKey.generate_key(2048, {"kid": "k3"}).as_dict(private=False)
        provider.raw["/keys"] = json.dumps({"keys": [other, provider.keys[0].as_dict(private=False), other]})
        provider.sign = lambda claims: jwt.encode({"alg": "RS256"}, claims, provider.keys[0])
        assert await refused(sign_on, provider) == "forged"

    async def test_a_weak_one_signs_nothing(self, sign_on: SignOn, provider: Provider) -> None:
        with pytest.warns(SecurityWarning):
            weak = RSAKey.import_key(rsa.generate_private_key(65_537, 1024), {"kid": "weak"})  # noqa: S505
        provider.raw["/keys"] = json.dumps({"keys": [weak.as_dict(private=False)]})
        provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "weak"}, claims, weak)
        with pytest.raises((IdentityRefusedError, ProviderAwayError)):
            await enter(sign_on, provider)


class TestAnswers:
    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
    @pytest.mark.parametrize("written", [DEEP, '{"x":' * 90_000, "{", "", "null", "\x00", "[]"])
    async def test_one_that_is_no_object(self, sign_on: SignOn, provider: Provider, path: str, written: str) -> None:
        provider.raw[path] = written
        with pytest.raises((ProviderAwayError, IdentityRefusedError)):
            await enter(sign_on, provider)
        provider.raw.clear()
        assert (await enter(sign_on, provider)).subject == "p-7", "it is asked again"

    @pytest.mark.parametrize(
        "written", [DEEP, "[]", '{"sub": "p-7", "email": "x"', '{"sub": ["p-7"]}', '{"sub": "p-8"}', "{}"]
    )
    async def test_a_userinfo_that_is_none(self, sign_on: SignOn, provider: Provider, written: str) -> None:
        provider.claims = {"email": None}
        provider.description["userinfo_endpoint"] = f"{provider.issuer}/userinfo"
        provider.raw["/userinfo"] = written
        assert await refused(sign_on, provider) == "wrong_userinfo"

    @pytest.mark.parametrize("name", ["authorization_endpoint", "end_session_endpoint", "token_endpoint"])
    @pytest.mark.parametrize(
        "url",
        [
            "https://login.example/\r\nSet-Cookie: endcap_session=x",
            "https://login.example/\N{SNOWMAN}",
            "https://login.example/\x00",
            "https://login.example\\@evil.example/",
            "https://login.exa\tmple/",
            "https://login.example:99999/",
            "https:///login",
            "https://[::1",
            "HTTPS://user@login.example/",
            "https://login.example/" + "x" * 5_000,
        ],
    )
    async def test_an_address_that_is_none(self, sign_on: SignOn, provider: Provider, name: str, url: str) -> None:
        provider.description[name] = url
        with pytest.raises(ProviderAwayError):
            await sign_on.begin(BACK)

    @pytest.mark.parametrize("token", [7, {"a": 1}, ["x"], "x\r\nX-Evil: 1", "x\N{SNOWMAN}", "", "x\ud800"])
    async def test_an_access_token_that_no_header_holds(
        self, sign_on: SignOn, provider: Provider, token: object
    ) -> None:
        provider.claims = {"email": None}
        provider.description["userinfo_endpoint"] = f"{provider.issuer}/userinfo"
        provider.userinfo = {"sub": "p-7", "email": "ana.ruiz@stores.example", "email_verified": True}
        provider.access_token = token
        with pytest.raises((ProviderAwayError, IdentityRefusedError)):
            await enter(sign_on, provider)
        assert "/userinfo" not in provider.asked


async def test_a_provider_by_its_name_is_asked_under_the_name_that_was_written() -> None:
    """`straße` and `strasse` are two names; what looks them up must not make one of the two."""
    looked: list[str] = []

    async def none(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["10.0.0.1"]

    made = SignOn("https://xn--strae-oqa.example", CLIENT, SECRET, networks=HERE, resolver=none)
    with pytest.raises(ProviderAwayError):
        await made.begin(BACK)
    await made.close()
    assert looked == ["xn--strae-oqa.example"]
