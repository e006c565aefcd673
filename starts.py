"""Workflows are started in Temporal: each when its message says so, and all that are open where Temporal has lost them.

It knows which Temporal it spoke to before. PostgreSQL says what has to exist; nothing here writes business tables.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import Priority, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

import wire
from domain.messages import Situation
from ledger import deliveries, situations
from ledger.engine import Database
from workflows.approval import ApprovalWorkflow
from workflows.bopis import BopisWorkflow
from workflows.bulk import BulkWorkflow
from workflows.case import CaseWorkflow
from workflows.claim import ClaimWorkflow
from workflows.count import CountWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.returns import ReturnWorkflow
from workflows.transfer import TransferWorkflow

logger = logging.getLogger("endcap.relay")

# By the name that Temporal knows it by, which is the first part of its id.
WORKFLOWS: dict[str, Any] = {
    "bopis": BopisWorkflow,
    "claim": ClaimWorkflow,
    "count": CountWorkflow,
    "promotion": PromotionWorkflow,
    "returns": ReturnWorkflow,
    "transfer": TransferWorkflow,
    "case": CaseWorkflow,
    "approval": ApprovalWorkflow,
    "bulk": BulkWorkflow,
}

# Written on every workflow that a relay starts: the outbox row it came from. A used id is ours when it says the same.
MEMO_ROW = "endcap_outbox_row"
REBUILT = "rebuilt"

RPC_TIMEOUT = timedelta(seconds=5)
REBUILD_PAGE = 200


class Starts:
    """What one relay starts.

    `at_once` lost workflows are started side by side; every `check_s` seconds Temporal is asked who it is.
    """

    def __init__(self, database: Database, task_queue: str, *, at_once: int, poll_s: float, check_s: float) -> None:
        self._database = database
        self._task_queue = task_queue
        self._at_once = at_once
        self._poll_s = poll_s
        self._check_s = check_s
        self._away_since: float | None = None
        self._home_checked_at: float | None = None

    def answers(self) -> None:
        """Temporal has just taken something."""
        self._away_since = None

    def look_again(self) -> None:
        """A workflow was lost: perhaps more than this one, so Temporal is asked who it is."""
        self._home_checked_at = None

    async def begin(
        self,
        client: Client,
        target: str,
        workflow: str,
        situation: Situation,
        search: dict[str, str],
        *,
        row_id: str,
        reuse: WorkflowIDReusePolicy,
    ) -> None:
        """Start a workflow. Raises `WorkflowAlreadyStartedError`, RPCError."""
        await client.start_workflow(
            WORKFLOWS[workflow].run,
            situation.model_copy(update={"dues_here": True}),
            id=target,
            task_queue=self._task_queue,
            id_reuse_policy=reuse,
            memo={MEMO_ROW: row_id},
            search_attributes=wire.search_attributes(search),
            priority=Priority(fairness_key=search.get("region")),  # one region's peak does not hold up the others
            static_summary=target,
            rpc_timeout=RPC_TIMEOUT,
        )

    def seems_away(self) -> None:
        """Temporal has given no answer: it is asked who it is before anything else is carried."""
        if self._away_since is None:
            self._away_since = _now()
            logger.warning("Temporal does not answer; messages wait in PostgreSQL")
        self._home_checked_at = None

    def away_pause_s(self) -> float:
        """How long to wait before it is asked again, in seconds."""
        if self._away_since is None:
            return self._poll_s
        return min(max(self._poll_s, (_now() - self._away_since) / 4), 5.0)

    async def is_home(self, client: Client) -> bool:
        """True when Temporal answers and is the one we spoke to before.

        A namespace with another id means that its database was lost: every open target is rebuilt first.
        """
        now = _now()
        if self._home_checked_at is not None and now - self._home_checked_at < self._check_s:
            return True
        try:
            answer = await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace), timeout=RPC_TIMEOUT
            )
            here = answer.namespace_info.id
            known = await deliveries.temporal_home(self._database)
            if known is not None and known != here:
                logger.warning("Temporal has lost its database (%s, not %s): open workflows are rebuilt", here, known)
                rebuilt = await self.rebuild_all(client)
                logger.warning("%d workflows were rebuilt from PostgreSQL", rebuilt)
            if known != here:
                await deliveries.set_temporal_home(self._database, here)
        except RPCError as error:
            if error.status not in wire.AWAY and error.status is not RPCStatusCode.NOT_FOUND:
                logger.exception("Temporal refuses")
            self.seems_away()
            return False
        if self._away_since is not None:
            logger.warning("Temporal answers again")
        self._away_since, self._home_checked_at = None, now
        return True

    async def rebuild_all(self, client: Client) -> int:
        """Start every workflow that PostgreSQL says is open and was started before; returns how many were missing."""
        rebuilt, after = 0, ""
        while targets := await deliveries.open_targets(self._database, after=after, limit=REBUILD_PAGE):
            for group in range(0, len(targets), self._at_once):
                begun = await asyncio.gather(
                    *(self.rebuild(client, target) for target in targets[group : group + self._at_once])
                )
                rebuilt += sum(begun)
            after = targets[-1]
        return rebuilt

    async def rebuild(self, client: Client, target: str) -> bool:
        """Start a lost workflow with its situation now. False when it runs already, or ended meanwhile."""
        async with self._database.read() as conn:
            found = await situations.situation_of_target(conn, target)
            if found is None:
                return False
            search = await situations.search_of_target(conn, target)
        workflow, situation = found
        try:
            await self.begin(
                client,
                target,
                workflow,
                situation,
                search,
                row_id=REBUILT,
                reuse=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return False
        # What the new workflow knows from its situation need not be told any more.
        await deliveries.done_up_to(self._database, target, situation.seq, REBUILT)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
