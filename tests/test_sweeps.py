"""What the worker does by itself again and again: it goes on after a failure, and leaves when asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.holds import HoldIn
from ledger import holds, partitions
from ledger.engine import Database
from ports.photos import FolderPhotos
from sweeps import Sweep, keep_sweeping, of_the_ledger
from tests.conftest import Database as OwnDatabase
from tests.shop import TEA, WEB, open_shop


async def test_a_sweep_that_fails_is_logged_and_run_again_until_the_worker_stops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stop = asyncio.Event()
    runs = 0

    async def sweep() -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise OSError("the database is away")
        stop.set()
        return 0

    with caplog.at_level(logging.WARNING, "endcap.sweeps"):
        await asyncio.wait_for(keep_sweeping(Sweep(sweep, 0.001), stop), 120)
    assert runs == 2
    assert "the database is away" in caplog.text


async def test_every_sweep_finds_nothing_to_do_in_an_empty_database(database: OwnDatabase, tmp_path: Path) -> None:
    opened = Database(database.url)
    try:
        await partitions.make_ahead(opened, datetime.now(UTC))  # `endcap migrate` does it
        assert {await sweep.run() for sweep in of_the_ledger(opened, FolderPhotos(tmp_path))} == {0}
    finally:
        await opened.dispose()


async def test_a_hold_that_ran_out_is_given_back_while_the_worker_runs(
    database: OwnDatabase, eventually: Callable[..., Any]
) -> None:
    shop = await open_shop(database.url)
    lines = [{"line_id": "1", "sku": TEA, "quantity": 2, "location": "S1"}]
    wanted = HoldIn.model_validate({"hold_id": "C-1", "channel": "web", "lines": lines, "expires_in_s": 1})
    await holds.open_hold(shop.database, WEB, wanted, idempotency_key=None)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(keep_sweeping(Sweep(lambda: holds.sweep(shop.database), 0.2), stop))

    async def is_back() -> bool:
        return bool(await shop.value("SELECT available = 5 FROM stock WHERE location = 'S1'"))

    try:
        await eventually(is_back)
    finally:
        stop.set()
        await sweeping
        await shop.database.dispose()
