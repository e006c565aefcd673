"""The mail server of the demo: each mail becomes an `.eml` file and can be read on a small page.

Only for the machine it runs on. Links are opened on the host `localhost`, so that whoever answers a mail has a
browser session of their own beside the console's on `127.0.0.1`. The page has no script and stores nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import re
import signal
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

MAIL_LIMIT_BYTES = 5_000_000
SHOWN = 200
_NAME = re.compile(r"[0-9TZ]{16,24}-[0-9]+-[a-z0-9.@_+-]{1,80}\.eml")
_LINK = re.compile(r"https?://[^\s<>\"']+")
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:46rem;padding:1rem;color:#1d2430;background:#f6f7f9}
a{color:#14508c}select,button{font:inherit;max-width:100%;min-height:2.5rem}h1{font-size:1.25rem}ul{list-style:none;padding:0}
li,article{background:#fff;border:1px solid #dde1e7;border-radius:8px;padding:.75rem 1rem;margin:.5rem 0}
small{color:#5b6573}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}
@media(prefers-color-scheme:dark){body{background:#14171c;color:#e6e9ee}li,article{background:#1d222a;border-color:#333b47}
a{color:#8ec2f5}small{color:#9aa5b4}}
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Keeper:
    """Takes mails by SMTP and writes one file for each addressee."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002
        """Called by the SMTP server; answers 250 only when every copy is on disk."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 a mail must be bytes"
        for addressee in envelope.rcpt_tos:
            await asyncio.to_thread(self._write, addressee, content)
        return "250 kept"

    def _write(self, addressee: str, content: bytes) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        word = re.sub(r"[^a-z0-9.@_+-]", "_", addressee.lower())[:80]
        file = self.folder / f"{stamp}-{os.getpid()}{next(self._number):06d}-{word}.eml"
        draft = file.with_suffix(".part")
        draft.write_bytes(content)
        draft.replace(file)


def read_mail(file: Path) -> EmailMessage:
    """Parse one kept mail."""
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert isinstance(message, EmailMessage), "policy.default makes EmailMessage"
    return message


def text_of(message: EmailMessage) -> str:
    """The plain text part; empty when the mail has none."""
    part = message.get_body(preferencelist=("plain",))
    if part is None:
        return ""
    content: Any = part.get_content()
    return str(content)


def linked(text: str) -> str:
    """Escaped HTML of `text` in which every web address is a link, those of this machine on the host `localhost`."""
    pieces, end = [], 0
    for found in _LINK.finditer(text):
        address = found.group().rstrip(".,;)")
        pieces += [html.escape(text[end : found.start()]), _anchor(address)]
        end = found.start() + len(address)
    return "".join([*pieces, html.escape(text[end:])])


def _anchor(address: str) -> str:
    parts = urlsplit(address)
    target = address
    if parts.hostname == "127.0.0.1":
        port = f":{parts.port}" if parts.port else ""
        target = parts._replace(netloc=f"localhost{port}").geturl()
    return f'<a href="{html.escape(target)}">{html.escape(address)}</a>'


def page(title: str, body: str) -> HTMLResponse:
    """A whole page around trusted `body`."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>",
        headers=_HEADERS,
    )


def make_pages(folder: Path) -> Starlette:
    """`/` lists mails (`?to=` of one addressee), `/mails/NAME` shows one, `/mails/NAME/raw` gives it as it came."""

    def files() -> list[Path]:
        return sorted((file for file in folder.glob("*.eml") if _NAME.fullmatch(file.name)), reverse=True)

    def addressee_of(file: Path) -> str:
        return file.stem.split("-", 2)[2]

    def index(request: Request) -> Response:
        wanted = request.query_params.get("to") or None
        found = files()
        people = sorted({addressee_of(file) for file in found})
        choices = '<option value="">everybody</option>' + "".join(
            f"<option{' selected' if who == wanted else ''}>{html.escape(who)}</option>" for who in people
        )
        shown = [file for file in found if wanted in {None, addressee_of(file)}][:SHOWN]
        rows = "".join(_row(file) for file in shown) or "<li>No mail yet.</li>"
        return page(
            f"Mails to {wanted}" if wanted else "Demo mailbox",
            f'<form><label>Mails to <select name="to">{choices}</select></label> <button>Show</button></form>'
            f"<ul>{rows}</ul>",
        )

    def _row(file: Path) -> str:
        message = read_mail(file)
        to = ", ".join(address for _, address in getaddresses([str(message.get("to", ""))]))
        return (
            f'<li><a href="/mails/{html.escape(file.name)}">{html.escape(str(message.get("subject", "(no subject)")))}'
            f"</a><br><small>{html.escape(to)} · {html.escape(str(message.get('date', '')))}</small></li>"
        )

    def one(request: Request) -> Response:
        file = _file(request.path_params["name"])
        if file is None:
            return HTMLResponse("no such mail", status_code=404, headers=_HEADERS)
        message = read_mail(file)
        heads = "".join(
            f"<small>{name}: {html.escape(str(message.get(name, '')))}</small><br>" for name in ("From", "To", "Date")
        )
        body = f'<p><a href="/">All mails</a></p><article>{heads}<pre>{linked(text_of(message))}</pre></article>'
        return page(str(message.get("subject", "(no subject)")), body)

    def raw(request: Request) -> Response:
        file = _file(request.path_params["name"])
        if file is None:
            return HTMLResponse("no such mail", status_code=404, headers=_HEADERS)
        return Response(file.read_bytes(), media_type="text/plain; charset=utf-8", headers=_HEADERS)

    def _file(name: str) -> Path | None:
        file = folder / name
        return file if _NAME.fullmatch(name) and file.is_file() else None

    return Starlette(
        routes=[Route("/", index), Route("/mails/{name}", one), Route("/mails/{name}/raw", raw)],
        # a page elsewhere must not read mails by pointing its own name at this machine
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


async def serve(folder: Path, *, smtp_port: int, page_port: int) -> None:
    """Run both servers on 127.0.0.1 until SIGINT or SIGTERM."""
    keeper = Keeper(folder)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(keeper, data_size_limit=MAIL_LIMIT_BYTES, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", smtp_port
    )
    pages = uvicorn.Server(
        uvicorn.Config(make_pages(folder), host="127.0.0.1", port=page_port, log_level="warning", access_log=False)
    )
    async with smtp:
        await pages.serve()  # it ends on SIGINT and SIGTERM


def main() -> None:
    """Command line of the child process."""
    parser = argparse.ArgumentParser(description="The demo's mailbox")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    given = parser.parse_args()
    given.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        asyncio.run(serve(given.folder, smtp_port=given.smtp_port, page_port=given.page_port))
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


if __name__ == "__main__":
    main()
