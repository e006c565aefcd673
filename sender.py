"""Carries queued mails out: claims them, has them written, sends them, and records what came of it.

It runs beside the worker. Whatever goes wrong with one mail concerns that mail alone, and is seen on its case.
"""

import asyncio
import logging
import os
from datetime import timedelta

from jinja2 import TemplateError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.errors import DomainError
from ledger import digest, mails, outages
from ledger.engine import Database
from ledger.mails import MailRow
from ledger.reads.letters import addressee, matter
from letters import Letters, NobodyToWriteTo, check_still_true
from ports.mail import MailNotSentError, MailRefusedError, Outgoing, SmtpServer, build
from settings import Settings

log = logging.getLogger("endcap.sender")

BATCH = 20
LEASE_S = 180.0
POLL_S = 1.0
FIRST_WAIT_S = 15
LONGEST_WAIT_S = 3600
ATTEMPTS = 30  # somewhat more than a day


def wait_after(attempts: int) -> timedelta:
    """How long after the n-th failure the next attempt comes."""
    return timedelta(seconds=min(FIRST_WAIT_S * 2 ** min(attempts - 1, 12), LONGEST_WAIT_S))


class Sender:
    """Sends the mails of one database through one server."""

    def __init__(self, database: Database, outgoing: Outgoing, *, sender: str, base_url: str) -> None:
        self._database = database
        self._outgoing = outgoing
        self._sender = sender
        self._letters = Letters(database, sender=sender, base_url=base_url)
        self._name = f"sender-{os.getpid()}"

    async def once(self) -> int:
        """Send what is due now, up to one batch; returns how many mails were taken in hand."""
        rows = await mails.claim_mails(self._database, self._name, BATCH, LEASE_S)
        for row in rows:
            await self._carry(row)
        return len(rows)

    async def _carry(self, row: MailRow) -> None:
        """Send one mail and record the outcome, whatever it is."""
        to_name = "the addressee"
        try:
            async with self._database.read() as conn:
                to = await addressee(conn, row)
            if to is None:
                raise NobodyToWriteTo("there is no address to write to")
            to_name = to.name or to_name
            async with self._database.read() as conn:
                about = await matter(conn, row, to)
            check_still_true(row.template, about)
            goes_at = await digest.hold_back(self._database, row, to=to_name)
            if goes_at is not None:
                log.info("mail %s goes with the digest at %s", row.id, goes_at)
                return
            letter = await self._letters.write(row, to, about)
            await mails.name_message(self._database, row.id, letter.message_id)
            await self._outgoing.send(build(letter, sender=self._sender, now=await self._database.now()))
        except NobodyToWriteTo as why:
            await mails.give_up_withdrawn(self._database, row.id, str(why))
        except MailNotSentError as error:
            log.warning("mail %s was not sent, attempt %s: %s", row.id, row.attempts, error)
            await mails.mail_failed(self._database, row.id, str(error), _again_after(row), to=to_name)
        except (MailRefusedError, TemplateError, DomainError) as error:
            log.error("mail %s (%s) cannot be sent: %s", row.id, row.template, error)  # noqa: TRY400
            said = str(error) if isinstance(error, MailRefusedError) else f"{type(error).__name__}: {error}"
            await mails.mail_failed(self._database, row.id, said, None, to=to_name)
        except (DBAPIError, OSError):
            raise  # not this mail's fault: its lease ends, and it is taken in hand again
        except Exception as error:
            log.exception("mail %s (%s) failed unexpectedly, attempt %s", row.id, row.template, row.attempts)
            await mails.mail_failed(self._database, row.id, type(error).__name__, _again_after(row), to=to_name)
        else:
            await mails.mail_sent(self._database, row.id, letter.message_id)


def _again_after(row: MailRow) -> timedelta | None:
    """How long until it is tried again; None when it was tried often enough."""
    return wait_after(row.attempts) if row.attempts < ATTEMPTS else None


def smtp_of(settings: Settings) -> SmtpServer | None:
    """The server that the settings name; None when they name none."""
    if settings.smtp_host is None:
        return None
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return SmtpServer(settings.smtp_host, settings.smtp_port, settings.smtp_user, password, settings.smtp_tls)


async def run(database: Database, settings: Settings, stop: asyncio.Event) -> None:
    """Send mails until `stop` is set; the mail in hand is finished first.

    Without a mail server the mails stay queued: the console can do all that a mail could.
    """
    server = smtp_of(settings)
    if server is None:
        log.warning("no mail server is set (ENDCAP_SMTP_HOST): mails stay queued")
        await stop.wait()
        return
    sender = Sender(database, server, sender=settings.smtp_from, base_url=settings.base_url)
    while not stop.is_set():
        try:
            busy = await sender.once() == BATCH
        except (DBAPIError, PoolTimeout, OSError) as error:
            outages.say(log, error, "mails wait")
            busy = False
        if not busy:
            try:
                await asyncio.wait_for(stop.wait(), POLL_S)
            except TimeoutError:
                continue
