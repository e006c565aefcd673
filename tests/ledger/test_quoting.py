"""What an exchange at a counter would come to, before anybody agrees: prices of the till, tax as it was, who pays."""

from typing import Any

import pytest

from domain.errors import Malformed, StateConflict, UnknownSku
from ledger.reads.replacements import proposals
from ledger.reads.store import StorePlace
from ledger.returns import difference
from ledger.returns.quoting import TILL, Quote, Taken, quote
from tests.ledger.support.exchanging import Swap, policy
from tests.ledger.support.offers import OOLONG, with_substitute
from tests.ledger.support.returning import Back, collected, receipt
from tests.shop import PRICE_MINOR, TEA, Shop

MAINZ = StorePlace("S1", "Mainz", "R1", "DE01", "UTC")


async def quoted(shop: Shop, back: Back, *taken: Taken, **more: Any) -> Quote:
    return await quote(shop.database, MAINZ, back.id, lines=more.pop("lines", None), taken=taken, **more)


async def of_order(shop: Shop, quantity: int = 1, **more: Any) -> Back:
    return await Back.open(shop, await collected(shop, quantity, **more), quantity)


class TestSums:
    async def test_the_same_again_costs_nothing(self, shop: Shop) -> None:
        found = await quoted(shop, await of_order(shop), Taken(TEA, 1))
        assert (found.total_minor, found.worth_minor) == (PRICE_MINOR, PRICE_MINOR)
        assert (found.more_minor, found.back_minor, found.asked_by) == (0, 0, "")
        assert [(one.line_id, one.sku, one.units) for one in found.back] == [("1", TEA, 1)]

    async def test_what_costs_less_leaves_something(self, shop: Shop) -> None:
        await with_substitute(shop, PRICE_MINOR - 200)
        found = await quoted(shop, await of_order(shop), Taken(OOLONG, 1))
        assert (found.more_minor, found.back_minor) == (0, 200)

    async def test_what_costs_more_is_asked_of_the_card_that_paid(self, shop: Shop) -> None:
        found = await quoted(shop, await of_order(shop), Taken(TEA, 2))
        assert (found.more_minor, found.asked_by, found.why_not_asked) == (PRICE_MINOR, "card", "")

    async def test_the_price_is_that_of_the_till_at_this_place(self, shop: Shop) -> None:
        back = await of_order(shop)
        for channel, minor in (("", 1_600), ("pos", 1_700), ("web", 1_800)):
            await shop.change(
                "INSERT INTO item_price (sku, location, channel, price_minor) VALUES (:sku, 'S1', :channel, :minor)",
                sku=TEA, channel=channel, minor=minor,
            )  # fmt: skip
        found = await quoted(shop, back, Taken(TEA, 1))
        assert [(one.price_minor, one.cost_minor) for one in found.lines] == [(1_700, 1_700)]

    @pytest.mark.parametrize(("includes", "tax", "cost"), [(True, 190, 2_000), (False, 210, 2_210)])
    async def test_it_is_taxed_as_what_comes_back_was(self, shop: Shop, includes: bool, tax: int, cost: int) -> None:
        await with_substitute(shop, 2_000)
        line = {"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000, "tax_minor": 105}
        paid = 1_000 if includes else 1_105
        card = {"reference": "card-1", "tender": "card", "amount_minor": paid, "state": "captured"}
        back = await of_order(shop, lines=[line | {"tax_minor": 95 if includes else 105}], payments=[card],
                              prices_include_tax=includes)  # fmt: skip
        found = await quoted(shop, back, Taken(OOLONG, 1))
        assert [(one.tax_minor, one.cost_minor) for one in found.lines] == [(tax, cost)]
        assert found.with_tax is includes

    async def test_a_tax_that_somebody_has_corrected_counts(self, shop: Shop) -> None:
        back = await of_order(shop)
        assert (await quoted(shop, back, Taken(TEA, 1, 70))).tax_minor == 70
        with pytest.raises(Malformed, match="more than its price"):
            await quoted(shop, back, Taken(TEA, 1, PRICE_MINOR + 1))

    async def test_without_a_sale_somebody_says_whether_prices_include_tax(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"no_receipt": "store_credit"}}')
        line = {"line_id": "1", "sku": TEA, "quantity": 1, "reason": "changed_mind", "unit_price_minor": 1_000}
        back = await Back.open(shop, None, lines=[line])
        found = await quoted(shop, back, Taken(TEA, 1, 100), with_tax=False)
        assert (found.with_tax, found.total_minor) == (False, PRICE_MINOR + 100)

    async def test_what_is_not_there_is_said(self, shop: Shop) -> None:
        back = await of_order(shop)
        found = await quoted(shop, back, Taken(TEA, 9))
        assert [(one.there, one.lacks) for one in found.lines] == [(4, 5)]
        await shop.change("INSERT INTO item_stop (sku, location, cause) VALUES (:sku, 'S1', 'test')", sku=TEA)
        assert [one.there for one in (await quoted(shop, back, Taken(TEA, 1))).lines] == [0]

    async def test_a_receipt_has_no_customer_to_ask(self, shop: Shop) -> None:
        await receipt(shop, 1)
        back = await Back.open(shop, None, receipt={"number": "T-1", "location": "S1"}, bought_at="store")
        found = await quoted(shop, back, Taken(TEA, 2))
        assert found.asked_by == ""
        assert found.why_not_asked == difference.NO_CUSTOMER

    async def test_it_writes_nothing(self, shop: Shop) -> None:
        back = await of_order(shop)
        before = await back.row()
        await quoted(shop, back, Taken(TEA, 2))
        assert await back.row() == before
        assert await shop.outbox(back.id) == [(1, None)]

    async def test_it_asks_for_what_it_has_shown(self, shop: Shop) -> None:
        found = await quoted(shop, await of_order(shop), Taken(TEA, 2, 30))
        asked = found.wanted("X-1", pickup_location="S1")
        assert asked.lines == ("1",)
        assert (asked.order.total_minor, asked.order.tax_minor, asked.order.channel) == (found.total_minor, 30, "store")


class TestRefused:
    async def test_nothing_taken(self, shop: Shop) -> None:
        with pytest.raises(Malformed, match="what the customer takes instead"):
            await quoted(shop, await of_order(shop))

    async def test_an_item_that_is_not_known(self, shop: Shop) -> None:
        with pytest.raises(UnknownSku):
            await quoted(shop, await of_order(shop), Taken("NOTHING", 1))

    async def test_what_was_exchanged_paid_back_or_called_off(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        with pytest.raises(StateConflict, match="is exchanged for order"):
            await quoted(shop, swap.back, Taken(TEA, 1))
        back = await of_order(shop)
        await back.receive()
        with pytest.raises(StateConflict, match="paid back already"):
            await quoted(shop, back, Taken(TEA, 1))
        await back.provider_says()
        await back.inspect()
        with pytest.raises(StateConflict, match="The return is closed"):
            await quoted(shop, back, Taken(TEA, 1))


async def test_the_same_again_is_proposed_first_and_then_its_substitutes(shop: Shop) -> None:
    await with_substitute(shop, 1_600)
    async with shop.database.read() as conn:
        found = await proposals(conn, MAINZ, [TEA], TILL)
        assert [(one.sku, one.price_minor) for one in found] == [(TEA, PRICE_MINOR), (OOLONG, 1_600)]
        assert found[0].available == 5
        assert await proposals(conn, MAINZ, [], TILL) == []
    await shop.change("UPDATE item SET stop_sale = true WHERE sku = :sku", sku=TEA)
    async with shop.database.read() as conn:
        assert [one.sku for one in await proposals(conn, MAINZ, [TEA], TILL)] == [OOLONG]
