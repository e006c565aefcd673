"""A key that is given anew: two hold at once for a while, then the older one ends; there are never three."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

import ledger.engine
from domain.errors import Malformed, NotFound
from ledger import access, tables
from ledger.people import caller_of_key
from ledger.transaction import Transaction
from tests.web.retail import key_text, rows


async def source_of(database: ledger.engine.Database, key: str) -> str | None:
    async with database.read() as conn:
        caller = await caller_of_key(conn, key)
    return caller.source if caller else None


async def test_both_hold_until_the_time_of_the_older_one_is_over(retailer: ledger.engine.Database) -> None:
    old = key_text("web")
    new = await access.rotate_key(retailer, "web", older_for=timedelta(hours=24))
    assert [await source_of(retailer, key) for key in (old, new)] == ["web", "web"]

    async def later(tx: Transaction) -> None:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await tx.conn.execute(update(tables.api_key).where(tables.api_key.c.id == "web").values(older_until=past))

    await retailer.write(later, actor="test", via="test")
    assert [await source_of(retailer, key) for key in (old, new)] == [None, "web"]


async def test_given_anew_twice_the_first_one_ends(retailer: ledger.engine.Database) -> None:
    keys = [key_text("web")]
    keys += [await access.rotate_key(retailer, "web", older_for=timedelta(hours=24)) for _ in range(2)]
    assert [await source_of(retailer, key) for key in keys] == [None, "web", "web"]


async def test_without_a_time_the_older_one_ends_at_once(retailer: ledger.engine.Database) -> None:
    new = await access.rotate_key(retailer, "web", older_for=timedelta(0))
    assert [await source_of(retailer, key) for key in (key_text("web"), new)] == [None, "web"]


async def test_revoked_both_are_over(retailer: ledger.engine.Database) -> None:
    new = await access.rotate_key(retailer, "web", older_for=timedelta(hours=24))
    await access.revoke_key(retailer, "web")
    assert [await source_of(retailer, key) for key in (key_text("web"), new)] == [None, None]


async def test_it_keeps_what_it_may_and_is_stored_nowhere(retailer: ledger.engine.Database) -> None:
    before = next(row for row in await rows(retailer, tables.api_key) if row["id"] == "web")
    new = await access.rotate_key(retailer, "web", older_for=timedelta(hours=1))
    after = next(row for row in await rows(retailer, tables.api_key) if row["id"] == "web")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"key_hash", "older_hash", "older_until"}
    written = str([await rows(retailer, table) for table in (tables.api_key, tables.audit)])
    assert new not in written
    assert "key.rotated" in written


@pytest.mark.parametrize("key_id", ["gone", "nothing"])
async def test_one_that_does_not_hold_is_not_given_anew(retailer: ledger.engine.Database, key_id: str) -> None:
    with pytest.raises(NotFound, match="no key"):
        await access.rotate_key(retailer, key_id, older_for=timedelta(hours=1))


@pytest.mark.parametrize("hours", [-1, 721])
async def test_a_time_that_is_none(retailer: ledger.engine.Database, hours: int) -> None:
    with pytest.raises(Malformed, match="720 hours"):
        await access.rotate_key(retailer, "web", older_for=timedelta(hours=hours))
