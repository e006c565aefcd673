"""A return in the ledger: every row of its table, what is refunded when, and that a unit is refunded once."""

import pytest

from domain.errors import (
    AlreadyReturned,
    IdempotencyMismatch,
    Malformed,
    NotFound,
    StateConflict,
    UnknownLine,
    UnknownSku,
    WrongCurrency,
)
from domain.return_requests import NewReturn
from ledger.returns import requests
from tests.ledger.support.books import accounts
from tests.ledger.support.returning import Back, ask, asked, collected, late, shelf
from tests.ledger.support.till import COFFEE, open_assortment
from tests.shop import PRICE_MINOR, WEB, Shop


class TestAsking:
    async def test_an_order_within_its_window_is_authorised_with_a_reference(self, shop: Shop) -> None:
        answer = await ask(shop, asked(await collected(shop)))
        assert answer.state == "authorized"
        assert answer.label is not None
        (line,) = answer.lines
        assert (line.refused, line.refund_minor) == ("", PRICE_MINOR)
        assert "within 30 d" in line.because

    async def test_the_same_again_is_answered_the_same_and_another_body_is_refused(self, shop: Shop) -> None:
        body = asked(await collected(shop))
        first = await ask(shop, body)
        status, again = await requests.start(
            shop.database, WEB, NewReturn.model_validate(body), actor="key:key-web", via="api"
        )
        assert (status, again) == (200, first)
        with pytest.raises(IdempotencyMismatch):
            await ask(shop, body | {"method": "mail"})

    async def test_policy_refuses_a_line_with_its_reason_and_declines_a_return_of_nothing_else(
        self, shop: Shop
    ) -> None:
        order = await collected(shop)
        await shop.change("UPDATE journey SET closed_at = now() - interval '31 days' WHERE id = :id", id=order)
        answer = await ask(shop, asked(order))
        assert answer.state == "declined"
        assert answer.label is None
        assert answer.lines[0].refused == "window_expired"
        back = Back(shop, answer.journey_id)
        assert (await back.row())["closed_at"] is not None

    async def test_more_than_was_bought_or_announced_is_refused_by_name(self, shop: Shop) -> None:
        order = await collected(shop, 2)
        with pytest.raises(AlreadyReturned, match="2 of TEA-1 can come back"):
            await ask(shop, asked(order, 3))
        await ask(shop, asked(order, 1))
        with pytest.raises(AlreadyReturned, match="1 of TEA-1 can come back"):
            await ask(shop, asked(order, 2))

    async def test_what_was_never_handed_over_does_not_come_back(self, shop: Shop) -> None:
        with pytest.raises(AlreadyReturned, match="0 of TEA-1"):
            await ask(shop, asked(await shop.order(1)))

    async def test_refusals_by_name(self, shop: Shop) -> None:
        await open_assortment(shop)
        order = await collected(shop)
        with pytest.raises(NotFound, match="no order W-404"):
            await ask(shop, asked("W-404"))
        with pytest.raises(UnknownSku):
            await ask(shop, asked(order, line={"sku": "NOPE"}))
        with pytest.raises(UnknownLine, match="Nothing of COFFEE-1 was bought there"):
            await ask(shop, asked(order, line={"sku": COFFEE}))
        with pytest.raises(WrongCurrency):
            await ask(shop, asked(order, currency="USD"))
        with pytest.raises(Malformed, match="Say where the goods come back to"):
            await ask(shop, asked(None, returned_to=None))

    async def test_a_return_is_called_off_until_its_goods_have_come(self, shop: Shop) -> None:
        order = await collected(shop)
        back = await Back.open(shop, order)
        await requests.cancel(shop.database, WEB, back.id, reason="keeps_it", actor="a", via="test")
        assert await back.state() == "cancelled"
        other = await Back.open(shop, order)
        await other.receive()
        with pytest.raises(StateConflict, match="The return is received"):
            await requests.cancel(shop.database, WEB, other.id, reason="x", actor="a", via="test")
        with pytest.raises(NotFound):
            await requests.cancel(shop.database, WEB, "nothing", reason="x", actor="a", via="test")


class TestAtTheCounter:
    async def test_received_refunded_inspected_and_closed(self, shop: Shop) -> None:
        order = await collected(shop)
        sold = await accounts(shop.database)
        back = await Back.open(shop, order)
        await back.receive()
        assert await shelf(shop) == {"available": 3, "customer_returned": 1}
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        assert await back.state() == "received"
        await back.provider_says()
        await back.inspect()
        assert await shelf(shop) == {"available": 4}
        row = await back.row()
        assert (row["state"], row["dues"]) == ("closed", {})
        assert row["closed_at"] is not None
        books = await accounts(shop.database)
        assert books["sales_returns"] == PRICE_MINOR
        assert books["payment_clearing"] == sold["payment_clearing"] - PRICE_MINOR
        assert books["cogs"] == sold["cogs"] - 600
        assert "returns_pending" not in books
        assert "refund_liability" not in books

    async def test_the_same_report_again_changes_nothing(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        event = {
            "id": "e-1", "type": "return.received", "occurred_at": "2026-03-02T10:00:00Z",
            "data": {"return_id": back.id, "lines": [{"line_id": "1", "quantity": 1}]},
        }  # fmt: skip
        assert [one.outcome for one in await late(shop, [event])] == ["accepted"]
        assert [one.outcome for one in await late(shop, [event])] == ["duplicate"]
        assert (await back.line())["received"] == 1

    async def test_goods_before_the_request_wait_for_it(self, shop: Shop) -> None:
        order = await collected(shop)
        body = asked(order)
        outcome = await shop.report(
            "return.received", return_id=body["return_id"], lines=[{"line_id": "1", "quantity": 1}]
        )
        assert outcome.outcome == "parked"
        answer = await ask(shop, body)
        assert await Back(shop, answer.journey_id).state() == "received"

    async def test_inspected_before_it_was_received_it_has_come(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.inspect()
        assert await shelf(shop) == {"available": 4}
        assert (await back.line())["received"] == 1
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]


class TestByMail:
    async def test_refunded_when_it_was_inspected(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.report("return.shipped", carrier="DHL", tracking="1")
        assert await back.state() == "in_transit"
        await back.receive()
        assert await back.refunds() == []
        await back.inspect(condition="opened")
        assert await back.state() == "refund_pending"
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        await back.provider_says()
        assert await back.state() == "closed"
        books = await accounts(shop.database)
        assert (books["seconds"], books["write_down"]) == (240, 360)

    async def test_goods_that_do_not_come_close_it_and_goods_that_come_late_open_it_again(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        assert not (await back.fall_due("goods_reminder")).ended
        assert (await back.fall_due("goods")).ended
        assert await back.state() == "not_received"
        await back.receive()
        row = await back.row()
        assert (row["state"], row["closed_at"]) == ("received", None)
        await back.inspect()
        await back.provider_says()
        assert await back.state() == "closed"

    async def test_a_reminder_that_was_overtaken_does_nothing(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.receive()
        assert "goods" not in (await back.row())["dues"]

    async def test_nobody_inspects_it(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.receive()
        await back.fall_due("inspection")
        assert await back.cases() == ["return_uninspected"]
        await back.inspect()
        assert await back.cases() == []


class TestDifferences:
    async def test_fewer_came_than_announced(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), 2)
        await back.receive(1)
        assert await back.cases() == ["return_mismatch"]
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        await back.inspect(1)
        await back.provider_says()
        assert await back.state() == "closed"
        await back.receive(1)  # the other one after all
        assert await back.state() == "inspecting"

    async def test_a_second_parcel_is_awaited_without_a_word(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), 2, method="mail")
        await back.receive(1, complete=False)
        assert await back.cases() == []
        await back.receive(1)
        assert await back.cases() == []

    async def test_another_item_came(self, shop: Shop) -> None:
        await open_assortment(shop)
        back = await Back.open(shop, await collected(shop))
        await back.receive(line_id=None, line={"sku": COFFEE})
        assert await back.cases() == ["return_mismatch"]
        assert await back.refunds() == []
        assert await shelf(shop, sku=COFFEE) == {"customer_returned": 1}
        await back.inspect(line_id=f"~{COFFEE}")  # the rule proposes to send it back
        assert await shelf(shop, sku=COFFEE) == {}
        assert (await back.line(f"~{COFFEE}"))["declined"] == 1

    async def test_goods_of_a_declined_return_are_taken_in_and_not_refunded(self, shop: Shop) -> None:
        order = await collected(shop)
        await shop.change("UPDATE journey SET closed_at = now() - interval '31 days' WHERE id = :id", id=order)
        back = await Back.open(shop, order)
        await back.receive()
        assert (await back.state(), await back.cases()) == ("received", ["return_mismatch"])
        await back.inspect()
        assert await back.refunds() == []
        assert await shelf(shop) == {"available": 3}
        assert await back.state() == "closed"

    async def test_what_nobody_knows_is_set_aside(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        for lines in ([{"line_id": "9", "quantity": 1}], [{"sku": "NOPE", "quantity": 1}]):
            outcome = await shop.report("return.received", return_id=back.id, lines=lines)
            assert outcome.outcome == "quarantined"
        assert await shelf(shop) == {"available": 3}


class TestDispositions:
    @pytest.mark.parametrize(
        ("disposition", "where", "account", "minor"),
        [
            ("restock", {"available": 4}, "inventory", 600),
            ("quarantine", {"available": 3, "quarantined": 1}, "inventory", 600),
            ("return_to_vendor", {"available": 3, "vendor_return_pending": 1}, "vendor_returns", 600),
            ("liquidate", {"available": 3, "damaged": 1}, "seconds", 240),
            ("restock_open_box", {"available": 3, "damaged": 1}, "seconds", 240),
            ("donate", {"available": 3}, "write_off", 600),
            ("destroy", {"available": 3}, "write_off", 600),
            ("missing", {"available": 3}, "shrinkage", 600),
            ("send_back", {"available": 3}, "cogs", 600),
        ],
    )
    async def test_each_moves_and_posts_what_it_says(
        self, shop: Shop, disposition: str, where: dict[str, int], account: str, minor: int
    ) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.receive()
        before = await accounts(shop.database)
        await back.inspect(disposition=disposition)
        assert await shelf(shop) == where
        books = await accounts(shop.database)
        assert books.get(account, 0) - before.get(account, 0) == minor
        assert "returns_pending" not in books
        refunded = disposition not in ("missing", "send_back")
        assert bool(await back.refunds()) == refunded

    async def test_more_work_first_leaves_it_where_it_is(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.receive()
        await back.inspect(disposition="repackage")
        assert await shelf(shop) == {"available": 3, "customer_returned": 1}
        assert (await back.state(), await back.refunds()) == ("inspecting", [])
        await back.inspect()
        assert await shelf(shop) == {"available": 4}
        assert await back.state() == "refund_pending"

    async def test_what_is_restocked_goes_to_who_waits_for_it(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop, 5), 1)
        await back.receive()
        waiting = await shop.order(1)
        assert await shop.value("SELECT state FROM journey WHERE id = :id", id=waiting) == "reservation_failed"
        await back.inspect()
        assert await shop.value("SELECT reserved FROM hold WHERE journey_id = :id", id=waiting) == 1
        assert await shelf(shop) == {"reserved": 1}

    async def test_an_override_that_is_worth_it_waits_for_somebodys_word(self, shop: Shop) -> None:
        order = await collected(shop, 4)
        back = await Back.open(shop, order, 4, method="mail")
        await back.receive(4)
        await back.inspect(4, disposition="destroy")  # 24.00 at cost, and as new
        assert await back.cases() == ["disposition_override"]
        assert await shelf(shop) == {"available": 1, "customer_returned": 4}
        assert await back.state() == "inspecting"
        await back.decide("as_proposed")
        assert await shelf(shop) == {"available": 5}
        assert (await back.state(), await back.cases()) == ("refund_pending", [])

    async def test_an_override_is_confirmed(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop, 4), 4, method="mail")
        await back.receive(4)
        await back.inspect(4, disposition="send_back")
        await back.decide("as_inspected")
        assert await shelf(shop) == {"available": 1}
        assert (await back.state(), await back.refunds()) == ("closed", [])
