"""The activities of a kind of journey: the six that all have, under names of its own, and those that only it has."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio import activity

from activities.bopis import BopisActivities
from activities.count import CountActivities
from activities.journey import SHARED, JourneyActivities
from domain.journey_kinds import JOURNEY_KINDS
from ledger.engine import Database
from tests.fakes import NAMES
from worker import JOURNEYS, activities_on


def names(activities: list[Any]) -> set[str]:
    """The names under which a worker serves them."""
    heard: set[str] = set()
    for one in activities:
        definition = activity._Definition.from_callable(one)
        assert definition is not None, one
        assert definition.name is not None, one
        heard.add(definition.name)
    return heard


@pytest.fixture
def nowhere() -> Database:
    """A database that nobody connects to."""
    return Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1, application="test")


class TestNames:
    def test_every_kind_of_journey_has_the_shared_steps_under_its_noun(self, nowhere: Database) -> None:
        served = names(activities_on(nowhere, None))  # type: ignore[arg-type]  # nobody is paid here
        assert {f"{kind}.{step}" for kind in JOURNEY_KINDS for step in SHARED} <= served

    def test_a_worker_serves_exactly_what_workflows_are_tested_with(self, nowhere: Database) -> None:
        assert names(activities_on(nowhere, None)) == set(NAMES)  # type: ignore[arg-type]

    def test_there_is_one_class_for_each_kind(self, nowhere: Database) -> None:
        nouns = {name.split(".")[0] for kind in JOURNEYS for name in names(kind(nowhere).all())}
        assert nouns == set(JOURNEY_KINDS)
        assert len(JOURNEYS) == len(JOURNEY_KINDS)

    def test_kinds_do_not_share_a_step(self) -> None:
        assert CountActivities.on_due is not BopisActivities.on_due
        assert CountActivities.on_due is not JourneyActivities.on_due
