"""What a failure of PostgreSQL is called: an outage is waited for and said in a line, and no log quotes a row."""

import logging

import pytest
from asyncpg.exceptions import (
    AdminShutdownError,
    DiskFullError,
    PostgresError,
    PostgresIOError,
    TooManyConnectionsError,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ledger.engine import Database
from ledger.outages import in_short, is_outage, say
from tests.conftest import Database as OwnDatabase

LOG = logging.getLogger("endcap.test")
GONE = OperationalError("SELECT secret", {"name": "Kim Lee"}, ConnectionResetError("gone"))


class TestNaming:
    @pytest.mark.parametrize("error", [GONE, PoolTimeout(), ConnectionRefusedError(), TimeoutError()])
    def test_whoever_is_away_or_busy_is_waited_for(self, error: Exception) -> None:
        assert is_outage(error)
        assert is_outage(ExceptionGroup("both", [error, error]))

    @pytest.mark.parametrize("kind", [DiskFullError, TooManyConnectionsError, AdminShutdownError, PostgresIOError])
    def test_a_server_without_room_or_going_down_is_waited_for(self, kind: type[PostgresError]) -> None:
        """SQLAlchemy calls these no operational errors."""
        assert is_outage(DBAPIError("INSERT", {}, kind("as PostgreSQL says it")))

    @pytest.mark.parametrize("error", [KeyError("x"), IntegrityError("INSERT", {}, Exception("dup"))])
    def test_a_mistake_of_ours_is_none(self, error: Exception) -> None:
        assert not is_outage(error)
        assert not is_outage(ExceptionGroup("one of them", [GONE, error]))

    def test_a_database_error_is_named_without_its_text(self) -> None:
        assert in_short(GONE) == "OperationalError"
        assert in_short(ExceptionGroup("twice", [GONE, GONE])) == "OperationalError"
        assert in_short(KeyError("x")) == "KeyError: 'x'"


class TestLogs:
    def test_an_outage_is_one_line_and_a_mistake_has_its_trace(self, caplog: pytest.LogCaptureFixture) -> None:
        say(LOG, GONE, "mails wait")
        say(LOG, KeyError("x"), "mails wait")
        outage, mistake = caplog.records
        assert (outage.levelname, outage.getMessage()) == (
            "WARNING",
            "mails wait (OperationalError); it is tried again",
        )
        assert outage.exc_info is None
        assert (mistake.levelname, mistake.exc_info is not None) == ("ERROR", True)

    async def test_a_failed_statement_does_not_tell_what_it_was_given(self, database: OwnDatabase) -> None:
        ledger = Database(database.url)
        with pytest.raises(DBAPIError) as failed:
            async with ledger.engine.begin() as conn:
                await conn.execute(text("SELECT 1 / (length(:name) - 7)"), {"name": "Kim Lee"})
        await ledger.dispose()
        assert "Kim" not in str(failed.value)
