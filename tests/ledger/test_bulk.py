"""One decision for several cases: each for itself, each once; what refuses or has changed is left to its owner."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from domain.bulk import BULK_STATES, BULK_TRANSITIONS, CHUNK, MOST_CASES, check_transition
from domain.errors import Malformed, NotFound, StateConflict
from domain.messages import Step
from domain.people import Grant, Person
from ledger import bulk, case
from ledger.bopis import steps
from tests.shop import ANA, MAX, Shop, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Database

STRANGER = Person("stranger", "Sid", "sid@shop.example", (Grant("regional_ops", "", "R9", ""),))


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    made = await open_shop(database.url, tea={"S1": 0, "S2": 0})
    yield made
    await made.database.dispose()


async def broken(shop: Shop, count: int) -> dict[int, int]:
    """So many orders that cannot be met, each with its case; the cases with their versions."""
    for _ in range(count):
        journey = await shop.order(1)
        await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    async with shop.database.read() as conn:
        from sqlalchemy import text

        rows = await conn.execute(text("SELECT id, version FROM case_file ORDER BY id"))
        return {row.id: row.version for row in rows}


async def begin(shop: Shop, cases: dict[int, int], option: str = "cancel_refund", note: str = "Recalled") -> int:
    return await bulk.begin(shop.database, ANA, option_id=option, label="Cancel", cases=cases, note=note)


async def go(shop: Shop, number: int, occurrence: str = "1") -> str:
    step = Step(subject=str(number), occurrence=occurrence, at=datetime.now(UTC))
    return (await bulk.on_due(shop.database, step)).state


async def states(shop: Shop, number: int) -> list[str]:
    found: Any = await shop.value(
        "SELECT array_agg(state ORDER BY case_id) FROM bulk_item WHERE bulk_id = :id", id=number
    )
    return list(found)


class TestDeciding:
    async def test_each_case_is_decided_in_the_name_of_whoever_chose(self, shop: Shop) -> None:
        cases = await broken(shop, 3)
        number = await begin(shop, cases)
        assert await go(shop, number) == "done"
        assert await states(shop, number) == ["decided"] * 3
        assert await shop.value("SELECT count(*) FROM case_decision WHERE decided_by = 'ana' AND via = 'bulk'") == 3
        assert await shop.value("SELECT count(*) FROM person_note WHERE text = 'Recalled'") == 4

    async def test_nothing_is_decided_before_it_begins(self, shop: Shop) -> None:
        cases = await broken(shop, 1)
        number = await begin(shop, cases)
        assert await shop.value("SELECT count(*) FROM case_decision") == 0
        assert await shop.value("SELECT next_at > at FROM bulk WHERE id = :id", id=number)

    async def test_many_go_in_portions(self, shop: Shop) -> None:
        cases = await broken(shop, CHUNK + 1)
        number = await begin(shop, cases)
        assert await go(shop, number) == "running"
        assert (await states(shop, number)).count("decided") == CHUNK
        assert await go(shop, number, "2") == "done"

    async def test_a_portion_that_is_taken_again_decides_nothing_twice(self, shop: Shop) -> None:
        cases = await broken(shop, 2)
        number = await begin(shop, cases)
        for _ in range(2):
            await go(shop, number)
        assert await shop.value("SELECT count(*) FROM case_decision") == 2

    async def test_two_workers_with_the_same_portion_decide_each_case_once(self, shop: Shop) -> None:
        cases = await broken(shop, 4)
        number = await begin(shop, cases)
        await asyncio.gather(go(shop, number), go(shop, number, "2"))
        assert await states(shop, number) == ["decided"] * 4
        assert await shop.value("SELECT count(*) FROM case_decision") == 4


class TestLeftAlone:
    async def test_a_case_that_has_changed_since_is_refused_and_the_others_go_on(self, shop: Shop) -> None:
        cases = await broken(shop, 3)
        number = await begin(shop, cases)
        second = sorted(cases)[1]
        await case.comment(shop.database, second, MAX, text="Wait", via="test")
        await case.claim(shop.database, second, MAX, version=None, via="test")
        assert await go(shop, number) == "done"
        assert await states(shop, number) == ["decided", "refused", "decided"]
        reason = await shop.value("SELECT reason FROM bulk_item WHERE case_id = :id", id=second)
        assert "Max Weber claimed this case" in reason

    async def test_an_option_that_a_case_does_not_offer_is_refused_there(self, shop: Shop) -> None:
        cases = await broken(shop, 1)
        number = await begin(shop, cases, option="fly")
        assert await go(shop, number) == "done"
        assert await states(shop, number) == ["refused"]

    async def test_whoever_has_left_decides_nothing(self, shop: Shop) -> None:
        cases = await broken(shop, 1)
        number = await begin(shop, cases)
        await shop.change("UPDATE person SET active = false WHERE id = 'ana'")
        assert await go(shop, number) == "done"
        assert await states(shop, number) == ["refused"]
        assert await shop.value("SELECT count(*) FROM case_decision") == 0

    async def test_called_off_in_time_nothing_happens(self, shop: Shop) -> None:
        cases = await broken(shop, 2)
        number = await begin(shop, cases)
        assert await bulk.stop(shop.database, ANA, number) == 2
        assert await go(shop, number) == "stopped"
        assert await states(shop, number) == ["left", "left"]
        assert await shop.value("SELECT count(*) FROM case_decision") == 0

    async def test_stopped_half_way_the_rest_is_left(self, shop: Shop) -> None:
        cases = await broken(shop, CHUNK + 2)
        number = await begin(shop, cases)
        await go(shop, number)
        assert await bulk.stop(shop.database, ANA, number) == 2
        assert (await states(shop, number)).count("left") == 2


class TestRefusals:
    async def test_none_or_too_many_are_refused(self, shop: Shop) -> None:
        for cases in ({}, dict.fromkeys(range(MOST_CASES + 1), 1)):
            with pytest.raises(Malformed):
                await begin(shop, cases)

    async def test_a_case_that_one_does_not_see_is_not_there(self, shop: Shop) -> None:
        cases = await broken(shop, 1)
        for person, wanted in ((STRANGER, cases), (ANA, {**cases, 1: 1})):
            with pytest.raises(NotFound):
                await bulk.begin(shop.database, person, option_id="wait", label="Wait", cases=wanted, note="")
        assert await shop.value("SELECT count(*) FROM bulk") == 0

    async def test_only_whoever_began_it_stops_it_and_only_once(self, shop: Shop) -> None:
        number = await begin(shop, await broken(shop, 1))
        with pytest.raises(NotFound):
            await bulk.stop(shop.database, MAX, number)
        await bulk.stop(shop.database, ANA, number)
        with pytest.raises(StateConflict):
            await bulk.stop(shop.database, ANA, number)

    def test_every_state_says_what_may_follow(self) -> None:
        assert set(BULK_TRANSITIONS) == set(BULK_STATES)
        with pytest.raises(StateConflict):
            check_transition("done", "running")
