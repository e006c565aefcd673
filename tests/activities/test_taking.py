"""How a step ends that cannot be taken: refusals go through, outages are waited out, mistakes are given up."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.taking import UNEXPECTED_ATTEMPTS, patient
from domain.errors import NothingOffered
from ledger.outages import is_outage


def lost() -> DBAPIError:
    return DBAPIError("select 1", {}, Exception("gone"), connection_invalidated=True)


OUTAGES = [OperationalError("select 1", {}, Exception("gone")), lost(), PoolTimeout("busy"), OSError(), TimeoutError()]


async def taken(error: Exception, attempt: int) -> None:
    """Take a step that raises `error` at its `attempt`."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)

    @patient
    async def step() -> None:
        raise error

    await environment.run(step)


class TestPatience:
    @pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
    async def test_an_outage_is_tried_again_for_ever(self, error: Exception) -> None:
        assert is_outage(error)
        with pytest.raises(type(error)):
            await taken(error, 1_000)

    async def test_a_refusal_goes_through_as_it_is(self) -> None:
        with pytest.raises(NothingOffered, match="sold"):
            await taken(NothingOffered("sold a minute ago"), 1)

    @pytest.mark.parametrize("error", [KeyError("x"), IntegrityError("insert", {}, Exception("row 4711"))])
    async def test_a_mistake_is_tried_a_few_times_and_then_given_up_without_its_text(self, error: Exception) -> None:
        with pytest.raises(type(error)):
            await taken(error, UNEXPECTED_ATTEMPTS - 1)
        with pytest.raises(ApplicationError) as given_up:
            await taken(error, UNEXPECTED_ATTEMPTS)
        assert given_up.value.non_retryable
        assert given_up.value.type == type(error).__name__
        assert "4711" not in str(given_up.value)
