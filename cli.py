"""`endcap`: the commands of an operator and of a newcomer. Each one wires settings to a room and reports its result.

Rooms are imported inside the commands: `endcap up` must not wait for what it does not use.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from pydantic import ValidationError

import settings as configuration
from commands.access import add_access_commands
from commands.events import event_commands
from commands.webhooks import webhook_commands

if TYPE_CHECKING:
    from demo.scenes import Where
    from ledger.engine import Database


class Scene(StrEnum):
    """What the demo can play beside its day."""

    RETURNS = "returns"
    CAMPAIGN = "campaign"


app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _refuse(reason: str) -> NoReturn:
    typer.echo(f"endcap: {reason}", err=True)
    raise typer.Exit(1)


def _local_settings() -> configuration.LocalSettings:
    try:
        return configuration.LocalSettings()
    except ValidationError as error:
        _refuse(_sentences(error))


def _sentences(error: ValidationError) -> str:
    """One line for each setting that is out of bounds; never its value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
        for problem in error.errors()
    )


def _database_url() -> str:
    """DATABASE_URL, else the database of the stack that runs, or ran last, on ENDCAP_HOME."""
    local = _local_settings()
    if local.database_url is not None:
        return local.database_url
    from embedded.access import read_access  # servers that are given their database need no embedded stack

    home = local.home.expanduser().absolute()
    try:
        return str(read_access(home)["database_url"])
    except FileNotFoundError:
        _refuse(f"DATABASE_URL is not set, and no stack was ever started on {home}")


def _leave(code: int) -> NoReturn:
    """End the process at once: the Temporal library sometimes crashes an interpreter that exits normally."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.command()
def up() -> None:
    """Run the whole stack on this machine: PostgreSQL, Temporal, worker, console, mailbox, demo. Ctrl-C stops it."""
    from embedded.process import StackError
    from embedded.progress import Progress
    from embedded.supervisor import Supervisor

    # A stream of its own: one that its reader holds up keeps the lock of its buffer.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    try:
        with closing(Progress(output)) as progress:
            asyncio.run(Supervisor(configuration.read_home(), progress).run())
    except StackError as error:
        typer.echo(f"endcap: {error}", err=True)
        _leave(1)
    except ValidationError as error:
        typer.echo(f"endcap: {_sentences(error)}", err=True)
        _leave(1)
    _leave(0)


@app.command()
def reset() -> None:
    """Delete all state of the stack in ENDCAP_HOME: embedded database, running workflows, mails, secrets, logs."""
    from embedded.home import empty
    from embedded.process import StackError

    try:
        deleted = empty(configuration.read_home())
    except StackError as error:
        _refuse(str(error))
    for folder in deleted:
        typer.echo(f"deleted {folder}")
    if not deleted:
        typer.echo(f"nothing to delete: {configuration.read_home()} does not exist")


@app.command()
def access() -> None:
    """Print where the running stack can be reached, with demo accounts and keys (JSON)."""
    from embedded.access import read_access

    try:
        content = read_access(configuration.read_home())
    except FileNotFoundError:
        _refuse(f"no stack was ever started on {configuration.read_home()}: `make up` starts one")
    typer.echo(json.dumps(content, indent=2))


@app.command()
def migrate(
    beside: Annotated[  # noqa: FBT002
        bool, typer.Option("--beside", help="also where older processes are connected that would fail afterwards")
    ] = False,
) -> None:
    """Bring the database of DATABASE_URL to the newest schema, and make the coming months of movements."""
    from ledger.migrate import StillRunning, TableInUse, upgrade
    from ledger.partitions import make_ahead

    try:
        upgrade(_database_url(), beside=beside)
    except (TableInUse, StillRunning) as error:
        _refuse(str(error))

    async def ahead(database: Database) -> int:
        return await make_ahead(database, await database.now())

    made = _change(ahead)
    typer.echo(f"the database is at the newest schema; {made} months of movements were made ahead")


@app.command()
def audit() -> None:
    """Check the ledger's invariants in the database of DATABASE_URL; exit code 1 and a list when one is broken."""
    from ledger.audit import RULES
    from ledger.audit import audit as check
    from ledger.engine import Database

    async def run() -> int:
        database = Database(_database_url(), application="endcap-audit")
        async with database.read() as conn:
            findings = await check(conn)
        await database.dispose()
        for finding in findings:
            typer.echo(f"{finding.rule}: {finding.where}: {finding.detail}")
        return len(findings)

    if broken := asyncio.run(run()):
        _refuse(f"{broken} findings")
    typer.echo(f"{len(RULES)} rules hold")


def _sealing_keys() -> dict[str, bytes]:
    """ENDCAP_PAYLOAD_KEYS, beside a DATABASE_URL; else those of the stack whose database is used."""
    try:
        if _local_settings().database_url is not None:
            return configuration.read_settings().payload_keyring
        return configuration.read_embedded_settings(configuration.read_home() / "secrets").payload_keyring
    except ValidationError as error:
        _refuse(_sentences(error))


def _change[T](work: Callable[[Database], Awaitable[T]], *, sealed: bool = False) -> T:
    """Run a change of the ledger; a refusal is said in a sentence. `sealed`: it opens what was set aside sealed."""
    from domain.errors import DomainError
    from ledger.engine import Database

    async def run() -> T:
        keys = _sealing_keys() if sealed else None
        database = Database(_database_url(), pool_size=1, application="endcap-cli", sealing_keys=keys)
        try:
            return await work(database)
        finally:
            await database.dispose()

    try:
        return asyncio.run(run())
    except DomainError as refusal:
        _refuse(refusal.detail)


@app.command()
def forget(
    email: Annotated[str | None, typer.Option(help="everybody of this address")] = None,
    phone: Annotated[str | None, typer.Option(help="everybody of this number")] = None,
    journey: Annotated[str | None, typer.Option(help="the customer of this order or return")] = None,
) -> None:
    """Erase a customer's personal data: now, or when what is under way has ended. Goods, money and decisions stay."""
    from domain.erasure import ErasureAnswer, ErasureRequest
    from ledger import erasing

    try:
        wanted = ErasureRequest(email=email, phone=phone, journey_id=journey)
    except ValidationError as error:
        _refuse("; ".join(one["msg"] for one in error.errors()))

    async def ask(database: Database) -> ErasureAnswer:
        now = await database.now()
        return await erasing.ask(database, wanted, viewer=None, sources=None, actor="operator", via="cli", at=now)

    answer = _change(ask)
    typer.echo(f"{answer.erased} forgotten")
    for one in answer.waiting:
        typer.echo(f"{one} is under way; forgotten when it ends")


add_access_commands(app, _change)
app.add_typer(event_commands(_change, _refuse), name="events")
app.add_typer(webhook_commands(_change, _refuse), name="webhook")


@app.command()
def load(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="folder of CSV files")]) -> None:
    """Import master data and opening stock; rejected rows are listed in FOLDER/rejects.csv and make the exit code 1."""
    from ledger.load import NothingToLoadError
    from ledger.load import load as load_folder

    try:
        result = asyncio.run(load_folder(_database_url(), folder))
    except NothingToLoadError as error:
        _refuse(str(error))
    typer.echo(str(result))
    if result.rejects:
        _refuse(f"{len(result.rejects)} rows were rejected: see {folder / 'rejects.csv'}")


@app.command()
def promotions(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file of promotions")],
    source: Annotated[str, typer.Option(help="the system that they come from")],
) -> None:
    """Define the promotions of a CSV file (docs/promotions.md); what is refused is named, and makes the exit code 1."""
    from domain.promotion_file import FileBroken
    from ledger.engine import Database
    from ledger.promotion.from_file import Loaded
    from ledger.promotion.from_file import load as load_promotions

    async def taken() -> Loaded:
        database = Database(_database_url(), pool_size=1, application="endcap promotions")
        try:
            text = await asyncio.to_thread(file.read_text, encoding="utf-8-sig")
            return await load_promotions(database, text, source, channels=_local_settings().price_channels)
        finally:
            await database.dispose()

    try:
        loaded = asyncio.run(taken())
    except (FileBroken, UnicodeDecodeError) as error:
        _refuse(f"{file}: {error}")
    for answer in loaded.made:
        typer.echo(f"{answer.promotion_id}: {answer.state.replace('_', ' ')}")
    typer.echo(f"{len(loaded.made)} new, {loaded.repeated} there already, {len(loaded.refused)} refused")
    if loaded.refused:
        _refuse("\n".join(f"line {one.line}, {one.promotion_id}: {one.reason}" for one in loaded.refused))


@app.command("slice")
def slice_(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="folder to write CSV files into")],
    scene: Annotated[Scene | None, typer.Option(help="for this scene instead of the demo's day")] = None,
    stores: Annotated[int | None, typer.Option(min=6, max=900, help="how many stores a scene has")] = None,
    campaign: Annotated[int, typer.Option(min=1, help="which campaign of the data, for its scene")] = 9,
) -> None:
    """Write a slice of real retail data (stores, items, prices, opening stock) as files that `endcap load` imports."""
    from demo.scenes import write

    try:
        written = write(scene, folder, stores=stores, campaign=campaign)
    except ValueError as error:
        _refuse(str(error))
    for name, rows in written.items():
        typer.echo(f"{rows:7d}  {name}")


def _play(scene: Scene, data: Path, where: Where) -> None:
    from demo.scenes import play

    try:
        said = play(scene, data, where)
    except FileNotFoundError:
        _refuse(f"{data} holds no such scene: `endcap slice {data} --scene {scene}` writes it")
    except RuntimeError as error:
        _refuse(str(error))
    for line in said.lines:
        typer.echo(line)
    if said.wrong:
        _refuse("\n".join(said.wrong))


@app.command()
def demo(
    day: Annotated[int, typer.Option(min=1, max=365, help="day of the year of data to begin with")] = 36,
    days: Annotated[int, typer.Option(min=1, max=365, help="how many days follow each other")] = 30,
    speed: Annotated[float | None, typer.Option(min=0.01, help="seconds of trading in one second")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="the same seed makes the same orders and faults")] = None,
    base_url: Annotated[str | None, typer.Option(help="where Endcap runs; the demo stack when left out")] = None,
    api_key: Annotated[str | None, typer.Option(help="a key for everything; the demo's own when left out")] = None,
    data: Annotated[Path | None, typer.Option(file_okay=False, help="folder that was loaded")] = None,
    scene: Annotated[
        Scene | None, typer.Option(help="play this scene once: `returns` of 600 stores, or a `campaign` of makers")
    ] = None,
) -> None:
    """Replay days of real sales and orders against a running Endcap by its public API; resumes where it stopped.

    `--scene returns` plays a scene instead: `endcap slice FOLDER --scene returns` writes its stores, `endcap load
    FOLDER` imports them, `endcap demo --scene returns --data FOLDER` brings back what they sold and prints the refund
    cycle time by channel. `--scene campaign`, in the same steps, plays a campaign of coupons and weekly promotions
    from its definition to the last claim on a clock of its own, and compares every cent with the raw data.
    """
    import logging

    from demo.run import Options, replay
    from demo.scenes import Where
    from embedded.access import read_access

    local = _local_settings()
    home = local.home.expanduser().absolute()
    try:
        known = read_access(home) if base_url is None or api_key is None else {}
    except FileNotFoundError:
        _refuse(f"no stack was ever started on {home}: `make up` starts one, or give --base-url and --api-key")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    if scene is not None:
        if data is None:
            _refuse("a scene needs the folder that was loaded: --data FOLDER")
        database_url = _database_url() if scene is Scene.CAMPAIGN else ""
        _play(scene, data, Where(base_url or known["base_url"], known.get("api_keys", {}), api_key, home, database_url))
        return
    options = Options(
        base_url=base_url or known["base_url"],
        data=data or home / "demo-data",
        position_file=home / "demo.json",
        keys=known.get("api_keys", {}) if api_key is None else {},
        api_key=api_key,
        day=day,
        days=days,
        speed=speed or local.demo_speed,
        seed=local.demo_seed if seed is None else seed,
        database_url=known.get("database_url"),
    )
    if not options.data.is_dir():
        _refuse(f"{options.data} is not there: `endcap slice FOLDER` writes it, `endcap load FOLDER` imports it")
    try:
        asyncio.run(replay(options))
    except KeyboardInterrupt:
        typer.echo("stopped; it goes on from here next time")


def main() -> None:
    """Entry point of the `endcap` script."""
    app()


if __name__ == "__main__":
    main()
