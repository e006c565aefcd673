"""What a failure of PostgreSQL means to a loop that goes on and tries again, and how it is written to the log.

A database error's own text may quote a statement or a row, so a log has its name and code, and a trace only where the
failure is a mistake of ours.
"""

import errno
import logging

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

LONGEST = 300
DISK_FULL = "53100"
TOOK_TOO_LONG = "57014"
FULL = (
    "The disk that Endcap writes to is full; nothing was recorded. Whoever runs it has to make room; then send the same"
    " request again."
)
# Of the driver. It says the third when the server speaks without being asked, which it does when it ends a connection.
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
# Classes of SQLSTATE: no connection, nothing left of what it needs, being shut down.
AWAY = frozenset({"08", "53", "57"})
# A server that is read-only for a while, and one whose disk answers with errors.
AWAY_STATES = frozenset({"25006", "58030"})


def sqlstate(error: BaseException) -> str:
    """The five characters by which PostgreSQL names what went wrong, from SQLAlchemy's error or the driver's own."""
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """True when PostgreSQL says that it cannot serve now, whatever it was asked."""
    state = sqlstate(error)
    return state[:2] in AWAY or state in AWAY_STATES


def is_full(error: BaseException) -> bool:
    """True when something could not be written because its disk, or its quota, is full."""
    return sqlstate(error) == DISK_FULL or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}


def is_outage(error: BaseException) -> bool:
    """True when PostgreSQL (or the way to it) is away or busy: the same will succeed later."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_outage(one) for one in error.exceptions)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError) or is_away(error)
    return isinstance(error, PoolTimeout | OSError | TimeoutError | asyncpg.InternalClientError)


def in_short(error: BaseException) -> str:
    """One line for a log or a row: of a database error its name and code only."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(in_short(one) for one in error.exceptions))[:LONGEST]
    if isinstance(error, DBAPIError):
        return f"{type(error).__name__} {sqlstate(error)}".strip()
    return f"{type(error).__name__}: {error}"[:LONGEST]


def say(log: logging.Logger, error: BaseException, what: str) -> None:
    """Log that `what` was not done and is tried again: a line for an outage, with a trace for anything else."""
    if is_outage(error):
        log.warning("%s (%s); it is tried again", what, in_short(error))
    else:
        log.error("%s (%s); it is tried again", what, in_short(error), exc_info=error)
