"""Vendor returns in the ledger: gathered once, shipped at cost, credited; given up with somebody's word alone."""

import asyncio

import pytest

from domain.errors import (
    IdempotencyMismatch,
    Malformed,
    NotEnoughStock,
    NotFound,
    StateConflict,
    UnknownLine,
    UnknownLocation,
    UnknownSku,
)
from domain.people import Person
from domain.vendor_returns import NewVendorReturn, VendorCredit, VendorReturnView, VendorShipment
from ledger import vendor_return, verdicts
from ledger.people import Caller
from ledger.reads.vendor_returns import vendor_return_view
from tests.ledger.support.books import accounts
from tests.ledger.support.returning import Back, collected, shelf
from tests.shop import ANA, FIN, TEA, WEB, Shop

OTHER = Caller("key-other", "other", frozenset({"claims:write"}), frozenset(), None, frozenset())


async def waiting(shop: Shop, units: int = 3) -> None:
    """Units that came back defective and wait to go to their vendor."""
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('v', '2020-01-01', CAST(:body AS jsonb))",
        body='{"returns": {"override_minor": 100000000}}',
    )
    await shop.put("S1", units + 5)
    back = await Back.open(shop, await collected(shop, units), units)
    await back.receive(units)
    await back.inspect(units, disposition="return_to_vendor")
    await back.provider_says()


def wanted(quantity: int = 3, key: str = "VR-1", **more: object) -> NewVendorReturn:
    line = {"line_id": "1", "sku": TEA, "quantity": quantity}
    body = {"vendor_return_id": key, "vendor": "ACME", "location": "S1", "lines": [line]}
    return NewVendorReturn.model_validate(body | more)


async def gathered(shop: Shop, quantity: int = 3, key: str = "VR-1") -> str:
    status, made = await vendor_return.open_document(shop.database, WEB, wanted(quantity, key), via="test")
    assert status == 201
    return made


async def shipped(shop: Shop, quantity: int = 3) -> str:
    made = await gathered(shop, quantity)
    await vendor_return.authorize(shop.database, WEB, made, number="RMA-7", via="test")
    await vendor_return.ship(shop.database, WEB, made, VendorShipment(carrier="DHL"), via="test")
    return made


async def seen(shop: Shop, named: str) -> VendorReturnView:
    async with shop.database.read() as conn:
        return await vendor_return_view(conn, None, named, sources={"web"})


async def credit(shop: Shop, named: str, minor: int, reference: str = "CN-1") -> VendorReturnView:
    note = VendorCredit(reference=reference, amount_minor=minor)
    return await seen(shop, await vendor_return.credit(shop.database, WEB, named, note, via="test"))


async def give_up(shop: Shop, named: str) -> VendorReturnView:
    done = await vendor_return.write_off(shop.database, WEB, named, reason="the vendor is gone", via="test")
    return await seen(shop, done)


class TestTheWay:
    async def test_gathered_authorised_shipped_and_credited(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        view = await seen(shop, made)
        assert (view.state, view.authorization, view.balance.open_minor) == ("shipped", "RMA-7", 1_800)
        assert view.lines[0].cost_minor == 1_800
        assert "vendor_return_pending" not in await shelf(shop)
        books = await accounts(shop.database)
        assert books["vendor_receivable"] == 1_800
        assert "vendor_returns" not in books
        view = await credit(shop, made, 1_800)
        assert (view.state, view.balance.open_minor) == ("credited", 0)
        assert view.closed_at is not None
        books = await accounts(shop.database)
        assert books["vendor_credits"] == 1_800
        assert "vendor_receivable" not in books

    async def test_goods_that_leave_before_the_vendor_has_agreed_have_left(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        await vendor_return.ship(shop.database, WEB, made, VendorShipment(), via="test")
        assert (await seen(shop, made)).state == "shipped"

    async def test_part_is_sent_and_the_rest_goes_by_another_document(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        sent = VendorShipment.model_validate({"lines": [{"line_id": "1", "quantity": 2}]})
        await vendor_return.ship(shop.database, WEB, made, sent, via="test")
        assert (await seen(shop, made)).balance.cost_minor == 1_200
        assert (await shelf(shop))["vendor_return_pending"] == 1
        await gathered(shop, 1, "VR-2")

    async def test_the_last_unit_takes_the_rounding_rest_of_what_they_cost(self, shop: Shop) -> None:
        await waiting(shop)
        parts = []
        for number in range(3):
            made = await gathered(shop, 1, f"VR-{number}")
            await vendor_return.ship(shop.database, WEB, made, VendorShipment(), via="test")
            parts.append((await seen(shop, made)).balance.cost_minor)
        assert sum(parts) == 1_800
        assert "vendor_returns" not in await accounts(shop.database)

    async def test_the_same_again_is_answered_the_same(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        assert await vendor_return.open_document(shop.database, WEB, wanted(), via="test") == (200, made)
        with pytest.raises(IdempotencyMismatch):
            await vendor_return.open_document(shop.database, WEB, wanted(2), via="test")

    async def test_cancelled_its_units_wait_for_another(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        await vendor_return.cancel(shop.database, WEB, made, reason="the vendor takes nothing", via="test")
        assert (await seen(shop, made)).state == "cancelled"
        await gathered(shop, 3, "VR-2")


class TestCredits:
    async def test_short_and_then_the_rest(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        view = await credit(shop, made, 1_000)
        assert (view.state, view.balance.open_minor, view.closed_at) == ("short_credited", 800, None)
        assert (await credit(shop, made, 800, "CN-2")).state == "credited"

    async def test_the_same_note_counts_once_and_another_amount_is_refused(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        await credit(shop, made, 1_000)
        assert (await credit(shop, made, 1_000)).balance.credited_minor == 1_000
        with pytest.raises(IdempotencyMismatch, match="CN-1 was 10"):
            await credit(shop, made, 900)

    async def test_two_notes_at_once_count_both(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        await asyncio.gather(credit(shop, made, 1_000), credit(shop, made, 800, "CN-2"), credit(shop, made, 1_000))
        assert (await seen(shop, made)).balance.credited_minor == 1_800

    async def test_more_than_it_cost_is_a_gain(self, shop: Shop) -> None:
        await waiting(shop)
        view = await credit(shop, await shipped(shop), 2_000)
        assert view.state == "credited"
        books = await accounts(shop.database)
        assert (books["vendor_credits"], books["vendor_return_gains"]) == (2_000, -200)

    async def test_nothing_is_credited_and_that_is_said(self, shop: Shop) -> None:
        await waiting(shop)
        assert (await credit(shop, await shipped(shop), 0)).state == "short_credited"


class TestGivenUp:
    async def test_little_is_given_up_at_once(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        await credit(shop, made, 1_000)
        view = await give_up(shop, made)
        assert (view.state, view.balance.written_off_minor) == ("written_off", 800)
        assert (await accounts(shop.database))["write_off"] == 800

    async def asked(self, shop: Shop) -> str:
        """54.00, beyond the band of 50.00."""
        await waiting(shop, 9)
        made = await shipped(shop, 9)
        view = await give_up(shop, made)
        assert (view.state, view.balance.written_off_minor) == ("shipped", 0)
        assert view.approval_id is not None
        return made

    async def verdict(self, shop: Shop, made: str, verdict: str, by: Person = FIN) -> None:
        number = (await seen(shop, made)).approval_id
        assert number is not None
        await verdicts.record_verdict(shop.database, number, by, verdict=verdict, note="looked", via="test")

    async def test_much_needs_somebodys_word(self, shop: Shop) -> None:
        made = await self.asked(shop)
        with pytest.raises(StateConflict, match="asked already"):
            await give_up(shop, made)
        await self.verdict(shop, made, "approve")
        view = await seen(shop, made)
        assert (view.state, view.balance.written_off_minor, view.balance.open_minor) == ("written_off", 5_400, 0)

    async def test_by_somebody_of_the_right_role(self, shop: Shop) -> None:
        made = await self.asked(shop)
        with pytest.raises(Exception, match="role"):
            await self.verdict(shop, made, "approve", ANA)

    async def test_refused_it_stays_open_and_may_be_asked_again(self, shop: Shop) -> None:
        made = await self.asked(shop)
        await self.verdict(shop, made, "reject")
        view = await seen(shop, made)
        assert (view.state, view.approval_id, view.balance.open_minor) == ("shipped", None, 5_400)
        assert (await give_up(shop, made)).approval_id is not None

    async def test_a_credit_meanwhile_takes_the_question_back(self, shop: Shop) -> None:
        made = await self.asked(shop)
        number = (await seen(shop, made)).approval_id
        view = await credit(shop, made, 5_000)
        assert (view.state, view.approval_id) == ("short_credited", None)
        assert await shop.value("SELECT state FROM approval WHERE id = :id", id=number) == "superseded"
        assert (await give_up(shop, made)).balance.written_off_minor == 400

    async def test_a_credit_that_comes_after_all_is_a_gain(self, shop: Shop) -> None:
        await waiting(shop)
        made = await shipped(shop)
        await give_up(shop, made)
        view = await credit(shop, made, 500)
        assert (view.state, view.balance.credited_minor) == ("written_off", 500)
        assert (await accounts(shop.database))["vendor_return_gains"] == -500


class TestRefusals:
    async def test_more_than_waits(self, shop: Shop) -> None:
        await waiting(shop)
        with pytest.raises(NotEnoughStock, match="3 units of TEA-1 wait at S1"):
            await gathered(shop, 4)
        await gathered(shop, 2)
        with pytest.raises(NotEnoughStock, match="1 unit of TEA-1"):
            await gathered(shop, 2, "VR-2")

    async def test_at_once_they_share_what_waits(self, shop: Shop) -> None:
        await waiting(shop)
        made = await asyncio.gather(*(gathered(shop, 2, f"VR-{n}") for n in range(3)), return_exceptions=True)
        assert sum(isinstance(one, NotEnoughStock) for one in made) == 2

    async def test_what_nobody_knows(self, shop: Shop) -> None:
        with pytest.raises(UnknownLocation):
            await vendor_return.open_document(shop.database, WEB, wanted(location="S404"), via="test")
        line = {"line_id": "1", "sku": "NOPE", "quantity": 1}
        with pytest.raises(UnknownSku):
            await vendor_return.open_document(shop.database, WEB, wanted(lines=[line]), via="test")

    async def test_another_systems(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        for named in (made, "VR-1"):
            with pytest.raises(NotFound):
                await vendor_return.authorize(shop.database, OTHER, named, number="X", via="test")

    async def test_out_of_its_turn(self, shop: Shop) -> None:
        await waiting(shop)
        made = await gathered(shop)
        with pytest.raises(StateConflict, match="is open"):
            await credit(shop, made, 1)
        with pytest.raises(StateConflict, match="is open"):
            await give_up(shop, made)
        await vendor_return.ship(shop.database, WEB, made, VendorShipment(), via="test")
        for again in (
            vendor_return.ship(shop.database, WEB, made, VendorShipment(), via="test"),
            vendor_return.authorize(shop.database, WEB, made, number="X", via="test"),
            vendor_return.cancel(shop.database, WEB, made, reason="x", via="test"),
        ):
            with pytest.raises(StateConflict, match="is shipped"):
                await again
        await credit(shop, made, 1_800)
        with pytest.raises(StateConflict, match="is credited"):
            await give_up(shop, made)

    @pytest.mark.parametrize(
        ("lines", "error"),
        [
            ([{"line_id": "9", "quantity": 1}], UnknownLine),
            ([{"line_id": "1", "quantity": 4}], Malformed),
            ([{"line_id": "1", "quantity": 0}], Malformed),
        ],
    )
    async def test_a_shipment_that_makes_no_sense(
        self, shop: Shop, lines: list[dict[str, object]], error: type[Exception]
    ) -> None:
        await waiting(shop)
        made = await gathered(shop)
        with pytest.raises(error):
            await vendor_return.ship(shop.database, WEB, made, VendorShipment.model_validate({"lines": lines}), via="t")
        assert (await shelf(shop))["vendor_return_pending"] == 3
