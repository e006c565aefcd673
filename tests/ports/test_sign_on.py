"""What a provider of single sign-on may say and is believed, and every lie of it that is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ports.provider import ProviderAwayError
from ports.sign_on import Identity, IdentityRefusedError, SignOn
from tests.provider import CLIENT, SECRET, Provider, provided

BACK = "http://endcap.test/sign-in/back"
HERE = [ip_network("127.0.0.0/8")]


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


@pytest.fixture
async def sign_on(provider: Provider) -> AsyncIterator[SignOn]:
    """With the same clock as the provider has: it stands still."""
    made = SignOn(provider.issuer, CLIENT, SECRET, networks=HERE, clock=lambda: provider.now)
    yield made
    await made.close()


async def enter(sign_on: SignOn, provider: Provider, *, is_fresh: bool = False, **changed: str) -> Identity:
    begun = await sign_on.begin(BACK, is_fresh=is_fresh)
    return await sign_on.finish(begun, provider.let_in(begun.url) | changed, BACK)


async def refused(sign_on: SignOn, provider: Provider, **how: Any) -> str:
    with pytest.raises(IdentityRefusedError) as error:
        await enter(sign_on, provider, **how)
    return error.value.reason


class TestLetIn:
    async def test_whoever_the_provider_names(self, sign_on: SignOn, provider: Provider) -> None:
        found = await enter(sign_on, provider)
        assert found == Identity(provider.issuer, "p-7", "sam.ortega@stores.example", None)

    async def test_its_description_and_keys_are_asked_for_once(self, sign_on: SignOn, provider: Provider) -> None:
        for _ in range(3):
            await enter(sign_on, provider)
        assert sorted(set(provider.asked)) == ["/.well-known/openid-configuration", "/keys", "/token"]
        assert (provider.asked.count("/keys"), provider.asked.count("/token")) == (1, 3)

    async def test_nothing_in_the_address_tells_the_verifier(self, sign_on: SignOn) -> None:
        begun = await sign_on.begin(BACK)
        assert begun.verifier not in begun.url
        assert len({begun.state, begun.nonce, begun.verifier, (await sign_on.begin(BACK)).state}) == 4

    async def test_after_its_keys_have_changed(self, sign_on: SignOn, provider: Provider) -> None:
        await enter(sign_on, provider)
        provider.change_keys()
        assert (await enter(sign_on, provider)).subject == "p-7"
        assert provider.asked.count("/keys") == 2

    async def test_when_its_clock_is_half_a_minute_off(self, sign_on: SignOn, provider: Provider) -> None:
        now = provider.now
        provider.claims = {"exp": now - 30, "iat": now - 330}
        assert (await enter(sign_on, provider)).subject == "p-7"
        provider.claims = {"exp": now + 330, "iat": now + 50, "nbf": now + 50}
        assert (await enter(sign_on, provider)).subject == "p-7"

    async def test_an_address_that_stands_in_the_userinfo_alone(self, sign_on: SignOn, provider: Provider) -> None:
        provider.claims = {"email": None, "email_verified": None}
        provider.description["userinfo_endpoint"] = f"{provider.issuer}/userinfo"
        provider.userinfo = {"sub": "p-7", "email": "ana.ruiz@stores.example", "email_verified": True}
        assert (await enter(sign_on, provider)).email == "ana.ruiz@stores.example"

    @pytest.mark.parametrize("verified", [False, None, "true", 1])
    async def test_an_address_that_it_does_not_vouch_for_is_none(
        self, sign_on: SignOn, provider: Provider, verified: object
    ) -> None:
        provider.claims = {"email_verified": verified}
        assert (await enter(sign_on, provider)).email is None

    async def test_who_proves_themselves_anew(self, sign_on: SignOn, provider: Provider) -> None:
        found = await enter(sign_on, provider, is_fresh=True)
        assert found.proven_at == datetime.fromtimestamp(provider.now, UTC)

    async def test_several_audiences_when_we_are_the_authorised_party(
        self, sign_on: SignOn, provider: Provider
    ) -> None:
        provider.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
        assert (await enter(sign_on, provider)).subject == "p-7"


LIES: list[tuple[str, dict[str, Any], str]] = [
    ("another audience", {"aud": "another"}, "wrong_aud"),
    ("no audience", {"aud": None}, "wrong_aud"),
    ("several audiences and no party", {"aud": [CLIENT, "another"]}, "wrong_azp"),
    ("another party", {"azp": "another"}, "wrong_azp"),
    ("another issuer", {"iss": "https://evil.example"}, "wrong_iss"),
    ("no issuer", {"iss": None}, "wrong_iss"),
    ("long expired", {"exp": 1_000_000_000}, "expired"),
    ("no end", {"exp": None}, "wrong_exp"),
    ("an end that is no number", {"exp": "tomorrow"}, "wrong_exp"),
    ("issued in the future", {"iat": 9_000_000_000}, "wrong_iat"),
    ("not valid yet", {"nbf": 9_000_000_000}, "wrong_nbf"),
    ("another nonce", {"nonce": "x"}, "wrong_nonce"),
    ("no nonce", {"nonce": None}, "wrong_nonce"),
    ("nobody", {"sub": None}, "wrong_sub"),
    ("an empty name", {"sub": ""}, "wrong_sub"),
    ("a name without end", {"sub": "p" * 300}, "wrong_sub"),
    ("another access token", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "wrong_at_hash"),
    ("an instant that is none", {"auth_time": "noon"}, "wrong_auth_time"),
]


class TestNotBelieved:
    @pytest.mark.parametrize(("claims", "reason"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
    async def test_a_claim(self, sign_on: SignOn, provider: Provider, claims: dict[str, Any], reason: str) -> None:
        provider.claims = claims
        assert await refused(sign_on, provider) == reason

    @pytest.mark.parametrize("how", ["forged", "unsigned", "confused"])
    async def test_a_token_that_the_provider_has_not_signed(
        self, sign_on: SignOn, provider: Provider, how: str
    ) -> None:
        provider.sign = getattr(provider, how)
        assert await refused(sign_on, provider) == "forged"

    @pytest.mark.parametrize("text", ["", "a.b.c", "no token", "é.é.é", "a" * 100_000])
    async def test_what_is_no_token(self, sign_on: SignOn, provider: Provider, text: str) -> None:
        provider.sign = lambda _: text
        assert await refused(sign_on, provider) == "forged"

    async def test_a_token_of_another_algorithm_than_was_agreed(self, provider: Provider) -> None:
        strict = SignOn(provider.issuer, CLIENT, SECRET, networks=HERE, algorithm="ES256")
        assert await refused(strict, provider) == "forged"
        await strict.close()

    async def test_a_key_that_the_token_brings_along(self, sign_on: SignOn, provider: Provider) -> None:
        own = provider.keys[0].as_dict(private=False)
        provider.change_keys()
        stranger: Callable[[dict[str, Any]], str] = lambda claims: provider.signed(claims, jwk=own, kid="k9")  # noqa: E731
        provider.sign = stranger
        assert await refused(sign_on, provider) == "forged"

    async def test_another_state(self, sign_on: SignOn, provider: Provider) -> None:
        assert await refused(sign_on, provider, state="x") == "wrong_state"
        assert "/token" not in provider.asked

    async def test_a_code_of_another_sign_in(self, sign_on: SignOn, provider: Provider) -> None:
        """Somebody puts the code of their own sign-in into the answer of somebody else's: PKCE gives it away."""
        theirs = provider.let_in((await sign_on.begin(BACK)).url)
        assert await refused(sign_on, provider, code=theirs["code"]) == "code_refused"

    async def test_a_code_that_was_used(self, sign_on: SignOn, provider: Provider) -> None:
        begun = await sign_on.begin(BACK)
        answer = provider.let_in(begun.url)
        await sign_on.finish(begun, answer, BACK)
        with pytest.raises(IdentityRefusedError, match="code_refused"):
            await sign_on.finish(begun, answer, BACK)

    async def test_a_token_of_another_sign_in(self, sign_on: SignOn, provider: Provider) -> None:
        kept: list[str] = []

        def keep(claims: dict[str, Any]) -> str:
            kept.append(provider.signed(claims))
            return kept[0]

        provider.sign = keep
        await enter(sign_on, provider)
        assert await refused(sign_on, provider) == "wrong_nonce"

    async def test_an_answer_of_another_provider(self, sign_on: SignOn, provider: Provider) -> None:
        assert await refused(sign_on, provider, iss="https://evil.example") == "wrong_issuer"
        provider.description["authorization_response_iss_parameter_supported"] = True
        other = SignOn(provider.issuer, CLIENT, SECRET, networks=HERE, clock=lambda: provider.now)
        assert await refused(other, provider) == "wrong_issuer"
        assert (await enter(other, provider, iss=provider.issuer)).subject == "p-7"
        await other.close()

    async def test_a_refusal_of_the_provider(self, sign_on: SignOn, provider: Provider) -> None:
        assert await refused(sign_on, provider, error="access_denied") == "refused_there"

    async def test_an_answer_without_a_code(self, sign_on: SignOn, provider: Provider) -> None:
        assert await refused(sign_on, provider, code="") == "no_code"

    @pytest.mark.parametrize("at", [None, 1_000_000_000])
    async def test_somebody_who_was_to_prove_themselves_and_has_not(
        self, sign_on: SignOn, provider: Provider, at: int | None
    ) -> None:
        provider.claims = {"auth_time": at}
        assert await refused(sign_on, provider, is_fresh=True) in ("wrong_auth_time", "not_fresh")

    async def test_userinfo_of_somebody_else(self, sign_on: SignOn, provider: Provider) -> None:
        provider.claims = {"email": None}
        provider.description["userinfo_endpoint"] = f"{provider.issuer}/userinfo"
        provider.userinfo = {"sub": "p-8", "email": "ana.ruiz@stores.example", "email_verified": True}
        assert await refused(sign_on, provider) == "wrong_userinfo"


class TestAway:
    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
    @pytest.mark.parametrize("status", [302, 404, 500])
    async def test_whatever_it_answers_instead(
        self, sign_on: SignOn, provider: Provider, path: str, status: int
    ) -> None:
        provider.status[path] = status
        with pytest.raises(ProviderAwayError):
            await enter(sign_on, provider)
        provider.status.clear()
        assert (await enter(sign_on, provider)).subject == "p-7", "it is asked again"

    async def test_a_secret_of_ours_that_is_wrong_is_no_fault_of_who_signs_in(
        self, sign_on: SignOn, provider: Provider
    ) -> None:
        provider.status["/token"] = 401
        with pytest.raises(ProviderAwayError, match="client id and secret"):
            await enter(sign_on, provider)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("issuer", "https://evil.example"),
            ("issuer", None),
            ("token_endpoint", None),
            ("token_endpoint", 7),
            ("token_endpoint", "http://evil.example/token"),
            ("token_endpoint", "https://user:word@evil.example/token"),
            ("jwks_uri", "file:///etc/passwd"),
            ("jwks_uri", None),
            ("authorization_endpoint", "javascript:alert(1)"),
            ("userinfo_endpoint", "http://10.0.0.1/"),
            ("end_session_endpoint", "javascript:alert(1)"),
        ],
    )
    async def test_a_description_that_lies(self, sign_on: SignOn, provider: Provider, name: str, value: object) -> None:
        provider.description[name] = value
        with pytest.raises(ProviderAwayError):
            await sign_on.begin(BACK)

    async def test_an_answer_without_end(self, sign_on: SignOn, provider: Provider) -> None:
        provider.description["claims_supported"] = ["x" * 600_000]
        with pytest.raises(ProviderAwayError, match="no answer: ReadError"):
            await sign_on.begin(BACK)

    async def test_nobody_there(self) -> None:
        async with provided() as gone:
            pass
        sign_on = SignOn(gone.issuer, CLIENT, SECRET, networks=HERE)
        with pytest.raises(ProviderAwayError, match="no answer"):
            await sign_on.begin(BACK)
        assert await sign_on.way_out("http://endcap.test/sign-in") is None
        await sign_on.close()

    async def test_somebody_who_never_answers(self, provider: Provider) -> None:
        async def never(host: str, port: int) -> Sequence[str]:
            raise TimeoutError

        sign_on = SignOn(provider.issuer, CLIENT, SECRET, networks=HERE, resolver=never)
        with pytest.raises(ProviderAwayError, match="no answer"):
            await sign_on.begin(BACK)
        await sign_on.close()


class TestNetworks:
    async def test_a_network_of_ours_has_to_be_named(self, provider: Provider) -> None:
        sign_on = SignOn(provider.issuer, CLIENT, SECRET)
        with pytest.raises(ProviderAwayError, match="this machine"):
            await sign_on.begin(BACK)
        await sign_on.close()
        assert provider.asked == []

    @pytest.mark.parametrize("address", ["169.254.169.254", "10.1.2.3", "::ffff:192.168.1.1", "fd00::1", "100.64.0.1"])
    async def test_a_name_that_leads_into_one_of_ours(self, address: str) -> None:
        async def into(host: str, port: int) -> Sequence[str]:
            return ["203.0.113.7", address]

        sign_on = SignOn("https://login.example", CLIENT, SECRET, networks=HERE, resolver=into)
        with pytest.raises(ProviderAwayError, match=r"login\.example leads to"):
            await sign_on.begin(BACK)
        await sign_on.close()

    async def test_the_connection_goes_to_the_address_that_was_looked_at(self, provider: Provider) -> None:
        """A name whose second answer is another is asked once for each call, and called at the first."""
        port = urlsplit(provider.issuer).port
        issuer = f"http://localhost:{port}"
        provider.description["issuer"] = issuer
        looked: list[str] = []

        async def changing(host: str, asked: int) -> Sequence[str]:
            looked.append(host)
            return ["127.0.0.1"]

        sign_on = SignOn(issuer, CLIENT, SECRET, networks=HERE, resolver=changing)
        assert (await sign_on.begin(BACK)).url.startswith(f"{provider.issuer}/authorize?")
        assert looked == ["localhost"]
        await sign_on.close()

    async def test_a_redirect_is_not_followed(self, sign_on: SignOn, provider: Provider) -> None:
        provider.status["/.well-known/openid-configuration"] = 302
        with pytest.raises(ProviderAwayError, match="302"):
            await sign_on.begin(BACK)


class TestOut:
    async def test_the_way_out_says_who_sends_whom_where(self, sign_on: SignOn, provider: Provider) -> None:
        found = urlsplit(await sign_on.way_out("http://endcap.test/sign-in") or "")
        assert f"{found.scheme}://{found.netloc}{found.path}" == f"{provider.issuer}/out"
        assert parse_qs(found.query) == {
            "client_id": [CLIENT],
            "post_logout_redirect_uri": ["http://endcap.test/sign-in"],
        }

    async def test_a_provider_without_one(self, sign_on: SignOn, provider: Provider) -> None:
        del provider.description["end_session_endpoint"]
        assert await sign_on.way_out("http://endcap.test/sign-in") is None
