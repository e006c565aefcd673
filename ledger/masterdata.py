"""Writes validated rows of master data, a whole file by one or a few statements.

Every function returns how many of the rows were new or different, so that a second load of a file returns 0.
It must not judge rows: `ledger.load` has refused what cannot be.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import asyncpg

from domain import masterdata

type Connection = asyncpg.Connection[asyncpg.Record]
Columns = dict[str, tuple[str, list[Any]]]
ADDED: Literal["added"] = "added"


async def _upsert(
    connection: Connection, table: str, key: Sequence[str], columns: Columns, *, returning: str | None = None
) -> list[str]:
    """Inserts or changes rows given as one typed array a column; returns a column of those, the key's first."""
    names = list(columns)
    rest = [name for name in names if name not in key]
    arrays = ", ".join(f"${number}::{kind}[]" for number, (kind, _) in enumerate(columns.values(), 1))
    change = "DO NOTHING"
    if rest:
        sets = ", ".join(f"{name} = excluded.{name}" for name in rest)
        old, new = (", ".join(f"{side}.{name}" for name in rest) for side in (table, "excluded"))
        change = f"DO UPDATE SET {sets} WHERE ({old}) IS DISTINCT FROM ({new})"
    # Only names from this file reach the text; every value is a parameter.
    statement = (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT * FROM unnest({arrays}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(key)}) {change} RETURNING {table}.{returning or key[0]}"
    )
    changed = await connection.fetch(statement, *(values for _, values in columns.values()))
    return [row[0] for row in changed]


async def _keep_only(connection: Connection, table: str, owner: str, owners: list[str], columns: Columns) -> list[str]:
    """Deletes the owners' rows that are not among the given ones; returns the owners that lost one."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, (kind, _) in enumerate(columns.values(), 2))
    same = " AND ".join(f"kept.{name} = {table}.{name}" for name in columns)
    statement = (
        f"DELETE FROM {table} WHERE {owner} = ANY($1::text[]) AND NOT EXISTS "  # noqa: S608
        f"(SELECT FROM unnest({arrays}) AS kept ({', '.join(columns)}) WHERE {same}) RETURNING {owner}"
    )
    return [row[0] for row in await connection.fetch(statement, owners, *(values for _, values in columns.values()))]


def _texts(rows: Sequence[Any], *names: str) -> Columns:
    return {name: ("text", [getattr(row, name) for row in rows]) for name in names}


async def _entities(connection: Connection, rows: Sequence[Any]) -> int:
    return len(await _upsert(connection, "entity", ["code"], _texts(rows, "code", "name", "currency", "country")))


async def _regions(connection: Connection, rows: Sequence[Any]) -> int:
    return len(await _upsert(connection, "region", ["code"], _texts(rows, "code", "name", "entity")))


async def _locations(connection: Connection, rows: Sequence[Any]) -> int:
    columns = _texts(rows, "code", "name", "kind", "region", "entity", "time_zone")
    columns["latitude"] = ("double precision", [row.latitude for row in rows])
    columns["longitude"] = ("double precision", [row.longitude for row in rows])
    columns["address"] = ("text", [row.address or None for row in rows])
    columns["pickup"] = ("boolean", [row.pickup for row in rows])
    return len(await _upsert(connection, "location", ["code"], columns))


async def _calendars(connection: Connection, rows: Sequence[Any]) -> int:
    """A file with weekdays of a location holds its whole week: a day left out, or left empty, is closed."""
    weekly = [row for row in rows if row.weekday is not None]
    hours = [row for row in weekly if row.opens is not None]
    columns = _texts(hours, "location") | {"weekday": ("int", [row.weekday for row in hours])}
    places = sorted({row.location for row in weekly})
    lost = await _keep_only(connection, "opening_hours", "location", places, columns)
    columns["opens"] = ("time", [row.opens for row in hours])
    columns["closes"] = ("time", [row.closes for row in hours])
    changed = await _upsert(connection, "opening_hours", ["location", "weekday"], columns)
    dates = [row for row in rows if row.date is not None]
    columns = _texts(dates, "location", "reason") | {"day": ("date", [row.date for row in dates])}
    changed += await _upsert(connection, "closed_day", ["location", "day"], columns)
    # A day that was closed by an empty row is a changed row of the file; one that was left out has no row.
    closed_rows = sum(1 for row in weekly if row.opens is None)
    return len(changed) + min(len(lost), closed_rows)


async def _items(connection: Connection, rows: Sequence[Any]) -> int:
    columns = _texts(rows, "sku", "name", "category", "base_unit")
    columns["age_limit"] = ("int", [row.age_limit for row in rows])
    columns["frozen"] = ("boolean", [row.frozen for row in rows])
    columns["price_minor"] = ("bigint", [row.price_minor for row in rows])
    columns["cost_minor"] = ("bigint", [row.cost_minor for row in rows])
    return len(await _upsert(connection, "item", ["sku"], columns))


async def _substitutes(connection: Connection, rows: Sequence[Any]) -> int:
    columns = _texts(rows, "sku") | {"substitute_sku": ("text", [row.substitute for row in rows])}
    columns["rank"] = ("int", [row.rank for row in rows])
    return len(await _upsert(connection, "substitute", ["sku", "substitute_sku"], columns))


async def _prices(connection: Connection, rows: Sequence[Any]) -> int:
    columns = _texts(rows, "sku", "location", "channel")
    columns["effective_from"] = ("timestamptz", [row.effective_from for row in rows])
    columns["price_minor"] = ("bigint", [row.price_minor for row in rows])
    return len(await _upsert(connection, "item_price", masterdata.PriceRow.key_fields, columns))


def _grants(row: masterdata.PersonRow) -> list[tuple[str, str, str, str]]:
    """Role, entity, region, location: one grant per role and named place; an empty word means everywhere."""
    entity = row.entity or ""
    places = [(region, "") for region in row.regions] + [("", location) for location in row.locations]
    return [(role, entity, region, location) for role in row.roles for region, location in places or [("", "")]]


async def _people(connection: Connection, rows: Sequence[Any]) -> int:
    """A person's row holds all their roles and aliases: what it leaves out is taken away."""
    ids = [row.id for row in rows]
    columns = _texts(rows, "id", "email", "name", "home_location")
    changed = set(await _upsert(connection, "person", ["id"], columns))
    changed |= await _activate(connection, rows)
    granted = list({(row.id, *grant): None for row in rows for grant in _grants(row)})
    names = ("person_id", "role", "entity", "region", "location")
    columns = {name: ("text", [grant[at] for grant in granted]) for at, name in enumerate(names)}
    changed.update(await _keep_only(connection, "person_role", "person_id", ids, columns))
    changed.update(await _upsert(connection, "person_role", names, columns))
    named = [(row.id, *alias.split(":", 1)) for row in rows for alias in row.aliases]
    columns = {
        name: ("text", [alias[at] for alias in named]) for at, name in enumerate(("person_id", "source", "alias"))
    }
    changed.update(await _keep_only(connection, "person_alias", "person_id", ids, columns))
    changed.update(await _upsert(connection, "person_alias", ("source", "alias"), columns, returning="person_id"))
    return len(changed)


async def _activate(connection: Connection, rows: Sequence[Any]) -> set[str]:
    """Lets people in or not, as far as their rows say so; returns who changed. Who leaves has no session any more: one
    that was left open must not be good again should they come back."""
    said = [row for row in rows if row.active is not None]
    changed = await connection.fetch(
        "UPDATE person p SET active = t.active FROM unnest($1::text[], $2::boolean[]) AS t (id, active) "
        "WHERE p.id = t.id AND p.active <> t.active RETURNING p.id",
        [row.id for row in said],
        [row.active for row in said],
    )
    leavers = [row.id for row in said if not row.active]
    await connection.execute(
        "UPDATE session SET ended_at = clock_timestamp() WHERE person_id = ANY($1::text[]) AND ended_at IS NULL",
        leavers,
    )
    return {row["id"] for row in changed}


async def administrators(connection: Connection) -> int:
    """How many people may come in and look after others."""
    found = await connection.fetchval(
        "SELECT count(DISTINCT p.id) FROM person p JOIN person_role r ON r.person_id = p.id "
        "WHERE p.active AND r.role = 'admin'"
    )
    return int(found)


async def add_policy(connection: Connection, policy: masterdata.PolicyRow) -> str | None:
    """`ADDED`, None when the same version is there already, or why it cannot be added."""
    scope = policy.scope
    place = (scope.entity or "", scope.region or "", scope.location or "")
    there = await connection.fetchval(
        "SELECT body FROM policy_document WHERE (entity, region, location, version) = ($1, $2, $3, $4)",
        *place,
        policy.version,
    )
    if there is None:
        await connection.execute(
            "INSERT INTO policy_document (version, entity, region, location, effective_from, body, reason) "
            "VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7)",
            policy.version,
            *place,
            policy.effective_from,
            json.dumps(policy.values),
            policy.reason,
        )
        return ADDED
    if json.loads(there) != policy.values:
        return f"version {policy.version} is there with another body; give the change a version of its own"
    return None


Writer = Callable[[Connection, Sequence[Any]], Awaitable[int]]
WRITERS: dict[type[masterdata.MasterRow], Writer] = {
    masterdata.EntityRow: _entities,
    masterdata.RegionRow: _regions,
    masterdata.LocationRow: _locations,
    masterdata.CalendarRow: _calendars,
    masterdata.ItemRow: _items,
    masterdata.SubstituteRow: _substitutes,
    masterdata.PriceRow: _prices,
    masterdata.PersonRow: _people,
}
