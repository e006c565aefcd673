"""The figures that come from stock, decisions and books: what each counts, what it leaves out, day by day."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import literal, select, text, union_all

from domain.case import CaseOption
from domain.kpi import BY_NAME, KPIS, Dimension, Step
from domain.people import Person
from ledger import case, decisions, reference
from ledger.reads.kpis import SOURCES, Figure, KpiFigures, Period, kpis
from ledger.reads.kpis.measure import figures, total
from ledger.transaction import Transaction
from tests.ledger.support.counting import Count
from tests.ledger.support.exchanging import Swap, wanted
from tests.ledger.support.returning import Back, collected
from tests.ledger.support.till import NOW, send
from tests.ledger.test_adjustments import ask
from tests.ledger.test_payments import refund, said
from tests.ledger.test_queue import failed_order
from tests.ledger.test_substitute import replaced
from tests.shop import ADA, ANA, MAX, TEA, Shop


async def figure(
    shop: Shop, name: str, by: Dimension = Dimension.LOCATION, *, viewer: Person = ADA, **more: Any
) -> KpiFigures:
    """A figure over the last and the coming day."""
    now = datetime.now(UTC)
    period = more.pop("period", Period(now - timedelta(days=1), now + timedelta(days=1)))
    async with shop.database.read() as conn:
        found = await kpis(conn, viewer, period, by, **more)
    return next(one for one in found if one.kpi.name == name)


def groups(found: KpiFigures) -> dict[str, tuple[int, float | None]]:
    return {one.group: (one.n, one.value and round(one.value, 6)) for one in found.groups}


def test_every_figure_has_a_source() -> None:
    assert set(SOURCES) == set(BY_NAME)


@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.name)
def test_what_a_figure_cannot_be_taken_apart_by_has_a_reason(kpi: Any) -> None:
    assert set(kpi.dimensions) == set(Dimension) or kpi.undivided.endswith(".")


class TestAccuracy:
    async def test_it_is_of_the_first_figure_and_a_recount_does_not_mend_it(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 4))
        await count.compare()
        await count.enter((TEA, 5), counter="crew-2")  # the first had overlooked one of five
        await count.compare()
        await count.post()
        found = await figure(shop, "inventory_accuracy")
        assert (found.whole.n, found.whole.value) == (1, 0.8)
        assert groups(found) == {"S1": (1, 0.8)}

    async def test_more_than_the_book_is_as_wrong_as_less_and_it_never_falls_below_nothing(self, shop: Shop) -> None:
        for at, counted in (("S1", 6), ("S2", 500)):
            count = await Count.open(shop, at=at)
            await count.enter((TEA, counted))
            await count.compare()
        assert groups(await figure(shop, "inventory_accuracy")) == {"S1": (1, 0.8), "S2": (1, 0.0)}

    async def test_a_line_without_a_figure_is_left_out(self, shop: Shop) -> None:
        await Count.open(shop)
        found = await figure(shop, "inventory_accuracy")
        assert (found.whole.n, found.whole.value) == (0, None)

    async def test_it_is_not_taken_apart_by_channel(self, shop: Shop) -> None:
        found = await figure(shop, "inventory_accuracy", Dimension.CHANNEL)
        assert found.groups == []
        assert "every channel" in found.kpi.undivided


class TestAdjustments:
    async def test_what_somebody_wrote_off_counts_and_what_waits_for_approval_does_not(self, shop: Shop) -> None:
        await ask(shop, "A-1", (TEA, -1, "damaged"))
        await ask(shop, "A-2", (TEA, -5, "missing"), at="S2")  # parked until a manager approves
        found = await figure(shop, "manual_adjustments")
        assert groups(found)["S1"] == (2, 500.0)  # the opening stock and the write-off
        assert groups(found)["S2"][1] == (0.0 if await shop.value("SELECT count(*) FROM approval") else 500.0)


class TestLatency:
    async def test_a_report_counts_once_with_the_time_that_it_took(self, shop: Shop) -> None:
        at = datetime.now(UTC) - timedelta(seconds=90)
        lines = [{"line": str(number), "sku": TEA, "quantity": 1, "unit_price_minor": 1} for number in (1, 2)]
        sold = {"location": "S1", "receipt": "R-1", "lines": lines}
        told = {"id": "e-1", "type": "pos.sale", "occurred_at": at.isoformat(), "data": sold}
        assert [one.outcome for one in await send(shop, told)] == ["accepted"]
        found = await figure(shop, "sync_latency", Dimension.SOURCE)
        assert [(one.group, one.n) for one in found.groups] == [("pos", 1)]
        assert found.whole.value is not None
        assert found.whole.value >= 90
        assert found.whole.p95 == found.whole.value


class TestOverrides:
    async def test_another_way_out_than_the_first_is_against_the_proposal(self, shop: Shop) -> None:
        ranked = (CaseOption(id="a", label="A", rank=1), CaseOption(id="b", label="B", rank=2))
        for option, options in (("a", ranked), ("b", ranked), ("c", (CaseOption(id="c", label="C"),))):
            case_id = await _case(shop, option, options)
            await decisions.decide(shop.database, case_id, ANA, option_id=option, parameters={}, via="test")
        found = await figure(shop, "override_rate")
        assert (found.whole.n, found.whole.value) == (2, 0.5)  # where nothing is ranked there is nothing to follow


async def _case(shop: Shop, subject: str, options: tuple[CaseOption, ...]) -> int:
    async def work(tx: Transaction) -> int:
        place, now = await reference.place(tx.conn, "S1"), datetime.now(UTC)
        policy = await reference.policy_at(tx.conn, place, now)
        facts = {"count": subject, "reason": "asked", "units_that_wait": 0}
        wanted = case.Opening(
            kind="count_overdue", subject=subject, place=place, policy=policy, at=now, facts=facts, options=options
        )
        return (await case.open_case(tx, wanted)).id

    return await shop.database.write(work, actor="test", via="test")


class TestAppeasements:
    async def test_a_dearer_substitute_is_given_when_it_is_handed_over(self, shop: Shop) -> None:
        await replaced(shop, 1_600)
        assert (await figure(shop, "appeasement_cost")).whole.n == 0
        journey = await shop.value("SELECT id FROM journey")
        lines = await _lines(shop)
        await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=lines)
        await shop.report("bopis.handed_over", journey_id=journey, actor="p1", lines=lines)
        found = await figure(shop, "appeasement_cost")
        assert (found.whole.value, found.whole.currency) == (300.0, "EUR")
        assert [(one.group, one.value, one.currency) for one in found.groups] == [("S1", 300.0, "EUR")]

    async def test_of_two_currencies_there_is_no_sum(self, shop: Shop) -> None:
        given = [
            select(
                literal("j").label("journey_id"), literal("R1").label("region"), literal(at).label("location"),
                literal(currency).label("currency"), literal(NOW).label("at"), literal(amount).label("amount"),
            )
            for at, currency, amount in (("S1", "EUR", 250), ("S1", "USD", 100), ("S2", "EUR", 50))
        ]  # fmt: skip
        rows = union_all(*given).cte("given")
        kpi, period = BY_NAME["appeasement_cost"], Period(NOW - timedelta(days=1), NOW + timedelta(days=1))
        async with shop.database.read() as conn:
            found = await figures(conn, kpi, total(rows, rows.c.amount), period, Dimension.LOCATION, "UTC", "day")
        assert (found.whole.n, found.whole.value, found.course) == (3, None, [])
        assert {(one.group, one.currency): one.value for one in found.groups} == {
            ("S1", "EUR"): 250.0, ("S1", "USD"): 100.0, ("S2", "EUR"): 50.0,
        }  # fmt: skip


async def _lines(shop: Shop) -> list[dict[str, Any]]:
    async with shop.database.read() as conn:
        rows = await conn.execute(text("SELECT line_id, ordered - cancelled FROM journey_line ORDER BY line_id"))
        return [{"line_id": row[0], "quantity": row[1]} for row in rows]


class TestCourse:
    @pytest.mark.parametrize(
        ("zone", "days"),
        [("UTC", {"2026-03-02": 1, "2026-03-03": 1}), ("America/New_York", {"2026-03-02": 2, "2026-03-03": 0})],
    )
    async def test_days_begin_in_the_readers_zone_and_an_empty_one_is_there(
        self, shop: Shop, zone: str, days: dict[str, int]
    ) -> None:
        for hour in (23, 25):
            journey = await shop.order(1)
            at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
            await shop.change("UPDATE journey SET opened_at = :at WHERE id = :id", at=at, id=journey)
        period = Period(datetime(2026, 3, 2, 12, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))
        found = await figure(shop, "order_fallout", period=period, zone=zone)
        assert {one.group: one.n for one in found.course} == days
        assert sum(one.n for one in found.course) == found.whole.n
        assert {one.value for one in found.course if not one.n} <= {None}

    @pytest.mark.parametrize(
        ("days", "per", "steps"),
        [
            (31, None, "day"), (32, None, "week"), (3, "week", "week"), (60, "day", "day"),
        ],
    )  # fmt: skip
    async def test_long_periods_are_drawn_by_week(self, shop: Shop, days: int, per: Step | None, steps: str) -> None:
        start = datetime(2026, 3, 4, tzinfo=UTC)  # a Wednesday
        found = await figure(shop, "order_fallout", period=Period(start, start + timedelta(days=days)), per=per)
        dates = [date.fromisoformat(one.group) for one in found.course]
        apart = {second - first for first, second in pairwise(dates)}
        assert apart <= {timedelta(days=1 if steps == "day" else 7)}
        assert dates[0] == (date(2026, 3, 4) if steps == "day" else date(2026, 3, 2))
        assert dates[-1] + timedelta(days=7) > date(2026, 3, 4) + timedelta(days=days - 1)

    async def test_a_day_of_summer_time_is_one_day(self) -> None:
        zone = "Europe/Berlin"
        period = Period(datetime(2026, 3, 27, 23, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC))
        assert [str(day) for day in period.steps(zone, "day")] == ["2026-03-28", "2026-03-29", "2026-03-30"]


class TestWhoSees:
    async def test_every_figure_is_empty_for_somebody_of_another_place(self, shop: Shop) -> None:
        stranger = Person("far", "Far", "far@shop.example", (MAX.grants[0]._replace(region="R9"),))
        await ask(shop, "A-1", (TEA, -1, "damaged"))
        count = await Count.open(shop)
        await count.enter((TEA, 4))
        await count.compare()
        await shop.order(1)
        now = datetime.now(UTC)
        around = Period(now - timedelta(days=1), now + timedelta(days=1))
        async with shop.database.read() as conn:
            for by in Dimension:
                for one in await kpis(conn, stranger, around, by):
                    assert (one.whole, one.groups) == (Figure(group="", n=0, value=None), []), one.kpi.name


class TestRefundCycle:
    async def test_it_runs_from_the_goods_to_the_providers_word_and_a_declined_one_is_left_out(
        self, shop: Shop
    ) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.provider_says("declined", "card expired")
        assert (await figure(shop, "refund_cycle")).whole.n == 0
        other = await Back.open(shop, await collected(shop, 1))
        await other.receive()
        await other.provider_says()
        await shop.change(
            "UPDATE payment_operation SET finished_at = (SELECT min(at) FROM movement WHERE kind = 'returned'"
            " AND journey_id = :id) + interval '2 hours' WHERE journey_id = :id",
            id=other.id,
        )
        found = await figure(shop, "refund_cycle", Dimension.CHANNEL)
        assert groups(found) == {"web": (1, 7_200.0)}

    async def test_what_pays_for_a_replacement_is_no_money_that_somebody_waits_for(self, shop: Shop) -> None:
        swap = await Swap.open(shop, body=wanted(1, 1_000))
        await swap.back.receive()
        await swap.carry_on()
        assert [state for _, _, state in await swap.back.refunds()] == ["succeeded", "succeeded"]
        assert (await figure(shop, "refund_cycle")).whole.n == 1

    async def test_a_cancelled_order_counts_from_when_its_money_was_owed(self, shop: Shop) -> None:
        order, operation = await refund(shop)
        await said(shop, order, operation, 1, "succeeded")
        await shop.change("UPDATE payment_operation SET finished_at = at + interval '60 seconds'")
        assert groups(await figure(shop, "refund_cycle")) == {"S1": (1, 60.0)}


DAY = timedelta(days=1)


class TestVeryMany:
    """What makes a figure quick must not change it: rows are looked for once, and by a bound that an index knows."""

    @pytest.mark.parametrize("by", [Dimension.REGION, Dimension.LOCATION, Dimension.CHANNEL, Dimension.CATEGORY])
    async def test_groups_and_course_add_up_to_the_whole(self, shop: Shop, by: Dimension) -> None:
        for place, number in (("S1", 2), ("S2", 1)):
            for _ in range(number):
                await shop.order(1, at=place)
        found = await figure(shop, "order_fallout", by)
        assert (found.whole.n, found.whole.group) == (3, "")
        assert sum(one.n for one in found.groups) == sum(one.n for one in found.course) == 3
        if by is Dimension.LOCATION:
            assert [(one.group, one.n) for one in found.groups] == [("S1", 2), ("S2", 1)]

    async def test_an_order_whose_clock_was_moved_on_counts_at_its_true_instant(self, shop: Shop) -> None:
        still, moved = await shop.order(), await shop.order()
        now = datetime.now(UTC)
        await shop.change("UPDATE journey SET promised_at = :at WHERE id = :id", at=now - 5 * DAY, id=still)
        moved_on = "UPDATE journey SET promised_at = :at, clock_offset_s = 864000 WHERE id = :id"
        await shop.change(moved_on, at=now + 5 * DAY, id=moved)
        for start, end, counted in ((6, 4, 2), (5.5, 4, 2), (4, 0, 0), (7, 6, 0)):
            period = Period(now - start * DAY, now - end * DAY)
            assert (await figure(shop, "pickup_readiness", period=period)).whole.n == counted, (start, end)
        assert (await figure(shop, "pickup_readiness", period=Period(now + 4 * DAY, now + 6 * DAY))).whole.n == 0

    async def test_a_case_that_was_due_long_ago_is_left_out_and_one_closed_early_is_dated_by_then(
        self, shop: Shop
    ) -> None:
        cases = [await failed_order(shop) for _ in range(3)]
        now = datetime.now(UTC)
        for number, due, closed in zip(cases, (-9, -2, 3), (None, None, -1), strict=True):
            values = {"due": now + due * DAY, "closed": closed and now + closed * DAY, "id": number}
            state = "'open', closed_at = NULL" if closed is None else "'resolved', closed_at = :closed"
            await shop.change(
                f"UPDATE case_file SET unresolved_due_at = :due, state = {state} WHERE id = :id",  # noqa: S608  two texts
                **{name: one for name, one in values.items() if one is not None},
            )
        found = await figure(shop, "resolution_sla", period=Period(now - 3 * DAY, now))
        assert (found.whole.n, found.whole.value) == (2, 0.5)
