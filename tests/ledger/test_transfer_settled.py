"""What does not add up and is little is posted with its cause; what was written off and comes after all is no gain."""

from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import DomainError
from tests.ledger.support.books import accounts
from tests.ledger.support.till import COFFEE
from tests.ledger.support.transfers import Moved, shelf
from tests.shop import FIN, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def policy(shop: Shop, body: str) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('t', '2020-01-01', CAST(:b AS jsonb))",
        b=body,
    )


async def line_of(shop: Shop, moved: Moved, line_id: str = "1") -> Any:
    async with shop.database.read() as conn:
        found = await conn.execute(
            text("SELECT settled, root_cause FROM transfer_line WHERE journey_id = :id AND line_id = :line"),
            {"id": moved.id, "line": line_id},
        )
        return tuple(found.one())


class TestWithinTolerance:
    async def opened(self, shop: Shop, *lines: int) -> Moved:
        """Lines of tea at 6.00 each, all of which have left."""
        await policy(shop, '{"transfer": {"short": {"units": 1, "permille": 50, "value_minor": 1200},'
                           ' "over": {"units": 1, "permille": 50, "value_minor": 1200}}}')  # fmt: skip
        await shop.put("S1", 100)
        moved = await Moved.open(shop, *((TEA, number) for number in lines))
        await moved.ship()
        return moved

    async def cases(self, shop: Shop) -> int:
        return int(await shop.value("SELECT count(*) FROM case_file"))

    async def test_what_lacks_is_a_loss_with_a_cause_and_nobody_is_asked(self, shop: Shop) -> None:
        moved = await self.opened(shop, 40)
        assert await moved.receive(39, complete=True) == "received"
        assert await moved.compare() == "closed"
        assert await self.cases(shop) == 0
        assert await line_of(shop, moved) == (1, "within_tolerance")
        assert (await accounts(shop.database))["transit_loss"] == 600
        assert "Within tolerance, posted: 1 unit did not come." in " ".join(await moved.told())

    async def test_what_came_damaged_is_a_loss_with_a_cause(self, shop: Shop) -> None:
        moved = await self.opened(shop, 40)
        lines = [{"line_id": "1", "quantity": 39}, {"line_id": "1", "quantity": 1, "condition": "damaged"}]
        await moved.report("received", lines=lines)
        assert await moved.compare() == "closed"
        assert await self.cases(shop) == 0
        assert (await line_of(shop, moved))[1] == "within_tolerance"
        assert (await accounts(shop.database))["damage_expense"] == 600

    async def test_what_is_too_many_is_a_gain_with_a_cause(self, shop: Shop) -> None:
        moved = await self.opened(shop, 40)
        assert await moved.receive(41) == "received"
        assert await moved.compare() == "closed"
        assert await self.cases(shop) == 0
        assert await shop.value("SELECT root_cause FROM transfer_extra") == "within_tolerance"
        books = await accounts(shop.database)
        assert (books["inventory_found"], "transfer_differences" in books) == (-600, False)

    @pytest.mark.parametrize(("sent", "came"), [(40, 38), (19, 18)], ids=["units", "share"])
    async def test_beyond_one_limit_somebody_is_asked(self, shop: Shop, sent: int, came: int) -> None:
        moved = await self.opened(shop, sent)
        await moved.receive(came, complete=True)
        assert await moved.compare() == "discrepancy_review"
        assert (await moved.case_of("transfer_short"))["state"] == "open"
        assert "transit_loss" not in await accounts(shop.database)

    async def test_many_small_ones_that_are_much_together_are_asked_about(self, shop: Shop) -> None:
        moved = await self.opened(shop, 20, 20, 20)
        await moved.receive(19, 19, 19, complete=True)
        assert await moved.compare() == "discrepancy_review"
        case = await moved.case_of("transfer_short")
        assert ([one["units"] for one in case["facts"]["lines"]], case["value_at_risk_minor"]) == ([1, 1, 1], 1_800)

    async def test_one_unit_that_is_worth_too_much_is_asked_about(self, shop: Shop) -> None:
        """By itself: 5.00 is the most that may lack, and the unit is worth 6.00."""
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (TEA, 40))
        await moved.ship()
        await moved.receive(39, complete=True)
        assert await moved.compare() == "discrepancy_review"


class TestWrittenOffAndComeAfterAll:
    async def lost(self, shop: Shop, units: int = 4, cause: str = "lost_by_carrier", way: str = "accept") -> Moved:
        moved = await Moved.open(shop, (TEA, units))
        await moved.ship(carrier="Parcel Co")
        await moved.receive(1, complete=True)
        await moved.compare()
        assert (await moved.decide(way, root_cause=cause)).state == "closed"
        return moved

    @pytest.mark.parametrize(
        ("cause", "account"), [("lost_by_carrier", "transit_loss"), ("theft_suspected", "shrinkage")]
    )
    async def test_the_loss_is_taken_back_where_it_was_booked(self, shop: Shop, cause: str, account: str) -> None:
        moved = await self.lost(shop, cause=cause)
        before = (await accounts(shop.database))[account]
        assert await moved.receive(2) == "received"
        await moved.compare()
        first = next(iter(await moved.options()))
        assert first == "was_written_off"
        assert (await moved.decide("was_written_off", root_cause="receiving_error")).state == "closed"
        books = await accounts(shop.database)
        assert (before - books[account], "transfer_differences" in books) == (1_200, False)
        assert await moved.line() == {"shipped": 4, "received": 3, "settled": 1}
        assert await shelf(shop, "S2") == {"available": 8}
        assert await shelf(shop, "S1") == {"available": 1}  # nothing of it is taken from the source a second time

    async def test_all_of_it_and_nothing_has_a_cause_of_loss_any_more(self, shop: Shop) -> None:
        moved = await self.lost(shop)
        await moved.receive(3)
        await moved.compare()
        await moved.decide("was_written_off", root_cause="receiving_error")
        assert await line_of(shop, moved) == (0, None)
        assert "transit_loss" not in await accounts(shop.database)

    async def test_a_cause_is_needed(self, shop: Shop) -> None:
        moved = await self.lost(shop)
        await moved.receive(2)
        await moved.compare()
        with pytest.raises(DomainError, match="root cause"):
            await moved.decide("was_written_off")

    async def test_more_than_was_written_off_is_something_else(self, shop: Shop) -> None:
        moved = await self.lost(shop)
        await moved.receive(4)
        await moved.compare()
        assert (await moved.options())["was_written_off"]["why_not"] == "more came than was written off"
        with pytest.raises(DomainError, match="more came than was written off"):
            await moved.decide("was_written_off", root_cause="receiving_error")

    async def test_what_a_carrier_is_to_pay_for_is_not_taken_back(self, shop: Shop) -> None:
        moved = await self.lost(shop, way="carrier_claim")
        await moved.receive(2)
        await moved.compare()
        assert "claimed from the carrier" in (await moved.options())["was_written_off"]["why_not"]
        assert (await moved.decide("accept", root_cause="receiving_error")).state == "closed"
        books = await accounts(shop.database)
        assert (books["claims_receivable"], books["inventory_found"]) == (1_800, -1_200)

    async def test_where_nothing_was_written_off_it_is_not_offered(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 2))
        await moved.ship()
        await moved.receive(5)
        await moved.compare()
        assert "was_written_off" not in await moved.options()

    async def test_a_large_one_is_agreed_to(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (TEA, 50))
        await moved.ship()
        await moved.receive(30, complete=True)
        await moved.compare()
        await moved.decide("accept", root_cause="lost_by_carrier")
        assert (await moved.verdict(FIN, "approve")).state == "closed"
        await moved.receive(20)
        await moved.compare()
        assert (await moved.options())["was_written_off"]["needs_approval"]
        await moved.decide("was_written_off", root_cause="receiving_error")
        assert (await moved.verdict(FIN, "approve")).state == "closed"
        assert "transit_loss" not in await accounts(shop.database)

    async def test_a_little_is_taken_back_without_a_question(self, shop: Shop) -> None:
        await policy(shop, '{"transfer": {"over": {"units": 1, "permille": null, "value_minor": null}}}')
        moved = await self.lost(shop)
        await moved.receive(1)
        assert await moved.compare() == "closed"
        assert await moved.line() == {"shipped": 4, "received": 2, "settled": 2}
        assert (await accounts(shop.database))["transit_loss"] == 1_200


class TestNothingClosesWithoutACause:
    @pytest.mark.parametrize("option", ["accept", "carrier_claim"])
    @pytest.mark.parametrize("cause", [None, "", "because", "within_tolerance"])
    async def test_what_lacks(self, shop: Shop, option: str, cause: str | None) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(carrier="Parcel Co")
        await moved.receive(1, complete=True)
        await moved.compare()
        with pytest.raises(DomainError, match="root cause"):
            await moved.decide(option, **({} if cause is None else {"root_cause": cause}))
        assert await moved.line() == {"shipped": 4, "in_transit": 3, "received": 1}

    @pytest.mark.parametrize("option", ["sent_unbooked", "send_back", "accept"])
    async def test_what_is_too_many_or_another_item(self, shop: Shop, option: str) -> None:
        moved = await Moved.open(shop, (TEA, 2))
        await moved.ship()
        lines = [{"line_id": "1", "quantity": 2}, {"line_id": "1", "sku": COFFEE, "quantity": 3}]
        await moved.report("received", lines=lines)
        await moved.compare()
        with pytest.raises(DomainError, match="root cause"):
            await moved.decide(option)
        assert await shop.value("SELECT settled FROM transfer_extra") == 0

    @pytest.mark.parametrize("called_off", [True, False])
    async def test_what_is_declared_lost_on_its_way(self, shop: Shop, called_off: bool) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        if called_off:
            await moved.report("cancelled")
        else:
            await moved.due("receipt")
        with pytest.raises(DomainError, match="root cause"):
            await moved.decide("accept")
        assert await moved.line() == {"shipped": 4, "in_transit": 4}
        assert (await moved.decide("accept", root_cause="lost_by_carrier")).state == "closed"
        assert (await accounts(shop.database))["transit_loss"] == 2_400
