"""What a customer's link says of an order that has ended, or goes on by itself: who ended it, when, what goes back."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from domain.messages import Step
from ledger.bopis import by_link, decisions, dues
from ledger.bopis.order import Order
from ledger.transaction import Transaction
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import hand_over, pick
from tests.shop import Shop
from tests.web.customers import Browse, browse, shop
from tests.web.test_customer_links import mailed
from tests.web.test_links_over import over

__all__ = ["browse", "shop"]
BACK = "<b>15.00 EUR</b> goes back to the card or account you paid with"
NOT_ME = "If that is not what you wanted, call the store"


async def ready(shop: Shop) -> Asked:
    order = Asked(shop, await shop.order(1, at="S2"))
    await pick(shop, order.journey, 1)
    return order


async def read(browse: Browse, order: Asked, about: str = "pickup") -> str:
    answer = await browse().get(await mailed(order, about=about))
    assert answer.status_code in (200, 410)
    return answer.text


async def by_its_customer(order: Asked) -> None:
    customer = await order.shop.value("SELECT customer_id FROM journey WHERE id = :id", id=order.journey)
    await by_link.act(order.shop.database, order.journey, customer, act="cancel", window_seen="", via="link")


async def by_the_shop(order: Asked) -> None:
    await order.shop.report("bopis.cancelled", journey_id=order.journey, lines=["1"], reason="fraud")


async def by_us(order: Asked) -> None:
    async def work(tx: Transaction) -> None:
        loaded = await Order.load(tx, await tx.lock_journey(order.journey))
        await loaded.lock_goods()
        at = await tx.now()
        await decisions.cancel_everything(loaded, "test", at, reason="could not be fulfilled")
        await loaded.save(at)

    await order.shop.database.write(work, actor="ana", via="test")


class TestCancelled:
    @pytest.mark.parametrize(
        ("end", "who", "asks"),
        [
            (by_its_customer, "You cancelled it, <time", True),
            (by_the_shop, "It was cancelled at the shop where you ordered it, <time", True),
            (by_us, "We had to cancel it, <time", False),
        ],
    )
    async def test_it_says_who_did_it_and_when_and_what_goes_back(
        self, shop: Shop, browse: Browse, end: Callable[[Asked], Awaitable[None]], who: str, *, asks: bool
    ) -> None:
        order = await ready(shop)
        await end(order)
        page = await read(browse, order)
        assert "This order is cancelled" in page
        assert who in page
        assert BACK in page
        assert (NOT_ME in page, "order it again" in page) == (asks, True)
        assert "fraud" not in page

    async def test_without_a_record_of_it_nobody_is_named(self, shop: Shop, browse: Browse) -> None:
        """Orders that were cancelled before it was recorded."""
        order = await ready(shop)
        await by_its_customer(order)
        await shop.change("UPDATE journey SET detail = detail - 'ended' WHERE id = :id", id=order.journey)
        page = await read(browse, order)
        assert "The money goes back to where it came from." in page
        assert "<time" not in page.partition("<footer")[0]

    async def test_a_question_about_it_says_the_same(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        await shop.report("bopis.cancelled", journey_id=order.journey, lines=None)
        page = await read(browse, order, "offer")
        for words in ("This order is cancelled", "It was cancelled at the shop", "<b>120.00 EUR</b> goes back", NOT_ME):
            assert words in page, words
        assert "taken our question back" not in page

    async def test_a_question_that_ended_for_another_reason_says_that(self, shop: Shop, browse: Browse) -> None:
        order = await asked(shop)
        await shop.put("S1", 20)
        await shop.change("UPDATE offer SET state = 'withdrawn', because = 'the order was changed'")
        page = await read(browse, order, "offer")
        assert "We have taken our question back: the order was changed." in page
        assert "cancelled" not in page


class TestNotCollected:
    async def test_a_window_that_ends_at_midnight_ends_with_its_last_day(self, shop: Shop, browse: Browse) -> None:
        order = await ready(shop)
        await shop.change(
            'UPDATE journey SET dues = dues || \'{"window": "2030-03-09T00:00:00+00:00"}\' WHERE id = :id',
            id=order.journey,
        )
        page = await read(browse, order)
        assert re.search("We keep it until <b><time [^>]*>the end of Fri 8 Mar, UTC</time>", page)
        assert "00:00 UTC<" not in page.partition("<footer")[0]

    async def test_it_says_until_when_it_was_kept(self, shop: Shop, browse: Browse) -> None:
        order = await ready(shop)
        window = await shop.value("SELECT dues->>'window' FROM journey WHERE id = :id", id=order.journey)
        at = datetime.fromisoformat(window) + timedelta(seconds=1)
        step = Step(subject=order.journey, occurrence=window, at=at, due="window")
        await dues.on_due(shop.database, step)
        page = await read(browse, order)
        for words in ("This order was not collected in time", "We kept it until <time", BACK, "order it again"):
            assert words in page, words
        assert NOT_ME not in page


class TestGoesOn:
    async def test_an_order_that_outlasts_its_link_is_said_to_wait(self, shop: Shop, browse: Browse) -> None:
        order = await ready(shop)
        path = await mailed(order, about="pickup")
        await over(shop, path)
        answer = await browse().get(path)
        assert answer.status_code == 410
        for words in ("Your order waits at Wiesbaden", "We keep it until", "This link takes no answer any more"):
            assert words in answer.text, words
        for words in ("not ready", "<form", "as soon as"):
            assert words not in answer.text, words

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ("to_be_shipped", "We write again as soon as it is on its way."),
            ("shipped", "Our last mail says who brings it."),
            ("picking", "Something about it has changed. We write again when it is ready."),
        ],
    )
    async def test_what_comes_next(self, shop: Shop, browse: Browse, state: str, words: str) -> None:
        order = await ready(shop)
        await shop.change("UPDATE journey SET state = :state WHERE id = :id", state=state, id=order.journey)
        page = await read(browse, order)
        assert words in page
        assert page.count("We write again") == words.count("We write again")

    async def test_the_rest_of_an_order_is_called_so(self, shop: Shop, browse: Browse) -> None:
        order = Asked(shop, await shop.order(2, at="S2"))
        await pick(shop, order.journey, 2)
        await hand_over(shop, order.journey, 1)
        page = await read(browse, order)
        assert "The rest of your order waits at Wiesbaden" in page
        assert "1 × Green tea" in page
