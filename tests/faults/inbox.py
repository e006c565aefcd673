"""A mail server beside the storm, which counts what comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from email import message_from_bytes, policy
from typing import Any

import asyncpg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from embedded.ports import free_port


class Inbox:
    """Which mail came to whom, and how often; it runs in a thread of its own."""

    def __init__(self) -> None:
        self.came: Counter[tuple[str, str]] = Counter()  # (Message-ID, recipient)
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        number = str(message_from_bytes(envelope.content, policy=policy.default)["Message-ID"])
        self.came.update((number, to) for to in envelope.rcpt_tos)
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a stack that sends its mails here."""
        return {"ENDCAP_SMTP_HOST": "127.0.0.1", "ENDCAP_SMTP_PORT": str(self.port), "ENDCAP_SMTP_TLS": "none"}

    @property
    def repeated(self) -> int:
        """How many copies came beyond the first of each."""
        return self.came.total() - len(self.came)


def mails(database_url: str) -> list[dict[str, Any]]:
    """Mails whose time has come, as the stack has recorded them: state, Message-ID, last error."""

    async def read() -> list[dict[str, Any]]:
        conn = await asyncpg.connect(database_url)
        try:
            rows = await conn.fetch("SELECT state, message_id, last_error FROM mail WHERE not_before < now()")
        finally:
            await conn.close()
        return [dict(row) for row in rows]

    return asyncio.run(read())
