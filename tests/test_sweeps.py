"""What the worker does by itself again and again: it goes on after a failure, and leaves when asked."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger import partitions
from ledger.engine import Database
from ports.photos import FolderPhotos
from tests.conftest import Database as OwnDatabase
from worker import keep_sweeping, sweeps


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

    with caplog.at_level(logging.WARNING, "endcap.worker"):
        await asyncio.wait_for(keep_sweeping(sweep, 0.001, stop), 120)
    assert runs == 2
    assert "the database is away" in caplog.text


async def test_every_sweep_finds_nothing_to_do_in_an_empty_database(database: OwnDatabase, tmp_path: Path) -> None:
    opened = Database(database.url)
    try:
        await partitions.make_ahead(opened, datetime.now(UTC))  # `endcap migrate` does it
        assert {await sweep() for sweep, _ in sweeps(opened, FolderPhotos(tmp_path))} == {0}
    finally:
        await opened.dispose()
