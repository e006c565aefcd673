"""A substitute: the customer keeps place and time, never pays more, and is paid back exactly what it costs less."""

from datetime import UTC, datetime

from domain.messages import Step
from ledger import decisions
from ledger.bopis import steps
from ledger.reads.cases import case_detail
from ledger.reads.journeys import journey_detail
from tests.shop import ADA, ANA, Shop


async def with_substitute(shop: Shop, price_minor: int) -> None:
    """Oolong, ten packs of it, stands in for green tea."""
    await shop.change(
        "INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('OOLONG', 'Oolong', :price, 600)",
        price=price_minor,
    )
    await shop.change("INSERT INTO substitute (sku, substitute_sku, rank) VALUES ('TEA-1', 'OOLONG', 1)")
    await shop.change("INSERT INTO stock (location, sku, available) VALUES ('S1', 'OOLONG', 10)")
    await shop.change(
        "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
        " cause, actor, at)"
        " VALUES ('received', 'OOLONG', 10, 'S1', 'supplier', 'S1', 'available', 'DE01', 'opening', 'test', now())"
    )


async def replaced(shop: Shop, price_minor: int) -> dict[str, tuple[int, int]]:
    """Order eight of five packs, take the substitute; returns cancelled units and refunded money by line."""
    await with_substitute(shop, price_minor)
    journey = await shop.order(8)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    answer = await decisions.decide(
        shop.database, told.case_id, ANA, option_id="substitute", parameters={"agreed_by_phone": True}, via="test"
    )
    step = Step(subject=journey, occurrence="2", at=datetime.now(UTC), decision_id=answer.decision_id)
    await steps.apply_decision(shop.database, step)
    async with shop.database.read() as conn:
        order = await journey_detail(conn, ADA, journey)
    assert order.state == "reserved"
    return {line.sku: (line.cancelled, line.refunded_minor) for line in order.lines}


class TestMoney:
    async def test_what_the_substitute_takes_over_is_not_called_refunded(self, shop: Shop) -> None:
        assert await replaced(shop, 1_500) == {"TEA-1": (3, 0), "OOLONG": (0, 0)}
        assert await shop.value("SELECT coalesce(sum(refund_requested_minor), 0) FROM payment") == 0

    async def test_only_the_difference_of_a_cheaper_one_is(self, shop: Shop) -> None:
        assert await replaced(shop, 1_400) == {"TEA-1": (3, 300), "OOLONG": (0, 0)}
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 300

    async def test_a_dearer_one_costs_the_customer_nothing(self, shop: Shop) -> None:
        assert await replaced(shop, 1_600) == {"TEA-1": (3, 0), "OOLONG": (0, 0)}
        paid = await shop.value(
            "SELECT gross_minor - discount_minor - appeasement_minor FROM sale_line WHERE sku = 'OOLONG'"
        )
        assert paid == 4_500


class TestName:
    async def test_one_that_is_called_as_what_it_replaces_is_told_apart_by_its_number(self, shop: Shop) -> None:
        await with_substitute(shop, 1_500)
        await shop.change("UPDATE item SET name = 'Green tea' WHERE sku = 'OOLONG'")
        journey = await shop.order(8)
        told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
        async with shop.database.read() as conn:
            found = await case_detail(conn, ADA, told.case_id or 0)
        (option,) = [option for option in found.options if option.id == "substitute"]
        assert option.label == "Substitute: Green tea (OOLONG)"
        assert option.consequence.customer == "Gets Green tea (OOLONG) instead and never pays more."


class TestCover:
    async def test_two_lines_share_what_the_substitute_has(self, shop: Shop) -> None:
        """Six and six are missing, ten are there: neither is offered, and nothing is promised twice."""
        await shop.put("S1", 0)
        await with_substitute(shop, 1_500)
        line = {"sku": "TEA-1", "quantity": 6, "unit_price_minor": 1_500}
        lines = [{**line, "line_id": "1"}, {**line, "line_id": "2"}]
        paid = [{"reference": "card-1", "tender": "card", "amount_minor": 18_000, "state": "captured"}]
        journey = await shop.order(12, lines=lines, payments=paid)
        told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
        async with shop.database.read() as conn:
            found = await case_detail(conn, ADA, told.case_id or 0)
        assert "substitute" not in [option.id for option in found.options]
