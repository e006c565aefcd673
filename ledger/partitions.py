"""Months of movements: each is a partition of its own, made before it begins, so that no row has to be moved later.

Bounds are months of UTC. A movement of a month that nobody made is taken by the default partition, and stays there.
"""

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.engine import Database

logger = logging.getLogger("endcap.ledger")

MONTHS_AHEAD = 3
LOCK = 0x6D6F6E74
# Only the default partition is locked against readers, and only for a moment; whoever holds it longer is not pressed.
LOCK_TIMEOUT = "2s"

_SETTINGS = text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"), text("SET LOCAL TIME ZONE 'UTC'")
_IS_MINE = text(f"SELECT pg_try_advisory_xact_lock({LOCK})")
_LAST_END = text(
    "SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''([^'']+)''\\)'))[1]::timestamptz)"
    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'movement'::regclass"
)
_IN_DEFAULT = text(
    "SELECT EXISTS (SELECT 1 FROM movement_default WHERE recorded_at >= :begin AND recorded_at < :until)"
)


async def make_ahead(database: Database, now: datetime) -> int:
    """Make the partitions of the coming months that are missing; returns how many were made.

    Of two that come at once, one makes them. Raises `DBAPIError` when the table stays locked: the next run tries again.
    """
    async with database.engine.begin() as conn:
        for setting in _SETTINGS:
            await conn.execute(setting)
        if not (await conn.execute(_IS_MINE)).scalar_one():
            return 0
        begin: datetime = (await conn.execute(_LAST_END)).scalar_one() or _month(now)
        made, wanted = 0, _month(now)
        for _ in range(MONTHS_AHEAD + 1):
            wanted = _next_month(wanted)
        while begin < wanted:
            # A database that was made in another time zone has bounds beside midnight: its last month ends with ours.
            until = _next_month(begin + timedelta(days=14))
            made += await _make(conn, begin, until)
            begin = until
        return made


async def _make(conn: AsyncConnection, begin: datetime, until: datetime) -> int:
    name = f"movement_{until - timedelta(days=1):%Y%m}"
    if (await conn.execute(_IN_DEFAULT, {"begin": begin, "until": until})).scalar_one():
        # Moving rows of an append-only table is nothing that a sweep does; they are found where they are.
        logger.warning("movements of %s are in the default partition and stay there", f"{begin:%Y-%m}")
        return 0
    # Made apart and attached: the parent is not locked against writers, as CREATE … PARTITION OF would.
    await conn.execute(text(f"CREATE TABLE {name} (LIKE movement INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"))
    await conn.execute(
        text(
            f"ALTER TABLE movement ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{begin.isoformat()}') TO ('{until.isoformat()}')"
        )
    )
    logger.info("partition %s is made", name)
    return 1


def _month(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(at: datetime) -> datetime:
    return _month(_month(at) + timedelta(days=32))
