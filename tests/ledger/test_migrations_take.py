"""A migration that takes away what older code asks for, or refuses what it writes, is named with its reason: to whoever
runs it, who stops the old processes first. What it does is read from the catalogue, before and after.
"""

import asyncio
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from ledger import migrate, revisions
from ledger.engine import Database as Ledger
from ledger.engine import asyncpg_url
from tests.conftest import Database

ROOT = Path(__file__).parents[2]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
# What an older process never did, so that nothing it does is refused.
HARMLESS = {"0019": "whoever closes a case has said when since the first release"}

_COLUMNS = text(
    "SELECT table_name || '.' || column_name AS name, udt_name AS kind, is_nullable = 'NO' AS needed,"
    " column_default IS NULL AND is_identity = 'NO' AND is_generated = 'NEVER' AS by_hand"
    " FROM information_schema.columns WHERE table_schema = 'public'"
)
_CONSTRAINTS = text(
    "SELECT c.conrelid::regclass || ' ' || c.conname AS name, c.contype::text AS kind,"
    " pg_get_constraintdef(c.oid) AS says, ARRAY(SELECT c.conrelid::regclass || '.' || a.attname FROM pg_attribute a"
    "       WHERE a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey)) AS columns"
    " FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('c', 'f', 'p', 'u', 'x')"
    " UNION ALL "
    "SELECT i.indrelid::regclass || ' ' || k.relname, 'u', pg_get_indexdef(i.indexrelid),"
    " ARRAY(SELECT i.indrelid::regclass || '.' || a.attname FROM pg_attribute a"
    "       WHERE a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey))"
    " FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indisunique AND NOT i.indisprimary"
    " AND k.relnamespace = 'public'::regnamespace"
    " AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)"
)


class Schema(NamedTuple):
    """`columns`: by table and column, its type, whether it is needed, whether whoever writes must name it. `rules`: by
    table and name, kind, text and columns of a constraint or a unique index."""

    columns: dict[str, tuple[str, bool, bool]]
    rules: dict[str, tuple[str, str, frozenset[str]]]

    @classmethod
    async def of(cls, conn: AsyncConnection) -> "Schema":
        columns = {row.name: (row.kind, row.needed, row.by_hand) for row in await conn.execute(_COLUMNS)}
        found = await conn.execute(_CONSTRAINTS)
        return cls(columns, {row.name: (row.kind, row.says, frozenset(row.columns)) for row in found})


def taken(before: Schema, after: Schema) -> list[str]:
    """What code that fits `before` misses in `after`, or may not write there any more."""
    found = [f"{name} is gone" for name in before.columns if name not in after.columns]
    tables = {name.partition(".")[0] for name in before.columns}
    for name, (kind, needed, by_hand) in after.columns.items():
        was = before.columns.get(name)
        if was is None:
            if needed and by_hand and name.partition(".")[0] in tables:
                found.append(f"{name} is new, needed, and has no default")
        elif was[0] != kind:
            found.append(f"{name} was {was[0]} and is {kind}")
        elif needed and not was[1]:
            found.append(f"{name} may not be empty any more")
    found += [f"{name}, a key, is gone" for name, (kind, *_) in before.rules.items()
              if kind in "pu" and not _stands(before.rules[name], after)]  # fmt: skip
    for name, rule in after.rules.items():
        is_about_old = name.partition(" ")[0] in tables and rule[2] <= set(before.columns)
        if is_about_old and not _stands(rule, before) and _refuses_more(before.rules.get(name), rule):
            found.append(f"{name} is new: {rule[1]}")
    return found


def _stands(rule: tuple[str, str, frozenset[str]], there: Schema) -> bool:
    """Whether it is there, under whatever name."""
    return any(
        one[0] == rule[0] and _what(one[1]) == _what(rule[1]) and one[2] == rule[2] for one in there.rules.values()
    )


def _what(says: str) -> str:
    return re.sub(r"INDEX \w+ ON", "INDEX ON", says).removesuffix(" NOT VALID")


def _refuses_more(was: tuple[str, str, frozenset[str]] | None, rule: tuple[str, str, frozenset[str]]) -> bool:
    """A list of words that has only become longer refuses nothing that was taken before."""
    if was is None or rule[0] != "c":
        return True
    words, listed = re.compile(r"'([^']*)'"), re.compile(r"ARRAY\[[^]]*\]")
    is_longer = set(words.findall(was[1])) <= set(words.findall(rule[1]))
    return not (is_longer and listed.sub("", was[1]) == listed.sub("", rule[1]))


async def test_each_migration_that_takes_or_tightens_is_named_with_its_reason(bare_database: Database) -> None:
    found: dict[str, list[str]] = {}
    config = migrate.config(bare_database.url)
    numbers = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    engine = create_async_engine(asyncpg_url(bare_database.url))
    before: Schema | None = None
    for number in numbers:
        await asyncio.to_thread(command.upgrade, config, number)
        async with engine.connect() as conn:
            after = await Schema.of(conn)
        if before is not None and (lost := taken(before, after)):
            found[number] = lost
        before = after
    await engine.dispose()
    named = set(revisions.TAKES) | set(HARMLESS)
    assert {number: lost for number, lost in found.items() if number not in named} == {}, (
        "name it in ledger.revisions.TAKES, with what an older process would do; or divide it in two"
    )
    assert set(found) == named, "what is named does take something away"


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TABLE a", "a.id is gone"),
        ("ALTER TABLE a RENAME TO b", "a.id is gone"),
        ("ALTER TABLE a DROP COLUMN word", "a.word is gone"),
        ("ALTER TABLE a RENAME COLUMN word TO words", "a.word is gone"),
        ("ALTER TABLE a ALTER COLUMN word SET NOT NULL", "a.word may not be empty"),
        ("ALTER TABLE a ALTER COLUMN units TYPE bigint", "a.units was int4 and is int8"),
        ("ALTER TABLE a ADD COLUMN more text NOT NULL", "a.more is new, needed"),
        ("ALTER TABLE a DROP CONSTRAINT uq_a", "a uq_a, a key, is gone"),
        ("DROP INDEX uq_a_word", "a uq_a_word, a key, is gone"),
        ("ALTER TABLE a ADD CONSTRAINT ck_b CHECK (units > 0)", "a ck_b is new"),
        ("ALTER TABLE a DROP CONSTRAINT ck_a, ADD CONSTRAINT ck_a CHECK (word IN ('x'))", "a ck_a is new"),
        ("ALTER TABLE a ADD CONSTRAINT fk_a FOREIGN KEY (units) REFERENCES a (id)", "a fk_a is new"),
        ("CREATE UNIQUE INDEX uq_b ON a (word, units)", "a uq_b is new"),
        ("CREATE UNIQUE INDEX uq_b ON a (lower(word))", "a uq_b is new"),
        ("ALTER TABLE a ADD COLUMN more text NOT NULL DEFAULT ''", ""),
        ("ALTER TABLE a ADD COLUMN more integer UNIQUE CHECK (more > 0)", ""),
        ("ALTER TABLE a ALTER COLUMN word DROP DEFAULT", ""),
        ("ALTER TABLE a DROP CONSTRAINT ck_a, ADD CONSTRAINT ck_a CHECK (word IN ('x', 'y', 'z'))", ""),
        ("ALTER TABLE a DROP CONSTRAINT uq_a, ADD CONSTRAINT uq_c UNIQUE (units)", ""),
        ("CREATE INDEX ix_a ON a (word)", ""),
        ("CREATE TABLE b (id integer NOT NULL PRIMARY KEY, word text NOT NULL UNIQUE)", ""),
    ],
)
async def test_what_takes_and_what_does_not(bare_database: Database, statement: str, says: str) -> None:
    engine = create_async_engine(asyncpg_url(bare_database.url))
    async with engine.connect() as conn:
        await conn.exec_driver_sql(
            "CREATE TABLE a (id integer PRIMARY KEY, word text DEFAULT '', units integer CONSTRAINT uq_a UNIQUE,"
            " CONSTRAINT ck_a CHECK (word IN ('x', 'y')))"
        )
        await conn.exec_driver_sql("CREATE UNIQUE INDEX uq_a_word ON a (word)")
        before = await Schema.of(conn)
        await conn.exec_driver_sql(statement)
        found = taken(before, await Schema.of(conn))
        await conn.rollback()
    await engine.dispose()
    assert found == [] if not says else any(one.startswith(says) for one in found), found


def test_the_guide_says_the_same() -> None:
    rows = re.findall(r"^\| (\d{4}) \| (.+?) \| (.+?) \|$", OPERATING, re.MULTILINE)
    assert {number: (what, older) for number, what, older in rows} == dict(revisions.TAKES)
    assert set(revisions.TAKES) <= {path.name[:4] for path in (revisions.HERE / "versions").glob("0*.py")}


class TestWhileProcessesRun:
    @pytest.fixture
    async def behind(self, bare_database: Database) -> Any:
        """A schema on which a migration is to come that takes something away."""
        await asyncio.to_thread(command.upgrade, migrate.config(bare_database.url), "0040")
        return bare_database

    async def test_it_names_them_and_changes_nothing(self, behind: Database) -> None:
        worker = Ledger(behind.url, pool_size=1, application="endcap-worker")
        async with worker.read() as conn:
            with pytest.raises(
                migrate.StillRunning, match=r"endcap-worker \(1\).*0041 takes away .*Nothing was changed"
            ):
                await asyncio.to_thread(migrate.upgrade, behind.url)
            version = (await conn.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar_one()
            assert version == "0040"
        await worker.dispose()
        await asyncio.to_thread(migrate.upgrade, behind.url)

    async def test_it_goes_on_beside_them_where_it_is_told_to(self, behind: Database) -> None:
        worker = Ledger(behind.url, pool_size=1, application="endcap-web")
        async with worker.read():
            pass
        await asyncio.to_thread(lambda: migrate.upgrade(behind.url, beside=True))
        async with worker.read() as conn:
            version = (await conn.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar_one()
            assert version == revisions.head()
        await worker.dispose()

    async def test_what_only_adds_runs_beside_them(self, behind: Database) -> None:
        await asyncio.to_thread(command.upgrade, migrate.config(behind.url), "0041")
        worker = Ledger(behind.url, pool_size=1, application="endcap-worker")
        async with worker.read():
            await asyncio.to_thread(migrate.upgrade, behind.url)
        await worker.dispose()
