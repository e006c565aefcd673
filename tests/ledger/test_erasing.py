"""Customers are forgotten: names and words go, goods, money and decisions stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.erasure import ErasureAnswer, ErasureRequest
from domain.errors import NotFound
from domain.messages import Step
from domain.payments import PaymentOutcome
from domain.people import Grant, Person
from ledger import case, erasing, outcomes
from ledger.bopis import steps
from tests.shop import ANA, MAX, Shop

KIM = "kim@customer.example"
LOU = {"kind": "id", "name": "Lou Lee"}
FAR = Person("far", "Far Away", "far@shop.example", (Grant("regional_ops", "", "R9", ""),))


async def forget(shop: Shop, viewer: Person | None = None, sources: Any = None, **whom: str) -> ErasureAnswer:
    now = datetime.now(UTC)
    wanted = ErasureRequest.model_validate(whom)
    return await erasing.ask(
        shop.database, wanted, viewer=viewer, sources=sources, actor="ada", via="test", at=now
    )  # fmt: skip


async def collected(shop: Shop) -> str:
    """An order that somebody has collected and signed for."""
    order = await shop.order(1)
    lines = [{"line_id": "1", "quantity": 1}]
    await shop.report("bopis.picked", journey_id=order, lines=lines, picker="p1")
    await shop.report("bopis.handed_over", journey_id=order, lines=lines, actor="p1", proof=LOU)
    return order


async def known(shop: Shop, order: str) -> Any:
    return await shop.value(
        "SELECT concat_ws(' ', name, email, phone, address, pickup_person) FROM customer c"
        " JOIN journey j ON j.customer_id = c.id WHERE j.id = :id",
        id=order,
    )


class TestAsked:
    async def test_names_and_words_go_and_the_books_stay(self, shop: Shop) -> None:
        order = await collected(shop)
        lines = await shop.value("SELECT count(*) FROM journal_line")
        assert await shop.value("SELECT text FROM person_note") == "Lou Lee"
        answer = await forget(shop, email="  KIM@customer.example ")
        assert (answer.erased, answer.waiting) == (1, [])
        assert await known(shop, order) == ""
        assert await shop.value("SELECT count(*) FROM person_note") == 0
        assert await shop.value("SELECT count(*) FROM journal_line") == lines > 0
        assert await shop.value("SELECT reason FROM audit WHERE what = 'customer.erased'") == "asked for"

    async def test_what_people_wrote_on_its_case_goes_with_it(self, shop: Shop) -> None:
        order, other = await shop.order(8), await shop.order(8)
        for about in (order, other):
            told = await steps.open_case(shop.database, Step(subject=about, occurrence="1", at=datetime.now(UTC)))
            assert told.case_id is not None
            await case.comment(shop.database, told.case_id, ANA, text="Kim wants it today", via="test")
        await shop.report("bopis.cancelled", journey_id=order)
        refund = await shop.value("SELECT id FROM payment_operation WHERE journey_id = :id", id=order)
        step = Step(subject=order, occurrence=f"{refund}#1", at=datetime.now(UTC), operation_id=refund)
        await outcomes.record_outcome(shop.database, step, PaymentOutcome("succeeded", "r1", None))
        await forget(shop, journey_id=order)
        left = await shop.value("SELECT array_agg(subject) FROM person_note")
        assert len(left) == 1

    async def test_what_is_under_way_goes_on_and_is_forgotten_when_it_has_ended(self, shop: Shop) -> None:
        order = await shop.order(1)
        answer = await forget(shop, email=KIM)
        assert (answer.erased, answer.waiting) == (0, [order])
        assert await erasing.sweep(shop.database, datetime.now(UTC), 0) == 0
        assert "Kim" in await known(shop, order)
        lines = [{"line_id": "1", "quantity": 1}]
        await shop.report("bopis.picked", journey_id=order, lines=lines, picker="p1")
        await shop.report("bopis.handed_over", journey_id=order, lines=lines, actor="p1")
        assert await erasing.sweep(shop.database, datetime.now(UTC), 0) == 1
        assert await known(shop, order) == ""

    async def test_asked_again_it_is_done_already(self, shop: Shop) -> None:
        await collected(shop)
        first = await forget(shop, email=KIM)
        again = await forget(shop, journey_id=str(await shop.value("SELECT id FROM journey")))
        assert (first.erased, again.erased) == (1, 0)
        assert await shop.value("SELECT count(*) FROM audit WHERE what = 'customer.erased'") == 1

    async def test_their_links_open_nothing_any_more(self, shop: Shop) -> None:
        order = await collected(shop)
        await shop.change(
            "INSERT INTO link (token_hash, journey_id, customer_id, created_at, expires_at)"
            " SELECT 'x', id, customer_id, now(), now() + interval '1 day' FROM journey WHERE id = :id",
            id=order,
        )
        await forget(shop, journey_id=order)
        assert await shop.value("SELECT revoked_at IS NOT NULL FROM link")


class TestKept:
    async def test_after_the_time_they_are_forgotten_by_themselves(self, shop: Shop) -> None:
        over, open_ = await collected(shop), await shop.order(1)
        now = datetime.now(UTC)
        assert await erasing.sweep(shop.database, now + timedelta(days=29), 30) == 0
        assert await erasing.sweep(shop.database, now + timedelta(days=31), 30) == 1
        assert await erasing.sweep(shop.database, now + timedelta(days=31), 30) == 0
        assert await known(shop, over) == ""
        assert "Kim" in await known(shop, open_)

    async def test_without_a_time_they_are_kept(self, shop: Shop) -> None:
        order = await collected(shop)
        assert await erasing.sweep(shop.database, datetime.now(UTC) + timedelta(days=9_000), 0) == 0
        assert "Kim" in await known(shop, order)


class TestRefused:
    @pytest.mark.parametrize("whom", [{}, {"email": KIM, "phone": "0123456"}, {"email": "x"}, {"name": "Kim"}])
    def test_whom_is_named_by_one_thing(self, whom: dict[str, str]) -> None:
        with pytest.raises(ValidationError):
            ErasureRequest.model_validate(whom)

    async def test_nobody_of_that_name(self, shop: Shop) -> None:
        await collected(shop)
        with pytest.raises(NotFound):
            await forget(shop, email="nobody@customer.example")
        with pytest.raises(NotFound):
            await forget(shop, email="kim%")

    async def test_others_customers_are_not_found(self, shop: Shop) -> None:
        order = await collected(shop)
        with pytest.raises(NotFound):
            await forget(shop, viewer=FAR, email=KIM)
        with pytest.raises(NotFound):
            await forget(shop, sources=frozenset({"other"}), email=KIM)
        assert "Kim" in await known(shop, order)
        assert (await forget(shop, viewer=MAX, email=KIM)).erased == 1
