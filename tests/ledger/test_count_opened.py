"""Counts that nobody asked for: after a short pick, below zero, and by risk each day."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from ledger import decisions, negative
from ledger.count import risk
from tests.ledger.support.counting import Count, shelf
from tests.ledger.support.till import COFFEE, MILK, delivery, sale, send
from tests.shop import ANA, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


async def counts(shop: Shop) -> list[tuple[str, str, str]]:
    """(location, reason, SKU) of every line of every count."""
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text(
                "SELECT l.location, j.detail->>'reason', l.sku FROM count_line l JOIN journey j ON j.id = l.journey_id"
                " ORDER BY 1, 2, 3"
            )
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def pick(shop: Shop, order: str, reason: str, quantity: int = 0) -> None:
    line = {"line_id": "1", "quantity": quantity, "reason": reason}
    assert (await shop.report("bopis.picked", journey_id=order, picker="p1", lines=[line])).outcome == "accepted"


class TestAfterAShortPick:
    async def test_what_could_not_be_found_is_counted(self, shop: Shop) -> None:
        await pick(shop, await shop.order(2), "not_in_stock")
        assert await counts(shop) == [("S1", "short_pick", TEA)]

    @pytest.mark.parametrize("reason", ["damaged", "no_variance"])
    async def test_a_reason_that_leaves_nothing_in_doubt_opens_none(self, shop: Shop, reason: str) -> None:
        await pick(shop, await shop.order(2), reason)
        assert await counts(shop) == []

    async def test_a_second_short_pick_joins_the_count_that_is_open(self, shop: Shop) -> None:
        first, second = await shop.order(1), await shop.order(1)
        await pick(shop, first, "mismatch")
        await pick(shop, second, "mismatch")
        assert await counts(shop) == [("S1", "short_pick", TEA)]

    async def test_what_goes_missing_after_a_figure_was_entered_waits_for_a_count_of_its_own(self, shop: Shop) -> None:
        first, second = await shop.order(1), await shop.order(1)
        await pick(shop, first, "mismatch")
        count = await Count.newest(shop)
        await count.enter((TEA, 5))
        await pick(shop, second, "mismatch")
        assert await counts(shop) == [("S1", "short_pick", TEA)] * 2
        await count.compare()
        assert await count.post() == "posted"
        # The first order's unit is found for it; the second one's is still in doubt.
        left = await shelf(shop)
        assert left["count_pending"] == 1
        again = await Count.newest(shop)
        await again.enter((TEA, 5))
        await again.compare()
        await again.post()
        assert "count_pending" not in await shelf(shop)

    async def test_what_was_not_counted_is_on_the_next_sheet(self, shop: Shop) -> None:
        await pick(shop, await shop.order(2), "not_in_stock")
        count = await Count.newest(shop)
        await count.enter((COFFEE, 0))
        await count.compare()
        assert await count.post() == "posted"
        assert ("S1", "not_counted", TEA) in await counts(shop)
        assert await shelf(shop) == {"count_pending": 5}


class TestBelowZero:
    async def test_a_count_opens_with_the_case_one_for_each_place(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 3), (MILK, 1)), sale("s2", (MILK, 1), at="S2"))
        assert await negative.sweep(shop.database, datetime.now(UTC) + timedelta(minutes=61)) == 3
        assert await counts(shop) == [
            ("S1", "negative_stock", COFFEE),
            ("S1", "negative_stock", MILK),
            ("S2", "negative_stock", MILK),
        ]
        assert await shop.value("SELECT count(*) FROM journey WHERE kind = 'count'") == 2
        facts = await shop.value("SELECT facts FROM case_file WHERE sku = :sku", sku=COFFEE)
        assert facts["count"] == await shop.value("SELECT journey_id FROM count_line WHERE sku = :sku", sku=COFFEE)

    async def test_asking_by_mail_opens_no_second_one(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 3)))
        await negative.sweep(shop.database, datetime.now(UTC) + timedelta(minutes=61))
        case_id = await shop.value("SELECT id FROM case_file")
        await decisions.decide(shop.database, case_id, ANA, option_id="count", parameters={}, via="test")
        assert await counts(shop) == [("S1", "negative_stock", COFFEE)]

    async def test_the_count_brings_the_book_back_to_what_is_there(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 3)))
        await negative.sweep(shop.database, datetime.now(UTC) + timedelta(minutes=61))
        count = await Count.newest(shop)
        await count.enter((COFFEE, 2))
        assert await count.compare() == "recount"
        await count.enter((COFFEE, 2), counter="crew-2")
        await count.compare()
        assert await count.post() == "posted"
        assert await shelf(shop, COFFEE) == {"available": 2}
        assert await negative.sweep(shop.database, datetime.now(UTC) + timedelta(minutes=62)) == 1
        assert await shop.value("SELECT resolution FROM case_file") == "self_healed"


class TestTheDay:
    async def test_each_place_has_one_sheet_a_day_of_its_own(self, shop: Shop) -> None:
        assert await risk.open_days_counts(shop.database, NOON) == 2
        assert await risk.open_days_counts(shop.database, NOON + timedelta(hours=1)) == 0
        assert await counts(shop) == [("S1", "schedule", TEA), ("S2", "schedule", TEA)]
        await shop.change("UPDATE count_line SET state = 'posted'")
        await shop.change("UPDATE journey SET closed_at = now()")
        assert await risk.open_days_counts(shop.database, NOON + timedelta(days=1)) == 2

    async def test_the_riskiest_lines_come_first_with_their_terms(self, shop: Shop) -> None:
        policy = """{"count": {"daily_lines": 2}}"""
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('d', '2020-01-01', CAST(:p AS jsonb))",
            p=policy,
        )
        await send(shop, delivery("d1", (COFFEE, 100), (MILK, 1)))
        await shop.change("UPDATE stock SET counted_at = :at WHERE sku = :sku", at=NOON, sku=TEA)
        await risk.open_days_counts(shop.database, NOON + timedelta(days=1))
        assert [row[2] for row in await counts(shop) if row[0] == "S1"] == [COFFEE, MILK]
        terms = await shop.value("SELECT risk FROM count_line WHERE sku = :sku AND location = 'S1'", sku=COFFEE)
        assert [term["term"] for term in terms] == ["value", "velocity", "age", "past_variance"]
        assert terms[0]["why"] == "80.00 of stock at cost"

    async def test_what_is_below_zero_comes_before_everything_else(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body)"
            """ VALUES ('d', '2020-01-01', '{"count": {"daily_lines": 1}}')"""
        )
        await send(shop, sale("s1", (MILK, 1)))
        await risk.open_days_counts(shop.database, NOON)
        assert ("S1", "schedule", MILK) in await counts(shop)
        assert ("S1", "schedule", TEA) not in await counts(shop)

    async def test_what_is_being_counted_already_is_left_out(self, shop: Shop) -> None:
        await Count.open(shop)
        assert await risk.open_days_counts(shop.database, NOON) == 1
        assert await counts(shop) == [("S1", "manual", TEA), ("S2", "schedule", TEA)]

    async def test_switched_off_it_opens_nothing(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body)"
            """ VALUES ('d', '2020-01-01', '{"count": {"daily_lines": 0}}')"""
        )
        assert await risk.open_days_counts(shop.database, NOON) == 0

    async def test_a_closed_day_has_none_and_a_day_begins_when_the_place_opens(self, shop: Shop) -> None:
        await shop.change("INSERT INTO closed_day (location, day) VALUES ('S1', '2026-11-21')")
        await shop.change(
            "INSERT INTO opening_hours (location, weekday, opens, closes)"
            " SELECT 'S2', day, '13:00', '20:00' FROM generate_series(0, 6) AS day"
        )
        assert await risk.open_days_counts(shop.database, NOON) == 0
        assert await risk.open_days_counts(shop.database, NOON + timedelta(hours=1)) == 1
