"""Stock that stays below zero becomes a case after its time, heals itself, and comes back when nothing was done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ledger import decisions, negative
from tests.ledger.support.till import COFFEE, MILK, delivery, sale, send
from tests.shop import ANA, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


def after(minutes: float) -> datetime:
    """So many minutes from now, when the stock has just gone below zero."""
    return datetime.now(UTC) + timedelta(minutes=minutes)


async def cases(shop: Shop) -> list[tuple[Any, ...]]:
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text("SELECT location, sku, state, coalesce(resolution, ''), episode FROM case_file ORDER BY location, sku")
        )
        return [tuple(row) for row in rows]


class TestOpen:
    async def test_only_after_the_time_that_policy_gives(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 3)), sale("s2", (TEA, 1)))
        assert await negative.sweep(shop.database, after(59)) == 0
        assert await negative.sweep(shop.database, after(61)) == 1
        assert await cases(shop) == [("S1", COFFEE, "open", "", 1)]
        facts = await shop.value("SELECT facts FROM case_file")
        assert facts["available"] == -3
        assert await shop.value("SELECT value_at_risk_minor FROM case_file") == 240
        assert await negative.sweep(shop.database, after(200)) == 0

    async def test_the_time_is_policy_of_the_place(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, location, effective_from, body)"
            """ VALUES ('2', 'S2', '2020-01-01', '{"stock": {"negative_after_s": 600}}')"""
        )
        await send(shop, sale("s1", (COFFEE, 1)), sale("s2", (COFFEE, 1), at="S2"))
        assert await negative.sweep(shop.database, after(11)) == 1
        assert [row[0] for row in await cases(shop)] == ["S2"]

    async def test_what_was_above_zero_in_between_begins_anew(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 3)), delivery("d1", (COFFEE, 3)))
        await send(shop, sale("s2", (MILK, 3)))
        await send(shop, delivery("d2", (MILK, 3)))
        assert await negative.sweep(shop.database, after(600)) == 0
        await shop.change("UPDATE below_zero SET since = since - interval '2 hours'")
        await send(shop, sale("s3", (MILK, 1)))
        assert await negative.sweep(shop.database, after(30)) == 0

    async def test_more_than_a_page_is_opened_in_one_sweep(self, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.negative.PAGE_ROWS", 2)
        events = [sale(f"{sku}{at}", (sku, 9), at=at) for sku in (COFFEE, MILK, TEA) for at in ("S1", "S2")]
        await send(shop, *events)
        assert await negative.sweep(shop.database, after(61)) == 6
        await send(
            shop, *(delivery(f"d{sku}{at}", (sku, 9), at=at) for sku in (COFFEE, MILK, TEA) for at in ("S1", "S2"))
        )
        assert await negative.sweep(shop.database, after(62)) == 6
        assert {row[2:4] for row in await cases(shop)} == {("cancelled", "self_healed")}


class TestClose:
    async def open(self, shop: Shop) -> int:
        await send(shop, sale("s1", (COFFEE, 3)))
        assert await negative.sweep(shop.database, after(61)) == 1
        return int(await shop.value("SELECT id FROM case_file"))

    async def test_it_heals_itself_when_stock_is_back_and_is_a_new_episode_when_it_comes_again(
        self, shop: Shop
    ) -> None:
        await self.open(shop)
        await send(shop, delivery("d1", (COFFEE, 2)))
        assert await negative.sweep(shop.database, after(62)) == 0
        await send(shop, delivery("d2", (COFFEE, 1)))
        assert await negative.sweep(shop.database, after(63)) == 1
        assert await cases(shop) == [("S1", COFFEE, "cancelled", "self_healed", 1)]
        await send(shop, sale("s2", (COFFEE, 1)))
        assert await negative.sweep(shop.database, after(64)) == 0
        assert await negative.sweep(shop.database, after(64 + 61)) == 1
        assert await cases(shop) == [("S1", COFFEE, "open", "", 2)]

    async def test_a_count_is_asked_of_the_managers_by_mail_and_the_case_comes_back_if_nobody_counts(
        self, shop: Shop
    ) -> None:
        case_id = await self.open(shop)
        answer = await decisions.decide(shop.database, case_id, ANA, option_id="count", parameters={}, via="test")
        assert answer.state == "applied"
        assert await shop.value("SELECT person_id FROM mail WHERE template = 'count_asked'") == "max"
        assert "Max Weber" in await shop.value("SELECT text FROM case_event WHERE kind = 'resolved'")
        assert await negative.sweep(shop.database, after(30)) == 0
        assert await negative.sweep(shop.database, after(61)) == 1
        assert await cases(shop) == [("S1", COFFEE, "open", "", 2)]

    async def test_without_a_manager_it_says_that_nobody_was_asked(self, shop: Shop) -> None:
        await shop.change("DELETE FROM person_role WHERE role = 'store_manager'")
        case_id = await self.open(shop)
        await decisions.decide(shop.database, case_id, ANA, option_id="count", parameters={}, via="test")
        assert await shop.value("SELECT count(*) FROM mail") == 0
        assert "by telephone" in await shop.value("SELECT text FROM case_event WHERE kind = 'resolved'")
