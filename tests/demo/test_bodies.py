"""What the demo sends is what the domain says an order or event is."""

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from demo import bodies
from demo.baskets import Assortment, Basket, of_day
from demo.source import Sales
from domain.events import EVENT_TYPES, Event
from domain.orders import BopisOrder

AT = dt.datetime(2026, 11, 21, 15, 7, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def baskets(sales: Sales, assortment: Assortment) -> list[Basket]:
    return of_day(sales, 36, assortment)


def checked(event: dict[str, Any]) -> Any:
    """The data of an event, accepted by envelope and type."""
    envelope = Event.model_validate(event)
    return EVENT_TYPES[envelope.type].model_validate(envelope.data)


class TestOrders:
    def test_every_basket_of_a_day_makes_an_order_whose_sums_agree(self, baskets: list[Basket]) -> None:
        for basket in baskets:
            order = BopisOrder.model_validate(bodies.order(basket, AT))
            assert order.total_minor == basket.total_minor == order.payments[0].amount_minor

    def test_a_cent_more_is_refused(self, baskets: list[Basket]) -> None:
        body = bodies.order(baskets[0], AT)
        body["payments"][0]["amount_minor"] += 1
        with pytest.raises(ValidationError, match="must agree"):
            BopisOrder.model_validate(body)

    def test_ids_are_the_baskets_own(self, baskets: list[Basket]) -> None:
        ids = [bodies.order_id(basket) for basket in baskets]
        assert len(set(ids)) == len(ids)
        assert ids == [bodies.order(basket, AT)["order_id"] for basket in baskets]

    def test_the_promise_is_a_quarter_of_an_hour(self, baskets: list[Basket]) -> None:
        order = BopisOrder.model_validate(bodies.order(baskets[0], AT))
        assert order.promised_at == dt.datetime(2026, 11, 21, 19, 15, tzinfo=dt.UTC)

    def test_the_same_household_is_the_same_customer(self, baskets: list[Basket]) -> None:
        names = {(basket.household, bodies.order(basket, AT)["customer"]["email"]) for basket in baskets}
        assert len(names) == len({household for household, _ in names}) == len({email for _, email in names})


class TestEvents:
    def test_till_receipts_are_accepted_and_the_tenders_pay_what_coupons_do_not(self, baskets: list[Basket]) -> None:
        for basket in baskets:
            sale = checked(bodies.sale(basket, AT))
            owed = sum(
                line.quantity * line.unit_price_minor - line.discount_minor + line.tax_minor - line.coupon_minor
                for line in sale.lines
            )
            assert sum(tender.amount_minor for tender in sale.tenders) == owed >= 0

    def test_a_receipt_with_an_unknown_item_holds_one_the_master_does_not_list(
        self, baskets: list[Basket], assortment: Assortment
    ) -> None:
        odd = next(basket for basket in baskets if basket.unlisted)
        sale = checked(bodies.sale(odd, AT, unlisted=True))
        assert [line.sku for line in sale.lines if int(line.sku) not in assortment.items] == [odd.unlisted[0].sku]

    def test_what_crew_and_customers_report_is_accepted(self) -> None:
        lines = [{"line_id": "1", "quantity": 0, "reason": "not_in_stock"}]
        checked(bodies.picked("p", "bopis:web:1", "crew1.s0330", lines, AT))
        checked(bodies.handed_over("h", "bopis:web:1", "crew1.s0330", "Ada Adler", card=True, at=AT))
        checked(bodies.cancelled("c", "bopis:web:1", AT))
        checked(bodies.received("r", "S0330", {"1": 2}, {"1": 50}, AT))

    def test_a_time_without_zone_is_refused(self, baskets: list[Basket]) -> None:
        with pytest.raises(ValidationError):
            checked(bodies.sale(baskets[0], AT.replace(tzinfo=None)))
