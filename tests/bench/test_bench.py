"""The measurements run: a short one of each kind, and the parts that turn the product's statements into a script."""

import json
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from bench import growth, intake, months, pgbench, place
from bench.recorded import KEY, SKU, Recording, counts
from bench.rows import row, show, write

ROOT = Path(__file__).parents[2]


async def test_the_smallest_row_is_measured_and_written_down(postgres_url: str, tmp_path: Path) -> None:
    rows = await intake.reserve(postgres_url, seconds=0.3, wanted={"S1"})
    assert [one.id for one in rows] == ["S1"]
    assert all(one.value > 0 and len(one.runs) == 3 for one in rows)
    write(rows, tmp_path / "latest.json")
    written = json.loads((tmp_path / "latest.json").read_text())
    assert {"id", "work", "value", "unit", "limit", "ratio", "runs", "note"} == set(written["rows"][0])
    assert "PostgreSQL" in written["machine"]
    assert "S1" in show(rows)


def test_rows_that_were_not_measured_now_stay(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    write([row("S1", "a", [1.0], "orders/s", 2.0), row("S2", "b", [5.0], "orders/s", None)], file)
    write([row("S1", "a", [4.0], "orders/s", 2.0)], file)
    written = json.loads(file.read_text())
    assert [(one["id"], one["value"]) for one in written["rows"]] == [("S1", 4.0), ("S2", 5.0)]
    assert set(written["measured"]) == {"S1", "S2"}


def test_rows_of_another_machine_do_not_stay(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    write([row("S2", "b", [5.0], "orders/s", None)], file)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine": "another one"}))
    write([row("S1", "a", [4.0], "orders/s", 2.0)], file)
    assert [one["id"] for one in json.loads(file.read_text())["rows"]] == ["S1"]


async def test_rows_are_put_in_place_and_orders_are_taken_beside_them(postgres_url: str) -> None:
    (measured,) = await growth.growth(postgres_url, seconds=0.3, orders=700)
    assert measured.id == "S8"
    assert measured.limit is not None
    assert measured.value > 0
    assert "700 orders' rows" in measured.note


async def test_movements_of_many_months_are_read_and_written_beside_those_of_few(postgres_url: str) -> None:
    measured = await months.months(postgres_url, seconds=0.2, movements=3 * months.SKUS)
    assert [one.id for one in measured] == ["M1", "M1.order", "M1.shelf"]
    assert all(one.value > 0 and one.limit for one in measured)
    assert "in 60 months" in measured[0].note


async def test_looks_that_do_not_find_what_is_there_are_no_figure(postgres_url: str) -> None:
    async with place.database(postgres_url, "looks") as database:
        await months.fill(database, months.FEW, 400)
        with pytest.raises(RuntimeError, match="4 movements were found where there are 5 or more"):
            await months.looks(database, months.movements_of_an_order, 5)


async def test_filling_puts_a_row_of_each_order_into_every_table(postgres_url: str) -> None:
    async with place.database(postgres_url, "fill") as database:
        await growth.fill(database, 300)
        conn = await asyncpg.connect(database.plain_url)
        try:
            tables = ("movement", "journey_step", "idempotency", "event_inbox", "outbox", "outbox_counter")
            assert await counts(conn, tables) == dict.fromkeys(tables, 300)
            assert await conn.fetchval("SELECT count(*) FROM outbox WHERE done_at IS NULL") == 0
            assert await conn.fetchval("SHOW max_wal_size") == "1GB"
        finally:
            await conn.close()


async def test_a_recorded_statement_is_sent_with_other_keys(postgres_url: str) -> None:
    async with place.database(postgres_url, "recorded") as database:
        async with database.engine.connect() as pooled:
            raw = (await pooled.get_raw_connection()).driver_connection
            assert raw is not None
            statement = "INSERT INTO idempotency (source, key, body_hash, status) VALUES ($1::text, $2, '\\x00', $3)"
            recording = await Recording().of(raw, lambda: raw.execute(statement, "it's", f"a:{KEY}:{SKU}", 201))
            script = await recording.script(raw, pgbench.NEXT_NUMBER, sku="'K1'")
        await pgbench.once(database.url, script)
        async with database.read() as conn:
            rows = (await conn.exec_driver_sql("SELECT source, key FROM idempotency ORDER BY key DESC")).all()
    assert [row.source for row in rows] == ["it's", "it's"]
    (key,) = {row.key for row in rows} - {f"a:{KEY}:{SKU}"}
    assert key.startswith("a:")
    assert key.endswith(":K1")
    assert KEY not in key


async def test_no_two_transactions_are_sent_with_the_same_number(postgres_url: str) -> None:
    async with place.database(postgres_url, "numbers") as database:
        await pgbench.once(database.url, "CREATE TABLE sent (n bigint);\n")
        script = f"{pgbench.NEXT_NUMBER}\nINSERT INTO sent VALUES (:n);\n"
        for clients in (3, pgbench.MOST_CLIENTS):
            await pgbench.run(database.url, [script, script], clients=clients, seconds=1)
        async with database.read() as conn:
            query = "SELECT count(*) AS sent, count(DISTINCT n) AS different, max(n) AS most FROM sent"
            sent = (await conn.exec_driver_sql(query)).one()
    assert sent.sent == sent.different > 1
    assert sent.most < 2**32


async def test_a_script_that_fails_is_an_error_with_its_words(postgres_url: str) -> None:
    with pytest.raises(RuntimeError, match="no_such_table"):
        await pgbench.once(postgres_url, "SELECT * FROM no_such_table;\n")


def test_the_median_counts_and_a_missing_limit_is_said() -> None:
    measured = row("S1", "work", [1.0, 9.0, 2.0], "orders/s", None, "why")
    assert (measured.value, measured.ratio) == (2.0, None)
    assert row("S1", "work", [2.0], "orders/s", 4.0).ratio == 0.5


def test_an_unknown_row_is_refused_by_name() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench"], cwd=ROOT, env={"ROWS": "S1,S77", "PATH": ""}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "There is no row S77" in done.stderr
