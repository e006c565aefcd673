"""Whether a connection is still alive when the pool hands it out.

The driver knows of one that the server has closed. One that has rested may be at the end of a line that is cut, so the
server is asked; one that was used a moment ago is not asked again, which under load is every one of them.
"""

from time import monotonic
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util import await_only

from ledger.outages import FAILURES

TRUSTED_S = 1.0  # after it was used; what breaks within is found by its first statement: see `Database.read`
_USED_AT = "used_at"


def look_after(engine: Engine) -> None:
    """Have the pool make a connection anew that does not stand any more. The `info` of each holds its `driver`."""

    @event.listens_for(engine, "connect")
    @event.listens_for(engine, "checkin")
    def used(_adapted: Any, record: Any) -> None:
        record.info[_USED_AT] = monotonic()

    @event.listens_for(engine, "checkout")
    def stands(_adapted: Any, record: Any, _whole: Any) -> None:
        driver = record.info["driver"]
        if driver.is_closed():
            raise DisconnectionError("the server has closed it")
        if monotonic() - record.info[_USED_AT] < TRUSTED_S:
            return
        try:
            await_only(driver.execute("SELECT 1"))
        except FAILURES as error:
            raise DisconnectionError("it does not answer") from error
