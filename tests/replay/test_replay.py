"""Every stored history still replays: a workflow that runs somewhere survives the next deployment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

import starts
import wire
from worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=wire.workflow_runner())


@pytest.mark.parametrize("stored", HISTORIES, ids=lambda stored: stored.stem)
async def test_a_stored_history_replays(stored: Path) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json(stored.stem, stored.read_text()))


def test_every_workflow_has_a_stored_history() -> None:
    found = {
        json.loads(stored.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
        for stored in HISTORIES
    }
    assert found == {*starts.WORKFLOWS, "count_schedule", "promotion_looks"}  # these are started by schedules


async def test_a_workflow_that_does_something_else_than_its_history_is_noticed() -> None:
    stored = next(path for path in HISTORIES if path.stem == "bopis-approved-refund")
    changed = stored.read_text().replace('"bopis.open_case"', '"bopis.give_back"')
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(WorkflowHistory.from_json("changed", changed))


@pytest.mark.parametrize("stored", HISTORIES, ids=lambda stored: stored.stem)
def test_a_history_names_no_machine(stored: Path) -> None:
    identities = {
        value
        for event in json.loads(stored.read_text())["events"]
        for attributes in event.values()
        if isinstance(attributes, dict)
        for name, value in attributes.items()
        if name == "identity"
    }
    assert identities <= {"recorder", "history-service", ""}
    assert "stackTrace" not in stored.read_text()
