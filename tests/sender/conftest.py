"""The web tests' retailer, and a real SMTP server that can be told to refuse."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import httpx2
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy import select, update

import ledger.engine
from embedded.ports import free_port
from ledger import mails, tables
from ledger.transaction import Transaction
from ports.mail import SmtpServer
from sender import Sender
from tests.web.conftest import app, as_key, retailer, retailer_template, retailer_url, settings, web
from tests.web.retail import rows

__all__ = ["app", "as_key", "retailer", "retailer_template", "retailer_url", "settings", "web"]
BASE = "http://endcap.test"


def sender(database: ledger.engine.Database, port: int) -> Sender:
    server = SmtpServer("127.0.0.1", port, tls="none", timeout_s=60)
    return Sender(database, server, sender="Endcap <endcap@shop.example>", base_url=BASE)


async def queue(database: ledger.engine.Database, **fields: Any) -> None:
    async def work(tx: Transaction) -> None:
        await mails.queue(tx, **{"not_before": datetime.now(UTC) - timedelta(minutes=1), **fields})

    await database.write(work, actor="test", via="test")


async def report(web: httpx2.AsyncClient, kind: str, **data: Any) -> None:
    """An event about order W-1, accepted."""
    event = {
        "id": kind,
        "type": kind,
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": {"order_id": "W-1", **data},
    }
    answer = await web.post("/api/v1/events", json={"events": [event]})
    assert [one["outcome"] for one in answer.json()["results"]] == ["accepted"], answer.text


def text_of(message: EmailMessage) -> str:
    """The plain part of a mail."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def mail_rows(database: ledger.engine.Database) -> list[dict[str, Any]]:
    return sorted(await rows(database, tables.mail), key=lambda row: row["id"])


async def due_now(database: ledger.engine.Database) -> None:
    async def work(tx: Transaction) -> None:
        found = (await tx.conn.execute(select(tables.mail.c.id))).scalars().all()
        past = datetime.now(UTC) - timedelta(minutes=1)
        await tx.conn.execute(update(tables.mail).where(tables.mail.c.id.in_(found)).values(not_before=past))

    await database.write(work, actor="test", via="test")


@dataclass
class MailServer:
    """What came in; `answer` is what the server says to each mail."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    made = MailServer(free_port())
    controller = Controller(made, hostname="127.0.0.1", port=made.port)
    controller.start()
    yield made
    controller.stop()
