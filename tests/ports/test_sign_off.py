"""What a provider may say of a session that has ended there, and every lie of it that is not believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from ports.provider import ProviderAwayError
from ports.sign_on import Ended, IdentityRefusedError, SignOn
from tests.provider import CLIENT, LOGOUT, SECRET, Provider, provided

FAR, PAST = 9_000_000_000, 1_000_000_000


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


@pytest.fixture
async def sign_on(provider: Provider) -> AsyncIterator[SignOn]:
    """With the same clock as the provider has: it stands still."""
    made = SignOn(provider.issuer, CLIENT, SECRET, networks=[ip_network("127.0.0.0/8")], clock=lambda: provider.now)
    yield made
    await made.close()


async def refused(sign_on: SignOn, token: str) -> str:
    with pytest.raises(IdentityRefusedError) as error:
        await sign_on.ended(token)
    return error.value.reason


class TestBelieved:
    @pytest.mark.parametrize(
        ("changed", "subject", "session"),
        [({}, "p-7", "s-1"), ({"sid": None}, "p-7", None), ({"sub": None}, None, "s-1")],
        ids=["both", "a person", "a session"],
    )
    async def test_whom_it_names(
        self, sign_on: SignOn, provider: Provider, changed: dict[str, Any], subject: str | None, session: str | None
    ) -> None:
        at = datetime.fromtimestamp(provider.now, UTC)
        assert await sign_on.ended(provider.logout_token(changed)) == Ended(provider.issuer, subject, session, at)

    @pytest.mark.parametrize("typ", ["logout+jwt", "application/logout+jwt", "JWT"])
    async def test_each_way_in_which_such_a_token_is_headed(
        self, sign_on: SignOn, provider: Provider, typ: str
    ) -> None:
        assert (await sign_on.ended(provider.logout_token(typ=typ))).subject == "p-7"

    async def test_among_several_audiences(self, sign_on: SignOn, provider: Provider) -> None:
        assert (await sign_on.ended(provider.logout_token({"aud": ["another", CLIENT]}))).subject == "p-7"

    async def test_after_its_keys_have_changed(self, sign_on: SignOn, provider: Provider) -> None:
        await sign_on.ended(provider.logout_token())
        provider.change_keys()
        assert (await sign_on.ended(provider.logout_token())).subject == "p-7"


LIES: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://evil.example"}, "wrong_iss"),
    ({"iss": None}, "wrong_iss"),
    ({"aud": "another"}, "wrong_aud"),
    ({"aud": None}, "wrong_aud"),
    ({"aud": [["nested"], {}]}, "wrong_aud"),
    ({"iat": None}, "wrong_iat"),
    ({"iat": FAR}, "wrong_iat"),
    ({"iat": "noon"}, "wrong_iat"),
    ({"nbf": FAR}, "wrong_nbf"),
    ({"exp": None}, "wrong_exp"),
    ({"exp": True}, "wrong_exp"),
    ({"exp": PAST}, "expired"),
    ({"jti": None}, "wrong_jti"),
    ({"jti": 7}, "wrong_jti"),
    ({"events": None}, "wrong_events"),
    ({"events": {}}, "wrong_events"),
    ({"events": [LOGOUT]}, "wrong_events"),
    ({"events": {LOGOUT: True}}, "wrong_events"),
    ({"nonce": "n"}, "wrong_nonce"),
    ({"sub": None, "sid": None}, "wrong_sub"),
    ({"sub": ""}, "wrong_sub"),
    ({"sub": "p" * 300}, "wrong_sub"),
    ({"sid": 7}, "wrong_sid"),
    ({"sid": "two words"}, "wrong_sid"),
]


class TestNotBelieved:
    @pytest.mark.parametrize(("changed", "reason"), LIES, ids=str)
    async def test_a_claim(self, sign_on: SignOn, provider: Provider, changed: dict[str, Any], reason: str) -> None:
        assert await refused(sign_on, provider.logout_token(changed)) == reason

    async def test_a_token_of_another_kind(self, sign_on: SignOn, provider: Provider) -> None:
        assert await refused(sign_on, provider.logout_token(typ="at+jwt")) == "wrong_typ"

    async def test_an_id_token_ends_nothing(self, sign_on: SignOn, provider: Provider) -> None:
        now = provider.now
        claims = {"iss": provider.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "sub": "p-7", "nonce": "n"}
        assert await refused(sign_on, provider.signed(claims)) == "wrong_jti"

    @pytest.mark.parametrize("how", ["forged", "unsigned", "confused"])
    async def test_one_that_the_provider_has_not_signed(self, sign_on: SignOn, provider: Provider, how: str) -> None:
        provider.signed = lambda claims, **_: getattr(provider, how)(claims)  # type: ignore[method-assign]
        assert await refused(sign_on, provider.logout_token()) == "forged"

    @pytest.mark.parametrize("text", ["", "a.b.c", "no token", "é.é.é", "a" * 16_000])
    async def test_what_is_no_token(self, sign_on: SignOn, provider: Provider, text: str) -> None:
        assert await refused(sign_on, text) == "forged"

    async def test_while_its_keys_cannot_be_read_it_is_to_come_again(self, sign_on: SignOn, provider: Provider) -> None:
        provider.status["/keys"] = 500
        with pytest.raises(ProviderAwayError):
            await sign_on.ended(provider.logout_token())
