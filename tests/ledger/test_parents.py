"""Cases of one cause stand under a parent: opened by the second, closed with the last, whoever is at work meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from domain.messages import Step
from ledger import bulk, case, reference
from ledger.bopis import steps
from ledger.case import Opening
from ledger.reads.case_filter import CaseFilter
from ledger.reads.case_lists import list_cases
from ledger.reads.cases import case_detail
from ledger.reads.parents import members, parent_view
from tests.ledger.support.books import assert_books_agree
from tests.shop import ANA, TEA, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ledger.transaction import Transaction
    from tests.conftest import Database
    from tests.shop import Shop

OPEN = CaseFilter(state="open,claimed,waiting,deciding", rolled_up=True)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    made = await open_shop(database.url, tea={"S1": 0, "S2": 0})
    yield made
    await assert_books_agree(made.database)
    await made.database.dispose()


async def broken(shop: Shop, at: str = "S1") -> int:
    """An order that cannot be met; its case."""
    journey = await shop.order(1, at=at)
    asked = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert asked.case_id is not None
    return asked.case_id


async def cancel(shop: Shop, case_id: int) -> None:
    """The customer of the case's order cancels it; the case closes by itself."""
    key = await shop.value(
        "SELECT j.key FROM journey j JOIN case_file c ON c.journey_id = j.id WHERE c.id = :id", id=case_id
    )
    assert (await shop.report("bopis.cancelled", order_id=key)).outcome == "accepted"


async def parents(shop: Shop) -> list[tuple[str, int, bool]]:
    """(key, episode, open) of each."""
    async with shop.database.read() as conn:
        rows = await conn.execute(text("SELECT key, episode, closed_at IS NULL FROM case_parent ORDER BY id"))
        return [(row[0], row[1], row[2]) for row in rows]


class TestLife:
    async def test_the_second_case_opens_it_and_the_last_one_closes_it(self, shop: Shop) -> None:
        first = await broken(shop)
        assert await parents(shop) == []
        second = await broken(shop)
        key = f"reservation_failure|S1|{TEA}"
        assert await parents(shop) == [(key, 1, True)]
        await broken(shop, at="S2")  # another place
        assert await parents(shop) == [(key, 1, True)]
        await cancel(shop, first)
        assert await parents(shop) == [(key, 1, True)]
        await cancel(shop, second)
        assert await parents(shop) == [(key, 1, False)]

    async def test_it_comes_back_as_another_episode(self, shop: Shop) -> None:
        for episode in (1, 2):
            both = [await broken(shop), await broken(shop)]
            assert await parents(shop) == [(f"reservation_failure|S1|{TEA}", episode, True)]
            for case_id in both:
                await cancel(shop, case_id)
        history = await shop.value("SELECT array_agg(what ORDER BY id) FROM audit WHERE what LIKE 'parent.%'")
        assert history == ["parent.opened", "parent.closed"] * 2

    async def test_cases_that_open_and_close_at_once_are_counted_right(self, shop: Shop) -> None:
        opened = await asyncio.gather(*(broken(shop) for _ in range(6)))
        assert [found[2] for found in await parents(shop)] == [True]
        await asyncio.gather(*(cancel(shop, case_id) for case_id in opened[:5]), broken(shop))
        assert [found[2] for found in await parents(shop)] == [True]
        last = await shop.value("SELECT array_agg(id) FROM case_file WHERE closed_at IS NULL")
        await asyncio.gather(*(cancel(shop, case_id) for case_id in last))
        assert [found[2] for found in await parents(shop)] == [False]

    async def test_several_cases_about_one_order_stand_under_one_too(self, shop: Shop) -> None:
        journey = await shop.order(1)

        async def work(tx: Transaction) -> None:
            place = await reference.place(tx.conn, "S1")
            now = await tx.now()
            policy = await reference.policy_at(tx.conn, place, now)
            for kind, facts in (
                ("put_away_overdue", {"order": "W-1", "units": {}}),
                ("journey_stuck", {"bopis": "W-1", "state": "reserved", "reason": None}),
            ):
                opening = Opening(
                    kind=kind, subject=journey, place=place, policy=policy, at=now, journey_id=journey, facts=facts
                )
                await case.open_case(tx, opening)

        await shop.database.write(work, actor="test", via="test")
        assert await parents(shop) == [(f"order|{journey}", 1, True)]

    async def test_what_concerns_no_order_stands_alone(self, shop: Shop) -> None:
        async def work(tx: Transaction) -> None:
            place = await reference.place(tx.conn, "S1")
            now = await tx.now()
            policy = await reference.policy_at(tx.conn, place, now)
            for subject in ("one", "two"):
                opening = Opening(
                    kind="negative_inventory", subject=subject, place=place, policy=policy, at=now, sku=TEA,
                    facts={"sku": TEA, "available": -1, "since": now.isoformat(), "count": None},
                )  # fmt: skip
                await case.open_case(tx, opening)

        await shop.database.write(work, actor="test", via="test")
        assert await parents(shop) == []

    async def test_one_decision_for_all_of_them_closes_it(self, shop: Shop) -> None:
        cases = {await broken(shop): 1 for _ in range(3)}
        number = await bulk.begin(shop.database, ANA, option_id="cancel_refund", label="Cancel", cases=cases, note="")
        await bulk.on_due(shop.database, Step(subject=str(number), occurrence="1", at=datetime.now(UTC)))
        assert [found[2] for found in await parents(shop)] == [True]  # decided, not carried out yet
        async with shop.database.read() as conn:
            rows = (await conn.execute(text("SELECT id, asks FROM journey ORDER BY id"))).all()
        for row in rows:
            decision = row.asks["decision_id"]
            step = Step(subject=row.id, occurrence=f"decision-{decision}", at=datetime.now(UTC), decision_id=decision)
            await steps.apply_decision(shop.database, step)
        assert [found[2] for found in await parents(shop)] == [False]


class TestReading:
    async def test_a_queue_shows_one_row_for_a_cause_with_its_members(self, shop: Shop) -> None:
        cases = [await broken(shop) for _ in range(3)]
        elsewhere = await broken(shop, at="S2")
        async with shop.database.read() as conn:
            found = (await list_cases(conn, ANA, OPEN)).items
            assert [one.id for one in found] == [cases[0], elsewhere]
            groups = await members(conn, ANA, OPEN, found)
            assert {number: [one.id for one in group] for number, group in groups.items()} == {cases[0]: cases}
            assert len((await list_cases(conn, ANA, OPEN.model_copy(update={"rolled_up": False}))).items) == 4

    async def test_it_is_the_first_of_those_that_the_filters_want(self, shop: Shop) -> None:
        cases = [await broken(shop) for _ in range(3)]
        await case.claim(shop.database, cases[0], ANA, via="test")
        for claimed_by, first, count in ((ANA.id, cases[0], 1), ("none", cases[1], 2)):
            filters = OPEN.model_copy(update={"claimed_by": claimed_by})
            async with shop.database.read() as conn:
                found = (await list_cases(conn, ANA, filters)).items
                groups = await members(conn, ANA, filters, found)
            assert [one.id for one in found] == [first]
            assert len(groups.get(first, [first])) == count

    async def test_pages_of_rows_that_stand_for_many_miss_none_and_repeat_none(self, shop: Shop) -> None:
        for _ in range(2):
            for at in ("S1", "S2"):
                await broken(shop, at=at)
        async with shop.database.read() as conn:
            first = await list_cases(conn, ANA, OPEN, limit=1)
            second = await list_cases(conn, ANA, OPEN, limit=1, cursor=first.next)
        assert [one.location for one in (*first.items, *second.items)] == ["S1", "S2"]
        assert second.next is None

    async def test_a_parent_lists_what_is_open_and_what_was_closed_since_it_opened(self, shop: Shop) -> None:
        cases = [await broken(shop) for _ in range(3)]
        await cancel(shop, cases[1])
        async with shop.database.read() as conn:
            number = (await case_detail(conn, ANA, cases[0])).parent_id
            assert number is not None
            found = await parent_view(conn, ANA, number)
            assert (await case_detail(conn, ANA, cases[1])).parent_id is None
        assert [one.id for one in found.open] == [cases[0], cases[2]]
        assert [one.id for one in found.closed] == [cases[1]]
