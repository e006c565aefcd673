"""Carries queued webhooks out: claims them, signs them, sends them, and writes down what came of it.

It runs beside the worker. Whatever goes wrong with one endpoint concerns that endpoint alone.
"""

import asyncio
import json
import logging

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.webhooks import Attempt, message_id
from ledger import outages, webhooks
from ledger.engine import Database
from ports.webhook import Answer, Call, WebhookCaller
from settings import Settings

log = logging.getLogger("endcap.notifier")

BATCH = 50
OF_EACH = 5
LEASE_S = 60.0
POLL_S = 1.0


class Notifier:
    """Sends the webhooks of one database."""

    def __init__(self, database: Database, caller: WebhookCaller) -> None:
        self._database = database
        self._caller = caller

    async def once(self) -> int:
        """Send what is due now, up to one batch; returns how many deliveries were taken in hand."""
        claimed = await webhooks.claim(self._database, limit=BATCH, of_each=OF_EACH, lease_s=LEASE_S)
        async with asyncio.TaskGroup() as group:
            for one in claimed:
                group.create_task(self._carry(one))
        return len(claimed)

    async def _carry(self, one: webhooks.Claimed) -> None:
        """Send one delivery and record the outcome, whatever it is."""
        at = await self._database.now()
        body = json.dumps(one.body, separators=(",", ":"), ensure_ascii=False)
        answer = Answer(None, "its secret was sealed with a key that is not there any more: rotate it", 0)
        if one.secrets:
            answer = await self._caller.call(Call(one.url, message_id(one.id), at, body, one.secrets))
        attempt = Attempt(at=at, status=answer.status, error=answer.error, ms=answer.ms)
        if answer.is_accepted:
            await webhooks.accepted(self._database, one, attempt)
            return
        log.info("delivery %s was not accepted: %s", one.id, answer.error or answer.status)
        await webhooks.not_accepted(
            self._database, one, attempt, asked_s=answer.retry_after_s, is_gone=answer.status == 410
        )


async def run(database: Database, settings: Settings, stop: asyncio.Event) -> None:
    """Send webhooks until `stop` is set; those in hand are finished first."""
    caller = WebhookCaller(allow_local=settings.webhook_allow_local)
    notifier = Notifier(database, caller)
    try:
        while not stop.is_set():
            try:
                busy = await notifier.once() == BATCH
            except* (DBAPIError, PoolTimeout, OSError) as errors:
                outages.say(log, errors, "webhooks wait")
                busy = False
            if not busy:
                try:
                    await asyncio.wait_for(stop.wait(), POLL_S)
                except TimeoutError:
                    continue
    finally:
        await caller.aclose()
