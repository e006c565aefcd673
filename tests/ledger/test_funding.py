"""What vendors pay of what was sold accrues with the sale, and goes back with the return."""

import asyncio
from typing import Any

import pytest

from domain.errors import (
    DomainError,
    IdempotencyMismatch,
    Malformed,
    NotFound,
    StateConflict,
    UnknownLocation,
    UnknownSku,
    WrongCurrency,
)
from tests.ledger.support.funding import accruals, agree, agreement, balance, promoted, sell
from tests.ledger.support.promoting import Promoted
from tests.ledger.support.returning import Back
from tests.ledger.support.till import event, send
from tests.shop import PRICE_MINOR, TEA, WEB, Shop


class TestAgreement:
    async def test_the_same_again_is_the_same(self, shop: Shop) -> None:
        assert await agree(shop) == await agree(shop) == "erp:A-17"

    @pytest.mark.parametrize(
        ("change", "refusal", "pointer"),
        [
            ({"entity": "XX"}, Malformed, "/entity"),
            ({"currency": "USD"}, WrongCurrency, "/currency"),
            ({"office": "S9"}, UnknownLocation, "/office"),
            ({"skus": [TEA, "NOPE"]}, UnknownSku, "/skus/1"),
        ],
    )
    async def test_what_the_master_data_does_not_know_is_refused(
        self, shop: Shop, change: dict[str, Any], refusal: type[DomainError], pointer: str
    ) -> None:
        with pytest.raises(refusal) as refused:
            await agree(shop, **change)
        assert refused.value.pointer == pointer
        assert await shop.value("SELECT count(*) FROM funding_agreement") == 0

    async def test_another_body_under_its_number_is_refused(self, shop: Shop) -> None:
        await agree(shop)
        with pytest.raises(IdempotencyMismatch):
            await agree(shop, document="other.pdf")

    async def test_a_promotion_has_one_agreement(self, shop: Shop) -> None:
        await agree(shop)
        with pytest.raises(StateConflict, match="A-17") as refused:
            await agree(shop, number="A-18")
        assert refused.value.pointer == "/promotions/0"
        assert await shop.value("SELECT count(*) FROM funding_agreement") == 1


class TestSale:
    async def test_a_sale_accrues_with_its_receipt(self, shop: Shop) -> None:
        await agree(shop)
        await sell(shop, promoted(3))
        assert await accruals(shop) == [("sale", 3, 150, 150)]
        assert await balance(shop, "vendor_funding") == 150
        told = await shop.value("SELECT count(*) FROM outbox")
        assert told == 0

    async def test_a_receipt_that_comes_again_accrues_once(self, shop: Shop) -> None:
        await agree(shop)
        receipt = promoted(2, event_id="one")
        await sell(shop, receipt)
        assert [one.outcome for one in await send(shop, receipt, receipt | {"id": "E-other"})] == ["duplicate"] * 2
        assert await accruals(shop) == [("sale", 2, 100, 100)]

    @pytest.mark.parametrize(
        "change",
        [
            {"promotion_id": None},
            {"promotion_id": "OTHER"},
            {"coupon_minor": 100},  # a manufacturer has paid for this line
            {"day": 40},  # after the agreement's end
        ],
        ids=["no promotion", "no agreement", "coupon", "after the end"],
    )
    async def test_what_no_agreement_pays_for_accrues_nothing(self, shop: Shop, change: dict[str, Any]) -> None:
        await agree(shop)
        await sell(shop, promoted(2, **change))
        assert await accruals(shop) == []
        assert await balance(shop, "vendor_funding") == 0

    async def test_a_coupon_is_owed_by_its_manufacturer(self, shop: Shop) -> None:
        await agree(shop)
        await sell(shop, promoted(1, coupon_minor=100))
        assert await balance(shop, "coupon_receivable") == 100
        assert await balance(shop, "revenue") == -1_200

    async def test_only_its_items_accrue(self, shop: Shop, assortment: None) -> None:
        await agree(shop, skus=["COFFEE-1"])
        await sell(shop, promoted(1), promoted(2, sku="COFFEE-1"))
        assert await accruals(shop) == [("sale", 2, 100, 100)]

    async def test_a_share_of_the_discount(self, shop: Shop) -> None:
        await agree(shop, terms={"kind": "percent", "permille": 333, "base": "discount"})
        await sell(shop, promoted(2, discount_minor=5))
        assert await accruals(shop) == [("sale", 2, 201, 201)]  # a third of 2 × 3.00 and 0.05

    async def test_cap_and_tiers_count_over_batches(self, shop: Shop) -> None:
        tiers = [{"from_units": 3, "rate_minor": 100}]
        await agree(shop, terms={"kind": "scan_back", "rate_minor": 50, "tiers": tiers, "cap_minor": 320})
        await sell(shop, promoted(1), promoted(3))
        await sell(shop, promoted(2))
        assert await accruals(shop) == [("sale", 1, 50, 50), ("sale", 3, 250, 250), ("sale", 2, 200, 20)]
        assert await shop.value("SELECT cap_left_minor FROM funding_accrual ORDER BY id DESC LIMIT 1") == 0

    async def test_two_promotions_share_the_cap_of_their_agreement(self, shop: Shop) -> None:
        terms = {"kind": "scan_back", "rate_minor": 50, "cap_minor": 120}
        await agree(shop, terms=terms, promotions=["TEA-MARCH", "TEA-WEB"])
        await sell(shop, promoted(2), promoted(2, promotion_id="TEA-WEB"))
        assert [row[3] for row in await accruals(shop)] == [100, 20]

    async def test_a_cap_holds_when_tills_report_at_once(self, shop: Shop) -> None:
        await agree(shop, terms={"kind": "scan_back", "rate_minor": 50, "cap_minor": 475})
        await asyncio.gather(*(sell(shop, promoted(1), promoted(2)) for _ in range(8)))
        assert await balance(shop, "vendor_funding") == 475
        assert await shop.value("SELECT sum(earned_minor)::int FROM funding_accrual") == 24 * 50

    async def test_an_override_is_kept_with_its_line(self, shop: Shop) -> None:
        await sell(shop, promoted(1, override={"reason": "damaged box", "actor": "till-4"}))
        kept = await shop.value("SELECT override_reason || ' ' || override_actor FROM sale_line")
        assert kept == "damaged box till-4"

    async def test_many_receipts_at_once_accrue_as_one_by_one(self, shop: Shop) -> None:
        await agree(shop, terms={"kind": "percent", "permille": 125, "base": "sales", "cap_minor": 10_000})
        await sell(shop, *(promoted(1 + number % 3, price=1_001 + number) for number in range(70)))
        one_by_one = sum((2 * (1 + number % 3) * (1_001 + number) * 125 + 1_000) // 2_000 for number in range(70))
        assert await shop.value("SELECT sum(earned_minor)::int FROM funding_accrual") == one_by_one
        assert await balance(shop, "vendor_funding") == min(one_by_one, 10_000)


class TestReturn:
    async def test_what_comes_back_to_the_till_takes_back_what_was_accrued(self, shop: Shop) -> None:
        await agree(shop)
        await sell(shop, promoted(3, event_id="one"))
        line = {"line": "1", "sku": TEA, "quantity": 2, "unit_price_minor": 1_200, "original_line": "1"}
        back = {"location": "S1", "receipt": "B-1", "original_receipt": "R-one", "refunds": [], "lines": [line]}
        (outcome,) = await send(shop, event("E-back", "pos.return", back))
        assert outcome.outcome == "accepted", outcome
        assert await accruals(shop) == [("sale", 3, 150, 150), ("return", -2, -100, -100)]
        assert await balance(shop, "vendor_funding") == 50

    async def test_units_that_go_to_the_customer_again_earn_again(self, shop: Shop) -> None:
        await agree(shop)
        await sell(shop, promoted(1, event_id="one"), caller=WEB)
        back = await Back.open(shop, quantity=1, method="mail", receipt={"number": "R-one", "tender": "card"})
        await back.receive()
        assert (await accruals(shop))[-1] == ("return", -1, -50, -50)
        await back.inspect(condition="used", disposition="send_back")
        assert (await accruals(shop))[-1] == ("return", 1, 50, 50)
        assert await balance(shop, "vendor_funding") == 50

    async def test_a_return_of_what_earned_nothing_takes_nothing_back(self, shop: Shop) -> None:
        await sell(shop, promoted(2, event_id="one"), caller=WEB)
        await agree(shop)  # too late for that receipt
        back = await Back.open(shop, quantity=1, method="mail", receipt={"number": "R-one", "tender": "card"})
        await back.receive()
        assert await shop.value("SELECT max(returned) FROM sale_line") == 1
        assert await accruals(shop) == []


class TestOrder:
    async def test_a_hand_over_accrues_part_by_part(self, shop: Shop) -> None:
        await agree(shop, starts_at="2020-01-01T00:00:00Z", ends_at="2099-01-01T00:00:00Z")
        line = {"line_id": "1", "sku": TEA, "quantity": 3, "unit_price_minor": PRICE_MINOR,
                "promotion_id": "TEA-MARCH", "regular_price_minor": 1_800}  # fmt: skip
        order = await shop.order(3, lines=[line])
        assert await accruals(shop) == []
        await shop.report("bopis.picked", journey_id=order, picker="p", lines=[{"line_id": "1", "quantity": 3}])
        for quantity in (1, 2):
            given = [{"line_id": "1", "quantity": quantity}]
            await shop.report("bopis.handed_over", journey_id=order, lines=given, actor="p")
        assert await accruals(shop) == [("sale", 1, 50, 50), ("sale", 2, 100, 100)]
        assert (
            await shop.value(
                "SELECT count(*) FROM journal WHERE event = 'funding.accrued' AND journey_id = :id", id=order
            )
            == 2
        )

    async def test_an_order_sent_again_as_before_there_were_promotions_is_the_same(self, shop: Shop) -> None:
        first = await shop.order(1, order_id="W-77")
        assert await shop.order(1, order_id="W-77") == first
        assert agreement()["number"] == "A-17"


async def test_an_agreement_that_nobody_knows_pays_for_nothing(shop: Shop) -> None:
    from ledger.funding.agreements import cover

    with pytest.raises(NotFound, match="A-99"):
        await shop.database.write(
            lambda tx: cover(tx, "DE01", "P", "erp:A-99", pointer="/agreement"), actor="test", via="test"
        )


class TestPromotion:
    async def test_the_agreement_that_a_promotion_names_pays_for_it(self, shop: Shop, assortment: None) -> None:
        key = await agree(shop, number="A-20", promotions=[])
        it = await Promoted.open(shop, agreement_id="A-20")
        paid = await shop.value(
            "SELECT agreement_id FROM funded_promotion WHERE promotion_id = :id", id=it.id.split(":")[2]
        )
        assert paid == key

    async def test_one_that_names_an_agreement_nobody_knows_is_refused(self, shop: Shop, assortment: None) -> None:
        with pytest.raises(NotFound) as refused:
            await Promoted.open(shop, agreement_id="A-99")
        assert refused.value.pointer == "/agreement_id"
        assert await shop.value("SELECT count(*) FROM promotion") == 0
