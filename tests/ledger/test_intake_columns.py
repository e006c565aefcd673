"""Columns as texts: whatever a row may hold comes out of PostgreSQL as it went in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.intake import columns
from tests.conftest import Database

SHAPE = {
    "word": "text", "perhaps": "text or null", "units": "int", "amount": "bigint", "yes": "boolean", "at": "timestamptz"
}  # fmt: skip
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\x1e\x1f"), max_size=12)
ROWS = st.lists(
    st.tuples(
        WORDS,
        st.none() | WORDS,
        st.integers(-(2**31), 2**31 - 1),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.just(datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ),
    max_size=5,
)
QUERY = f"SELECT * FROM {columns.given(SHAPE, 1)}"  # noqa: S608  names of our own


@given(rows=ROWS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_rows_come_out_as_they_went_in(conn: asyncpg.Connection, rows: list[columns.Row]) -> None:
    assert [tuple(row) for row in await conn.fetch(QUERY, *columns.packed(SHAPE, rows))] == rows


async def test_a_single_empty_text_is_a_row(conn: asyncpg.Connection) -> None:
    shape = {"word": "text"}
    query = f"SELECT * FROM {columns.given(shape, 1)}"  # noqa: S608
    assert [tuple(row) for row in await conn.fetch(query, *columns.packed(shape, [("",)]))] == [("",)]
    assert await conn.fetch(query, *columns.packed(shape, [])) == []


@pytest.mark.parametrize("text", ["a\x1fb", "\x1f", "\x1f\x1f"])
@pytest.mark.parametrize("kind", ["text", "text or null"])
def test_what_would_shift_a_column_is_refused(text: str, kind: str) -> None:
    with pytest.raises(columns.UnspeakableText, match="leave it out"):
        columns.packed({"word": kind}, [("fine",), (text,)])


@pytest.fixture
async def conn(database: Database) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(database.url)
    yield made
    await made.close()
