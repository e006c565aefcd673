"""A machine's clock is hours off, or jumps: what is due goes by PostgreSQL's, and nothing is done early or late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
import time_machine

from domain.holds import HoldIn
from ledger import clock, engine, erasing, holds, negative
from ledger.clock import Clock
from ledger.engine import Database
from ports.photos import FolderPhotos
from sweeps import of_the_ledger
from tests.ledger.support.till import COFFEE, sale, send
from tests.shop import TEA, WEB, Shop

NEAR = timedelta(minutes=5)  # whatever this machine has to do meanwhile
KEPT_DAYS = 30


def off_by(shift: timedelta) -> time_machine.travel:
    """A machine whose clock is wrong by so much, and runs on."""
    return time_machine.travel(datetime.now(UTC) + shift, tick=True)


class TestTheClock:
    @pytest.mark.parametrize("shift", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)])
    async def test_it_is_the_databases_whatever_this_machine_says(self, shop: Shop, shift: timedelta) -> None:
        with off_by(shift):
            there = await shop.database.now()
        assert abs(there - datetime.now(UTC)) < NEAR

    async def test_this_machine_jumps_between_two_looks_and_time_runs_on(self, shop: Shop) -> None:
        before = await shop.database.now()
        with off_by(timedelta(hours=-3)):
            after = await shop.database.now()
        assert before <= after < before + NEAR

    async def test_a_long_wait_for_a_connection_is_no_part_of_the_way_there(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited_s = 0.0
        for module in (clock, engine):
            monkeypatch.setattr(module, "monotonic", lambda: monotonic() + waited_s)
        database = Database(shop.database.url, pool_size=1)
        async with database.engine.connect(), database.engine.connect():  # all that it may have
            asking = asyncio.create_task(database.now())
            await asyncio.sleep(0)  # it runs until it waits
            waited_s = 3_600.0
        there = await asking
        await database.dispose()
        assert abs(there - datetime.now(UTC)) < NEAR

    async def test_it_is_looked_at_again_and_an_outage_leaves_what_is_known(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(clock, "LOOK_EVERY_S", -1.0)  # each answer is old at once
        start = datetime(2026, 3, 8, 1, 59, tzinfo=UTC)
        answers: list[datetime | OSError] = [start, OSError("away"), start + timedelta(hours=2)]

        async def ask() -> tuple[datetime, float]:
            answer = answers.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer, monotonic()

        made = Clock(ask)
        for expected in (start, start, start, start + timedelta(hours=2)):
            assert expected <= await made.now() < expected + NEAR
            await made.close()
            if not answers:
                monkeypatch.setattr(clock, "LOOK_EVERY_S", 3_600.0)

    async def test_nobody_knows_it_before_the_first_look(self) -> None:
        database = Database("postgresql://nobody@127.0.0.1:1/none")
        with pytest.raises(OSError, match="Connect"):
            await database.now()
        await database.dispose()


class TestSweeps:
    """What a worker does by itself, on a machine whose clock is wrong."""

    async def sweep_all(self, shop: Shop, folder: Path) -> None:
        for sweep in of_the_ledger(shop.database, FolderPhotos(folder), KEPT_DAYS):
            await sweep.run()

    @pytest.mark.usefixtures("assortment")
    @pytest.mark.parametrize("shift", [timedelta(days=40), timedelta(days=-40), timedelta(minutes=70)])
    async def test_nothing_is_done_before_its_time(self, shop: Shop, tmp_path: Path, shift: timedelta) -> None:
        order = await shop.order(1)
        lines = [{"line_id": "1", "quantity": 1}]
        await shop.report("bopis.picked", journey_id=order, lines=lines, picker="p1")
        await shop.report("bopis.handed_over", journey_id=order, lines=lines, actor="p1")
        await send(shop, sale("s1", (COFFEE, 3)))  # below zero: a case after an hour
        held = [{"line_id": "1", "sku": TEA, "quantity": 2, "location": "S2"}]
        wanted = HoldIn.model_validate({"hold_id": "C-1", "channel": "web", "lines": held, "expires_in_s": 3_600})
        await holds.open_hold(shop.database, WEB, wanted, idempotency_key=None)
        with off_by(shift):
            await self.sweep_all(shop, tmp_path)
        assert await shop.value("SELECT count(*) FROM case_file") == 0
        assert await shop.value("SELECT sum(reserved) FROM hold WHERE checkout IS NOT NULL") == 2
        assert await shop.value("SELECT count(*) FROM customer WHERE name = ''") == 0
        # The same, at their time: what was left alone was there to be done.
        later = datetime.now(UTC) + timedelta(days=KEPT_DAYS + 1)
        assert await negative.sweep(shop.database, later) == 1
        assert await erasing.sweep(shop.database, later, KEPT_DAYS) == 1
