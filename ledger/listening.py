"""Hears what PostgreSQL tells of commits: that there are messages for the relays, and which cases and approvals have
changed. Only a hint: whoever listens looks at the tables as well.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import NamedTuple

import asyncpg

from ledger.engine import asyncpg_url
from ledger.outages import FAILURES
from ledger.outbox import CHANNEL

logger = logging.getLogger("endcap.ledger")

CHANGES = "endcap_changes"
_AGAIN_AFTER_S = 1.0


class Change(NamedTuple):
    """A case or an approval (`what`) that changed, its version now, and its place. `is_new`: opened, or came back."""

    what: str
    id: int
    version: int
    is_new: bool
    entity: str
    region: str
    location: str


async def keep_listening(url: str, heard: Callable[[], None]) -> None:
    """Call `heard` after each commit with messages, until cancelled; a lost connection is made again."""
    await _keep(url, CHANNEL, "endcap-relay-listen", lambda _: heard())


async def keep_hearing(url: str, heard: Callable[[Change | None], None]) -> None:
    """Call `heard` for each change of a case or an approval that was committed, until cancelled.

    None means that any number may have been missed: there was no connection until now.
    """
    await _keep(url, CHANGES, "endcap-web-listen", lambda payload: heard(read(payload) if payload else None))


def read(payload: str) -> Change | None:
    """A notice as the triggers write it; None for one that another release has written."""
    try:
        found = Change(*json.loads(payload))
    except (ValueError, TypeError):
        return None
    kinds = (str, int, int, bool, str, str, str)
    return found if all(isinstance(part, kind) for part, kind in zip(found, kinds, strict=True)) else None


async def _keep(url: str, channel: str, name: str, heard: Callable[[str], None]) -> None:
    address = asyncpg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        try:
            await _until_closed(address, channel, name, heard)
        except FAILURES as error:
            logger.info("not listening to PostgreSQL: %s", type(error).__name__)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _until_closed(address: str, channel: str, name: str, heard: Callable[[str], None]) -> None:
    closed = asyncio.Event()
    conn = await asyncpg.connect(address, server_settings={"application_name": name})
    try:
        conn.add_termination_listener(lambda _: closed.set())
        await conn.add_listener(channel, lambda *told: heard(str(told[-1])))
        heard("")  # whatever was committed before there was anybody to hear it
        await closed.wait()
    finally:
        await conn.close(timeout=2)
