"""Hears that something was committed for the relays. Only a hint: whoever listens polls as well."""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from ledger.engine import asyncpg_url
from ledger.outbox import CHANNEL

logger = logging.getLogger("endcap.ledger")

_AGAIN_AFTER_S = 1.0


async def keep_listening(url: str, heard: Callable[[], None]) -> None:
    """Call `heard` after each commit with messages, until cancelled; a lost connection is made again."""
    address = asyncpg_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        try:
            await _until_closed(address, heard)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.info("not listening to PostgreSQL: %s", type(error).__name__)
        await asyncio.sleep(_AGAIN_AFTER_S)


async def _until_closed(address: str, heard: Callable[[], None]) -> None:
    closed = asyncio.Event()
    conn = await asyncpg.connect(address, server_settings={"application_name": "endcap-relay-listen"})
    try:
        conn.add_termination_listener(lambda _: closed.set())
        await conn.add_listener(CHANNEL, lambda *_: heard())
        heard()  # whatever was committed before there was anybody to hear it
        await closed.wait()
    finally:
        await conn.close(timeout=2)
