"""Bands on real rows: the rolling sum, what is taken out of it, and two documents at the same moment."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.bands import Level, Limits
from ledger import bands
from ledger.transaction import LockOrderBroken, Rank, Transaction
from tests.shop import Shop

LIMITS = Limits(5_000, 50_000)
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


async def use(
    shop: Shop,
    subject: str,
    gross_minor: int,
    *,
    kind: str = "count",
    actor: str = "max",
    location: str = "S1",
    at: datetime = NOW,
) -> Level:
    async def work(tx: Transaction) -> Level:
        return await bands.use(
            tx, kind=kind, actor=actor, location=location, subject=subject, gross_minor=gross_minor, limits=LIMITS,
            at=at,
        )  # fmt: skip

    return await shop.database.write(work, actor="test", via="test")


async def withdraw(shop: Shop, subject: str) -> None:
    async def work(tx: Transaction) -> None:
        await bands.withdraw(tx, "count", subject, NOW)

    await shop.database.write(work, actor="test", via="test")


class TestRolling:
    async def test_the_one_that_reaches_the_limit_is_asked_for_and_those_before_are_not(self, shop: Shop) -> None:
        assert [await use(shop, f"c{n}", 2_000) for n in range(3)] == [Level.NONE, Level.NONE, Level.MANAGER]
        assert await use(shop, "c9", 500) is Level.NONE, "what a manager looks at does not count twice"

    @pytest.mark.parametrize("other", [{"actor": "ana"}, {"location": "S2"}, {"kind": "adjustment"}])
    async def test_another_actor_place_or_kind_has_a_sum_of_its_own(self, shop: Shop, other: dict[str, Any]) -> None:
        await use(shop, "c1", 4_000)
        assert await use(shop, "c2", 4_000, **other) is Level.NONE

    async def test_after_thirty_days_it_counts_no_more(self, shop: Shop) -> None:
        await use(shop, "c1", 4_000)
        assert await use(shop, "c2", 1_000, at=NOW + timedelta(days=30)) is Level.NONE
        assert await use(shop, "c3", 1_000, at=NOW + timedelta(days=29)) is Level.MANAGER

    async def test_a_report_that_comes_late_counts_what_happened_after_it(self, shop: Shop) -> None:
        await use(shop, "c1", 4_000)
        assert await use(shop, "c0", 1_000, at=NOW - timedelta(days=3)) is Level.MANAGER

    async def test_what_was_rejected_counts_no_more(self, shop: Shop) -> None:
        await use(shop, "c1", 4_000)
        await withdraw(shop, "c1")
        await withdraw(shop, "c1")
        assert await use(shop, "c2", 4_000) is Level.NONE

    async def test_the_same_document_again_gets_its_level_again_and_counts_once(self, shop: Shop) -> None:
        assert await use(shop, "c1", 5_000) is Level.MANAGER
        assert await use(shop, "c1", 1) is Level.MANAGER
        assert await shop.value("SELECT count(*) FROM band_use") == 1

    async def test_many_a_manager_has_approved_reach_finance(self, shop: Shop) -> None:
        levels = [await use(shop, f"c{n}", 20_000) for n in range(3)]
        assert levels == [Level.MANAGER, Level.MANAGER, Level.FINANCE]


class TestConcurrent:
    async def test_of_two_at_once_only_one_passes_below_the_band(self, shop: Shop) -> None:
        levels = await asyncio.gather(*(use(shop, f"c{n}", 3_000) for n in range(2)))
        assert sorted(levels) == [Level.NONE, Level.MANAGER]

    async def test_of_twenty_at_once_as_many_pass_as_one_after_the_other(self, shop: Shop) -> None:
        levels = await asyncio.gather(*(use(shop, f"c{n}", 1_000) for n in range(20)))
        assert sorted(levels) == [Level.NONE] * 4 + [Level.MANAGER] * 16

    async def test_what_is_rolled_back_counts_no_more(self, shop: Shop) -> None:
        class Stop(Exception):
            pass

        async def work(tx: Transaction) -> None:
            await bands.use(
                tx, kind="count", actor="max", location="S1", subject="c1", gross_minor=4_999, limits=LIMITS, at=NOW
            )
            raise Stop

        with pytest.raises(Stop):
            await shop.database.write(work, actor="test", via="test")
        assert await use(shop, "c2", 4_999) is Level.NONE


class TestRefusals:
    async def test_it_is_locked_after_stock_never_before(self, shop: Shop) -> None:
        async def work(tx: Transaction) -> None:
            await bands.use(
                tx, kind="count", actor="max", location="S1", subject="c1", gross_minor=1, limits=LIMITS, at=NOW
            )
            tx.enter(Rank.STOCK)

        with pytest.raises(LockOrderBroken):
            await shop.database.write(work, actor="test", via="test")

    async def test_a_negative_amount_is_a_mistake_of_the_program(self, shop: Shop) -> None:
        with pytest.raises(ValueError, match="absolute"):
            await use(shop, "c1", -1)


class TestActor:
    async def test_an_actor_whom_nobody_knows_counts_as_everyone_at_the_place(self, shop: Shop) -> None:
        await shop.change("UPDATE person SET home_location = 'S1' WHERE id = 'max'")
        await shop.change("INSERT INTO person_alias (source, alias, person_id) VALUES ('pos', 'crew-9', 'ana')")

        async def work(tx: Transaction) -> list[tuple[str, tuple[str, ...]]]:
            return [await bands.actor_at(tx, "pos", alias, "S1") for alias in ("crew-9", "ana", "crew-7")]

        found = await shop.database.write(work, actor="test", via="test")
        assert found == [("ana", ("ana",)), ("ana", ("ana",)), (bands.EVERYONE, ("max",))]


class TestForget:
    async def test_what_no_test_will_count_is_deleted_and_what_a_late_report_may_count_is_kept(
        self, shop: Shop
    ) -> None:
        for subject, gross, days in (("old", 100, 91), ("kept", 4_000, 89), ("new", 4_000, 1)):
            await use(shop, subject, gross, at=NOW - timedelta(days=days))
        assert [await bands.forget(shop.database, NOW), await bands.forget(shop.database, NOW)] == [1, 0]
        assert await shop.value("SELECT string_agg(subject, ' ' ORDER BY at) FROM band_use") == "kept new"
        # Sixty days late, and what happened in the thirty days before it still counts.
        assert await use(shop, "late", 1_000, at=NOW - timedelta(days=60)) is Level.MANAGER
        assert await use(shop, "now", 1_000) is Level.MANAGER
