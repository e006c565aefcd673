"""The measurements run: a short one of each kind, and the parts that turn the product's statements into a script."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import events, intake, pgbench, place
from bench.recorded import KEY, SKU, Recording
from bench.rows import row, show, write

ROOT = Path(__file__).parents[2]


async def test_the_smallest_rows_are_measured_and_written_down(postgres_url: str, tmp_path: Path) -> None:
    rows = await intake.reserve(postgres_url, seconds=0.3, wanted={"S1"})
    rows += await events.sales(postgres_url, seconds=0.1, request_events=20)
    assert [one.id for one in rows] == ["S1", "S5"]
    assert all(one.value > 0 and len(one.runs) == 3 for one in rows)
    write(rows, tmp_path / "latest.json")
    written = json.loads((tmp_path / "latest.json").read_text())
    assert {"id", "work", "value", "unit", "limit", "ratio", "runs", "note"} == set(written["rows"][0])
    assert written["machine"]
    assert "S1" in show(rows)


async def test_a_recorded_statement_is_sent_with_other_keys(postgres_url: str) -> None:
    async with place.database(postgres_url, "recorded") as database:
        async with database.engine.connect() as pooled:
            raw = (await pooled.get_raw_connection()).driver_connection
            assert raw is not None
            statement = "INSERT INTO idempotency (source, key, body_hash, status) VALUES ($1::text, $2, '\\x00', $3)"
            recording = await Recording().of(raw, lambda: raw.execute(statement, "it's", f"a:{KEY}:{SKU}", 201))
            script = await recording.script(raw, "\\set n random(1, 1000000)", sku="'K1'")
        await pgbench.once(database.url, script)
        async with database.read() as conn:
            rows = (await conn.exec_driver_sql("SELECT source, key FROM idempotency ORDER BY key DESC")).all()
    assert [row.source for row in rows] == ["it's", "it's"]
    (key,) = {row.key for row in rows} - {f"a:{KEY}:{SKU}"}
    assert key.startswith("a:")
    assert key.endswith(":K1")
    assert KEY not in key


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
