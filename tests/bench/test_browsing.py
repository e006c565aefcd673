"""Rows about pages of the console in a tiny size: a company of a few hundred cases, real pages, real streams."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from bench import browsing, company, floor, opened, place, served
from bench.floor import Floor, Page
from bench.recorded import Recording
from domain.case_kinds import KINDS
from web.console import queue as queue_page


async def test_the_company_has_a_case_for_each_order(postgres_url: str) -> None:
    async with place.database(postgres_url, "company") as database:
        with pytest.raises(ValueError, match="at least as many orders"):
            await company.fill(database, cases=5, orders=4)
        await company.fill(database, cases=400, orders=500)
        async with database.read() as conn:
            found = (
                await conn.execute(
                    text(
                        "SELECT count(*) AS cases, count(*) FILTER (WHERE closed_at IS NULL) AS open,"
                        " count(DISTINCT kind) AS kinds, count(DISTINCT region) AS regions,"
                        " count(*) FILTER (WHERE customer_id IS NULL) AS of_nobody FROM case_file"
                    )
                )
            ).one()
            orders = (await conn.execute(text("SELECT count(*) FROM journey"))).scalar_one()
            told = (await conn.execute(text("SELECT count(*) FROM customer WHERE has_case"))).scalar_one()
            triggers = (
                await conn.execute(
                    text("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'case_file'::regclass AND tgenabled = 'D'")
                )
            ).scalar_one()
    assert (found.cases, found.open, orders, told, found.of_nobody) == (400, 80, 500, 400, 0)
    assert found.kinds == len(KINDS)
    assert found.regions > company.REGIONS / 2
    assert triggers == 0


async def test_the_queue_stands_beside_its_statements_and_its_template(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "TURNS", 1)
    monkeypatch.setattr(browsing, "QUEUES", ("", "text=Keller"))
    (row,) = await browsing.queues(postgres_url, seconds=0.3, size=(300, 300))
    assert (row.id, row.unit, len(row.runs)) == ("S9", "ms", 6)
    assert row.limit is not None
    assert row.limit > 0
    assert "among 300" in row.note


async def test_a_page_that_is_no_page_has_no_time(postgres_url: str) -> None:
    async with place.database(postgres_url, "refusing") as database, served.application(database) as port:
        with pytest.raises(RuntimeError, match="/console/queue was answered 303"):
            await browsing.rounds(port, [Page("/console/queue", "endcap_session=nobodys")], 1)


def test_the_limit_is_rows_template_and_a_page_that_says_nothing() -> None:
    found = [browsing.Cost(Page("/", ""), [8.0, 9.0, 10.0], Floor(1.0, 2.0, 3.0, 0.5), 50) for _ in range(3)]
    limit, parts = browsing.least_of(found)
    assert limit == 5.5
    assert "statements by pgbench 1.0 ms, with the template 4.0 ms: 2.25 ×" in parts


async def test_a_page_and_its_limit_are_measured_in_turns(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    by_http, without_ours = browsing.rounds, floor.without_ours

    async def pages(port: int, some: Sequence[Page], number: int) -> list[list[float]]:
        turns.append("nothing" if some[0].path.startswith("/page?length=") else "page")
        return await by_http(port, some, number)

    async def least(*given: Any) -> list[list[tuple[float, float]]]:
        turns.append("limit")
        return await without_ours(*given)

    monkeypatch.setattr(browsing, "rounds", pages)
    monkeypatch.setattr(floor, "without_ours", least)
    monkeypatch.setattr(browsing, "TURNS", 2)
    monkeypatch.setattr(browsing, "ROUNDS", 1)
    async with browsing.peopled(postgres_url, "turns", cases=20, orders=20) as (database, _):
        asked = [Page("/console/queue", await browsing.signed_in(database, "every"))]
        async with served.application(database) as port:
            (found,) = await browsing.costs(database, port, asked, queue_page, seconds=0.3, plans=floor.OWN)
    assert turns == ["page", "limit", "nothing"] * 2
    assert len(found.runs) == 2
    assert min(found.floor) > 0


def test_what_is_written_meanwhile_is_no_part_of_a_page() -> None:
    sent = Recording()
    sent.sent = [
        ("BEGIN", ()),
        ("\nSELECT 1", (1,)),
        ("UPDATE session SET x = 1", ()),
        ("WITH a AS (SELECT 1) SELECT", ()),
    ]
    assert [query.split()[0] for query, _ in sent.reading().sent] == ["BEGIN", "SELECT", "WITH"]


def test_pages_are_compared_that_list_as_many_rows() -> None:
    def cost(ms: float, rows: int) -> browsing.Cost:
        return browsing.Cost(Page("/", ""), [ms], Floor(0.0, 0.0, 0.0, 0.0), rows)

    few = [cost(10, 50), cost(2, 0), cost(4, 0), cost(8, 7)]
    many = [cost(11, 50), cost(2, 0), cost(40, 50), cost(12, 7)]
    times, alike = browsing.flatness(few, many)
    assert (round(times, 3), alike) == (1.3, 2)


async def test_a_case_page_is_of_cases_that_the_product_has_made(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "TURNS", 1)
    monkeypatch.setattr(browsing, "REAL_CASES", 2)
    (row,) = await browsing.one_case(postgres_url, seconds=0.3, size=(100, 100))
    assert (row.id, len(row.runs)) == ("S10", 2)
    assert row.limit is not None
    assert row.limit > 0


async def test_every_console_of_a_region_is_told_of_every_change(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, "PROBES", 1)
    told, page = await opened.consoles(postgres_url, seconds=0.5, cases=300, number=6)
    assert (told.id, page.id) == ("S11", "S11.queue")
    assert told.value > 0
    assert page.limit is not None
    assert "changes" in told.note


async def test_a_page_that_is_refused_is_no_figure() -> None:
    async with served.bare() as port:
        with pytest.raises(RuntimeError, match="was answered 404"):
            await browsing.rounds(port, [Page("/console/queue", "endcap_session=nobody")], 1)
