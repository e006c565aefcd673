"""The commands of `endcap`, run as a user runs them: exit codes and words, on real databases."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from ledger.partitions import MONTHS_AHEAD
from ledger.sealing import Seal
from settings import DEMO_PAYLOAD_KEYS, parse_payload_keys
from tests.conftest import Database
from tests.shop import Shop, open_shop

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder that no stack ever used."""
    return tmp_path / "state"


def endcap(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """One command, with nothing of the environment of whoever runs the tests."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("ENDCAP_", "DATABASE_"))}
    return subprocess.run(
        [sys.executable, "cli.py", *words],
        cwd=ROOT,
        env=inherited | {"ENDCAP_HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


class TestMigrate:
    async def test_an_empty_database_gets_the_newest_schema_and_a_second_run_changes_nothing(
        self, home: Path, bare_database: Database
    ) -> None:
        for _ in range(2):
            done = endcap(home, "migrate", DATABASE_URL=bare_database.url)
            assert done.returncode == 0, done.stderr
        connection = await asyncpg.connect(bare_database.url)
        try:
            assert await connection.fetchval("SELECT count(*) FROM journey") == 0
            months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'movement'::regclass"
            assert await connection.fetchval(months) >= 1 + 1 + MONTHS_AHEAD  # the default, this month, the next ones
        finally:
            await connection.close()

    def test_without_a_database_it_says_which_setting_is_missing(self, home: Path) -> None:
        done = endcap(home, "migrate")
        assert done.returncode == 1
        assert "DATABASE_URL is not set" in done.stderr

    def test_an_address_of_another_database_is_refused_without_repeating_its_password(self, home: Path) -> None:
        done = endcap(home, "migrate", DATABASE_URL="mysql://root:sesame@host/x")
        assert done.returncode == 1
        assert "postgresql://" in done.stderr
        assert "sesame" not in done.stderr


class TestLoad:
    def test_good_rows_are_loaded(self, home: Path, tmp_path: Path, database: Database) -> None:
        (tmp_path / "entities.csv").write_text("code,name,currency,country\nEGUS,Endcap Grocers US,USD,US\n")
        done = endcap(home, "load", str(tmp_path), DATABASE_URL=database.url)
        assert done.returncode == 0, done.stderr
        assert "entities.csv" in done.stdout

    def test_rejected_rows_make_the_exit_code_1_and_are_listed(
        self, home: Path, tmp_path: Path, database: Database
    ) -> None:
        (tmp_path / "entities.csv").write_text("code,name,currency,country\nEGUS,Endcap Grocers US,DOLLARS,US\n")
        done = endcap(home, "load", str(tmp_path), DATABASE_URL=database.url)
        assert done.returncode == 1
        assert "rejects.csv" in done.stderr
        assert "currency" in (tmp_path / "rejects.csv").read_text()

    def test_a_folder_without_any_known_file_is_refused(self, home: Path, tmp_path: Path, database: Database) -> None:
        done = endcap(home, "load", str(tmp_path), DATABASE_URL=database.url)
        assert done.returncode == 1
        assert "entities.csv" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_folder_that_is_not_there_is_refused(self, home: Path, tmp_path: Path) -> None:
        assert endcap(home, "load", str(tmp_path / "nowhere")).returncode == 2


class TestBesideTheStack:
    @pytest.mark.parametrize("command", ["access", "demo"])
    def test_without_a_stack_they_say_how_to_start_one(self, home: Path, command: str) -> None:
        done = endcap(home, command)
        assert done.returncode == 1
        assert "make up" in done.stderr
        assert not home.exists()

    def test_reset_without_state_deletes_nothing(self, home: Path) -> None:
        done = endcap(home, "reset")
        assert done.returncode == 0
        assert "nothing to delete" in done.stdout

    def test_reset_refuses_a_folder_that_is_no_state_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "photos").mkdir()
        done = endcap(tmp_path, "reset")
        assert done.returncode == 1
        assert (tmp_path / "photos").exists()


class TestEvents:
    @pytest.fixture
    async def shop(self, database: Database) -> AsyncIterator[Shop]:
        opened = await open_shop(database.url)
        opened.database.seal = Seal(parse_payload_keys(DEMO_PAYLOAD_KEYS))
        yield opened
        await opened.database.dispose()

    async def test_a_quarantined_event_is_listed_and_replayed_when_its_item_was_loaded(
        self, home: Path, database: Database, shop: Shop
    ) -> None:
        settings = {"DATABASE_URL": database.url, "ENDCAP_DEMO": "on"}
        lines = [{"line": "1", "sku": "NEW", "quantity": 2, "unit_price_minor": 100}]
        bad = await shop.report("pos.sale", location="S1", receipt="R1", lines=lines)
        listed = endcap(home, "events", "list", **settings)
        assert bad.id in listed.stdout
        assert "SKU NEW is not in the master data" in listed.stdout
        missed = endcap(home, "events", "replay", "--all", **settings)
        assert missed.returncode == 1
        assert "1 of 1 events were not taken" in missed.stderr
        await shop.change("INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('NEW', 'New', 100, 60)")
        taken = endcap(home, "events", "replay", bad.id, "--source", "web", **settings)
        assert taken.returncode == 0, taken.stderr
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == -2
        assert endcap(home, "events", "list", **settings).stdout == ""

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["replay"], "say what to replay"),
            (["replay", "e-1"], "name it with --source"),
            (["replay", "e-1", "--source", "web"], "There is no quarantined event e-1"),
        ],
    )
    def test_what_is_not_there_or_not_said_is_refused(
        self, home: Path, database: Database, words: list[str], reason: str
    ) -> None:
        done = endcap(home, "events", *words, DATABASE_URL=database.url, ENDCAP_DEMO="on")
        assert done.returncode == 1
        assert reason in done.stderr


class TestWebhooks:
    async def test_one_is_added_rotated_pinged_listed_and_removed(self, home: Path, database: Database) -> None:
        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return endcap(home, "webhook", *words, DATABASE_URL=database.url, ENDCAP_DEMO="on")

        added = run("add", "https://shop.example/hook", "--source", "web", "--type", "case.*")
        assert added.returncode == 0, added.stderr
        number, secret = added.stdout.split()
        assert secret.startswith("whsec_")
        rotated = run("rotate", number)
        assert rotated.stdout.startswith("whsec_")
        assert rotated.stdout.strip() != secret
        assert run("ping", number).returncode == 0
        listed = run("list").stdout
        assert listed.split() == [number, "web", "active", "1", "wait", "case.*", "https://shop.example/hook"]
        assert run("enable", number).returncode == 1
        assert run("remove", number).returncode == 0
        gone = run("redeliver", number, "1")
        assert (gone.returncode, gone.stderr) == (1, f"endcap: There is no delivery 1 of webhook {number}.\n")

    async def test_what_cannot_be_told_or_called_is_refused_in_a_sentence(self, home: Path, database: Database) -> None:
        for words, said in (
            (["https://shop.example/", "--type", "bopis.eaten"], "bopis has "),
            (["http://shop.example/", "--type", "*"], "over https"),
            (["https://10.0.0.1/", "--type", "*", "--local"], "private network"),
        ):
            done = endcap(
                home, "webhook", "add", *words, "--source", "web", DATABASE_URL=database.url, ENDCAP_DEMO="on"
            )
            assert done.returncode == 1
            assert said in done.stderr
