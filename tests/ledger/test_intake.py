"""Orders that share transactions: each comes out as it would alone, and one that is in trouble troubles no other."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert

from domain.errors import Busy, IdempotencyMismatch, UnknownSku, UnsupportedItem
from ledger.idempotency import TRY_KEYS, lock_name
from ledger.intake import Intake
from ledger.intake.batch import Batch, submission
from ledger.intake.catalogue import Catalogue
from ledger.tables import item, stock
from tests.ledger.support.intakes import basket, order, place, place_all
from tests.shop import PRICE_MINOR, TEA, WEB, Shop

COFFEE = "COFFEE-1"
type Raw = asyncpg.Connection[asyncpg.Record]


@pytest.fixture
async def intake(shop: Shop) -> AsyncIterator[Intake]:
    made = Intake(shop.database)
    yield made
    await made.close()


@asynccontextmanager
async def stranger(shop: Shop) -> AsyncIterator[Raw]:
    """A connection in a transaction of its own, as another process would have."""
    conn = await asyncpg.connect(shop.database.plain_url)
    try:
        await conn.execute("BEGIN")
        yield conn
    finally:
        await conn.close()


LOCK_TEA = "SELECT 1 FROM stock WHERE location = $1 AND sku = 'TEA-1' FOR UPDATE"


async def add_coffee(shop: Shop, available: int) -> None:
    async with shop.database.engine.begin() as conn:
        await conn.execute(insert(item).values(sku=COFFEE, name="Coffee", price_minor=PRICE_MINOR, cost_minor=700))
        await conn.execute(insert(stock).values(location="S1", sku=COFFEE))
    if available:
        lines = [{"sku": COFFEE, "quantity": available, "unit_cost_minor": 700}]
        assert (await shop.report("stock.received", location="S1", document="D", lines=lines)).outcome == "accepted"


class TestPromising:
    async def test_two_hundred_at_once_for_fifty_units_promise_exactly_fifty(self, shop: Shop, intake: Intake) -> None:
        await shop.put("S1", 50)
        answers = await place_all(intake, [order() for _ in range(200)])
        assert Counter(answer[1].state for answer in answers) == {"reserved": 50, "reservation_failed": 150}
        assert await shop.value("SELECT available || '/' || reserved FROM stock WHERE location = 'S1'") == "0/50"
        assert await shop.value("SELECT count(*) FROM waiting_demand") == 150

    async def test_contested_units_go_in_the_order_of_arrival(self, shop: Shop, intake: Intake) -> None:
        answers = await place_all(intake, [order(quantity) for quantity in (2, 2, 3, 1)])
        assert [answer[1].lines[0].reserved for answer in answers] == [2, 2, 1, 0]

    async def test_two_lines_of_one_item_share_what_is_there(self, shop: Shop, intake: Intake) -> None:
        lines = [{"line_id": n, "sku": TEA, "quantity": 3, "unit_price_minor": PRICE_MINOR} for n in ("1", "2")]
        _, answer = await place(intake, basket(lines))
        assert [(line.reserved, line.short) for line in answer.lines] == [(3, 0), (2, 1)]

    async def test_the_whole_order_or_nothing_where_policy_says_so(self, shop: Shop, intake: Intake) -> None:
        await policy(shop, {"bopis": {"allocation": "whole_order"}})
        await add_coffee(shop, 1)
        lines = [
            {"line_id": "1", "sku": TEA, "quantity": 2, "unit_price_minor": PRICE_MINOR},
            {"line_id": "2", "sku": COFFEE, "quantity": 2, "unit_price_minor": PRICE_MINOR},
        ]
        refused, other = await place_all(intake, [basket(lines), order(5)])
        assert [line.reserved for line in refused[1].lines] == [0, 0]
        assert other[1].state == "reserved"  # what the first could not have whole was left to the second
        assert await shop.value("SELECT sum(quantity)::int FROM waiting_demand") == 4

    async def test_an_item_without_a_stock_row_is_short_and_gets_its_row(self, shop: Shop, intake: Intake) -> None:
        async with shop.database.engine.begin() as conn:
            await conn.execute(insert(item).values(sku="NEW", name="New", price_minor=PRICE_MINOR, cost_minor=1))
        _, answer = await place(intake, order(1, sku="NEW"))
        assert answer.state == "reservation_failed"
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == 0

    async def test_crossed_baskets_all_come_out(self, shop: Shop, intake: Intake) -> None:
        await add_coffee(shop, 40)
        await shop.put("S1", 40)
        tea = {"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR}
        coffee = {"line_id": "2", "sku": COFFEE, "quantity": 1, "unit_price_minor": PRICE_MINOR}
        other = Intake(shop.database, max_batch=3)
        try:
            wanted = [basket([tea, coffee] if number % 2 else [coffee, tea]) for number in range(60)]
            halves = await asyncio.gather(place_all(intake, wanted[:30]), place_all(other, wanted[30:]))
        finally:
            await other.close()
        states = Counter(answer[1].state for half in halves for answer in half)
        assert states == {"reserved": 40, "reservation_failed": 20}

    async def test_an_event_that_came_first_is_applied_with_its_order(self, shop: Shop, intake: Intake) -> None:
        lines = [{"line_id": "1", "quantity": 1}]
        early = await shop.report("bopis.picked", order_id="LATE", picker="p1", lines=lines)
        assert early.outcome == "parked"
        await place(intake, order(order_id="LATE"))
        assert await shop.value("SELECT state FROM journey WHERE key = 'LATE'") == "ready_for_pickup"

    async def test_charges_tax_and_other_tenders_are_recorded(self, shop: Shop, intake: Intake) -> None:
        part = {"code": "VAT", "jurisdiction": "DE", "rate_ppm": 190_000, "amount_minor": 239}
        line = {"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR, "tax_minor": 239}
        payments = [
            {"reference": "gift", "tender": "gift_card", "amount_minor": 500, "state": "captured"},
            {"reference": "card", "tender": "card", "amount_minor": 1_200, "state": "authorized"},
        ]
        charge = {"kind": "service_fee", "amount_minor": 200}
        await place(intake, basket([line | {"tax": [part]}], charges=[charge], payments=payments))
        assert await shop.value("SELECT tax->0->>'code' FROM sale_line WHERE line_id = '1'") == "VAT"
        assert await shop.value("SELECT gross_minor FROM sale_line WHERE line_id = 'charge:1'") == 200
        assert await shop.value("SELECT authorized_minor FROM payment WHERE reference = 'card'") == 1_200
        assert await shop.value("SELECT sum(credit_minor)::int FROM journal_line") == 500


class TestRepeats:
    async def test_one_order_at_the_same_moment_is_one_order(self, shop: Shop, intake: Intake) -> None:
        wanted = order()
        answers = await place_all(intake, [wanted] * 20)
        assert Counter(answer[0] for answer in answers) == {201: 1, 200: 19}
        assert len({answer[1].model_dump_json() for answer in answers}) == 1
        assert await shop.value("SELECT count(*) FROM journey") == 1

    async def test_another_body_under_the_same_id_is_refused_by_name(self, shop: Shop, intake: Intake) -> None:
        first, second = await place_all(intake, [order(1, order_id="X"), order(2, order_id="X")])
        assert first[0] == 201
        assert isinstance(second, IdempotencyMismatch)
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 4

    async def test_another_order_under_the_same_key_is_refused_by_name(self, shop: Shop, intake: Intake) -> None:
        await place(intake, order(order_id="A"), key="k-1")
        with pytest.raises(IdempotencyMismatch, match="k-1"):
            await place(intake, order(order_id="B"), key="k-1")
        assert await shop.value("SELECT count(*) FROM journey") == 1

    async def test_a_repeat_is_answered_although_the_item_was_stopped_since(self, shop: Shop, intake: Intake) -> None:
        wanted = order()
        first = await place(intake, wanted)
        await shop.change("UPDATE item SET stop_sale = true")
        again = Intake(shop.database)  # with nothing remembered
        try:
            assert await place(again, wanted) == (200, first[1])
            with pytest.raises(UnsupportedItem):
                await place(again, order())
        finally:
            await again.close()

    async def test_a_call_that_finds_its_own_answer_after_a_lost_commit_was_the_first(self, shop: Shop) -> None:
        one = submission(WEB, order(), None, datetime.now(UTC))
        conn = await asyncpg.connect(shop.database.plain_url)
        try:
            batch = Batch(conn, Catalogue())
            first = (await batch.take([one])).placed[one]
            assert one.is_outcome_unknown  # as it would be, had the connection broken here
            assert (await batch.take([one])).placed[one] == first
        finally:
            await conn.close()
        assert (first.status, await shop.value("SELECT count(*) FROM journey")) == (201, 1)


class TestTrouble:
    async def test_a_poisoned_order_fails_alone(self, shop: Shop, intake: Intake) -> None:
        await shop.put("S1", 300)
        wanted = [order() for _ in range(200)]
        line = wanted[77].lines[0].model_copy(update={"discount_minor": 2 * PRICE_MINOR})  # past the checks of the API
        wanted[77] = wanted[77].model_copy(update={"lines": (line,)})
        answers = await place_all(intake, wanted)
        assert isinstance(answers.pop(77), asyncpg.CheckViolationError)
        assert {answer[0] for answer in answers} == {201}
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'S1'") == 199

    async def test_a_refused_order_writes_nothing_and_its_neighbours_do(self, shop: Shop, intake: Intake) -> None:
        good, bad = await place_all(intake, [order(), order(sku="GHOST")])
        assert good[0] == 201
        assert isinstance(bad, UnknownSku)
        assert await shop.value("SELECT count(*) FROM idempotency") == 1
        assert await shop.value("SELECT count(*) FROM stock WHERE sku = 'GHOST'") == 0

    async def test_an_unknown_sku_is_pointed_at_by_its_line(self, shop: Shop, intake: Intake) -> None:
        first = order().lines[0]
        lines = tuple(
            first.model_copy(update={"line_id": str(number), "sku": sku})
            for number, sku in enumerate([TEA, TEA, "GHOST"], start=1)
        )
        (refused,) = await place_all(intake, [order().model_copy(update={"lines": lines})])
        assert isinstance(refused, UnknownSku)
        assert refused.pointer == "/lines/2/sku"

    async def test_a_locked_row_holds_up_its_own_orders_only(self, shop: Shop, intake: Intake) -> None:
        async with stranger(shop) as other:
            await other.execute(LOCK_TEA, "S1")
            behind = asyncio.create_task(place(intake, order(at="S1")))
            for _ in range(3):
                assert (await place(intake, order(at="S2")))[1].state == "reserved"
            assert not behind.done()
            await other.execute("COMMIT")
            assert (await behind)[1].state == "reserved"

    async def test_a_key_in_use_elsewhere_holds_up_its_own_order_only(self, shop: Shop, intake: Intake) -> None:
        wanted = order()
        async with stranger(shop) as other:
            assert await other.fetch(TRY_KEYS, [lock_name("web", f"order:{wanted.order_id}")]) == []
            behind = asyncio.create_task(place(intake, wanted))
            assert (await place(intake, order()))[0] == 201
            assert not behind.done()
            await other.execute("ROLLBACK")
            assert (await behind)[0] == 201

    async def test_a_row_that_stays_locked_is_busy_and_never_sold_out(self, shop: Shop, intake: Intake) -> None:
        wanted = order()
        async with stranger(shop) as other:
            await other.execute(LOCK_TEA, "S1")
            with pytest.raises(Busy, match="in use"):
                await place(intake, wanted)
        assert await shop.value("SELECT count(*) FROM idempotency") == 0
        assert (await place(intake, wanted))[0] == 201

    async def test_a_full_queue_is_refused_and_what_waits_is_answered(self, shop: Shop) -> None:
        intake = Intake(shop.database, max_waiting=2)
        async with stranger(shop) as other:
            await other.execute(LOCK_TEA, "S1")
            behind = [asyncio.create_task(place(intake, order())) for _ in range(2)]
            await asyncio.sleep(0)  # let them come in
            assert intake.waiting == 2
            with pytest.raises(Busy, match="Too many"):
                await place(intake, order())
            await other.execute("COMMIT")
            assert [answer[0] for answer in await asyncio.gather(*behind)] == [201, 201]
        await intake.close()

    async def test_closing_answers_what_came_in_and_refuses_what_comes(self, shop: Shop) -> None:
        intake = Intake(shop.database, max_batch=4)
        under_way = [asyncio.create_task(place(intake, order())) for _ in range(30)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(intake.close())
        await asyncio.sleep(0)
        with pytest.raises(Busy, match="shutting down"):
            await place(intake, order())
        await closing
        assert {answer[0] for answer in await asyncio.gather(*under_way)} == {201}
        assert await shop.value("SELECT count(*) FROM journey") == 30

    async def test_an_order_whose_caller_has_gone_before_it_was_sent_is_not_taken(self, shop: Shop) -> None:
        intake = Intake(shop.database)
        gone = asyncio.create_task(place(intake, order(order_id="GONE")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await place(intake, order())
        await intake.close()
        assert await shop.value("SELECT count(*) FROM journey WHERE key = 'GONE'") == 0

    async def test_broken_connections_lose_no_order_and_take_none_twice(
        self, shop: Shop, intake: Intake, eventually: Callable[..., Any]
    ) -> None:
        await shop.put("S1", 1_000)
        under_way = [asyncio.create_task(place(intake, order())) for _ in range(600)]

        async def cut() -> bool:
            ended = await shop.value(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = 'endcap-intake' AND datname = current_database()"
            )
            return bool(ended)

        await eventually(cut)
        answers = await asyncio.gather(*under_way)
        assert {status for status, _ in answers} == {201}
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'S1'") == 600

    async def test_a_database_that_is_not_there_is_busy(self, shop: Shop) -> None:
        from ledger.engine import Database

        nowhere = Database("postgresql://nobody@127.0.0.1:1/none")
        intake = Intake(nowhere)
        with pytest.raises(Busy, match="nothing was recorded"):
            await place(intake, order())
        await intake.close()
        await nowhere.dispose()


async def policy(shop: Shop, body: dict[str, Any]) -> None:
    from ledger.tables import policy_document

    async with shop.database.engine.begin() as conn:
        values = {"version": uuid.uuid4().hex[:8], "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": body}
        await conn.execute(insert(policy_document).values(**values))


class TestMasterData:
    """What a process remembers of it, and for how long; the clock is the test's."""

    now_s = 0.0

    @pytest.fixture
    async def intake(self, shop: Shop) -> AsyncIterator[Intake]:
        made = Intake(shop.database, catalogue=Catalogue(age_s=1.0, clock=lambda: self.now_s))
        yield made
        await made.close()

    async def test_a_stopped_item_is_refused_when_the_memory_is_too_old(self, shop: Shop, intake: Intake) -> None:
        await place(intake, order())
        await shop.change("UPDATE item SET stop_sale = true")
        self.now_s = 1.5
        with pytest.raises(UnsupportedItem):
            await place(intake, order())

    async def test_a_changed_policy_takes_effect(self, shop: Shop, intake: Intake) -> None:
        assert (await place(intake, order()))[1].state == "reserved"
        await policy(shop, {"stock": {"channel_threshold": {"web": 4}}})
        self.now_s = 1.5
        assert (await place(intake, order()))[1].state == "reservation_failed"
        assert await shop.value("SELECT count(DISTINCT policy_version) FROM journey") == 2

    async def test_changed_hours_move_the_due_instant(self, shop: Shop, intake: Intake) -> None:
        monday: dict[str, Any] = {"placed_at": "2026-03-02T10:00:00Z"}
        first = (await place(intake, order(**monday)))[1].promised_at
        await shop.change("INSERT INTO opening_hours SELECT 'S1', d, '18:00', '23:00' FROM generate_series(0, 6) d")
        self.now_s = 1.5
        second = (await place(intake, order(**monday)))[1].promised_at
        assert first is not None
        assert second is not None
        assert (first.hour, second.hour) == (12, 20)

    async def test_a_new_item_is_known_at_once(self, shop: Shop, intake: Intake) -> None:
        with pytest.raises(UnknownSku):
            await place(intake, order(sku=COFFEE))
        await add_coffee(shop, 1)
        assert (await place(intake, order(sku=COFFEE)))[1].state == "reserved"

    async def test_within_a_moment_it_is_not_asked_again(self, shop: Shop, intake: Intake) -> None:
        await place(intake, order())
        await shop.change("UPDATE item SET stop_sale = true")
        assert (await place(intake, order()))[0] == 201
