"""Where two things meet on one order: what was found and what is cancelled, late reports, money that is on its way.

Each of these was once wrong. Stock, holds, books and audit are checked after every test (`shop`).
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from ledger.tables import item, substitute
from tests.conftest import Database as OneDatabase
from tests.ledger.models.machine import Command
from tests.ledger.models.orders import Line
from tests.ledger.models.orders_driver import Driver
from tests.ledger.support.books import accounts, assert_books_agree
from tests.shop import PRICE_MINOR, TEA, open_shop

MATE = "MATE-1"


class Days(Driver):
    """Commands by name; each happens a second after the one before."""

    at = 0

    async def do(self, kind: str, order: str = "", *args: Any) -> str:
        self.at += 1
        return await self.run(Command(kind, self.at, order, args))

    async def place(self, key: str, *units: int, charge: int = 0, authorised: bool = False, sku: str = TEA) -> None:
        lines = {str(number): Line(sku, n, n * PRICE_MINOR, 0, 0) for number, n in enumerate(units, start=1)}
        assert await self.do("order", key, "S1", 1_000 + self.at, lines, charge, authorised) == "201"

    async def decide(self, key: str, option: str) -> None:
        self.at += 1
        await self.offered(Command("offered", self.at, key))
        assert await self.do("decide", key, option) == "done"

    async def carry_out(self, key: str, *, approved: bool = True) -> None:
        assert await self.do("carry_out", key, approved, ()) == "done"

    async def line(self, key: str, line: str = "1") -> dict[str, int]:
        """Quantities of a line: `found` is what others hold for it."""
        numbers = (await self.seen())["orders"][key][2][line][:6]
        return dict(zip(("ordered", "reserved", "staged", "collected", "cancelled", "found"), numbers, strict=True))

    async def stock(self, sku: str = TEA) -> dict[str, int]:
        numbers = (await self.seen())["stock"].get(("S1", sku), (0, 0, 0, 0, 0))
        return dict(zip(("available", "reserved", "staged", "damaged", "count_pending"), numbers, strict=True))

    async def paid(self, key: str) -> dict[str, int]:
        numbers = (await self.seen())["orders"][key][3]
        return dict(zip(("captured", "voided", "refund_requested", "refunded"), numbers, strict=True))

    async def state(self, key: str) -> str:
        return str((await self.seen())["orders"][key][0])


@pytest.fixture
async def days(database: OneDatabase) -> AsyncIterator[Days]:
    """Five packs of tea at S1 and ten of mate, either a substitute for the other."""
    shop = await open_shop(database.url, tea={"S1": 5, "S2": 5})
    async with shop.database.engine.begin() as conn:
        await conn.execute(insert(item).values(sku=MATE, name="Mate", price_minor=1_400, cost_minor=500))
        await conn.execute(insert(substitute).values(sku=TEA, substitute_sku=MATE, rank=1))
    days = Days(shop, datetime.now(UTC))
    assert await days.do("received", "", "S1", ((MATE, 10),)) == "accepted"
    yield days
    await assert_books_agree(shop.database)
    await shop.database.dispose()


class TestFoundMeanwhile:
    async def test_a_cancel_lets_go_what_is_reserved_and_waits_no_more(self, days: Days) -> None:
        await days.place("A", 8)
        assert await days.do("cancelled", "A", None) == "accepted"
        assert await days.stock() == {"available": 5, "reserved": 0, "staged": 0, "damaged": 0, "count_pending": 0}

    async def test_a_cancel_lets_go_what_was_found_and_not_yet_taken_up(self, days: Days) -> None:
        await days.place("A", 8)
        await days.do("received", "", "S1", ((TEA, 3),))
        assert (await days.line("A"))["found"] == 3
        await days.do("cancelled", "A", None)
        assert (await days.stock())["available"] == 8

    async def test_found_units_are_picked_before_the_journey_has_heard_of_them(self, days: Days) -> None:
        await days.place("A", 8)
        await days.decide("A", "part")
        await days.carry_out("A")
        await days.place("B", 2)
        await days.do("received", "", "S1", ((TEA, 2),))
        assert await days.do("picked", "B", (("1", 2, None),)) == "accepted"
        assert (await days.stock())["available"] == 0
        assert await days.state("B") == "ready_for_pickup"

    async def test_what_one_order_has_no_use_for_goes_to_the_next_that_waits(self, days: Days) -> None:
        await days.place("A", 8)
        await days.place("B", 4)
        await days.do("received", "", "S1", ((TEA, 3),))
        await days.do("cancelled", "A", None)
        assert (await days.line("B"))["found"] == 4

    async def test_a_picker_who_finds_it_ends_the_waiting_and_the_question(self, days: Days) -> None:
        await days.place("A", 8)
        assert await days.offered(Command("offered", 99, "A"))
        await days.do("picked", "A", (("1", 8, None),))
        assert await days.shop.value("SELECT resolution FROM case_file") == "self_healed"
        await days.do("received", "", "S1", ((TEA, 9),))
        assert (await days.stock())["reserved"] == 0

    async def test_stock_that_came_while_a_refund_was_considered_is_given_to_the_order(self, days: Days) -> None:
        await days.place("A", 20)  # its refund is above the limit
        await days.decide("A", "cancel_refund")
        await days.do("received", "", "S1", ((TEA, 15),))
        assert (await days.stock())["available"] == 15
        await days.carry_out("A", approved=False)
        assert (await days.line("A"))["found"] == 15


class TestLateReports:
    async def test_a_pick_reported_after_the_hand_over_changes_nothing(self, days: Days) -> None:
        await days.place("A", 2)
        await days.do("handed_over", "A", None)
        before = await days.stock()
        assert await days.do("picked", "A", (("1", 2, None),)) == "accepted"
        assert await days.stock() == before
        assert await days.shop.value("SELECT count(*) FROM case_file WHERE kind = 'put_away_overdue'") == 0

    async def test_a_pick_reported_after_a_part_was_handed_over_stages_the_rest(self, days: Days) -> None:
        await days.place("A", 3)
        await days.do("handed_over", "A", (("1", 2, 0),))
        assert await days.do("picked", "A", (("1", 3, None),)) == "accepted"
        assert (await days.line("A"))["staged"] == 1

    async def test_units_refused_before_a_pick_was_reported_wait_to_be_put_away(self, days: Days) -> None:
        await days.place("A", 2)
        await days.do("handed_over", "A", (("1", 1, 1),))
        assert await days.state("A") == "collected"
        assert (await days.stock())["staged"] == 1
        assert await days.do("put_away", "A", None, "good") == "accepted"
        assert (await days.stock())["available"] == 4

    async def test_two_reports_with_the_same_fault_at_once_are_both_kept(self, days: Days) -> None:
        await days.place("A", 1)
        wrong = [Command("picked", at, "A", ((("1", 9, None),),)) for at in (51, 52, 53, 54)]
        assert await days.at_once(wrong) == ["quarantined"] * 4
        assert await days.shop.value("SELECT repeat_count FROM case_file") == 3


class TestLines:
    async def test_the_picked_line_is_cancelled_while_the_other_is_still_to_be_picked(self, days: Days) -> None:
        await days.place("A", 1, 1)
        await days.do("picked", "A", (("1", 1, None),))
        assert await days.do("cancelled", "A", ("1",)) == "accepted"
        assert await days.state("A") == "reserved"

    async def test_two_lines_are_not_given_the_same_substitute_twice(self, days: Days) -> None:
        await days.place("Z", 5)
        await days.place("A", 6, 6)
        with pytest.raises(AssertionError, match="refused"):  # ten are not enough for two lines: it is not offered
            await days.decide("A", "substitute")
        assert await days.state("A") == "reservation_failed"
        assert (await days.stock(MATE))["available"] == 10

    async def test_the_same_substitute_once_more(self, days: Days) -> None:
        await days.place("A", 6)
        await days.decide("A", "substitute")
        await days.carry_out("A")
        await days.do("picked", "A", (("1", 3, "damaged"),))
        await days.decide("A", "substitute")
        await days.carry_out("A")
        assert (await days.line("A", f"1~{MATE}~"))["reserved"] == 2

    async def test_more_went_missing_than_a_substitute_was_chosen_for(self, days: Days) -> None:
        await days.place("A", 3, 4)
        await days.decide("A", "substitute")
        await days.do("picked", "A", (("1", 0, "damaged"),))
        await days.carry_out("A")
        assert await days.state("A") == "reservation_failed"
        assert "More is missing" in await days.shop.value("SELECT reason FROM case_decision")

    async def test_an_order_with_goods_on_the_hold_shelf_does_not_move(self, days: Days) -> None:
        await days.place("A", 1, 5)
        await days.do("picked", "A", (("1", 1, None),))
        await days.do("cancelled", "A", ("1",))
        options = await days.offered(Command("offered", 98, "A"))
        assert not [option for option in options if option["id"].startswith("other_store")]


class TestMoney:
    async def test_a_charge_is_not_earned_by_handing_over_nothing(self, days: Days) -> None:
        await days.place("A", 1, charge=199)
        await days.do("picked", "A", (("1", 1, None),))
        await days.do("handed_over", "A", (("1", 0, 1),))
        assert await days.state("A") == "cancelled"
        assert (await days.paid("A"))["refund_requested"] == PRICE_MINOR + 199
        assert "revenue" not in await accounts(days.shop.database)

    async def test_authorised_money_is_taken_for_goods_that_were_never_ready(self, days: Days) -> None:
        await days.place("A", 2, authorised=True)
        await days.do("handed_over", "A", None)
        await days.do("provider", "A")
        assert (await days.paid("A"))["captured"] == 2 * PRICE_MINOR
        assert "customer_deposits" not in await accounts(days.shop.database)

    async def test_authorised_money_is_taken_for_a_second_part_too(self, days: Days) -> None:
        await days.place("A", 1, 1, authorised=True)
        for line in ("1", "2"):
            await days.do("picked", "A", ((line, 1, None),))
            await days.do("handed_over", "A", ((line, 1, 0),))
        await days.do("provider", "A")
        assert (await days.paid("A"))["captured"] == 2 * PRICE_MINOR
        mails = await days.shop.value("SELECT count(*) FROM mail WHERE template = 'ready_for_pickup'")
        assert mails == 1  # the first line was handed over before the whole was ready

    async def test_money_given_up_while_the_provider_is_asked_to_take_it_goes_back_when_it_was_taken(
        self, days: Days
    ) -> None:
        await days.place("A", 2, authorised=True)
        await days.do("picked", "A", (("1", 2, None),))
        await days.do("cancelled", "A", None)
        assert (await days.paid("A"))["voided"] == 0
        await days.do("provider", "A")
        await days.do("provider", "A")
        everything = 2 * PRICE_MINOR
        assert await days.paid("A") == {
            "captured": everything, "voided": 0, "refund_requested": everything, "refunded": everything,
        }  # fmt: skip
