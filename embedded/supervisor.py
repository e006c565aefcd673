"""Starts the whole stack in order, keeps its processes alive, and stops them in reverse order.

It knows who needs whom; what the processes do is theirs. Whatever the user gave by setting (a database, a Temporal
server, a mail server) is used and never started, stopped or emptied.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path

import asyncpg

from embedded import children, home
from embedded.access import Access, Account
from embedded.children import Child
from embedded.ports import is_free, remembered_ports
from embedded.postgres import EmbeddedPostgres, create_database
from embedded.process import StackError
from embedded.progress import Progress
from embedded.temporal import EmbeddedTemporal
from ledger.revisions import head
from settings import EmbeddedSettings, read_embedded_settings

BACK_OFF_S = (0.2, 1.0, 3.0, 10.0, 30.0)
STABLE_AFTER_S = 60.0
WRITE_AGAIN_S = 2.0
DEMO_SECRET_FILE = "postgres_password"  # noqa: S105  the name of a file


class Supervisor:
    """One run of the stack on one state folder."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self.progress = progress
        self.home = home.take(path)
        self.children: list[Child] = []
        self.stopping = asyncio.Event()
        self.accounts: list[Account] = []
        self.api_keys: dict[str, str] = {}
        home.make_secrets(self.home.secrets)
        self.settings: EmbeddedSettings = read_embedded_settings(self.home.secrets).model_copy(update={"home": path})
        self.ports: dict[str, int] = {}
        self.is_untold = asyncio.Event()  # access.json names a process that is not there any more
        self.temporal: EmbeddedTemporal | None = None

    async def run(self) -> None:
        """Start, watch until SIGINT or SIGTERM (or a failed start), stop. Raises StackError when the start fails."""
        loop = asyncio.get_running_loop()
        main = asyncio.current_task()
        for ending in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(ending, self._asked_to_stop, main)
        try:
            await self.start()
            await self.watch()
        except asyncio.CancelledError:
            if not self.stopping.is_set():
                raise
        finally:
            await self.stop()
            for ending in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(ending)

    def _asked_to_stop(self, main: asyncio.Task[None] | None) -> None:
        if self.stopping.is_set():
            self.progress.warn("stopping; please wait")
            return
        self.stopping.set()
        if main is not None:
            main.cancel()

    # -------------------------------------------------------------- start
    async def start(self) -> None:
        """Bring everything up and write `access.json`."""
        self._check_port()
        left = await asyncio.to_thread(home.end_leftovers, self.home.path)
        if left:
            self.progress.warn(f"ended what an earlier run had left: {', '.join(left)}")
        self.home.logs.mkdir(exist_ok=True)
        home.shorten_logs(self.home.logs)
        names = ["postgres", "temporal", "temporal_ui", "smtp", "mailbox"]
        self.ports = remembered_ports(self.home.path / "ports.json", names)
        slice_made = asyncio.create_task(self._cut_demo_data())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_temporal())
                group.create_task(self._start_mailbox())
                group.create_task(self._start_ledger(slice_made))
            await self._start_endcap()
        except ExceptionGroup as failures:
            refused, others = failures.split(StackError)
            if refused is not None and others is None:
                raise _first(refused) from None
            raise
        finally:
            slice_made.cancel()
            with contextlib.suppress(asyncio.CancelledError, StackError):
                await slice_made
        self._tell()

    async def _start_endcap(self) -> None:
        """Worker and web together, accounts beside them; the demo's day when all of it can take it."""
        worker, web = children.worker(self.settings, self.home.logs), children.web(self.settings, self.home.logs)
        self.children += [worker, web]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_worker(worker))
            group.create_task(self._start_child(web, "console and API"))
            if self.settings.demo:
                group.create_task(self._make_accounts())
        self._write_access()
        if self.settings.demo:  # it reads the access file
            self.children.append(children.demo(self.settings, self.home.logs))
            await self.children[-1].start()
            self._write_access()

    async def _start_child(self, child: Child, step: str) -> None:
        with self.progress.step(step):
            await child.start()

    async def _start_worker(self, child: Child) -> None:
        """A worker that lives but cannot reach a Temporal of the user's is no reason to refuse: orders are accepted."""
        try:
            await self._start_child(child, "worker")
        except StackError:
            if self.temporal is not None or child.process is None or child.process.returncode is not None:
                raise
            self.progress.warn(f"the worker has not reached Temporal at {self.settings.temporal_address} yet")

    def _check_port(self) -> None:
        if not is_free(self.settings.port, self.settings.host):
            raise StackError(f"Port {self.settings.port} is taken: choose another one with ENDCAP_PORT=….")

    async def _start_ledger(self, slice_made: asyncio.Task[Path | None]) -> None:
        if self.settings.database_url is None:
            with self.progress.step("PostgreSQL"):
                await self._start_postgres()
        await self._migrate()
        if not self.settings.demo:
            return
        if await self._ledger_is_empty():
            with self.progress.step("retail data of the demo"):
                folder = await slice_made
                assert folder is not None, "the demo is on, so its data was cut"
                await children.run_once(
                    self._with_temporal(), "cli.py", "load", str(folder), log=self.home.logs / "load.log"
                )

    async def _migrate(self) -> None:
        """A database that has every migration is left as it is; the worker makes the coming months of movements."""
        if await self._is_migrated():
            return
        with self.progress.step("migrations"):
            await children.run_once(self._with_temporal(), "cli.py", "migrate", log=self.home.logs / "migrate.log")

    async def _is_migrated(self) -> bool:
        """False as well where it cannot be asked: `endcap migrate` says why."""
        try:
            connection = await asyncpg.connect(self.settings.require_database_url())
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        try:
            found = await connection.fetch("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return False
        finally:
            await connection.close()
        return [row["version_num"] for row in found] == [head()]

    def _with_temporal(self) -> EmbeddedSettings:
        """Settings for one-shot processes that may run before Temporal does (they never call it)."""
        address = self.settings.temporal_address or f"127.0.0.1:{self.ports['temporal']}"
        return self.settings.model_copy(update={"temporal_address": address})

    async def _start_postgres(self) -> None:
        password = (self.home.secrets / DEMO_SECRET_FILE).read_text(encoding="utf-8")
        server = EmbeddedPostgres(
            self.home.path,
            self.ports["postgres"],
            password,
            max_connections=self.settings.postgres_max_connections,
        )
        await asyncio.to_thread(server.prepare)
        child = Child("postgres", server.log, server.launch, answers=server.answers, ending=signal.SIGINT, grace_s=30.0)
        self.children.insert(0, child)  # needed by all others, so it is stopped last
        await child.start()
        for note in server.notes:
            self.progress.note(note)
        url = await create_database(server.url("postgres"), "endcap")
        self.settings = self.settings.model_copy(update={"database_url": url})

    async def _start_temporal(self) -> None:
        if self.settings.temporal_address is not None:
            return
        server = EmbeddedTemporal(
            self.home.logs / "temporal.log",
            self.ports["temporal"],
            self.ports["temporal_ui"],
            self.home.path / "temporal" / "temporal.db",
            self.settings.temporal_namespace,
            self.settings.temporal_sqlite_synchronous,
        )
        self.temporal = server
        child = Child("temporal", server.log, server.launch, answers=server.answers, grace_s=15.0)
        self.children.append(child)
        with self.progress.step("Temporal"):
            await child.start()
        self.settings = self.settings.model_copy(
            update={"temporal_address": server.address, "temporal_ui_url": server.ui_url}
        )

    async def _start_mailbox(self) -> None:
        if self.settings.smtp_host is not None or not self.settings.demo:
            return
        self.settings = self.settings.model_copy(
            update={
                "smtp_host": "127.0.0.1",
                "smtp_port": self.ports["smtp"],
                "smtp_tls": "none",
                "mailbox_url": f"http://127.0.0.1:{self.ports['mailbox']}",
            }
        )
        child = children.mailbox(
            self.settings.model_copy(update={"database_url": "postgresql://unused", "temporal_address": "unused:0"}),
            self.home.logs,
            folder=self.home.mailbox,
            page_port=self.ports["mailbox"],
        )
        self.children.append(child)
        with self.progress.step("mailbox"):
            await child.start()

    async def _cut_demo_data(self) -> Path | None:
        """Write the slice of retail data while the servers start; skipped where a folder of it is there already."""
        if not self.settings.demo:
            return None
        folder = self.home.path / "demo-data"
        if not (folder / "complete").exists():
            unconnected = self.settings.model_copy(
                update={"database_url": "postgresql://unused", "temporal_address": "unused:0"}
            )
            await children.run_once(unconnected, "cli.py", "slice", str(folder), log=self.home.logs / "slice.log")
            (folder / "complete").touch()
        return folder

    async def _ledger_is_empty(self) -> bool:
        connection = await asyncpg.connect(self.settings.require_database_url())
        try:
            return not await connection.fetchval("SELECT EXISTS (SELECT 1 FROM location)")
        finally:
            await connection.close()

    async def _make_accounts(self) -> None:
        from demo import accounts  # noqa: PLC0415  of a first start alone

        made = await accounts.create(self.settings.require_database_url(), self.settings.secret.get_secret_value())
        self.accounts = [Account.model_validate(entry) for entry in made["accounts"]]
        self.api_keys = dict(made["api_keys"])

    # -------------------------------------------------------------- tell
    def _write_access(self) -> None:
        settings = self.settings
        pids = {child.name: child.process.pid for child in self.children if child.process is not None}
        home.remember_children(self.home.path, pids)
        Access(
            base_url=settings.base_url,
            api_key=self.api_keys.get("oms") or next(iter(self.api_keys.values()), None),
            api_keys=self.api_keys,
            accounts=self.accounts,
            mailbox=str(self.home.mailbox),
            mailbox_url=self._mailbox_url(),
            database_url=settings.require_database_url(),
            temporal_address=settings.require_temporal_address(),
            temporal_ui=self.temporal.ui_url if self.temporal else None,
            pids=pids,
        ).write(self.home.path)

    def _mailbox_url(self) -> str | None:
        mine = any(child.name == "mailbox" for child in self.children)
        return f"http://127.0.0.1:{self.ports['mailbox']}" if mine else None

    def _tell(self) -> None:
        note = self.progress.note
        note("")
        note(f"Console   {self.settings.base_url}")
        if (mailbox := self._mailbox_url()) is not None:
            note(f"Mailbox   {mailbox}")
        if self.temporal is not None and self.temporal.ui_url is not None:
            note(f"Temporal  {self.temporal.ui_url}/namespaces/{self.settings.temporal_namespace}")
        for account in self.accounts:
            where = ", ".join(account.regions) or "everywhere"
            note(f"Sign in   {account.email}  {account.password}  ({account.role}, {where})")
        note(f"Access    {self.home.path / 'access.json'}")
        note(f"Ready after {self.progress.elapsed_s:.1f} s. Ctrl-C stops it; `make up` goes on where it stopped.")

    # -------------------------------------------------------------- watch
    async def watch(self) -> None:
        """Restart each child that dies, with growing pauses, until asked to stop."""
        async with asyncio.TaskGroup() as group:
            for child in self.children:
                group.create_task(self._keep_alive(child))
            group.create_task(self._write_again())

    async def _keep_alive(self, child: Child) -> None:
        failures = 0
        while child.process is not None:
            born = time.monotonic()
            code = await child.process.wait()
            if child.ends_by_itself and code == 0:
                return
            failures = 0 if time.monotonic() - born > STABLE_AFTER_S else failures + 1
            pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1] if failures else 0.0
            self.progress.warn(f"{child.name} ended with exit code {code}; starting it again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            try:
                await child.start()
            except (StackError, OSError) as error:
                # one that lives and is only slow (a recovery, a server it waits for) is left to its work
                self.progress.warn(f"{child.name}: {error}")
                self._retell()
                continue
            self._retell()
            self.progress.note(f"{child.name} runs again (process {child.process.pid})")

    def _retell(self) -> None:
        """Say which processes there are now. A full disk is no reason to end what still serves."""
        try:
            self._write_access()
        except OSError:
            self.is_untold.set()

    async def _write_again(self) -> None:
        """Write what could not be written, as soon as there is room."""
        while True:
            await self.is_untold.wait()
            try:
                self._write_access()
                self.is_untold.clear()
            except OSError as error:
                self.progress.warn(f"access.json cannot be written ({error.strerror}); it is tried again")
                await asyncio.sleep(WRITE_AGAIN_S)

    # -------------------------------------------------------------- stop
    async def stop(self) -> None:
        """Stop all children, the last started first, and let go of the state folder."""
        for child in reversed(self.children):
            if child.process is None:
                continue
            code = await child.stop()
            self.progress.note(f"{child.name} stopped" + ("" if code in {0, -child.ending} else f" (exit code {code})"))
        (self.home.path / "children.json").unlink(missing_ok=True)
        self.home.release()


def _first(group: ExceptionGroup[StackError]) -> StackError:
    """The first failure of a group; the others are consequences of it or of the cancelling."""
    found: Exception = group
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, StackError), "the group was split by this type"
    return found
