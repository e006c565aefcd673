"""Above an amount whoever agrees has proven themselves a moment ago: by their password, or to the provider. What was
typed comes back.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, insert, update

import ledger.engine
from domain.policy import Policy
from ledger import tables
from ledger.transaction import Transaction
from settings import Settings
from tests.provider import Provider
from tests.web.links import form_of, state_of
from tests.web.people import PASSWORD, SignIn, accounts, browse, email_of, sign_in
from tests.web.retail import NOW, an_approval, rows
from tests.web.test_sign_on import begin, enter, provider, with_provider

__all__ = ["accounts", "browse", "provider", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
LARGE, SMALL = 60_000, 3_000


@pytest.fixture
def settings(retailer_url: str, provider: Provider) -> Settings:
    return with_provider(retailer_url, provider.issuer)


async def make_older(database: ledger.engine.Database, **values: Any) -> None:
    """Every session was proven long ago."""

    async def work(tx: Transaction) -> None:
        await tx.conn.execute(update(tables.session).values(**values))

    await database.write(work, actor="test", via="test")


async def agree(client: httpx2.AsyncClient, approval_id: int, **more: str) -> httpx2.Response:
    own = f"/console/approvals/{approval_id}"
    form = form_of((await client.get(own)).text) | {"verdict": "approve", "note": "I have seen the receipt."} | more
    return await client.post(f"{own}/verdict", data=form, headers={"Referer": f"http://endcap.test{own}"})


def fields(page: httpx2.Response) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'name="(next|kept)" value="([^"]*)"', page.text)}


@pytest.fixture(params=["16 minutes", None])
def too_old(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"proven_at": func.clock_timestamp() - timedelta(minutes=16) if request.param else None}


class TestAsked:
    async def test_by_password_and_the_verdict_is_sent_again(
        self, sign_in: SignIn, retailer: ledger.engine.Database, too_old: dict[str, Any]
    ) -> None:
        approval_id = await an_approval(retailer, amount_minor=LARGE)
        ana = await sign_in("ana.ruiz")
        await make_older(retailer, **too_old)
        page = await agree(ana, approval_id)
        assert page.status_code == 403
        assert "Confirm that it is you" in page.text
        assert "15 minutes before" in page.text
        assert await state_of(retailer, approval_id) == "pending"
        before = ana.cookies["endcap_session"]
        wrong = await ana.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": "wrong"} | fields(page))
        assert wrong.status_code == 401
        back = await ana.post("/sign-in", data={"email": email_of("ana.ruiz"), "password": PASSWORD} | fields(page))
        assert back.status_code == 200
        assert "I have seen the receipt." in back.text
        assert "nothing was done yet" in back.text
        assert ana.cookies["endcap_session"] != before
        assert await state_of(retailer, approval_id) == "pending", "proving decides nothing"
        assert (await agree(ana, approval_id)).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"

    async def test_at_the_provider_in_another_tab(
        self, accounts: None, browse: Browse, provider: Provider, retailer: ledger.engine.Database
    ) -> None:
        provider.person = {"sub": "p-7", "email": email_of("ana.ruiz"), "email_verified": True}
        approval_id = await an_approval(retailer, amount_minor=LARGE)
        ana = browse()
        await enter(ana, provider)
        page = await agree(ana, approval_id)
        assert page.status_code == 403, "a provider that does not say when has said nothing"
        way = re.search(r'href="(/sign-in/with[^"]*fresh=1[^"]*)"', page.text)
        assert way is not None
        url = await begin(ana, next="/sign-in/done", fresh="1")
        assert "prompt=login" in url
        assert "max_age=0" in url
        entered = await ana.get("/sign-in/back", params=provider.let_in(url))
        assert entered.headers["location"] == "/sign-in/done"
        back = await ana.post("/sign-in/go-on", data=fields(page))
        assert "I have seen the receipt." in back.text
        assert (await agree(ana, approval_id)).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"

    async def test_a_provider_that_asks_nobody_proves_nothing(
        self, accounts: None, browse: Browse, provider: Provider
    ) -> None:
        client = browse()
        provider.claims = {"auth_time": provider.now - 3_600}
        answer = await client.get("/sign-in/back", params=provider.let_in(await begin(client, fresh="1")))
        assert answer.status_code == 401
        assert "prove yourself anew" in answer.text
        assert "endcap_session" not in client.cookies

    async def test_it_is_among_the_denials(
        self, sign_in: SignIn, retailer: ledger.engine.Database, too_old: dict[str, Any]
    ) -> None:
        ana = await sign_in("ana.ruiz")
        await make_older(retailer, **too_old)
        await agree(ana, await an_approval(retailer, amount_minor=LARGE))
        await ana._transport.app.state.denials.write(retailer)  # type: ignore[attr-defined]
        found = {(row["code"], row["who"]) for row in await rows(retailer, tables.denial)}
        assert ("proof_too_old", "person:ana.ruiz") in found


class TestNotAsked:
    async def test_whoever_has_just_signed_in(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        approval_id = await an_approval(retailer, amount_minor=LARGE)
        assert (await agree(await sign_in("ana.ruiz"), approval_id)).status_code == 303
        assert await state_of(retailer, approval_id) == "approved"

    @pytest.mark.parametrize(("amount", "verdict"), [(SMALL, "approve"), (LARGE, "reject"), (LARGE, "ask")])
    async def test_for_what_is_small_and_for_what_agrees_to_nothing(
        self, sign_in: SignIn, retailer: ledger.engine.Database, amount: int, verdict: str
    ) -> None:
        approval_id = await an_approval(retailer, amount_minor=amount)
        ana = await sign_in("ana.ruiz")
        await make_older(retailer, proven_at=None)
        assert (await agree(ana, approval_id, verdict=verdict)).status_code == 303

    async def test_where_policy_does_not_want_it(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        async def work(tx: Transaction) -> None:
            body = Policy().model_dump(mode="json")
            body["bands"]["proven_within_s"] = None
            await tx.conn.execute(
                insert(tables.policy_document).values(
                    version="once-a-session", entity="US01", region="", location="", body=body, reason="test",
                    effective_from=NOW - timedelta(days=1),
                )
            )  # fmt: skip

        await retailer.write(work, actor="test", via="test")
        approval_id = await an_approval(retailer, amount_minor=LARGE)
        ana = await sign_in("ana.ruiz")
        await make_older(retailer, proven_at=None)
        assert (await agree(ana, approval_id)).status_code == 303
