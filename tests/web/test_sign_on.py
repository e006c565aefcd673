"""Signing in by a provider of single sign-on: who is let in as whom, and what no answer of it can do."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import oidc_provider_mock  # type: ignore[import-untyped]
import pytest
from fastapi import FastAPI
from oidc_provider_mock import User
from sqlalchemy import func, insert, update

import ledger.engine
from domain.errors import NotAllowed, NotFound, StateConflict
from ledger import sign_on as records
from ledger import tables
from ledger.sessions import hash_of
from ledger.transaction import Transaction
from settings import Settings
from tests.provider import CLIENT, SECRET, Provider, provided
from tests.web.conftest import open_app, settings_for
from tests.web.people import PASSWORD, accounts, browse, email_of
from tests.web.retail import rows

__all__ = ["accounts", "browse"]
Browse = Callable[[], httpx2.AsyncClient]
SAM = "sam.ortega"


def with_provider(url: str, issuer: str, **more: Any) -> Settings:
    given = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "oidc_name": "Acme"}
    networks = {"oidc_networks": "127.0.0.0/8,::1/128", "public_url": "http://endcap.test"}
    return Settings(**settings_for(url).model_dump(exclude_unset=True) | given | networks | more, _env_file=None)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


@pytest.fixture
def settings(retailer_url: str, provider: Provider) -> Settings:
    return with_provider(retailer_url, provider.issuer)


async def change(database: ledger.engine.Database, table: Any, **values: object) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(update(table).values(**values))

    await database.write(work, actor="test", via="test")


async def begin(client: httpx2.AsyncClient, **query: str) -> str:
    """Press *Sign in with Acme*; the address where the browser is sent."""
    answer = await client.get("/sign-in/with", params=query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def enter(client: httpx2.AsyncClient, provider: Provider, **query: str) -> httpx2.Response:
    return await client.get("/sign-in/back", params=provider.let_in(await begin(client, **query)))


def words(answer: httpx2.Response) -> str:
    found = re.search(r'class="notice bad"[^>]*>([^<]*)<', answer.text)
    return found[1] if found else ""


class TestLetIn:
    async def test_it_leads_to_where_one_wanted_to_go_as_the_person_with_that_address(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        page = await client.get("/sign-in?next=/console/help")
        assert "Sign in with Acme" in page.text
        way = re.search(r'href="(/sign-in/with[^"]*)"', page.text)
        assert way is not None
        assert parse_qs(urlsplit(way[1].replace("&amp;", "&")).query)["next"] == ["/console/help"]
        entered = await enter(client, provider, next="/console/help")
        assert (entered.status_code, entered.headers["location"]) == (303, "/console/help")
        assert "Sam Ortega" in (await client.get("/console/help")).text
        [linked] = await rows(retailer, tables.person_identity)
        assert (linked["issuer"], linked["subject"], linked["person_id"]) == (provider.issuer, "p-7", SAM)

    async def test_the_cookies_are_out_of_reach_and_the_one_that_waited_is_gone(
        self, accounts: None, browse: Browse, provider: Provider
    ) -> None:
        client = browse()
        await begin(client)
        assert "endcap_sign_on" in client.cookies
        entered = await enter(client, provider)
        assert "endcap_sign_on" not in client.cookies
        assert all("HttpOnly" in one and "SameSite=lax" in one for one in entered.headers.get_list("set-cookie"))

    async def test_a_session_that_somebody_planted_is_replaced(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        await client.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": PASSWORD})
        planted = client.cookies["endcap_session"]
        await enter(client, provider)
        assert client.cookies["endcap_session"] != planted
        ended = {row["token_hash"]: row["ended_at"] for row in await rows(retailer, tables.session)}
        assert ended[hash_of(planted)] is not None

    async def test_the_provider_s_name_for_somebody_counts_and_not_an_address_that_changes_hands(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        await enter(browse(), provider)
        provider.person = {"sub": "p-7", "email": email_of("ana.ruiz"), "email_verified": True}
        client = browse()
        await enter(client, provider)
        assert "Sam Ortega" in (await client.get("/console/help")).text
        provider.person = {"sub": "p-8", "email": email_of(SAM), "email_verified": True}
        answer = await enter(browse(), provider)
        assert answer.status_code == 401
        assert "Another account" in words(answer)

    async def test_signing_in_is_in_the_audit_under_the_person(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        await enter(browse(), provider)
        found = [(row["who"], row["what"]) for row in await rows(retailer, tables.audit) if "person:" in row["on_what"]]
        assert (SAM, "signed_in") in found
        assert ("console", "person.linked") in found


class TestNotLetIn:
    @pytest.mark.parametrize(
        ("person", "said"),
        [
            ({"sub": "p-7", "email": email_of(SAM), "email_verified": False}, "does not vouch"),
            ({"sub": "p-7"}, "does not vouch"),
            ({"sub": "p-7", "email": "nobody@stores.example", "email_verified": True}, "Nobody here"),
        ],
    )
    async def test_who_is_nobody_here(
        self, browse: Browse, provider: Provider, retailer: ledger.engine.Database, person: dict[str, Any], said: str
    ) -> None:
        provider.person = person
        client = browse()
        answer = await enter(client, provider)
        assert answer.status_code == 401
        assert said in words(answer)
        assert "endcap_session" not in client.cookies
        assert await rows(retailer, tables.session) == await rows(retailer, tables.person_identity) == []

    async def test_who_has_left_and_whoever_was_signed_in_is_out_at_once(
        self, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        await enter(client, provider)
        await change(retailer, tables.person, active=False)
        assert (await client.get("/")).headers["location"].startswith("/sign-in")
        answer = await enter(browse(), provider)
        assert (answer.status_code, "may not sign in any more" in words(answer)) == (401, True)

    async def test_an_answer_that_another_browser_began(self, browse: Browse, provider: Provider) -> None:
        """Somebody is made to open the end of a stranger's sign-in: they would work in the stranger's name."""
        stranger = provider.let_in(await begin(browse()))
        victim = browse()
        for _ in range(2):  # with nothing under way, and in the middle of a sign-in of their own
            answer = await victim.get("/sign-in/back", params=stranger)
            assert (answer.status_code, "begun in this browser" in words(answer)) == (401, True)
            assert "endcap_session" not in victim.cookies
            await begin(victim)

    async def test_the_same_answer_again(
        self, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        """Also where the browser keeps its cookie and the provider takes a code twice."""
        client = browse()
        url = await begin(client)
        waiting = client.cookies["endcap_sign_on"]
        answer = provider.let_in(url)
        assert (await client.get("/sign-in/back", params=answer)).status_code == 303
        assert (await client.get("/sign-in/back", params=answer)).status_code == 401
        thief = browse()
        again = provider.let_in(url)
        answer_again = await thief.get("/sign-in/back", params=again, headers={"Cookie": f"endcap_sign_on={waiting}"})
        assert (answer_again.status_code, "used already" in words(answer_again)) == (401, True)
        assert "endcap_session" not in thief.cookies
        assert len(await rows(retailer, tables.session)) == 1

    @pytest.mark.parametrize("cookie", ["", "x", "gAAAAA", "gAAAAABk" + "A" * 200])
    async def test_a_cookie_that_somebody_made(self, browse: Browse, provider: Provider, cookie: str) -> None:
        client = browse()
        answer = provider.let_in(await begin(client))
        client.cookies.clear()
        found = await client.get("/sign-in/back", params=answer, headers={"Cookie": f"endcap_sign_on={cookie}"})
        assert found.status_code == 401

    async def test_an_answer_that_says_a_thing_twice(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        answer = provider.let_in(await begin(client))
        found = await client.get("/sign-in/back", params=[*answer.items(), ("code", "another")])
        assert (found.status_code, "cannot be believed" in words(found)) == (401, True)

    async def test_a_forged_token(self, browse: Browse, provider: Provider) -> None:
        provider.sign = provider.forged
        answer = await enter(browse(), provider)
        assert (answer.status_code, "cannot be believed" in words(answer)) == (401, True)

    async def test_who_pressed_no_at_the_provider(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        state = provider.let_in(await begin(client))["state"]
        answer = await client.get("/sign-in/back", params={"error": "access_denied", "state": state})
        assert (answer.status_code, "not let in there" in words(answer)) == (401, True)

    @pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
    async def test_nobody_is_led_away_afterwards(self, browse: Browse, provider: Provider, target: str) -> None:
        assert (await enter(browse(), provider, next=target)).headers["location"] == "/"

    async def test_what_the_provider_says_is_never_markup(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        state = provider.let_in(await begin(client))["state"]
        query = {"error": "<b>x</b>", "error_description": "<script>alert(1)</script>", "state": state}
        assert "<script>alert" not in (await client.get("/sign-in/back", params=query)).text


class TestAway:
    async def test_it_is_said_and_a_local_account_gets_in(
        self, accounts: None, browse: Browse, provider: Provider
    ) -> None:
        provider.status["/.well-known/openid-configuration"] = 500
        client = browse()
        answer = await client.get("/sign-in/with")
        assert (answer.status_code, "does not answer" in words(answer)) == (503, True)
        entered = await client.post("/sign-in", data={"email": email_of(SAM), "password": PASSWORD})
        assert entered.status_code == 303

    async def test_away_in_the_middle(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        answer = provider.let_in(await begin(client))
        provider.status["/token"] = 500
        found = await client.get("/sign-in/back", params=answer)
        assert (found.status_code, "does not answer" in words(found)) == (503, True)
        assert "endcap_session" not in client.cookies


class TestPasswordsForAdministratorsAlone:
    @pytest.fixture
    def settings(self, retailer_url: str, provider: Provider) -> Settings:
        return with_provider(retailer_url, provider.issuer, local_sign_in="admins")

    async def test_others_are_sent_to_the_provider_and_an_administrator_gets_in(
        self, accounts: None, browse: Browse, retailer: ledger.engine.Database
    ) -> None:
        form = {"email": email_of(SAM), "password": PASSWORD}
        answer = await browse().post("/sign-in", data=form)
        assert (answer.status_code, "Sign in with Acme" in words(answer)) == (401, True)
        wrong = await browse().post("/sign-in", data=form | {"password": "wrong"})
        assert "do not go together" in words(wrong), "only who knows the password learns that it is not enough"

        async def promote(tx: Transaction) -> None:
            await tx.conn.execute(insert(tables.person_role).values(person_id=SAM, role="admin"))

        await retailer.write(promote, actor="test", via="test")
        assert (await browse().post("/sign-in", data=form)).status_code == 303


class TestTyped:
    async def test_what_was_typed_when_the_session_had_ended_comes_back(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        client = browse()
        await enter(client, provider)
        await change(retailer, tables.session, expires_at=func.now() - timedelta(hours=1))
        form = {"to": "ana.ruiz@stores.example", "start": "2098-01-01", "until": "2098-02-01"}
        headers = {"Referer": "http://endcap.test/console/delegations"}
        page = await client.post("/console/delegations", data=form, headers=headers)
        assert page.status_code == 401
        fields = dict(re.findall(r'name="(next|kept)" value="([^"]*)"', page.text))
        sent = {name: value.replace("&#34;", '"').replace("&quot;", '"') for name, value in fields.items()}
        too_early = await client.post("/sign-in/go-on", data=sent)
        assert (too_early.status_code, "not signed in yet" in words(too_early)) == (401, True)
        entered = await enter(client, provider, next="/sign-in/done")
        assert "Go on" in (await client.get(entered.headers["location"])).text
        back = await client.post("/sign-in/go-on", data=sent)
        assert back.status_code == 200
        assert 'value="2098-01-01"' in back.text
        assert "look at it, then send it" in back.text


class TestOut:
    async def test_the_way_out_of_the_provider_is_offered(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        await enter(client, provider)
        out = await client.post("/sign-out")
        assert out.headers["location"] == "/signed-out"
        page = (await client.get("/signed-out")).text
        assert f"{provider.issuer}/out?client_id=" in page
        assert (await client.get("/console/help")).status_code == 303

    async def test_with_the_provider_away_one_is_out_all_the_same(self, browse: Browse, provider: Provider) -> None:
        client = browse()
        await enter(client, provider)
        await client.post("/sign-out")
        client._transport.app.state.sign_on._provider._said = None  # type: ignore[attr-defined]
        provider.status["/.well-known/openid-configuration"] = 500
        page = await client.get("/signed-out")
        assert page.status_code == 200
        assert "client_id=" not in page.text

    async def test_a_local_session_has_nothing_to_end_there(self, accounts: None, browse: Browse) -> None:
        client = browse()
        await client.post("/sign-in", data={"email": email_of(SAM), "password": PASSWORD})
        assert (await client.post("/sign-out")).headers["location"] == "/sign-in"

    async def test_everywhere(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        here, there, other = browse(), browse(), browse()
        await enter(here, provider)
        await there.post("/sign-in", data={"email": email_of(SAM), "password": PASSWORD})
        await other.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": PASSWORD})
        assert (await here.post("/sign-out/everywhere")).status_code == 303
        assert [(await one.get("/console/help")).status_code for one in (here, there, other)] == [303, 303, 200]


class TestByHand:
    ISSUER = "https://login.example"

    async def test_an_identity_is_linked_once_and_unlinked(
        self, retailer: ledger.engine.Database, browse: Browse, provider: Provider
    ) -> None:
        await records.link(retailer, email_of("ana.ruiz").upper(), provider.issuer, "p-7")
        provider.person = {"sub": "p-7"}
        client = browse()
        await enter(client, provider)
        assert "Ana Ruiz" in (await client.get("/console/help")).text
        with pytest.raises(NotAllowed, match="unlink"):
            await records.link(retailer, email_of(SAM), provider.issuer, "p-7")
        with pytest.raises(NotAllowed, match="unlink"):
            await records.link(retailer, email_of("ana.ruiz"), provider.issuer, "p-9")
        assert await records.unlink(retailer, email_of("ana.ruiz")) == 1
        assert (await client.get("/console/help")).status_code == 303, "and the sessions are over"
        with pytest.raises(StateConflict):
            await records.unlink(retailer, email_of("ana.ruiz"))

    async def test_of_nobody(self, retailer: ledger.engine.Database) -> None:
        with pytest.raises(NotFound):
            await records.link(retailer, "nobody@stores.example", self.ISSUER, "p-7")
        with pytest.raises(NotFound):
            await records.unlink(retailer, "nobody@stores.example")


class TestARealProvider:
    """Somebody else's provider, behind a real server: what we take for the protocol is not our own invention."""

    @pytest.fixture
    async def real(self, retailer_url: str) -> AsyncIterator[tuple[FastAPI, str]]:
        claims = {"email": email_of(SAM), "email_verified": True}
        people = [User(sub="sam", claims=claims), User(sub="bob", claims={"email": email_of("ana.ruiz")})]
        with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=people) as server:
            issuer = f"http://localhost:{server.server_port}"
            async with open_app(with_provider(retailer_url, issuer, oidc_client_id="endcap")) as app:
                yield app, issuer

    async def test_in_and_out(self, real: tuple[FastAPI, str], retailer: ledger.engine.Database) -> None:
        app, issuer = real
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as client, \
                httpx2.AsyncClient(trust_env=False) as outside:  # fmt: skip
            url = await begin(client, next="/console/help")
            assert url.startswith(f"{issuer}/oauth2/authorize?")
            assert "authoriz" in (await outside.get(url)).text.lower()
            there = await outside.post(url, data={"sub": "sam"})
            assert there.status_code == 302, there.text
            back = urlsplit(there.headers["location"])
            assert f"{back.scheme}://{back.netloc}{back.path}" == "http://endcap.test/sign-in/back"
            entered = await client.get(f"{back.path}?{back.query}")
            assert (entered.status_code, entered.headers["location"]) == (303, "/console/help")
            assert "Sam Ortega" in (await client.get("/console/help")).text
            [session] = await rows(retailer, tables.session)
            assert session["issuer"] == issuer
            assert session["proven_at"] is not None
            await client.post("/sign-out")
            way = re.search(r'href="(http://localhost[^"]*)"', (await client.get("/signed-out")).text)
            assert way is not None
            assert (await outside.get(way[1].replace("&amp;", "&"))).status_code == 200

    async def test_whom_it_does_not_vouch_for(self, real: tuple[FastAPI, str]) -> None:
        app, _ = real
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as client, \
                httpx2.AsyncClient(trust_env=False) as outside:  # fmt: skip
            there = await outside.post(await begin(client), data={"sub": "bob"})
            back = urlsplit(there.headers["location"])
            answer = await client.get(f"{back.path}?{back.query}")
            assert (answer.status_code, "does not vouch" in words(answer)) == (401, True)
