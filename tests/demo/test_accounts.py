"""Accounts and keys of the demo on a real database: made once, the same each start, refused with another secret."""

import shutil
from pathlib import Path

import pytest
from argon2.exceptions import VerifyMismatchError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo import accounts, people
from ledger.access import password_hasher
from ledger.load import load
from ledger.people import caller_of_key
from tests.conftest import Database

SECRET = "a-secret-of-this-installation-alone"


@pytest.fixture
async def loaded(database: Database, data_folder: Path, tmp_path: Path) -> Database:
    """The demo's retailer and its people, without goods."""
    for name in ("entities.csv", "regions.csv", "locations.csv", "people.csv"):
        shutil.copy(data_folder / name, tmp_path)
    result = await load(database.url, tmp_path)
    assert result.rejects == []
    return database


class TestAccounts:
    async def test_each_account_opens_with_its_password_and_no_other(
        self, loaded: Database, engine: AsyncEngine
    ) -> None:
        made = await accounts.create(loaded.url, SECRET)
        assert len(made["accounts"]) == len(people.OFFICE) + 2
        async with engine.connect() as connection:
            query = text("SELECT p.email, c.password_hash FROM credential c JOIN person p ON p.id = c.person_id")
            stored = {row.email: row.password_hash for row in await connection.execute(query)}
        hasher = password_hasher()  # with another cost, sign-in would tell by its time who has an account
        assert not any(hasher.check_needs_rehash(hashed) for hashed in stored.values())
        for account in made["accounts"]:
            assert hasher.verify(stored[account["email"]], account["password"])
        first, second = made["accounts"][:2]
        with pytest.raises(VerifyMismatchError):
            hasher.verify(stored[first["email"]], second["password"])

    async def test_a_second_start_changes_nothing(self, loaded: Database, engine: AsyncEngine) -> None:
        first = await accounts.create(loaded.url, SECRET)
        async with engine.connect() as connection:
            before = (await connection.execute(text("SELECT * FROM credential ORDER BY 1"))).all()
        assert await accounts.create(loaded.url, SECRET) == first
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT * FROM credential ORDER BY 1"))).all() == before

    async def test_without_people_there_are_no_accounts(self, database: Database, engine: AsyncEngine) -> None:
        made = await accounts.create(database.url, SECRET)
        assert made["accounts"] == []
        async with engine.connect() as connection:
            assert await caller_of_key(connection, made["api_keys"][people.ANA.id]) is None


class TestKeys:
    async def test_a_key_speaks_for_its_source_and_a_token_for_its_person(
        self, loaded: Database, engine: AsyncEngine
    ) -> None:
        keys = (await accounts.create(loaded.url, SECRET))["api_keys"]
        async with engine.connect() as connection:
            till = await caller_of_key(connection, keys["pos"])
            ana = await caller_of_key(connection, keys[people.ANA.id])
        assert till is not None
        assert (till.source, till.person) == ("pos", None)
        assert "orders:write" not in till.scopes
        assert ana is not None
        assert ana.person is not None
        assert (ana.person.name, "approve" in ana.scopes) == ("Ana Ruiz", True)
        assert ana.person.roles_at("EGUS", "AKR", people.ANAS_STORE) == {"store_manager"}
        assert ana.person.roles_at("EGUS", "COL", "S0367") == frozenset()

    async def test_only_tokens_of_people_may_approve(self) -> None:
        assert all(made.person is not None for made in accounts.KEYS if "approve" in made.scopes)

    async def test_another_installation_has_other_keys(self, loaded: Database, engine: AsyncEngine) -> None:
        await accounts.create(loaded.url, SECRET)
        async with engine.connect() as connection:
            for name in ("pos", "web", "oms"):
                assert await caller_of_key(connection, accounts.key("another-secret", name)) is None
