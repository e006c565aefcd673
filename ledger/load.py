"""Imports a folder of master data and opening stock: every row is checked, good rows are written, bad ones reported.

Each file is one transaction. Loading the same folder again writes nothing. It must never guess a value: what does
not validate, or names something unknown, goes to `rejects.csv` with its line, field and reason.
"""

import csv
import json
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
from pydantic import BaseModel, ValidationError

from domain import masterdata
from domain.cells import defused
from domain.policy import merge
from ledger import masterdata as rows_of
from ledger import opening
from ledger.engine import Database, asyncpg_url

REJECTS = "rejects.csv"
POLICIES = "policies.json"
#: Two loads at once would each find the opening stock missing; the second waits for the first.
LOAD_LOCK = 7_205_331

type Connection = asyncpg.Connection[asyncpg.Record]


class Reject(NamedTuple):
    """A row that was not written. `line` counts the lines of the file, the header being 1."""

    file: str
    line: int
    field: str
    value: str
    reason: str


class Row[R: BaseModel](NamedTuple):
    """A valid row and the line it stands on."""

    line: int
    data: R


@dataclass
class FileResult:
    """What became of one file: rows read, written (new or changed) and rejected; the rest was there already."""

    file: str
    read: int = 0
    written: int = 0
    rejected: int = 0

    @property
    def unchanged(self) -> int:
        return self.read - self.written - self.rejected


@dataclass
class LoadResult:
    """What became of a folder. `rejects_path` is set when rows were rejected."""

    files: list[FileResult] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    rejects_path: Path | None = None

    def __str__(self) -> str:
        lines = [f"{'written':>8} {'unchanged':>9} {'rejected':>8}  file"]
        lines += [f"{file.written:8d} {file.unchanged:9d} {file.rejected:8d}  {file.file}" for file in self.files]
        return "\n".join(lines)


class NothingToLoadError(ValueError):
    """The folder is missing or holds none of the files that a load knows."""


async def load(database_url: str, folder: Path) -> LoadResult:
    """Loads every known file of `folder`; raises NothingToLoadError, and whatever the database raises.

    Rows in error do not stop the others; their rejects stand in `folder/rejects.csv`, which is removed when a load
    finds nothing to reject.
    """
    if not any((folder / name).is_file() for name in known_files()):
        raise NothingToLoadError(f"{folder} holds none of {', '.join(known_files())}")
    dsn = asyncpg_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection: Connection = await asyncpg.connect(dsn)
    database = Database(database_url, pool_size=1, application="endcap load")
    try:
        result = LoadResult()
        for model in masterdata.FILES:
            if (folder / model.file).is_file():
                await _load_file(connection, database, folder / model.file, model, result)
        if (folder / POLICIES).is_file():
            await _load_policies(connection, folder / POLICIES, result)
        if any(file.written for file in result.files):
            # Thousands of rows came at once; without this the first orders are planned for empty tables.
            await connection.execute("ANALYZE location, item, substitute, stock, average_cost, movement")
    finally:
        await connection.close()
        await database.dispose()
    _write_rejects(folder, result)
    return result


def known_files() -> tuple[str, ...]:
    """The names of the files that a load looks for, in the order it takes them."""
    return (*(model.file for model in masterdata.FILES), POLICIES)


async def _load_file(
    connection: Connection, database: Database, path: Path, model: type[masterdata.MasterRow], result: LoadResult
) -> None:
    rows, rejects, read = parse(path, model)
    try:
        written = await _write(connection, database, model, rows, rejects)
    except _NobodyLeftError:
        reason = "nobody would be an administrator any more; name one who stays, nothing of the file was taken"
        rejects, written = [Reject(model.file, 1, "roles", "", reason)], 0
    rejected_lines = {reject.line for reject in rejects if reject.line > 1}
    # A header that cannot be read rejects every row below it.
    rejected = read if any(reject.line == 1 for reject in rejects) else len(rejected_lines)
    result.files.append(FileResult(path.name, read, written, rejected))
    result.rejects.extend(sorted(rejects, key=lambda reject: reject.line))


class _NobodyLeftError(Exception):
    """The file would leave nobody who looks after people and keys."""


async def _write(
    connection: Connection,
    database: Database,
    model: type[masterdata.MasterRow],
    rows: Sequence[Row[Any]],
    rejects: list[Reject],
) -> int:
    """Writes what can be, in one transaction; adds to `rejects` what cannot, and returns how many rows were new."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOAD_LOCK)
        known = await _Known.read(connection)
        good: list[Row[Any]] = []
        for row in rows:
            bad = _unknown_references(model, row, known)
            rejects.extend(bad)
            if not bad:
                good.append(row)
        if model is masterdata.StockRow:
            written, refused = await opening.post(database, [row.data for row in good])
            rejects.extend(
                Reject(model.file, good[position].line, "quantity", str(good[position].data.quantity), reason)
                for position, reason in refused.items()
            )
        elif model is masterdata.PersonRow:
            before = await rows_of.administrators(connection)
            written = await rows_of.WRITERS[model](connection, [row.data for row in good])
            if before and not await rows_of.administrators(connection):
                raise _NobodyLeftError
        else:
            written = await rows_of.WRITERS[model](connection, [row.data for row in good])
    return written


def parse[R: masterdata.MasterRow](path: Path, model: type[R]) -> tuple[list[Row[R]], list[Reject], int]:
    """The valid rows of a CSV file, what was wrong with the others, and how many rows it has; touches no database."""
    try:
        return _parsed(path, model)
    except (csv.Error, UnicodeDecodeError) as error:
        reason = f"this is no CSV file in UTF-8: {error}"[:200]
        return [], [Reject(model.file, 1, "", "", reason)], 0


def _parsed[R: masterdata.MasterRow](path: Path, model: type[R]) -> tuple[list[Row[R]], list[Reject], int]:
    rows: list[Row[R]] = []
    rejects: list[Reject] = []
    seen: dict[tuple[object, ...], int] = {}
    read = 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        broken = _header_rejects(model, header)
        if broken:
            return [], broken, sum(1 for cells in reader if cells)
        for cells in reader:
            if not cells:
                continue
            read += 1
            line = reader.line_num
            if len(cells) != len(header):
                reason = f"{len(cells)} cells under {len(header)} columns; quote texts that hold commas"
                rejects.append(Reject(model.file, line, "", ",".join(cells)[:200], reason))
                continue
            try:
                row = model.model_validate(dict(zip(header, cells, strict=True)))
            except ValidationError as error:
                rejects.extend(_rejects_of(error, model.file, line, dict(zip(header, cells, strict=True))))
                continue
            if row.key in seen:
                reason = f"the same {' and '.join(model.key_fields)} stands on line {seen[row.key]}"
                rejects.append(Reject(model.file, line, model.key_fields[0], str(row.key[0]), reason))
                continue
            seen[row.key] = line
            rows.append(Row(line, row))
    return rows, rejects, read


def _header_rejects(model: type[masterdata.MasterRow], header: Sequence[str]) -> list[Reject]:
    missing = [name for name in masterdata.required_columns(model) if name not in header]
    unknown = masterdata.unknown_columns(model, header)
    twice = sorted({name for name in header if header.count(name) > 1})
    return [
        *(Reject(model.file, 1, name, "", "this column is missing") for name in missing),
        *(Reject(model.file, 1, name, name, "no such column; its values would be lost") for name in unknown),
        *(Reject(model.file, 1, name, name, "this column stands twice") for name in twice),
    ]


def _rejects_of(error: ValidationError, file: str, line: int, cells: dict[str, Any]) -> Iterable[Reject]:
    for problem in error.errors():
        name = str(problem["loc"][0] if problem["loc"] else problem.get("ctx", {}).get("name", ""))
        yield Reject(file, line, name, str(cells.get(name, "")), problem["msg"])


@dataclass
class _Known:
    """What the tables hold already; a file may refer to it."""

    entities: dict[str, str]
    regions: dict[str, str]
    locations: set[str]
    items: set[str]
    emails: dict[str, str]
    aliases: dict[str, str]

    @classmethod
    async def read(cls, connection: Connection) -> "_Known":
        return cls(
            {row["code"]: row["currency"] for row in await connection.fetch("SELECT code, currency FROM entity")},
            {row["code"]: row["entity"] for row in await connection.fetch("SELECT code, entity FROM region")},
            {row["code"] for row in await connection.fetch("SELECT code FROM location")},
            {row["sku"] for row in await connection.fetch("SELECT sku FROM item")},
            {row["email"]: row["id"] for row in await connection.fetch("SELECT id, lower(email) AS email FROM person")},
            {
                f"{row['source']}:{row['alias']}": row["person_id"]
                for row in await connection.fetch("SELECT source, alias, person_id FROM person_alias")
            },
        )


_REFERENCES: dict[type[masterdata.MasterRow], dict[str, str]] = {
    masterdata.RegionRow: {"entity": "entities"},
    masterdata.LocationRow: {"region": "regions", "entity": "entities"},
    masterdata.CalendarRow: {"location": "locations"},
    masterdata.SubstituteRow: {"sku": "items", "substitute": "items"},
    masterdata.PriceRow: {"sku": "items", "location": "locations"},
    masterdata.PersonRow: {
        "entity": "entities",
        "regions": "regions",
        "locations": "locations",
        "home_location": "locations",
    },
    masterdata.StockRow: {"location": "locations", "sku": "items"},
}
_SINGULAR = {"entities": "entity", "regions": "region", "locations": "location", "items": "item"}


def _unknown_references(model: type[masterdata.MasterRow], row: Row[Any], known: _Known) -> list[Reject]:
    rejects: list[Reject] = []
    for name, kind in _REFERENCES.get(model, {}).items():
        value = getattr(row.data, name)
        codes = value if isinstance(value, tuple) else (value,)
        rejects += [
            Reject(model.file, row.line, name, code, f"no such {_SINGULAR[kind]}: {code}")
            for code in codes
            if code is not None and code not in getattr(known, kind)
        ]
    return rejects or _contradictions(model, row, known)


def _contradictions(model: type[masterdata.MasterRow], row: Row[Any], known: _Known) -> list[Reject]:
    """What is well-formed and refers to known things, and still cannot be."""
    data = row.data
    if isinstance(data, masterdata.LocationRow):
        if data.time_zone not in zoneinfo.available_timezones():
            return [Reject(model.file, row.line, "time_zone", data.time_zone, "no such time zone")]
        if known.regions[data.region] != data.entity:
            reason = f"region {data.region} belongs to entity {known.regions[data.region]}"
            return [Reject(model.file, row.line, "entity", data.entity, reason)]
    if isinstance(data, masterdata.EntityRow) and known.entities.get(data.code, data.currency) != data.currency:
        reason = f"the books of {data.code} are kept in {known.entities[data.code]}"
        return [Reject(model.file, row.line, "currency", data.currency, reason)]
    if isinstance(data, masterdata.PersonRow):
        return _taken_names(data, row.line, known)
    return []


def _taken_names(person: masterdata.PersonRow, line: int, known: _Known) -> list[Reject]:
    """A mail address or an alias means one person; who has it first keeps it."""
    rejects = []
    holder = known.emails.setdefault(person.email.lower(), person.id)
    if holder != person.id:
        rejects.append(Reject(person.file, line, "email", person.email, f"this address belongs to {holder}"))
    for alias in person.aliases:
        holder = known.aliases.setdefault(alias, person.id)
        if holder != person.id:
            rejects.append(Reject(person.file, line, "aliases", alias, f"this alias belongs to {holder}"))
    return rejects


def _read_policies(path: Path) -> tuple[list[Any], list[Reject]]:
    try:
        documents = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return [], [Reject(POLICIES, 1, "", "", f"not readable as JSON: {error}")]
    if not isinstance(documents, list):
        return [], [Reject(POLICIES, 1, "", "", "the file is a list of documents")]
    return documents, []


async def _load_policies(connection: Connection, path: Path, result: LoadResult) -> None:
    """Policy documents are versions: one that is loaded is never changed, only followed by another."""
    documents, rejects = _read_policies(path)
    written = 0
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOAD_LOCK)
        known = await _Known.read(connection)
        for number, document in enumerate(documents, 1):
            try:
                policy = masterdata.PolicyRow.model_validate(document)
                merge([(policy.version, policy.values)])
            except ValidationError as error:
                for problem in error.errors():
                    name = ".".join(str(part) for part in problem["loc"])
                    rejects.append(Reject(POLICIES, number, name, str(problem["input"])[:200], problem["msg"]))
                continue
            reason = _policy_contradiction(policy, known) or await rows_of.add_policy(connection, policy)
            if reason == rows_of.ADDED:
                written += 1
            elif reason is not None:
                rejects.append(Reject(POLICIES, number, "scope", policy.version, reason))
    rejected = len({reject.line for reject in rejects})
    result.files.append(FileResult(POLICIES, max(len(documents), rejected), written, rejected))
    result.rejects.extend(rejects)


def _policy_contradiction(policy: masterdata.PolicyRow, known: _Known) -> str | None:
    scope = policy.scope
    for code, kind in ((scope.entity, "entities"), (scope.region, "regions"), (scope.location, "locations")):
        if code is not None and code not in getattr(known, kind):
            return f"no such {_SINGULAR[kind]}: {code}"
    return None


def _write_rejects(folder: Path, result: LoadResult) -> None:
    path = folder / REJECTS
    if not result.rejects:
        path.unlink(missing_ok=True)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(Reject._fields)
        for reject in result.rejects:
            writer.writerow([defused(str(cell)) for cell in reject])
    result.rejects_path = path
