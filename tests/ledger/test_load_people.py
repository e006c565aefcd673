"""Who leaves, by the file of people: their ways in are closed at once, and somebody is left who looks after the rest.
And files that are none: each is a line of the report, and the others are loaded all the same.
"""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import ledger.engine
from ledger import sessions
from ledger.access import create_key
from ledger.load import load
from ledger.people import caller_of_key, person_by_email
from tests.conftest import Database
from tests.ledger.test_load import FOLDER, Rows, folder, rows, write

__all__ = ["folder"]
ANA: dict[str, Any] = dict(FOLDER["people.csv"][0])
EVA: dict[str, Any] = {"id": "eva.adams", "email": "eva@endcap.example", "name": "Eva Adams", "roles": "admin"}


async def take(database: Database, folder: Path, *people: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Load a file of people; its rejects."""
    result = await load(database.url, write(folder, {**FOLDER, "people.csv": people}))
    return [(one.line, one.field, one.reason) for one in result.rejects]


class TestActive:
    async def test_who_leaves_has_no_way_in_any_more(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        ledger_of = ledger.engine.Database(database.url, pool_size=1)
        key = await create_key(ledger_of, "ana", "ana", ["read", "approve"], person_id="ana.ruiz")
        await sessions.begin(ledger_of, "ana.ruiz", "token", replaces=None)

        async def ways() -> list[bool]:
            async with ledger_of.read() as conn:
                found = [await sessions.session_of(conn, "token"), await caller_of_key(conn, key)]
                return [one is not None for one in (*found, await person_by_email(conn, "ana@endcap.example"))]

        assert await ways() == [True, True, True]
        assert await take(database, folder, ANA | {"active": "no"}) == []
        assert await ways() == [False, False, False]
        assert (
            await take(database, folder, {name: cell for name, cell in ANA.items() if name != "name"} | {"name": "Ana"})
            == []
        )
        assert await ways() == [False, False, False], "a file that does not say brings nobody back"
        assert await take(database, folder, ANA | {"active": "yes"}) == []
        assert await ways() == [False, True, True], "but the session of before is over"
        await ledger_of.dispose()

    async def test_it_is_read_as_it_is_written_and_a_second_load_changes_nothing(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        assert await take(database, folder, ANA, EVA | {"active": "no"}) == []
        assert await rows(engine, "SELECT id, active FROM person ORDER BY id") == [
            ("ana.ruiz", True),
            ("eva.adams", False),
        ]
        result = await load(database.url, folder)
        assert [one.written for one in result.files] == [0] * len(result.files)
        [(line, field, _)] = await take(database, folder, ANA | {"active": "perhaps"})
        assert (line, field) == (2, "active")


class TestLastAdmin:
    @pytest.mark.parametrize("change", [{"active": "no"}, {"roles": "finance"}, {"entity": "EGUS", "locations": "S1"}])
    async def test_nobody_would_be_left_who_looks_after_all(
        self, database: Database, engine: AsyncEngine, folder: Path, change: dict[str, Any]
    ) -> None:
        assert await take(database, folder, ANA, EVA) == []
        changed = ANA | {"name": "Ana R."}
        if "entity" in change:
            assert await take(database, folder, changed, EVA | change) == [], "of a store, there is still one"
            return
        [(line, field, reason)] = await take(database, folder, changed, EVA | change)
        assert (line, field) == (1, "roles")
        assert "nobody would be an administrator" in reason
        people = await rows(engine, "SELECT id, name, active FROM person ORDER BY id")
        assert people == [("ana.ruiz", "Ana Ruiz", True), ("eva.adams", "Eva Adams", True)], "nothing of it is taken"
        assert await rows(engine, "SELECT role FROM person_role WHERE person_id = 'eva.adams'") == [("admin",)]

    async def test_another_in_the_same_file_will_do(self, database: Database, folder: Path) -> None:
        assert await take(database, folder, ANA, EVA) == []
        assert await take(database, folder, ANA | {"roles": "admin"}, EVA | {"active": "no"}) == []


class TestFilesThatAreNone:
    @pytest.mark.parametrize(
        "content",
        [b"PK\x03\x04\xff\xfe\x80", "code,name,entity\nAKR,Äkron,EGUS".encode("utf-16"), b"", b"\x00" * 100,
         b'code,name,entity\nAKR,"' + b"x" * 200_000 + b'",EGUS\n'],
        ids=["a zip", "UTF-16", "nothing", "zeros", "a cell without end"],
    )  # fmt: skip
    async def test_it_is_said_and_the_others_are_loaded(
        self, database: Database, engine: AsyncEngine, folder: Path, content: bytes
    ) -> None:
        await load(database.url, folder)
        (folder / "regions.csv").write_bytes(content)
        result = await load(database.url, write(folder, {"items.csv": [{**FOLDER["items.csv"][0], "name": "Anew"}]}))
        assert {one.file for one in result.rejects} == {"regions.csv"}
        assert await rows(engine, "SELECT name FROM item WHERE sku = '100'") == [("Anew",)]

    @pytest.mark.parametrize("sign", ["\x00", "\x07", "\x1b[2J", "\x7f"])
    async def test_a_cell_with_a_sign_that_is_no_text(
        self, database: Database, engine: AsyncEngine, folder: Path, sign: str
    ) -> None:
        changed: Rows = [FOLDER["items.csv"][0], {**FOLDER["items.csv"][1], "name": f"So{sign}up"}]
        result = await load(database.url, write(folder, {**FOLDER, "items.csv": changed}))
        [reject] = [one for one in result.rejects if one.file == "items.csv"]
        assert (reject.line, reject.field) == (3, "name")
        assert await rows(engine, "SELECT sku FROM item") == [("100",)]
