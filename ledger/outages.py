"""What a failure of PostgreSQL means to whoever runs on and tries again, and how it is said in a log.

A database error's own text may quote a statement or a row, so a log has its name and code, and a trace only where the
failure is a mistake of ours.
"""

import logging

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

LONGEST = 300


def sqlstate(error: DBAPIError) -> str:
    """The five characters by which PostgreSQL names what went wrong."""
    return getattr(error.orig, "sqlstate", None) or ""


def is_outage(error: BaseException) -> bool:
    """True when PostgreSQL (or the way to it) is away or busy: the same will succeed later."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_outage(one) for one in error.exceptions)
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, PoolTimeout | OSError | TimeoutError)


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
