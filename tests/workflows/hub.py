"""A running Endcap without its web, for whole paths: real PostgreSQL and Temporal, relay, worker, payment sandbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

import wire
from domain.case import CaseOption
from ledger import decisions
from ports.payment import PaymentPort, SandboxPaymentProvider
from ports.price import PricePort
from relay import Relay
from sender import Sender
from tests.shop import ANA, Shop
from worker import WORKFLOWS, activities_on

BASE = "http://endcap.test"  # where the links of mails lead


@dataclass
class Letterbox:
    """Where the real sender leaves what it has written."""

    letters: dict[str, EmailMessage] = field(default_factory=dict)  # by their ids

    async def send(self, message: EmailMessage) -> None:
        self.letters[str(message["Message-ID"])] = message


@dataclass
class Hub:
    """A running Endcap without its web: a shop, a relay and a worker, each of which can be stopped."""

    shop: Shop
    client: Client
    task_queue: str
    record: Path
    eventually: Callable[..., Any]
    channels: dict[str, PricePort] = field(default_factory=dict)  # that show prices of promotions
    provider: PaymentPort | None = None  # the sandbox, unless a test brings its own
    letterbox: Letterbox = field(default_factory=Letterbox)

    def worker(self) -> Worker:
        """A worker with the real activities."""
        return Worker(
            self.client,
            task_queue=self.task_queue,
            workflows=WORKFLOWS,
            activities=activities_on(
                self.shop.database, self.provider or SandboxPaymentProvider(self.record), self.channels
            ),
            workflow_runner=wire.workflow_runner(),
            workflow_failure_exception_types=[Exception],
            # What a worker that has gone still held waits this long for it; the server's 10 s are as long as we look.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        )

    async def carry(self) -> None:
        """Deliver everything that is committed now."""

        async def never() -> Client:
            raise AssertionError("run_once is given its client")

        await Relay(self.shop.database, never, task_queue=self.task_queue, by="test").run_once(self.client)

    async def asked_by_mail(self, approval: int, person: str) -> str:
        """The plain text of the mail that asks somebody to agree, once it has gone out."""

        async def there() -> EmailMessage | None:
            await self.carry()
            database = self.shop.database
            await Sender(database, self.letterbox, sender="Endcap <endcap@shop.example>", base_url=BASE).once()
            found = await self.shop.value(
                "SELECT message_id FROM mail WHERE approval_id = :id AND person_id = :person AND state = 'sent'"
                " ORDER BY id DESC LIMIT 1",
                id=approval, person=person,
            )  # fmt: skip
            return self.letterbox.letters.get(found)

        letter: EmailMessage = await self.eventually(there)
        part = letter.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    async def until(self, journey: str, state: str) -> None:
        """Carry messages until the journey is in a state."""

        async def there() -> bool:
            await self.carry()
            found = await self.shop.value("SELECT state FROM journey WHERE id = :id", id=journey)
            assert found == state, f"{journey} is {found}, not {state}"
            return True

        await self.eventually(there)

    async def open_case(self, journey: str, kind: str) -> int:
        """Carry messages until the journey has an open case of a kind; returns its number."""

        async def there() -> object:
            await self.carry()
            return await self.shop.value(
                "SELECT id FROM case_file WHERE journey_id = :id AND kind = :kind AND closed_at IS NULL",
                id=journey, kind=kind,
            )  # fmt: skip

        return int(await self.eventually(there))

    async def ended(self, *targets: str) -> None:
        """Carry messages until the workflows of these targets have completed."""

        async def all_ended() -> bool:
            await self.carry()
            for target in targets:
                status = (await self.client.get_workflow_handle(target).describe()).status
                assert status is WorkflowExecutionStatus.COMPLETED, f"{target} is {status}"
            return True

        await self.eventually(all_ended)

    async def options(self, case_id: int) -> dict[str, CaseOption]:
        """The ways out that a case offers now."""
        rows = await self.shop.value("SELECT options FROM case_file WHERE id = :id", id=case_id)
        return {row["id"]: CaseOption.model_validate(row) for row in rows}

    async def decide(self, case_id: int, option: str, **parameters: Any) -> int:
        """Ana chooses a way out."""
        answer = await decisions.decide(
            self.shop.database, case_id, ANA, option_id=option, parameters=parameters, note="", version=None, via="test"
        )
        return answer.decision_id

    async def events(self, target: str) -> int:
        """How many Temporal events a workflow took."""
        history = self.client.get_workflow_handle(target).fetch_history_events()
        return len([event async for event in history])

    async def books_balance(self) -> None:
        """Debits equal credits in every journal, and there is one."""
        unbalanced = await self.shop.value(
            "SELECT count(*) FROM (SELECT journal_id FROM journal_line GROUP BY journal_id"
            " HAVING sum(debit_minor) <> sum(credit_minor)) AS off"
        )
        assert unbalanced == 0
        assert await self.shop.value("SELECT count(*) FROM journal_line") > 0
