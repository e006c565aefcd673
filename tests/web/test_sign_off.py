"""What the provider of single sign-on ends, ends here: at once, once, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import update

import ledger.engine
from ledger import tables
from ledger.transaction import Transaction
from settings import Settings
from tests.provider import Provider, provided
from tests.web.people import PASSWORD, accounts, browse, email_of
from tests.web.retail import rows
from tests.web.test_sign_on import enter, with_provider

__all__ = ["accounts", "browse"]
Browse = Callable[[], httpx2.AsyncClient]
WHERE = "/sign-out/by-provider"


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with provided() as made:
        yield made


@pytest.fixture
def settings(retailer_url: str, provider: Provider) -> Settings:
    return with_provider(retailer_url, provider.issuer)


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """The provider's own server, which is no browser."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as client:
        yield client


async def signed_on(browse: Browse, provider: Provider, name: str | None, **person: str) -> httpx2.AsyncClient:
    """A browser in which the provider has begun the session that it calls `name`."""
    provider.claims = {"sid": name, **person}
    client = browse()
    assert (await enter(client, provider)).status_code == 303
    return client


async def is_in(client: httpx2.AsyncClient) -> bool:
    return (await client.get("/console/help")).status_code == 200


async def said(server: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await server.post(WHERE, data={"logout_token": token})


class TestEnded:
    async def test_the_session_that_it_names_and_no_other(
        self, accounts: None, browse: Browse, provider: Provider, server: httpx2.AsyncClient
    ) -> None:
        desk, phone = await signed_on(browse, provider, "s-1"), await signed_on(browse, provider, "s-2")
        answer = await said(server, provider.logout_token({"sid": "s-1"}))
        assert (answer.status_code, answer.text, answer.headers["cache-control"]) == (200, "", "no-store")
        assert (await is_in(desk), await is_in(phone)) == (False, True)

    async def test_all_of_a_person_where_it_names_none(
        self, accounts: None, browse: Browse, provider: Provider, server: httpx2.AsyncClient
    ) -> None:
        """As when an account is disabled there. Of other people, and by password, nothing ends."""
        desk, phone = await signed_on(browse, provider, "s-1"), await signed_on(browse, provider, None)
        ana = await signed_on(browse, provider, "s-3", sub="p-9", email=email_of("ana.ruiz"))
        local = browse()
        await local.post("/sign-in", data={"email": email_of("sam.ortega"), "password": PASSWORD})
        assert (await said(server, provider.logout_token({"sid": None}))).status_code == 200
        assert [await is_in(one) for one in (desk, phone, ana, local)] == [False, False, True, True]

    async def test_one_whose_name_nobody_knows_ends_with_any_of_its_person(
        self, accounts: None, browse: Browse, provider: Provider, server: httpx2.AsyncClient
    ) -> None:
        desk = await signed_on(browse, provider, None)
        assert (await said(server, provider.logout_token({"sub": None}))).status_code == 200
        assert await is_in(desk), "nothing says whose it is"
        assert (await said(server, provider.logout_token())).status_code == 200
        assert not await is_in(desk)

    async def test_it_is_written_down_once_for_each_person(
        self,
        accounts: None,
        browse: Browse,
        provider: Provider,
        server: httpx2.AsyncClient,
        retailer: ledger.engine.Database,
    ) -> None:
        await signed_on(browse, provider, "s-1")
        for _ in range(2):
            assert (await said(server, provider.logout_token())).status_code == 200
        told = [row for row in await rows(retailer, tables.audit) if row["what"] == "signed_out_by_provider"]
        assert [row["on_what"] for row in told] == ["person:sam.ortega"]

    async def test_what_is_said_again_ends_no_session_that_began_since(
        self,
        accounts: None,
        browse: Browse,
        provider: Provider,
        server: httpx2.AsyncClient,
        retailer: ledger.engine.Database,
    ) -> None:
        desk = await signed_on(browse, provider, "s-1")

        async def later(tx: Transaction) -> None:
            began = tables.session.c.created_at + timedelta(minutes=5)
            await tx.conn.execute(update(tables.session).values(created_at=began))

        await retailer.write(later, actor="test", via="test")
        assert (await said(server, provider.logout_token())).status_code == 200
        assert await is_in(desk)


class TestRefused:
    async def test_what_is_not_believed_ends_nothing_and_is_written_down(
        self,
        app: FastAPI,
        accounts: None,
        browse: Browse,
        provider: Provider,
        server: httpx2.AsyncClient,
        retailer: ledger.engine.Database,
    ) -> None:
        desk = await signed_on(browse, provider, "s-1")
        for token in ("", provider.logout_token({"nonce": "n"})):
            answer = await said(server, token)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert await is_in(desk)
        await app.state.denials.write(retailer)
        codes = {row["code"] for row in await rows(retailer, tables.denial)}
        assert codes == {"sign_off_forged", "sign_off_wrong_nonce"}

    async def test_who_says_too_much_that_is_not_believed_is_heard_no_more(
        self, provider: Provider, server: httpx2.AsyncClient
    ) -> None:
        answers = [(await said(server, "a.b.c")).status_code for _ in range(31)]
        assert answers == [400] * 30 + [503]
        assert (await said(server, provider.logout_token())).status_code == 503

    async def test_while_the_provider_s_keys_cannot_be_read_it_is_to_come_again(
        self, provider: Provider, server: httpx2.AsyncClient
    ) -> None:
        provider.status["/keys"] = 500
        answer = await said(server, provider.logout_token())
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)

    async def test_a_form_of_another_site_is_refused(self, provider: Provider, server: httpx2.AsyncClient) -> None:
        headers = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
        answer = await server.post(WHERE, data={"logout_token": provider.logout_token()}, headers=headers)
        assert answer.status_code == 403


class TestItsLength:
    @pytest.fixture
    def settings(self, retailer_url: str, provider: Provider) -> Settings:
        return with_provider(retailer_url, provider.issuer, oidc_session_hours=2)

    async def test_a_session_that_the_provider_begins_lasts_as_long_as_is_set(
        self,
        accounts: None,
        browse: Browse,
        provider: Provider,
        retailer: ledger.engine.Database,
    ) -> None:
        client = browse()
        entered = await enter(client, provider)
        [row] = await rows(retailer, tables.session)
        assert row["expires_at"] - row["created_at"] == timedelta(hours=2)
        assert "Max-Age=7200" in next(
            one for one in entered.headers.get_list("set-cookie") if one.startswith("endcap_session=")
        )
