"""Importing a folder on a real PostgreSQL: good rows in, bad ones reported with line, field, reason; nothing twice."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.masterdata import FILES, columns
from ledger.load import LoadResult, NothingToLoadError, load
from tests.conftest import Database

Rows = Sequence[Mapping[str, object]]

FOLDER: dict[str, Rows] = {
    "entities.csv": [{"code": "EGUS", "name": "Endcap Grocers US", "currency": "USD", "country": "US"}],
    "regions.csv": [{"code": "AKR", "name": "Akron", "entity": "EGUS"}],
    "locations.csv": [
        {
            "code": code,
            "name": name,
            "kind": kind,
            "region": "AKR",
            "entity": "EGUS",
            "time_zone": "America/New_York",
            "pickup": pickup,
        }
        for code, name, kind, pickup in (("S1", "Fairlawn", "store", "true"), ("D1", "Valley DC", "dc", "false"))
    ],
    "calendars.csv": [
        {"location": "S1", "day": "mon", "opens": "06:00", "closes": "24:00"},
        {"location": "S1", "day": "tue", "opens": "06:00", "closes": "22:00"},
        {"location": "S1", "day": "2026-12-25", "reason": "Christmas Day"},
    ],
    "items.csv": [
        {"sku": sku, "name": f"Item {sku}", "category": "Soup", "cost_minor": 50, "price_minor": 89}
        for sku in ("100", "200")
    ],
    "substitutes.csv": [{"sku": "100", "substitute": "200", "rank": 1}],
    "prices.csv": [{"sku": "100", "location": "S1", "price_minor": 189}],
    "people.csv": [
        {
            "id": "ana.ruiz",
            "email": "ana@endcap.example",
            "name": "Ana Ruiz",
            "roles": "store_manager;finance",
            "entity": "EGUS",
            "locations": "S1",
            "aliases": "pos:90",
            "home_location": "S1",
        }
    ],
    "stock.csv": [
        {"location": "S1", "sku": "100", "quantity": 4, "unit_cost_minor": 50},
        {"location": "S1", "sku": "200", "quantity": 3, "unit_cost_minor": 40},
        {"location": "D1", "sku": "100", "quantity": 10, "unit_cost_minor": 57},
    ],
}
POLICY: dict[str, Any] = {
    "version": "2026-1",
    "scope": {"entity": "EGUS"},
    "effective_from": "2026-01-01T00:00:00Z",
    "reason": "scaled to our prices",
    "values": {"bands": {"refund_approval_minor": 2500}},
}


def write(folder: Path, files: Mapping[str, Rows], policies: Sequence[object] = (POLICY,)) -> Path:
    for model in FILES:
        if model.file in files:
            with (folder / model.file).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns(model), restval="")
                writer.writeheader()
                writer.writerows(files[model.file])
    (folder / "policies.json").write_text(json.dumps(list(policies)), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small retailer without fault."""
    return write(tmp_path, FOLDER)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


def counts(result: LoadResult) -> dict[str, tuple[int, int, int]]:
    return {file.file: (file.written, file.unchanged, file.rejected) for file in result.files}


async def reasons(database: Database, folder: Path, changed: Mapping[str, Rows]) -> list[list[str]]:
    """Loads the folder with some files changed; returns the rows of rejects.csv."""
    result = await load(database.url, write(folder, {**FOLDER, **changed}))
    assert result.rejects_path == folder / "rejects.csv"
    with result.rejects_path.open(newline="", encoding="utf-8") as file:
        header, *rejects = csv.reader(file)
    assert header == ["file", "line", "field", "value", "reason"]
    return rejects


class TestLoad:
    async def test_every_row_of_a_good_folder_is_written(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        result = await load(database.url, folder)
        assert result.rejects == []
        assert not (folder / "rejects.csv").exists()
        expected = {name: (len(content), 0, 0) for name, content in FOLDER.items()} | {"policies.json": (1, 0, 0)}
        assert counts(result) == expected
        grants = await rows(engine, "SELECT role, entity, location FROM person_role ORDER BY role")
        assert grants == [("finance", "EGUS", "S1"), ("store_manager", "EGUS", "S1")]
        assert await rows(engine, "SELECT source, alias FROM person_alias") == [("pos", "90")]
        hours = await rows(engine, "SELECT weekday, opens::text, closes::text FROM opening_hours ORDER BY 1")
        assert hours == [(0, "06:00:00", "00:00:00"), (1, "06:00:00", "22:00:00")]
        assert await rows(engine, "SELECT day::text FROM closed_day") == [("2026-12-25",)]
        assert await rows(engine, "SELECT body FROM policy_document") == [(POLICY["values"],)]

    async def test_a_second_load_of_the_same_files_changes_nothing(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        tables = ("stock", "movement", "journal_line", "person_role", "item", "policy_document", "audit")
        queries = {table: f"SELECT * FROM {table} ORDER BY 1, 2" for table in tables}  # noqa: S608 - names from above
        before = {table: await rows(engine, query) for table, query in queries.items()}
        result = await load(database.url, folder)
        assert {file.written for file in result.files} == {0}
        assert {file.rejected for file in result.files} == {0}
        assert {table: await rows(engine, query) for table, query in queries.items()} == before

    async def test_a_changed_row_is_changed_and_the_others_left_alone(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        items = [{**FOLDER["items.csv"][0], "price_minor": 99}, FOLDER["items.csv"][1]]
        people = [{**FOLDER["people.csv"][0], "roles": "store_manager", "aliases": ""}]
        result = await load(database.url, write(folder, {**FOLDER, "items.csv": items, "people.csv": people}))
        assert counts(result)["items.csv"] == (1, 1, 0)
        assert counts(result)["people.csv"] == (1, 0, 0)
        assert await rows(engine, "SELECT price_minor FROM item ORDER BY sku") == [(99,), (89,)]
        assert await rows(engine, "SELECT role FROM person_role") == [("store_manager",)]
        assert await rows(engine, "SELECT * FROM person_alias") == []

    async def test_a_weekday_that_the_file_leaves_out_is_closed(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        await load(database.url, write(folder, {**FOLDER, "calendars.csv": [FOLDER["calendars.csv"][0]]}))
        assert await rows(engine, "SELECT weekday FROM opening_hours") == [(0,)]

    async def test_a_folder_without_any_known_file_is_refused(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(NothingToLoadError, match=r"entities\.csv"):
            await load(database.url, tmp_path)

    async def test_part_of_the_files_may_be_loaded_later(self, database: Database, tmp_path: Path) -> None:
        first = {name: FOLDER[name] for name in ("entities.csv", "regions.csv", "locations.csv", "items.csv")}
        await load(database.url, write(tmp_path, first))
        other = tmp_path / "later"
        other.mkdir()
        result = await load(database.url, write(other, {"stock.csv": FOLDER["stock.csv"]}))
        assert counts(result)["stock.csv"] == (3, 0, 0)


class TestOpeningStock:
    async def test_stock_movements_and_books_agree(self, database: Database, engine: AsyncEngine, folder: Path) -> None:
        await load(database.url, folder)
        assert await rows(engine, "SELECT location, sku, available FROM stock ORDER BY 1, 2") == [
            ("D1", "100", 10),
            ("S1", "100", 4),
            ("S1", "200", 3),
        ]
        moved = await rows(
            engine,
            "SELECT DISTINCT kind, reason, from_account, to_account, entity FROM movement",
        )
        assert moved == [("received", "opening_balance", "supplier", "available", "EGUS")]
        value = 4 * 50 + 3 * 40 + 10 * 57
        books = await rows(
            engine,
            "SELECT account, sum(debit_minor)::int, sum(credit_minor)::int FROM journal_line GROUP BY 1 ORDER BY 1",
        )
        assert books == [("inventory", value, 0), ("opening_balance", 0, value)]
        assert await rows(engine, "SELECT sum(cost_minor)::int FROM movement") == [(value,)]

    async def test_the_average_cost_is_weighted_by_quantity(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        assert await rows(engine, "SELECT sku, unit_cost_e4 FROM average_cost ORDER BY 1") == [
            ("100", (4 * 50 + 10 * 57) * 10_000 // 14),
            ("200", 400_000),
        ]

    async def test_another_opening_of_the_same_item_is_refused(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        (reject,) = await reasons(
            database, folder, {"stock.csv": [{**FOLDER["stock.csv"][0], "quantity": 9}, *FOLDER["stock.csv"][1:]]}
        )
        assert reject[:4] == ["stock.csv", "2", "quantity", "9"]
        assert "opened before with 4 at 50" in reject[4]
        assert await rows(engine, "SELECT available FROM stock WHERE (location, sku) = ('S1', '100')") == [(4,)]

    async def test_a_new_item_opens_beside_the_old_ones(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        more = [*FOLDER["stock.csv"], {"location": "D1", "sku": "200", "quantity": 7, "unit_cost_minor": 50}]
        result = await load(database.url, write(folder, {**FOLDER, "stock.csv": more}))
        assert counts(result)["stock.csv"] == (1, 3, 0)
        cost = await rows(engine, "SELECT unit_cost_e4 FROM average_cost WHERE sku = '200'")
        assert cost == [((3 * 40 + 7 * 50) * 10_000 // 10,)]


class TestRejects:
    async def test_a_bad_row_is_named_and_the_good_ones_are_written(
        self, database: Database, engine: AsyncEngine, tmp_path: Path
    ) -> None:
        bad = {"sku": "300", "name": "Bulk rice", "category": "Rice", "sold_by_weight": "true"}
        items = [*FOLDER["items.csv"], {**bad, "cost_minor": "1", "price_minor": "-5"}]
        rejects = await reasons(database, tmp_path, {"items.csv": items})
        assert [reject[:4] for reject in rejects] == [
            ["items.csv", "4", "sold_by_weight", "true"],
            ["items.csv", "4", "price_minor", "'-5"],
        ]
        assert "sold by weight are not supported yet" in rejects[0][4]
        assert await rows(engine, "SELECT sku FROM item ORDER BY 1") == [("100",), ("200",)]

    @pytest.mark.parametrize(
        ("file", "cells", "line", "field", "told"),
        [
            ("regions.csv", {"code": "DAY", "name": "Dayton", "entity": "EGDE"}, "3", "entity", "no such entity: EGDE"),
            (
                "calendars.csv",
                {"location": "S9", "day": "mon", "opens": "06:00", "closes": "22:00"},
                "5",
                "location",
                "no such location: S9",
            ),
            ("substitutes.csv", {"sku": "100", "substitute": "999", "rank": 2}, "3", "substitute", "no such item: 999"),
            ("prices.csv", {"sku": "100", "location": "S7", "price_minor": 1}, "3", "location", "no such location: S7"),
            (
                "stock.csv",
                {"location": "S1", "sku": "777", "quantity": 1, "unit_cost_minor": 1},
                "5",
                "sku",
                "no such item: 777",
            ),
            (
                "people.csv",
                {"id": "bo", "email": "bo@x.example", "name": "Bo", "roles": "admin", "regions": "AKR;NIL"},
                "3",
                "regions",
                "no such region: NIL",
            ),
            (
                "people.csv",
                {"id": "bo", "email": "ANA@endcap.example", "name": "Bo", "roles": "admin"},
                "3",
                "email",
                "belongs to ana.ruiz",
            ),
            (
                "people.csv",
                {"id": "bo", "email": "bo@x.example", "name": "Bo", "roles": "admin", "aliases": "pos:90"},
                "3",
                "aliases",
                "belongs to ana.ruiz",
            ),
            (
                "stock.csv",
                {"location": "S1", "sku": "100", "quantity": 4, "unit_cost_minor": 50},
                "5",
                "location",
                "stands on line 2",
            ),
            (
                "locations.csv",
                {
                    "code": "S2",
                    "name": "x",
                    "kind": "store",
                    "region": "AKR",
                    "entity": "EGUS",
                    "time_zone": "Mars/Base",
                },
                "4",
                "time_zone",
                "no such time zone",
            ),
        ],
    )
    async def test_what_refers_to_nothing_or_to_something_taken_is_refused_by_name(
        self,
        database: Database,
        tmp_path: Path,
        file: str,
        cells: dict[str, object],
        line: str,
        field: str,
        told: str,
    ) -> None:
        (reject,) = await reasons(database, tmp_path, {file: [*FOLDER[file], cells]})
        assert reject[:3] == [file, line, field]
        assert told in reject[4]

    async def test_a_misspelt_column_rejects_the_file(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        lines = (folder / "items.csv").read_text(encoding="utf-8").replace("price_minor", "price_cents")
        (folder / "items.csv").write_text(lines, encoding="utf-8")
        result = await load(database.url, folder)
        assert counts(result)["items.csv"] == (0, 0, 2)
        told = {(reject.line, reject.field, reject.reason.split(";")[0]) for reject in result.rejects[:2]}
        assert told == {(1, "price_minor", "this column is missing"), (1, "price_cents", "no such column")}
        assert await rows(engine, "SELECT count(*) FROM item") == [(0,)]

    async def test_a_comma_inside_a_text_is_noticed(self, database: Database, folder: Path) -> None:
        with (folder / "regions.csv").open("a", encoding="utf-8") as file:
            file.write("DAY,Dayton, Ohio,EGUS\n")
        result = await load(database.url, folder)
        assert [(reject.line, reject.reason[:25]) for reject in result.rejects] == [(3, "4 cells under 3 columns; ")]

    async def test_the_currency_of_books_that_exist_is_not_changed(
        self, database: Database, engine: AsyncEngine, folder: Path
    ) -> None:
        await load(database.url, folder)
        (reject,) = await reasons(
            database, folder, {"entities.csv": [{**FOLDER["entities.csv"][0], "currency": "EUR"}]}
        )
        assert "kept in USD" in reject[4]
        assert await rows(engine, "SELECT currency FROM entity") == [("USD",)]

    async def test_a_cell_that_looks_like_a_formula_is_defused(self, database: Database, tmp_path: Path) -> None:
        items = [{**FOLDER["items.csv"][0], "sku": "=1+1"}]
        rejects = await reasons(database, tmp_path, {"items.csv": items, "stock.csv": [], "substitutes.csv": []})
        assert rejects[0][3] == "'=1+1"

    async def test_the_rejects_go_when_they_are_mended(self, database: Database, folder: Path) -> None:
        await reasons(database, folder, {"regions.csv": [*FOLDER["regions.csv"], {"code": "!", "name": "x"}]})
        result = await load(database.url, write(folder, FOLDER))
        assert result.rejects_path is None
        assert not (folder / "rejects.csv").exists()


class TestPolicies:
    @pytest.mark.parametrize(
        ("broken", "told"),
        [
            ({"values": {"bands": {"refund_approval_minor": -1}}}, "greater than or equal to 0"),
            ({"values": {"bands": {"refund_limit": 1}}}, "Extra inputs"),
            ({"scope": {"region": "NIL"}}, "no such region: NIL"),
            ({"effective_from": "2026-01-01"}, "timezone"),
        ],
    )
    async def test_a_policy_that_no_rule_knows_is_refused(
        self, database: Database, engine: AsyncEngine, tmp_path: Path, broken: dict[str, object], told: str
    ) -> None:
        result = await load(database.url, write(tmp_path, FOLDER, [POLICY, {**POLICY, "version": "2", **broken}]))
        assert [(reject.file, reject.line) for reject in result.rejects] == [("policies.json", 2)]
        assert told in result.rejects[0].reason
        assert counts(result)["policies.json"] == (1, 0, 1)
        assert await rows(engine, "SELECT version FROM policy_document") == [("2026-1",)]

    async def test_a_version_is_never_changed(self, database: Database, engine: AsyncEngine, folder: Path) -> None:
        await load(database.url, folder)
        other = {**POLICY, "values": {"bands": {"refund_approval_minor": 9}}}
        result = await load(database.url, write(folder, FOLDER, [other]))
        assert "version of its own" in result.rejects[0].reason
        assert await rows(engine, "SELECT body FROM policy_document") == [(POLICY["values"],)]

    async def test_a_file_that_is_no_json_is_reported(self, database: Database, folder: Path) -> None:
        (folder / "policies.json").write_text("[{", encoding="utf-8")
        result = await load(database.url, folder)
        assert [reject.file for reject in result.rejects] == ["policies.json"]
        assert "not readable as JSON" in result.rejects[0].reason
