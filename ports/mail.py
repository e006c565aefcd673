"""The way out for mail: builds complete messages and hands them to an SMTP server.

It decides nothing: whom to write to and what to say is given. Text comes first and is complete without the HTML part.
"""

import email.errors
import email.policy
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Literal, Protocol

import aiosmtplib
import css_inline

LINE_BREAKS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
# Styles stand on the elements; what cannot, the colours of the dark, stays in the head.
_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
_POLICY = email.policy.SMTP.clone(max_line_length=150)


class MailRefusedError(Exception):
    """The server will never take this message (an address that does not exist, a policy): trying again is in vain."""


class MailNotSentError(Exception):
    """The server could not be reached or said "later": trying again may help."""


@dataclass(frozen=True)
class Attachment:
    """A file or, with `cid`, a picture inside the HTML part."""

    content: bytes
    maintype: str
    subtype: str
    filename: str
    cid: str | None = None


@dataclass(frozen=True)
class Letter:
    """What is to be sent. `thread` is the same for all mails of one case or order, so that they stand together."""

    to_name: str
    to_email: str
    subject: str
    text: str
    html: str
    message_id: str
    thread: str | None = None
    attachments: Sequence[Attachment] = field(default=())


class Outgoing(Protocol):
    """Something that takes a message. Raises `MailRefusedError` or `MailNotSentError`."""

    async def send(self, message: EmailMessage) -> None: ...


def one_line(text: str) -> str:
    """Text for a header: a line break in a name or a subject must not begin a header of its own."""
    return LINE_BREAKS.sub(" ", text).strip()


def message_id(key: str, domain: str) -> str:
    """`<mail-12.abc@shop.example>`: stable for `key`, so that a repeated mail is recognised."""
    safe = re.sub(r"[^A-Za-z0-9.-]", "-", key)
    return f"<{safe}@{re.sub(r'[^A-Za-z0-9.-]', '-', domain) or 'localhost'}>"


def sender_domain(sender: str) -> str:
    """The domain of `Endcap <endcap@shop.example>`."""
    _, at, domain = parseaddr(sender)[1].rpartition("@")
    return domain if at and domain else "localhost"


def build(letter: Letter, *, sender: str, now: datetime) -> EmailMessage:
    """The complete message. Raises `MailRefusedError` for an address that is none."""
    message = EmailMessage(policy=_POLICY)
    name, address = parseaddr(sender)
    message["From"] = _address(name, address)
    _write_addressee(message, _address(letter.to_name, letter.to_email))
    message["Subject"] = one_line(letter.subject)
    message["Date"] = format_datetime(now.astimezone(UTC))
    message["Message-ID"] = letter.message_id
    if letter.thread:
        root = message_id(letter.thread, sender_domain(sender))
        message["References"] = root
        message["In-Reply-To"] = root
    # Absence notes must not answer a machine, and a machine must not answer them.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(letter.text)
    message.add_alternative(_inliner.inline(letter.html), subtype="html")
    pictures = message.get_payload()[1]  # type: ignore[index]  # the HTML part just added
    for attachment in letter.attachments:
        if attachment.cid:
            pictures.add_related(  # type: ignore[union-attr]
                attachment.content,
                attachment.maintype,
                attachment.subtype,
                cid=f"<{attachment.cid}>",
                filename=attachment.filename,
                disposition="inline",
            )
        else:
            message.add_attachment(
                attachment.content,
                maintype=attachment.maintype,
                subtype=attachment.subtype,
                filename=attachment.filename,
            )
    return message


def _write_addressee(message: EmailMessage, to: Address) -> None:
    """Raises `MailRefusedError` for an address that is none."""
    try:
        message["To"] = to
    except (ValueError, AttributeError, LookupError, email.errors.MessageError) as error:
        # The standard library's parser meets some malformed addresses with mistakes of its own.
        raise MailRefusedError("the address cannot be written in a header") from error


def _address(name: str, address: str) -> Address:
    if one_line(address) != address or address.count("@") != 1:
        raise MailRefusedError("the address is not one that mail can go to")
    user, _, domain = address.partition("@")
    try:
        return Address(display_name=one_line(name), username=user, domain=domain)
    except (ValueError, email.errors.MessageError) as error:
        raise MailRefusedError(f"the address cannot be written in a header: {error}") from error


@dataclass(frozen=True)
class SmtpServer:
    """An SMTP server. `tls`: none, starttls (required, never quietly left out) or tls from the first byte."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: Literal["none", "starttls", "tls"] = "starttls"
    timeout_s: float = 20.0

    async def send(self, message: EmailMessage) -> None:
        """Hand one message over. Raises `MailRefusedError` for a final answer (5xx), else `MailNotSentError`."""
        try:
            await aiosmtplib.send(
                message,
                hostname=self.host,
                port=self.port,
                username=self.user,
                password=self.password,
                use_tls=self.tls == "tls",
                start_tls=self.tls == "starttls",
                tls_context=ssl.create_default_context() if self.tls != "none" else None,
                timeout=self.timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            text = "; ".join(f"{refused.code} {refused.message}" for refused in error.recipients)
            if all(500 <= code < 600 for code in codes):
                raise MailRefusedError(text) from error
            raise MailNotSentError(text) from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # Wrong credentials of ours say nothing about the mail: it waits until they are mended.
            raise MailNotSentError(f"the mail server refused our sign-in: {error.code} {error.message}") from error
        except aiosmtplib.SMTPResponseException as error:
            text = f"{error.code} {error.message}"
            if 500 <= error.code < 600:
                raise MailRefusedError(text) from error
            raise MailNotSentError(text) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailNotSentError(f"the mail server could not be reached: {error}") from error
