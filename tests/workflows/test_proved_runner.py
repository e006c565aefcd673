"""How worker processes run workflows: refused at their start is what the sandbox refuses."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

import wire
from worker import WORKFLOWS

HISTORIES = Path(__file__).parents[1] / "replay" / "histories"


def definition(cls: type) -> workflow._Definition:
    return workflow._Definition.must_from_class(cls)


async def test_every_workflow_may_be_run_by_it() -> None:
    runner = wire.ProvedRunner()
    for cls in WORKFLOWS:
        runner.prepare_workflow(definition(cls))


async def test_a_workflow_that_imports_what_nobody_passed_through_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        from temporalio import workflow
        import careless_beside

        @workflow.defn
        class Careless:
            @workflow.run
            async def run(self) -> None:
                return None
    """
    (tmp_path / "careless_beside.py").write_text("")
    (tmp_path / "careless_workflow.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(tmp_path))
    from careless_workflow import Careless  # type: ignore[import-not-found]

    with pytest.raises(Exception, match="careless_beside"):
        wire.ProvedRunner().prepare_workflow(definition(Careless))


async def test_histories_replay_by_it_as_in_the_sandbox() -> None:
    stored = HISTORIES / "bopis-collected.json"
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=wire.ProvedRunner()
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(stored.stem, stored.read_text()))
