"""What a page cannot do without: its statements, its rows in Python's hands, its template, and an answer over HTTP.

The statements are sent twice: by pgbench, which throws the rows away and makes the plan of each question once, and by
the page's own driver, which makes objects of the rows, in plans as the page has them. The template is filled with what
the route gave it. Both are done page after page, as pages are asked for: the same page fifteen times running would lie
in the processor's caches, and take little more than half.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import asyncpg
import httpx2
import uvloop
from jinja2 import Template

from bench import pgbench, served
from bench.recorded import Recording
from ledger.engine import Database
from web.app import create_app
from web.pages import page as make_page
from web.pages import templates


class Page(NamedTuple):
    """One request: who asks, and for which address."""

    path: str
    cookie: str


class Plans(NamedTuple):
    """How PostgreSQL plans what a page asks: see `Database.read`."""

    kind: str

    @property
    def option(self) -> str:
        """For the start of a connection, as pgbench begins it."""
        return f"-c plan_cache_mode=force_{self.kind}_plan"

    @property
    def begin(self) -> str:
        """As a page begins its read."""
        return f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_{self.kind}_plan"


OWN, KEPT = Plans("custom"), Plans("generic")


class Floor(NamedTuple):
    """Of one page, in milliseconds: its statements by pgbench, the same by the driver with their rows, its template, a
    page of its length that says nothing.
    """

    pgbench_ms: float
    driver_ms: float
    template_ms: float
    bare_ms: float


class Needs(NamedTuple):
    """What a page sends, and fills its template with."""

    sent: Recording
    template: Template
    given: dict[str, Any]


async def needs_of(database: Database, pages: Sequence[Page], module: ModuleType) -> list[Needs]:
    """What each page sends and fills, recorded while the application answers it here."""
    app = create_app(served.settings_for(database, Path("/nonexistent")))
    needs: list[Needs] = []
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for one in pages:
                ask = _asking(client, one)
                await ask()
                sent = await Recording().of_database(app.state.database, ask)
                with mock.patch.object(module, "page", wraps=module.page) as made:
                    await ask()
                needs.append(Needs(sent.reading(), *_filled(made.call_args)))
    return needs


async def by_pgbench(database: Database, needs: Sequence[Needs], seconds: float, plans: Plans) -> list[float]:
    """Milliseconds of each page's statements, without their rows."""
    conn = await asyncpg.connect(database.plain_url)
    try:
        scripts = [await one.sent.script(conn, "\\set n 1") for one in needs]
    finally:
        await conn.close()
    logged = await pgbench.latencies(database.url, scripts, seconds=max(int(seconds * 4), 4), planner=plans.option)
    return [statistics.median(taken) for taken in logged]


def _asking(client: httpx2.AsyncClient, one: Page) -> Callable[[], Awaitable[object]]:
    async def ask() -> None:
        answer = await client.get(one.path, headers={"Cookie": one.cookie})
        if answer.status_code != 200:
            raise RuntimeError(f"{one.path} was answered {answer.status_code}: {answer.text[:300]}")

    return ask


async def without_ours(url: str, pages: Sequence[Needs], plans: Plans, rounds: int) -> list[list[tuple[float, float]]]:
    """Milliseconds of each page's statements until their rows are there, and of its template, so many times: on one
    connection of the ledger's and the event loop that serves pages, one page after the other as they are asked for.
    """
    return await asyncio.to_thread(uvloop.run, _without_ours(url, pages, plans, rounds))


async def _without_ours(url: str, pages: Sequence[Needs], plans: Plans, rounds: int) -> list[list[tuple[float, float]]]:
    taken: list[list[tuple[float, float]]] = [[] for _ in pages]
    database = Database(url, pool_size=1)
    try:
        async with database.engine.connect() as conn:
            for turn in range(rounds + 1):  # the first warms up
                for at, one in enumerate(pages):
                    found = await _one_page(conn.info["driver"], one, plans)
                    if turn:
                        taken[at].append(found)
    finally:
        await database.dispose()
    return taken


async def _one_page(driver: Any, page: Needs, plans: Plans) -> tuple[float, float]:
    began = time.perf_counter()
    await driver.execute(plans.begin)
    for sql, args in page.sent.statements:
        await driver.fetch(sql, *args)
    await driver.execute("ROLLBACK")
    driven = time.perf_counter()
    page.template.render(page.given)
    return (driven - began) * 1e3, (time.perf_counter() - driven) * 1e3


def _filled(call: Any) -> tuple[Template, dict[str, Any]]:
    """The template of a page, and everything it is filled with, out of what the route gave it."""
    (request, name, context), _ = call
    given: dict[str, Any] = {}
    template = templates.get_template(name)

    def taking(_template: object, full: dict[str, Any]) -> str:
        given.update(full)
        return ""

    with mock.patch.object(type(template), "render", taking):
        make_page(request, name, context)
    return template, given
