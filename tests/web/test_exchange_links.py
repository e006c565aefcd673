"""What a customer is asked about a dearer replacement, by their link: looking charges nothing, one answer counts."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from ledger import links, tables
from ledger.transaction import Transaction
from tests.ledger.support.exchanging import Swap, wanted
from tests.shop import PRICE_MINOR, Shop
from tests.web.customers import Browse, browse, shop
from tests.web.robot import Robot
from tests.web.routes import everything
from tests.web.test_customer_links import answered, form_of

__all__ = ["browse", "shop"]
MORE = "5.00 EUR"


async def dear(shop: Shop) -> Swap:
    """To be exchanged for what costs 5.00 more."""
    return await Swap.open(shop, body=wanted(1, PRICE_MINOR + 500))


async def mailed(swap: Swap, *, hours: float = 40) -> str:
    """The path of the customer's link as it stands in the mail."""
    row = await swap.back.row()
    offer_id = row["detail"]["exchange"]["offer_id"]

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(hours=hours)
        return await links.create(tx, expires_at=until, offer_id=offer_id, customer_id=row["customer_id"])

    return "/c/" + await swap.shop.database.write(work, actor="test", via="test")


async def test_the_page_shows_every_figure_and_chooses_nothing(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    answer = await browse().get(await mailed(swap))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    for words in (
        f"Would you pay {MORE} more?", "1 x Green tea: 20.00 EUR", "15.00 EUR", "by your card",
        "You collect it at Mainz", "If we hear nothing by then, nothing is charged", f"Yes, charge {MORE}", "UTC",
    ):  # fmt: skip
        assert words in answer.text, words
    for words in (" checked", "<script", "Cost"):
        assert words not in answer.text, words


async def test_scanners_and_robots_decide_nothing(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    before = await everything(shop.database)
    for method in ("GET", "HEAD", "GET"):
        assert (await browse().request(method, path)).status_code == 200
    robot = Robot(browse())
    await robot.walk(path)
    assert {status for _, status in robot.sent} == {422}
    assert await everything(shop.database) == before


async def test_yes_is_recorded_once_and_the_second_device_is_told(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    client, other = browse(), browse()
    second = form_of((await other.get(path)).text) | {"answer": "decline"}
    done = await answered(client, path, "accept")
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert "the payment is on its way" in (await client.get(path)).text
    late = await other.post(path, data=second)
    assert late.status_code == 409
    assert "answered already" in late.text
    await swap.carry_on()
    assert swap.provider.charged == [("card-1", 500)]
    assert "Thank you: you have paid" in (await client.get(path)).text


async def test_no_has_its_page(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    client = browse()
    assert (await answered(client, path, "decline")).status_code == 303
    page = await client.get(path)
    assert page.status_code == 200
    assert "Nothing is charged, and you get your money" in page.text
    await swap.carry_on()
    assert (swap.provider.charged, await swap.order_state()) == ([], "cancelled")


async def test_a_form_that_was_forwarded_or_made_up_is_refused(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path, another = await mailed(swap), await mailed(swap)
    client = browse()
    seen = form_of((await client.get(path)).text)
    await client.get(another)
    for sender, where, form in (
        (browse(), path, {}), (browse(), path, {"proof": "x"}), (browse(), path, seen), (client, another, seen),
    ):  # fmt: skip
        assert (await sender.post(where, data=form | {"answer": "accept"})).status_code == 403
    assert (await answered(client, path, "other")).status_code == 422  # an answer to other questions
    assert await swap.state() == "asking"


async def test_after_the_time_the_page_says_that_nothing_is_charged(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    client = browse()
    form = form_of((await client.get(path)).text) | {"answer": "accept"}
    await shop.change("UPDATE journey SET clock_offset_s = 3 * 86400")
    late = await client.post(path, data=form)
    assert late.status_code == 409
    assert "time to answer" in late.text
    page = await client.get(path)
    assert page.status_code == 410
    assert "Nothing is charged" in page.text


async def test_called_off_meanwhile_the_page_says_so(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    client = browse()
    form = form_of((await client.get(path)).text) | {"answer": "accept"}
    await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
    assert (await client.post(path, data=form)).status_code == 303
    page = await client.get(path)
    assert page.status_code == 410
    assert "the replacement was called off" in page.text


async def test_a_declined_card_has_its_page_and_a_new_question_another_link(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    client = browse()
    swap.provider.does = ["declined"]
    await answered(client, path, "accept")
    await swap.carry_on()
    page = await client.get(path)
    assert page.status_code == 410
    assert "The payment did not go through" in page.text
    assert "Would you pay" in (await client.get(await mailed(swap))).text


async def test_a_strangers_link_opens_nothing(shop: Shop, browse: Browse) -> None:
    swap = await dear(shop)
    path = await mailed(swap)
    stranger = await shop.value(
        "SELECT customer_id FROM journey WHERE id = :id", id=await shop.order(1, at="S2")
    )  # fmt: skip
    async with shop.database.engine.begin() as conn:
        await conn.execute(update(tables.link).values(customer_id=stranger))
    assert (await browse().get(path)).status_code == 404
    assert (await browse().post(path, data={"answer": "accept"})).status_code == 404


class TestACode:
    """Where policy wants one, an answer needs the code of the mail; without it the link decides nothing."""

    async def coded(self, shop: Shop) -> tuple[Swap, str]:
        swap = await dear(shop)
        row = await swap.back.row()
        offer_id = row["detail"]["exchange"]["offer_id"]

        async def work(tx: Transaction) -> str:
            until = datetime.now(UTC) + timedelta(hours=40)
            return await links.create(
                tx, expires_at=until, offer_id=offer_id, customer_id=row["customer_id"], code="112233"
            )

        return swap, "/c/" + await shop.database.write(work, actor="test", via="test")

    async def test_a_yes_with_the_code_is_recorded(self, shop: Shop, browse: Browse) -> None:
        swap, path = await self.coded(shop)
        client = browse()
        page = (await client.get(path)).text
        assert '<input name="code" inputmode="numeric" autocomplete="off" required maxlength="12">' in page
        form = form_of(page)
        done = await client.post(path, data=form | {"answer": "accept", "code": " 112 233 "})
        assert done.status_code == 303, done.text
        assert await swap.state() == "collecting"

    async def test_a_wrong_one_is_counted_and_keeps_what_was_chosen(self, shop: Shop, browse: Browse) -> None:
        swap, path = await self.coded(shop)
        client = browse()
        form = form_of((await client.get(path)).text)
        wrong = await client.post(path, data=form | {"answer": "accept", "code": "000000"})
        assert (wrong.status_code, "4 tries are left" in wrong.text) == (403, True)
        assert 'value="accept" checked' in wrong.text
        assert "000000" not in wrong.text
        forgotten = await client.post(path, data=form | {"code": "000000"})
        assert (forgotten.status_code, "nothing is chosen for you" in forgotten.text) == (422, True)
        assert await shop.value("SELECT max(code_misses) FROM link") == 1
        assert await swap.state() == "asking"

    async def test_after_five_the_link_takes_none_and_says_what_to_do(self, shop: Shop, browse: Browse) -> None:
        swap, path = await self.coded(shop)
        client = browse()
        form = form_of((await client.get(path)).text) | {"answer": "accept"}
        for _ in range(5):
            await client.post(path, data=form | {"code": "000000"})
        late = await client.post(path, data=form | {"code": "112233"})
        assert (late.status_code, await swap.state()) == (403, "asking")
        page = await client.get(path)
        assert (page.status_code, "Call us, and say what you would like." in page.text) == (410, True)
        assert "<form" not in page.text

    async def test_robots_decide_nothing_with_it_either(self, shop: Shop, browse: Browse) -> None:
        _, path = await self.coded(shop)
        before = await everything(shop.database)
        robot = Robot(browse())
        await robot.walk(path)
        assert {status for _, status in robot.sent} == {422}
        assert await everything(shop.database) == before
