"""The servers that all other tests stand on."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import asyncpg
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.worker import Worker

from tests.conftest import Database, TemporalServer
from tests.embedded.patience import Hopeless, Patience


class TestDatabase:
    async def test_each_test_has_a_database_of_its_own(self, bare_database: Database, postgres_url: str) -> None:
        connection = await asyncpg.connect(bare_database.url)
        try:
            await connection.execute("CREATE TABLE mine (id int)")
            assert await connection.fetchval("SELECT current_database()") == bare_database.name
        finally:
            await connection.close()
        assert bare_database.name not in postgres_url

    async def test_a_wrong_password_is_refused(self, bare_database: Database) -> None:
        host_part = bare_database.url.rpartition("@")[2]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://endcap:wrong@{host_part}")


class TestTemporal:
    async def test_three_hours_pass_only_where_a_test_skips_them(
        self, temporal: TemporalServer, task_queue: str
    ) -> None:
        async with Worker(
            temporal.client, task_queue=task_queue, workflows=[Patience], workflow_failure_exception_types=[Exception]
        ):
            moved = await temporal.client.start_workflow(Patience.run, id=uuid.uuid4().hex, task_queue=task_queue)
            other = await temporal.client.start_workflow(Patience.run, id=uuid.uuid4().hex, task_queue=task_queue)
            before = await temporal.now(other)
            assert await temporal.skip(moved, timedelta(hours=2))
            assert not await temporal.skip(moved, timedelta(hours=2))
            async with asyncio.timeout(120):
                await moved.result()
            assert await temporal.now(other) - before < timedelta(hours=1)
            await other.terminate("the test is over")

    async def test_a_workflow_that_fails_is_not_retried_for_ever(
        self, temporal: TemporalServer, task_queue: str
    ) -> None:
        async with Worker(
            temporal.client, task_queue=task_queue, workflows=[Hopeless], workflow_failure_exception_types=[Exception]
        ):
            with pytest.raises(WorkflowFailureError):
                await temporal.client.execute_workflow(Hopeless.run, id=uuid.uuid4().hex, task_queue=task_queue)
