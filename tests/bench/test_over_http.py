"""Rows over HTTP in a tiny size: real servers, the real client, and what they refuse to count."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from bench import accrual, availability, events, intake, load, over_http, place, served, transfers
from ledger.engine import Database
from ledger.reads import availability as reading


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    async with place.database(postgres_url, "http") as made:
        await served.add_key(made)
        yield made


@pytest.fixture
def few_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many recorded batches as the most clients of pgbench need."""
    monkeypatch.setattr(intake, "SCRIPTS", 4)


async def test_orders_one_by_one_stand_beside_the_bare_endpoint_and_the_statements(
    postgres_url: str, few_scripts: None
) -> None:
    (row,) = await over_http.one_by_one(postgres_url, seconds=0.4)
    assert row.id == "S4"
    assert len(row.runs) == 3
    assert row.value > 0
    assert row.limit is not None
    assert row.limit > 0
    assert "µs a request" in row.note


async def test_orders_in_batches_count_their_lines(postgres_url: str, few_scripts: None) -> None:
    (row,) = await over_http.in_batches(postgres_url, seconds=0.3, request_orders=10)
    assert (row.id, row.unit) == ("S5", "lines/s")
    assert row.limit is not None
    assert row.value > 0


async def test_events_count_their_lines_and_the_limit_writes_the_same_rows(postgres_url: str) -> None:
    (row,) = await events.over_http(postgres_url, seconds=0.3, request_events=20)
    assert (row.id, row.unit) == ("S5.events", "lines/s")
    assert row.limit is not None
    assert row.value > 0


async def test_promoted_sales_accrue_each_line_and_the_limits_write_the_same_rows(postgres_url: str) -> None:
    rows = await accrual.accrued(postgres_url, seconds=0.3, request=20)
    assert [row.id for row in rows] == ["F1.plain", "F1.flat", "F1.capped"]
    for row in rows:
        assert row.limit is not None
        assert row.value > 0


async def test_transfers_in_batches_count_their_lines_and_the_limit_writes_the_same_rows(postgres_url: str) -> None:
    (row,) = await transfers.rebalanced(postgres_url, seconds=0.3, stores=12, items=8, request=20)
    assert (row.id, row.unit) == ("T1", "lines/s")
    assert row.limit is not None
    assert row.value > 0


async def test_a_script_of_events_can_be_sent_again_and_its_books_balance(database: Database) -> None:
    """Its journal lines name the entries that the script itself has made, not those that were recorded."""
    from bench import pgbench

    script = await events.script(database, request_events=20, seed="a")
    await pgbench.once(database.url, script, planner="")
    conn = await asyncpg.connect(database.plain_url)
    try:
        unbalanced = await conn.fetchval(
            "SELECT count(*) FROM (SELECT journal_id FROM journal_line GROUP BY journal_id"
            " HAVING sum(debit_minor) <> sum(credit_minor)) odd"
        )
        without = await conn.fetchval(
            "SELECT count(*) FROM journal WHERE NOT EXISTS (SELECT 1 FROM journal_line WHERE journal_id = journal.id)"
        )
        sales = await conn.fetchval("SELECT count(*) FROM journal WHERE event = 'pos.sale'")
    finally:
        await conn.close()
    assert (unbalanced, without) == (0, 0)
    assert sales == 10 + 3 * 20  # to warm up, recorded, tried once, and once more


async def test_answers_that_are_refusals_are_an_error_and_no_figure(database: Database) -> None:
    body = over_http.bodies(1, seed="x")[0] | {"currency": "USD"}
    requests = [load.request("/api/v1/bopis-orders", body, key=served.KEY)]
    async with served.application(database) as port:
        with pytest.raises(RuntimeError, match="not every answer was 201"):
            await served.drive(port, requests, connections=2, seconds=0.2, first=1, status=201)


async def test_a_server_that_hangs_up_is_an_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RuntimeError, match="closed a connection in the middle"):
            await served.drive(
                port, [load.request("/x", None, key="k")], connections=1, seconds=0.2, first=1, status=200
            )


def test_a_request_has_room_for_its_key_and_tells_its_length() -> None:
    text = load.request("/api/v1/bopis-orders", {"order_id": load.KEY}, key="k")
    head, body = text.split("\r\n\r\n")
    assert f"Content-Length: {len(body)}" in head
    assert load.KEY in body
    assert load.request("/healthz", None, key="k").startswith("GET /healthz HTTP/1.1\r\n")


async def test_availability_stands_beside_its_sql_alone(postgres_url: str) -> None:
    (row,) = await availability.of_a_basket(postgres_url, seconds=0.3, locations=12, items=30)
    assert (row.id, row.unit) == ("AV", "requests/s")
    assert row.limit is not None
    assert row.value > 0
    assert "12 locations" in row.work


async def test_every_location_has_a_row_of_every_item_and_all_of_them_are_asked(database: Database) -> None:
    await availability.stock_up(database, locations=12, items=30)
    async with database.read() as conn:
        rows = (await conn.exec_driver_sql("SELECT count(*) FROM stock WHERE location <> 'L1'")).scalar_one()
        basket = reading.parse_basket(availability.baskets(1, items=30)[0])
        found = await reading.availability(conn, None, basket, near=place.STORE)
    assert rows == 11 * 30
    assert found.locations_asked == 12
    assert len(basket) == availability.LINES
