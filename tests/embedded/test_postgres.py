"""The embedded PostgreSQL: first start, second start, crashes, and what it refuses."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from embedded import postgres
from embedded.ports import free_port
from embedded.postgres import EmbeddedPostgres, create_database, drop_database, outside_place, url_of
from embedded.process import Account, StackError

PASSWORD = secrets.token_urlsafe(12)
NewServer = Callable[[], EmbeddedPostgres]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state folder that anybody may enter."""
    made = Path(tempfile.mkdtemp(prefix="endcap-pg-"))
    made.chmod(0o755)
    yield made
    place = outside_place(made)
    if place is not None:
        shutil.rmtree(place)
    shutil.rmtree(made)


@pytest.fixture
async def new_server(folder: Path) -> AsyncIterator[NewServer]:
    """Servers on `folder`, one after the other, all stopped at the end."""
    made: list[EmbeddedPostgres] = []
    port = free_port()

    def make() -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(folder, port, PASSWORD, max_connections=30))
        return made[-1]

    yield make
    for server in made:
        await server.stop()


async def ask(url: str, question: str) -> object:
    """One value from one query."""
    connection = await asyncpg.connect(url)
    try:
        answer: object = await connection.fetchval(question)
        return answer
    finally:
        await connection.close()


class TestStart:
    async def test_committed_rows_survive_a_stop_and_a_second_start(self, new_server: NewServer) -> None:
        first = new_server()
        await first.start()
        url = await create_database(first.url("postgres"), "shop")
        await ask(url, "CREATE TABLE kept AS SELECT 42 AS figure")
        await first.stop()
        assert first.process is not None
        assert first.process.returncode == 0
        second = new_server()
        await second.start()
        assert await ask(url, "SELECT figure FROM kept") == 42

    async def test_committed_rows_survive_kill_9_and_the_stale_pid_file_is_no_obstacle(
        self, new_server: NewServer
    ) -> None:
        first = new_server()
        await first.start()
        await ask(first.url("postgres"), "CREATE TABLE kept AS SELECT 42 AS figure")
        assert first.process is not None
        family = psutil.Process(first.process.pid).children()
        os.kill(first.process.pid, signal.SIGKILL)
        await first.process.wait()
        psutil.wait_procs(family, timeout=120)
        assert (first.data / "postmaster.pid").exists()
        second = new_server()
        await second.start()
        assert await ask(second.url("postgres"), "SELECT figure FROM kept") == 42

    async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(self, new_server: NewServer) -> None:
        first = new_server()
        await first.start()
        await first.stop()
        (first.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
        second = new_server()
        await second.start()
        assert await second.answers()

    async def test_it_syncs_what_it_acknowledges(self, new_server: NewServer) -> None:
        server = new_server()
        await server.start()
        assert await ask(server.url("postgres"), "SHOW fsync") == "on"
        assert await ask(server.url("postgres"), "SHOW synchronous_commit") == "on"

    async def test_only_its_owner_may_read_the_data(self, new_server: NewServer) -> None:
        server = new_server()
        await server.start()
        assert stat.S_IMODE(server.data.stat().st_mode) & 0o077 == 0


class TestRefusals:
    async def test_a_second_server_on_the_same_data(self, new_server: NewServer) -> None:
        await new_server().start()
        with pytest.raises(StackError, match="already runs"):
            await new_server().start()

    async def test_a_wrong_password(self, new_server: NewServer) -> None:
        server = new_server()
        await server.start()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url("postgres").replace(PASSWORD, "wrong"))

    async def test_a_data_folder_that_is_broken_is_reported_with_the_servers_own_words(
        self, new_server: NewServer
    ) -> None:
        server = new_server()
        await server.start()
        await server.stop()
        (server.data / "global" / "pg_control").write_bytes(b"broken")
        with pytest.raises(StackError, match="pg_control"):
            await new_server().start()

    def test_no_postgresql_at_all_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        monkeypatch.setattr("shutil.which", lambda name: None)
        monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
        with pytest.raises(StackError, match="DATABASE_URL"):
            postgres.find_binaries()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand the server to another account")
class TestAsRoot:
    async def test_a_home_that_the_account_cannot_enter_is_left_as_it_is(
        self, folder: Path, new_server: NewServer
    ) -> None:
        folder.chmod(0o700)
        server = new_server()
        await server.start()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not server.data.is_relative_to(folder)
        assert server.data.parent == outside_place(folder)
        assert any("cannot enter" in note for note in server.notes)
        again = new_server()
        await server.stop()
        await again.start()
        assert again.data == server.data

    async def test_programs_that_the_account_cannot_read_are_copied_once(
        self, folder: Path, new_server: NewServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hidden = postgres.find_binaries()
        honest = postgres._runs_as

        def unreadable(account: Account | None, argv: list[str]) -> bool:
            return not argv[0].startswith(str(hidden)) and honest(account, argv)

        monkeypatch.setattr(postgres, "_runs_as", unreadable)
        server = new_server()
        await server.start()
        assert not server.binaries.is_relative_to(hidden)
        assert await server.answers()

    async def test_the_server_does_not_run_as_root(self, new_server: NewServer) -> None:
        server = new_server()
        await server.start()
        assert server.process is not None
        assert psutil.Process(server.process.pid).uids().real != 0


class TestDatabases:
    async def test_dropping_ends_the_sessions_that_use_it(self, postgres_url: str) -> None:
        name = f"drop_{secrets.token_hex(4)}"
        url = await create_database(postgres_url, name)
        session = await asyncpg.connect(url)
        await drop_database(postgres_url, name)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await session.fetchval("SELECT 1")
        session.terminate()
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(url)

    async def test_creating_twice_keeps_what_is_there(self, postgres_url: str) -> None:
        name = f"twice_{secrets.token_hex(4)}"
        url = await create_database(postgres_url, name)
        await ask(url, "CREATE TABLE kept AS SELECT 1 AS figure")
        assert await create_database(postgres_url, name) == url
        assert await ask(url, "SELECT figure FROM kept") == 1
        await drop_database(postgres_url, name)

    def test_only_the_database_changes_in_an_address(self) -> None:
        assert url_of("postgresql://u:p@h:5/a?ssl=1", "b") == "postgresql://u:p@h:5/b?ssl=1"
