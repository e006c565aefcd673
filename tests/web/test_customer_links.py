"""What a customer's link opens: looking decides nothing, an answer is given once, every end has its own page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from ledger import links, tables
from ledger.approval import create_link
from ledger.bopis import steps
from ledger.transaction import Transaction
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import decide, pick, step
from tests.ledger.test_shipping import warehouse
from tests.shop import TEA, Shop, open_shop
from tests.web.conftest import open_app, settings_for
from tests.web.customers import Browse, browse, shop
from tests.web.robot import Robot
from tests.web.routes import everything

__all__ = ["browse", "shop"]


async def mailed(order: Asked, *, hours: float = 2, about: str = "offer") -> str:
    """The path of the customer's link as it stands in the mail."""
    customer = await order.shop.value("SELECT customer_id FROM journey WHERE id = :id", id=order.journey)
    offer_id = await order.value("id") if about == "offer" else None

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(hours=hours)
        journey_id = None if offer_id else order.journey
        return await links.create(tx, expires_at=until, offer_id=offer_id, journey_id=journey_id, customer_id=customer)

    return "/c/" + await order.shop.database.write(work, actor="test", via="test")


def form_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


async def answered(client: httpx2.AsyncClient, path: str, answer: str) -> httpx2.Response:
    form = form_of((await client.get(path)).text)
    return await client.post(path, data=form | {"answer": answer})


class TestLooking:
    async def test_scanners_that_look_and_look_decide_nothing(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        for client in (browse(), browse()):
            for method in ("GET", "HEAD", "GET", "HEAD"):
                answer = await client.request(method, path)
                assert answer.status_code == 200
                assert answer.headers["cache-control"] == "no-store"
        assert await order.value("state") == "open"

    async def test_a_robot_that_sends_every_form_as_it_was_shown_answers_nothing(
        self, shop: Shop, browse: Browse
    ) -> None:
        order = await asked(shop)
        waits = await shop.order(1, at="S2")
        await pick(shop, waits, 1)
        paths = [await mailed(order), await mailed(order, hours=-1), await mailed(Asked(shop, waits), about="pickup")]
        before = await everything(shop.database)
        robot = Robot(browse())
        for path in paths:
            await robot.walk(path)
        assert await everything(shop.database) == before
        assert {path for path, _ in robot.sent} == {paths[0], paths[2]}
        assert {status for _, status in robot.sent} == {422}

    async def test_the_page_says_what_is_missing_what_comes_instead_and_what_silence_does(
        self, shop: Shop, browse: Browse
    ) -> None:
        order = await asked(shop, price_minor=1_400)
        page = (await browse().get(await mailed(order))).text
        for words in (
            "We do not have 3 x Green tea", "3 x Oolong instead", "3.00 EUR back", "If we hear nothing by then",
            "Leave it out", "Something else", "Cancel the whole order", "UTC",
        ):  # fmt: skip
            assert words in page, words
        assert " checked" not in page
        assert "Cost" not in page

    async def test_no_script_nothing_from_elsewhere_and_no_frame(self, shop: Shop, browse: Browse) -> None:
        answer = await browse().get(await mailed(await asked(shop)))
        assert "<script" not in answer.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "noindex" in answer.headers["x-robots-tag"]

    async def test_a_name_with_markup_stays_text(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop, customer={"name": "<script>alert(1)</script>", "email": "kim@customer.example"})
        page = (await browse().get(await mailed(order))).text
        assert "<script>" not in page
        assert "&lt;script&gt;" in page

    @pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p + "A", lambda p: p.swapcase(), lambda _: "/c/x"])
    async def test_a_token_that_is_cut_or_changed_is_not_known(
        self, shop: Shop, browse: Browse, change: Callable[[str], str]
    ) -> None:
        path = change((await mailed(await asked(shop))).removeprefix("/c/"))
        answer = await browse().get(path if path.startswith("/c/") else f"/c/{path}")
        assert answer.status_code == 404
        assert "This link is not known" in answer.text

    async def test_an_approvers_link_opens_nothing_here_and_a_customers_nothing_there(
        self, shop: Shop, browse: Browse
    ) -> None:
        order = await asked(shop, price_minor=1_900)
        await order.answer("accept")
        number = (await order.situation()).approval_id
        assert number is not None

        async def work(tx: Transaction) -> str:
            return await create_link(tx, number, "max", expires_at=datetime.now(UTC) + timedelta(hours=1))

        approvers = await shop.database.write(work, actor="test", via="test")
        customers = (await mailed(order)).removeprefix("/c/")
        client = browse()
        request = await client.get(f"/a/{approvers}")
        assert request.status_code == 200
        assert "Endcap, by policy" in request.text
        assert "Substitute: Oolong" in request.text
        assert "what is missing is refunded" in request.text
        assert (await client.get(f"/c/{approvers}")).status_code == 404
        assert (await client.get(f"/a/{customers}")).status_code == 404

    async def test_one_address_that_tries_many_links_is_slowed_down(self, shop: Shop, browse: Browse) -> None:
        client = browse()
        answers = [(await client.get(f"/c/guess-{number}")).status_code for number in range(31)]
        assert answers == [404] * 30 + [503]


class TestAnswering:
    async def test_yes_is_recorded_once_and_the_second_comer_is_told(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        client, other = browse(), browse()
        second = form_of((await other.get(path)).text) | {"answer": "cancel"}
        done = await answered(client, path, "accept")
        assert (done.status_code, done.headers["location"]) == (303, path)
        assert "it is yours" in (await client.get(path)).text
        late = await other.post(path, data=second)
        assert late.status_code == 409
        assert "answered already" in late.text
        assert (await order.situation()).state == "reserved"

    @pytest.mark.parametrize("answer", ["other", "leave_out", "cancel"])
    async def test_each_other_answer_has_its_page(self, shop: Shop, browse: Browse, answer: str) -> None:
        order = await asked(shop)
        path = await mailed(order)
        client = browse()
        assert (await answered(client, path, answer)).status_code == 303
        page = await client.get(path)
        assert page.status_code == 200
        assert "Thank you for your answer" in page.text

    async def test_a_form_sent_as_it_was_shown_decides_nothing(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        answer = await answered(browse(), await mailed(order), "")
        assert answer.status_code == 422
        assert "nothing is chosen for you" in answer.text
        assert await order.value("state") == "open"

    async def test_a_robot_that_presses_without_having_opened_the_page_is_refused(
        self, shop: Shop, browse: Browse
    ) -> None:
        order = await asked(shop)
        path = await mailed(order)
        seen = form_of((await browse().get(path)).text)
        for form in ({}, {"proof": "x"}, seen):
            answer = await browse().post(path, data=form | {"answer": "accept"})
            assert answer.status_code == 403, form
        assert await order.value("state") == "open"

    async def test_a_form_from_another_site_is_refused(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        client = browse()
        form = form_of((await client.get(path)).text) | {"answer": "accept"}
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await client.post(path, data=form, headers=foreign)).status_code == 403
        assert await order.value("state") == "open"

    async def test_the_proof_of_one_link_is_none_for_another(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        first, second = await mailed(order), await mailed(order)
        client = browse()
        form = form_of((await client.get(first)).text)
        await client.get(second)
        assert (await client.post(second, data=form | {"answer": "accept"})).status_code == 403

    async def test_after_the_time_the_page_says_what_became_of_it(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        client = browse()
        form = form_of((await client.get(path)).text) | {"answer": "accept"}
        await shop.change("UPDATE journey SET clock_offset_s = 10800")
        late = await client.post(path, data=form)
        assert late.status_code == 409
        assert "time to answer" in late.text
        page = await client.get(path)
        assert page.status_code == 410
        assert "we leave out what is missing" in page.text

    async def test_withdrawn_because_it_was_found(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        client = browse()
        form = form_of((await client.get(path)).text) | {"answer": "accept"}
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        found = await client.post(path, data=form)
        assert found.status_code == 303
        page = await client.get(path)
        assert page.status_code == 410
        assert "what was missing has turned up" in page.text
        assert await order.units() == {TEA: (8, 8)}

    async def test_an_erased_customers_link_opens_nothing_of_another_order(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        path = await mailed(order)
        other = Asked(shop, await shop.order(1))
        stranger = await shop.value("SELECT customer_id FROM journey WHERE id = :id", id=other.journey)
        async with shop.database.engine.begin() as conn:
            await conn.execute(update(tables.link).values(customer_id=stranger))
        assert (await browse().get(path)).status_code == 404


class TestPickup:
    async def _ready(self, shop: Shop) -> Asked:
        order = Asked(shop, await shop.order(2))
        await pick(shop, order.journey, 2)
        return order

    async def test_it_is_kept_longer_once(self, shop: Shop, browse: Browse) -> None:
        order = await self._ready(shop)
        before = {due.name: due.at for due in (await order.situation()).dues}["window"]
        path = await mailed(order, about="pickup")
        client = browse()
        page = (await client.get(path)).text
        assert "Your order waits at Mainz" in page
        assert " checked" not in page
        form = form_of(page) | {"answer": "extend"}
        assert (await client.post(path, data=form)).status_code == 303
        after = {due.name: due.at for due in (await order.situation()).dues}
        assert after["window"] - before == timedelta(days=2)
        assert before < after["window_reminder_last"] < after["window"]
        assert (await order.mails())[-1] == "pickup_extended"
        assert "as you asked" not in page
        assert "We keep it longer, as you asked: until" in (await client.get(path)).text
        again = await client.post(path, data=form)
        assert again.status_code == 409
        assert "already" in again.text
        refreshed = form_of((await client.get(path)).text) | {"answer": "extend"}
        more = await client.post(path, data=refreshed)
        assert more.status_code == 409
        assert "cannot be kept longer" in more.text

    async def test_it_is_cancelled(self, shop: Shop, browse: Browse) -> None:
        order = await self._ready(shop)
        path = await mailed(order, about="pickup")
        client = browse()
        assert (await answered(client, path, "cancel")).status_code == 303
        assert (await order.situation()).state == "cancelled"
        page = await client.get(path)
        assert page.status_code == 410
        assert "This order is cancelled" in page.text

    async def test_policy_may_forbid_both(self, database: ledger.engine.Database) -> None:
        shop = await open_shop(database.url, policy={"offers": {"extensions": 0, "cancel_by_link": False}})
        order = await self._ready(shop)
        async with open_app(settings_for(database.url)) as app:
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://endcap.test") as client:
                path = await mailed(order, about="pickup")
                page = (await client.get(path)).text
                assert "<form" not in page
                for act in ("extend", "cancel"):
                    refused = await client.post(path, data={"answer": act, "proof": "x"})
                    assert refused.status_code == 403
        assert (await order.situation()).state == "ready_for_pickup"
        await shop.database.dispose()

    async def test_collected_meanwhile_nothing_can_be_done(self, shop: Shop, browse: Browse) -> None:
        order = await self._ready(shop)
        path = await mailed(order, about="pickup")
        client = browse()
        form = form_of((await client.get(path)).text) | {"answer": "extend"}
        await shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")
        late = await client.post(path, data=form)
        assert late.status_code == 409
        assert "You have collected this order" in late.text


async def test_the_offer_may_be_looked_at_while_its_order_is_attended(shop: Shop, browse: Browse) -> None:
    order = await asked(shop)
    path = await mailed(order)
    await steps.attend(shop.database, step(order.journey, "1"))
    assert (await browse().get(path)).status_code == 200


async def test_what_is_missing_may_be_sent_to_the_store(shop: Shop, browse: Browse) -> None:
    """The page says where and when; a yes begins the transfer that brings it."""
    await warehouse(shop)
    journey = await shop.order(8)
    number = (await steps.open_case(shop.database, step(journey, "1"))).case_id
    assert number is not None
    answer = await decide(shop, number, "offer:ship_to_store:DC")
    await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
    order = Asked(shop, journey)
    client, path = browse(), await mailed(order)
    assert "have what is missing sent to Mainz" in (await client.get(path)).text
    assert "in about 2 days" in (await client.get(path)).text
    assert (await answered(client, path, "accept")).status_code == 303
    assert "it is yours" in (await client.get(path)).text
    assert (await order.situation()).state == "ship_to_store"
    assert await shop.value("SELECT reason FROM transfer") == "ship_to_store"
