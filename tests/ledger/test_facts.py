"""Facts about goods in batches: each takes its effect once, in whatever order and company it comes."""

import asyncio
import random
from typing import Any

import pytest

from ledger.people import Caller
from tests.ledger.support.books import accounts
from tests.ledger.support.till import (
    COFFEE,
    MILK,
    POS,
    TEA,
    adjusted,
    delivery,
    event,
    open_assortment,
    outcomes,
    sale,
    send,
    state,
)
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("assortment")

A_DAY = [
    delivery("d1", (COFFEE, 10), (MILK, 4), unit_cost_minor=80),
    sale("s1", (COFFEE, 3), (MILK, 1), minute=1),
    sale("s2", (COFFEE, 9), minute=2),
    adjusted("a1", MILK, -2, minute=3),
    sale("s3", (MILK, 5), (COFFEE, 1), minute=4),
    delivery("d2", (COFFEE, 6), unit_cost_minor=80, minute=5),
    adjusted("a2", COFFEE, 1, minute=6),
    sale("s4", (TEA, 2), at="S2", minute=7, price_minor=1500),
]


class TestOrderOfArrival:
    @pytest.mark.parametrize("seed", range(6))
    async def test_any_order_in_any_parts_gives_the_same_stock_and_books(self, shop: Shop, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        shuffled = A_DAY * 2  # each of them twice
        chance.shuffle(shuffled)
        while shuffled:
            size = chance.randint(1, 7)
            part, shuffled = shuffled[:size], shuffled[size:]
            assert set(outcomes(await send(shop, *part))) <= {"accepted", "duplicate"}
        assert await state(shop.database) == {
            "stock": [("S1", COFFEE, 4, 0, 0), ("S1", MILK, -4, 0, 0), ("S1", TEA, 5, 0, 0), ("S2", TEA, 3, 0, 0)],
            "books": [
                ("cogs", "S1", COFFEE, 1040),
                ("cogs", "S1", MILK, 480),
                ("cogs", "S2", TEA, 1200),
                ("goods_received_not_invoiced", "S1", COFFEE, -1280),
                ("goods_received_not_invoiced", "S1", MILK, -320),
                ("inventory", "S1", COFFEE, 320),
                ("inventory", "S1", MILK, -320),
                ("inventory", "S2", TEA, -1200),
                ("inventory_found", "S1", COFFEE, -80),
                ("payment_clearing", "S1", COFFEE, 2600),
                ("payment_clearing", "S1", MILK, 1200),
                ("payment_clearing", "S2", TEA, 3000),
                ("revenue", "S1", COFFEE, -2600),
                ("revenue", "S1", MILK, -1200),
                ("revenue", "S2", TEA, -3000),
                ("shrinkage", "S1", MILK, 160),
            ],
            "sold": [(6, 21, 6800)],
        }

    async def test_requests_at_once_with_crossed_goods_neither_deadlock_nor_lose_anything(self, shop: Shop) -> None:
        there = [sale(f"x{n}", (COFFEE, 1), (MILK, 1)) for n in range(60)]
        back = [sale(f"y{n}", (MILK, 1), (COFFEE, 1)) for n in range(60)]
        parts = [there[:30], back[:30], there[30:], back[30:], there[:30], back[:30]]
        answers = await asyncio.gather(*(send(shop, *part) for part in parts))
        assert (
            sorted(outcomes([one for answer in answers for one in answer])) == ["accepted"] * 120 + ["duplicate"] * 60
        )
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=MILK) == -120

    async def test_two_deliveries_at_once_to_two_places_both_count_in_the_average(self, shop: Shop) -> None:
        await send(shop, delivery("d0", (COFFEE, 10), unit_cost_minor=80))
        await asyncio.gather(
            send(shop, delivery("d1", (COFFEE, 10), unit_cost_minor=110)),
            send(shop, delivery("d2", (COFFEE, 10), at="S2", unit_cost_minor=110)),
        )
        assert await shop.value("SELECT unit_cost_e4 FROM average_cost WHERE sku = :sku", sku=COFFEE) == 1_000_000

    async def test_a_sale_after_a_delivery_of_its_batch_costs_the_new_average(self, shop: Shop) -> None:
        await send(
            shop,
            delivery("d1", (COFFEE, 10), unit_cost_minor=80),
            sale("s1", (COFFEE, 5)),
            delivery("d2", (COFFEE, 5), unit_cost_minor=160),
            sale("s2", (COFFEE, 2)),
        )
        assert (await accounts(shop.database))["cogs"] == 5 * 80 + 2 * 120
        assert await shop.value("SELECT unit_cost_e4 FROM average_cost WHERE sku = :sku", sku=COFFEE) == 1_200_000


class TestOnce:
    async def test_a_repeat_within_one_request_is_a_duplicate(self, shop: Shop) -> None:
        one = sale("s1", (COFFEE, 1))
        assert outcomes(await send(shop, one, sale("s2", (MILK, 1)), one)) == ["accepted", "accepted", "duplicate"]
        assert outcomes(await send(shop, one)) == ["duplicate"]
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=COFFEE) == -1

    async def test_another_body_under_the_same_id_is_refused_in_the_same_request_and_later(self, shop: Shop) -> None:
        answers = await send(shop, sale("s1", (COFFEE, 1)), sale("s1", (COFFEE, 2)))
        assert outcomes(answers) == ["accepted", "refused"]
        (later,) = await send(shop, sale("s1", (COFFEE, 3)))
        for one in (answers[1], later):
            assert one.problem is not None
            assert one.problem["code"] == "idempotency_mismatch"

    async def test_a_repeat_of_one_that_was_set_aside_has_its_outcome_and_case(self, shop: Shop) -> None:
        bad = sale("s1", ("NOPE", 1))
        first, again = await send(shop, bad, bad)
        (later,) = await send(shop, bad)
        assert first.outcome == "quarantined"
        assert first == again == later

    async def test_the_same_receipt_under_another_event_id_is_a_duplicate(self, shop: Shop) -> None:
        answers = await send(
            shop, sale("s1", (COFFEE, 1), receipt="R1"), sale("s2", (COFFEE, 1), receipt="R1"), sale("s3", (MILK, 1))
        )
        assert outcomes(answers) == ["accepted", "duplicate", "accepted"]
        assert outcomes(await send(shop, sale("s4", (COFFEE, 1), receipt="R1"))) == ["duplicate"]
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=COFFEE) == -1

    async def test_the_same_receipt_with_other_lines_is_quarantined_alone(self, shop: Shop) -> None:
        answers = await send(
            shop, sale("s1", (COFFEE, 1), receipt="R1"), sale("s2", (COFFEE, 5), receipt="R1"), sale("s3", (MILK, 1))
        )
        assert outcomes(answers) == ["accepted", "quarantined", "accepted"]
        assert answers[1].problem is not None
        assert answers[1].problem["code"] == "receipt_mismatch"
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=COFFEE) == -1

    async def test_the_same_receipt_from_two_sources_is_sold_once(self, shop: Shop) -> None:
        hub = replace_source(POS, "hub")
        for source in ("hub", "pos"):
            await key_of(shop, source)
        await send(shop, sale("s1", (COFFEE, 1), (MILK, 2), receipt="R1"))
        again = await send(shop, sale("h9", (COFFEE, 1), (MILK, 2), receipt="R1"), caller=hub)
        assert outcomes(again) == ["duplicate"]
        assert await shop.value("SELECT sum(available) FROM stock WHERE location = 'S1' AND sku <> :tea", tea=TEA) == -3

    @pytest.mark.parametrize("change", [{"minute": 1}, {"price_minor": 150}, {"at": "S2"}])
    async def test_a_receipt_of_another_moment_price_or_place_is_another_sale(
        self, shop: Shop, change: dict[str, Any]
    ) -> None:
        for source in ("hub", "pos"):
            await key_of(shop, source)
        await send(shop, sale("s1", (COFFEE, 1), receipt="R1"))
        other = await send(shop, sale("h9", (COFFEE, 1), receipt="R1", **change), caller=replace_source(POS, "hub"))
        assert outcomes(other) == ["accepted"]
        assert await shop.value("SELECT sum(available) FROM stock WHERE sku = :sku", sku=COFFEE) == -2


def replace_source(caller: Caller, source: str) -> Caller:
    return caller._replace(source=source, key_id=f"key-{source}")


async def key_of(shop: Shop, source: str) -> None:
    await shop.change(
        "INSERT INTO api_key (id, key_hash, source, scopes, created_at)"
        " VALUES (:source, sha256(convert_to(:source, 'UTF8')), :source, '{events:write}', now())",
        source=source,
    )


class TestOneBadEvent:
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (sale("bad", ("NOPE", 1)), "unknown_sku"),
            (sale("bad", (COFFEE, 1), at="S9"), "unknown_location"),
            (delivery("bad", (COFFEE, 1), ("NOPE", 1)), "unknown_sku"),
            (adjusted("bad", COFFEE, 0), "malformed"),
            (sale("bad", (COFFEE, -1)), "malformed"),
            (event("bad", "pos.sale", {"location": "S1"}), "malformed"),
            (event("bad", "pos.sale", {"location": "S1", "receipt": "R", "lines": [
                {"line": "1", "sku": COFFEE, "quantity": 1, "unit_price_minor": 1},
                {"line": "1", "sku": MILK, "quantity": 1, "unit_price_minor": 1}]}), "malformed"),
        ],
    )  # fmt: skip
    async def test_what_cannot_be_understood_is_quarantined_with_a_case_and_never_its_batch(
        self, shop: Shop, bad: dict[str, Any], code: str
    ) -> None:
        answers = await send(shop, sale("s1", (COFFEE, 1)), bad, sale("s2", (COFFEE, 1)))
        assert outcomes(answers) == ["accepted", "quarantined", "accepted"]
        assert answers[1].problem is not None
        assert answers[1].problem["code"] == code
        assert await shop.value("SELECT kind FROM case_file WHERE id = :id", id=answers[1].case_id) == "event_rejected"
        assert await shop.value("SELECT sum(available) FROM stock WHERE sku = :sku", sku=COFFEE) == -2

    async def test_what_the_database_refuses_is_quarantined_and_its_batch_is_taken(self, shop: Shop) -> None:
        lines = [(COFFEE, 1_000_000)] * 1000
        good = [sale(f"s{n}", (COFFEE, 1)) for n in range(10)]
        big = [sale(f"b{n}", *lines) for n in range(3)]  # together beyond what an integer holds
        answers = await send(shop, *good[:5], *big, *good[5:])
        assert outcomes(answers) == ["accepted"] * 5 + ["accepted", "accepted", "quarantined"] + ["accepted"] * 5
        assert answers[7].problem is not None
        assert answers[7].problem["code"] == "not_recordable"

    async def test_a_correction_without_its_scope_is_refused_and_the_others_are_taken(self, shop: Shop) -> None:
        mute = POS._replace(scopes=frozenset({"events:write"}))
        answers = await send(shop, sale("s1", (COFFEE, 1)), adjusted("a1", COFFEE, 5), caller=mute)
        assert outcomes(answers) == ["accepted", "refused"]
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=COFFEE) == -1

    async def test_a_correction_above_the_band_waits_for_a_review(self, shop: Shop) -> None:
        await send(shop, delivery("d1", (COFFEE, 100)))
        answers = await send(shop, sale("s1", (COFFEE, 1)), adjusted("a1", COFFEE, -70), sale("s2", (COFFEE, 1)))
        assert outcomes(answers) == ["accepted"] * 3
        assert (
            await shop.value("SELECT kind FROM case_file WHERE id = :id", id=answers[1].case_id) == "adjustment_review"
        )
        row = await shop.value("SELECT available || '/' || count_pending FROM stock WHERE sku = :sku", sku=COFFEE)
        assert row == "28/70"

    async def test_an_item_that_was_just_loaded_is_known_at_once(self, shop: Shop) -> None:
        assert outcomes(await send(shop, sale("s1", ("NEW", 1)))) == ["quarantined"]
        await open_assortment(shop, "NEW")
        assert outcomes(await send(shop, sale("s2", ("NEW", 1)))) == ["accepted"]


class TestLargeAndMixed:
    async def test_a_receipt_of_a_thousand_lines_is_one_event(self, shop: Shop) -> None:
        answers = await send(shop, sale("s1", *[(COFFEE, 1), (MILK, 2)] * 500), sale("s2", (COFFEE, 1)))
        assert outcomes(answers) == ["accepted", "accepted"]
        assert await shop.value("SELECT count(*) FROM sale_line") == 1001
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=MILK) == -1000
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'pos.sale'") == 2

    async def test_a_thousand_events_are_one_request(self, shop: Shop) -> None:
        answers = await send(shop, *(sale(f"s{n}", (COFFEE, 1), (MILK, 1)) for n in range(1000)))
        assert set(outcomes(answers)) == {"accepted"}
        assert await shop.value("SELECT count(DISTINCT xmin::text) FROM journal") == 1
        assert await shop.value("SELECT available FROM stock WHERE sku = :sku", sku=COFFEE) == -1000

    async def test_orders_and_goods_in_one_request_answer_in_the_order_given(self, shop: Shop) -> None:
        await shop.order(2, order_id="W-1")
        lines = [{"line_id": "1", "quantity": 2}]
        mixed = [
            sale("s1", (COFFEE, 1)),
            event("p1", "bopis.picked", {"order_id": "W-1", "picker": "p", "lines": lines}),
            {"id": "broken"},
            sale("s2", (COFFEE, 1)),
            event("h1", "bopis.handed_over", {"order_id": "W-1", "actor": "p", "lines": None}),
            event("p2", "bopis.picked", {"order_id": "W-2", "picker": "p", "lines": lines}),
            sale("s3", ("NOPE", 1)),
        ]
        answers = await send(shop, *mixed)
        assert [one.id for one in answers] == ["s1", "p1", "broken", "s2", "h1", "p2", "s3"]
        expected = ["accepted", "accepted", "refused", "accepted", "accepted", "parked", "quarantined"]
        assert outcomes(answers) == expected
        assert await shop.value("SELECT state FROM journey") == "collected"

    async def test_a_receipt_that_hands_over_an_order_may_sell_other_goods_besides(self, shop: Shop) -> None:
        await shop.order(2, order_id="W-7")
        lines = [{"line_id": "1", "quantity": 2}]
        await send(shop, event("p1", "bopis.picked", {"order_id": "W-7", "picker": "p", "lines": lines}))
        mixed = sale("s1", (TEA, 2), (COFFEE, 1), (TEA, 1))
        mixed["data"]["lines"][0] |= {"order_id": "W-7", "line_id": "1"}
        assert outcomes(await send(shop, mixed)) == ["accepted"]
        assert await shop.value("SELECT state FROM journey") == "collected"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :tea", tea=TEA) == 2
        assert await shop.value("SELECT count(*) FROM sale_line WHERE document LIKE 'receipt:%'") == 2
