"""S9 and S10: pages of the console among very many cases, over HTTP, beside their own SQL and the same template filled
from memory.

The limit of a page is the time that pgbench needs for the statements of that page, and that Jinja needs to fill its
template with what it was given. Everything else that a page costs is ours: the framework, the session's and the
driver's objects, models.
"""

import asyncio
import os
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from unittest import mock

import asyncpg
import httpx2
from sqlalchemy import text

from bench import company, pgbench, place, served
from bench.recorded import Recording
from bench.rows import Row, row
from domain.messages import Step
from ledger import intake, sessions
from ledger.bopis import steps
from ledger.engine import Database
from web.app import create_app
from web.console import cases as case_page
from web.console import queue as queue_page
from web.pages import page as make_page
from web.pages import templates

FEW = 10_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ROUNDS = 12
REAL_CASES = 16
# As lists are read, and what is asked about one thing: see `Database.read`.
OWN_PLANS, KEPT_PLANS = (f"-c plan_cache_mode=force_{kind}_plan" for kind in ("custom", "generic"))
VIEWERS = {"six regions": "six", "one small region": "rare", "everywhere": "every"}
# What people ask of the queue: every tab, every filter, alone and some together.
QUEUES = (
    "", "tab=mine", "tab=unassigned", "tab=breaching", "tab=approval", "tab=done", "kind=pick_short",
    "severity=critical", "region=G3", "location=P9", "entity=E1", "state=waiting", "age=3d", "sku=K00001",
    "order=W000000500", "text=Keller%20500", "text=W0000005", "text=order", "region=G3&kind=pick_short",
    "tab=unassigned&severity=high&location=P9", "tab=done&kind=count_variance",
)  # fmt: skip
_PEOPLE = """
    INSERT INTO person (id, name, email) VALUES ('six', 'Six', 'six@bench.example'),
        ('rare', 'Rare', 'rare@bench.example'), ('every', 'Every', 'every@bench.example');
    INSERT INTO person_role (person_id, role, region)
        SELECT 'six', 'regional_ops', 'G' || g FROM generate_series(1, 6) g;
    INSERT INTO person_role (person_id, role, region) VALUES ('rare', 'regional_ops', 'G24'), ('every', 'admin', '')
"""


class Page(NamedTuple):
    """One request: who asks, and for which address."""

    path: str
    cookie: str


class Cost(NamedTuple):
    """Of one page, in milliseconds: over HTTP (median and every run), its statements alone, its template alone; and
    how many cases it lists.
    """

    page: Page
    runs: list[float]
    sql_ms: float
    template_ms: float
    rows: int

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.runs)


def asked_for() -> tuple[int, int]:
    """How many cases and orders there are: `BENCH_CASES` (a million) and `BENCH_ORDERS` (as many)."""
    cases = int(os.environ.get("BENCH_CASES", "1000000"))
    return cases, max(int(os.environ.get("BENCH_ORDERS", "1000000")), cases)


@asynccontextmanager
async def peopled(server_url: str, name: str, *, cases: int, orders: int) -> AsyncIterator[tuple[Database, float]]:
    """A company of that size with three people who look at it; and the seconds that it took to put in place."""
    async with place.database(server_url, name) as database:
        filled_s = await company.fill(database, cases=cases, orders=orders)
        async with database.engine.begin() as conn:
            for statement in _PEOPLE.split(";"):
                await conn.execute(text(statement))
        yield database, filled_s


async def signed_in(database: Database, person_id: str) -> str:
    """A session as a cookie header."""
    token = f"bench-{person_id}"
    await sessions.begin(database, person_id, token, replaces=None)
    return f"endcap_session={token}"


@asynccontextmanager
async def asking(port: int) -> AsyncIterator[Callable[[Page], Awaitable[bytes]]]:
    """A page's body by one connection that stays open, and no more of a client than that takes: a few dozen
    microseconds, where a library that may be asked for anything takes a millisecond. Raises RuntimeError for an answer
    other than 200.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)

    async def ask(one: Page) -> bytes:
        writer.write(f"GET {one.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {one.cookie}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None:
            raise RuntimeError(f"{one.path} was answered without its length: {head[:300]!r}")
        body = await reader.readexactly(int(length[1]))
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{one.path} was answered {head[9:12].decode()}: {body[:300].decode()}")
        return body

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()


async def rounds(port: int, pages: Sequence[Page], number: int) -> list[list[float]]:
    """Milliseconds of each page, one after the other over one connection, so many times; the first round warms up."""
    taken: list[list[float]] = [[] for _ in pages]
    async with asking(port) as ask:
        for turn in range(number + 1):
            for at, one in enumerate(pages):
                began = time.perf_counter()
                await ask(one)
                if turn:
                    taken[at].append((time.perf_counter() - began) * 1e3)
    return taken


async def rows_shown(port: int, pages: Sequence[Page]) -> list[int]:
    """How many cases each page lists."""
    async with asking(port) as ask:
        return [(await ask(one)).count(b'<li class="case-row') for one in pages]


def flatness(few: Sequence[Cost], many: Sequence[Cost]) -> tuple[float, int]:
    """How many times as long a page takes among many cases as among few, and by how many pages: the median of those
    that list as many rows in both, and any. A page that lists fifty among many and none among few says nothing.
    """
    alike = [(a, b) for a, b in zip(few, many, strict=True) if a.rows == b.rows > 0]
    return statistics.median(b.p50_ms / a.p50_ms for a, b in alike), len(alike)


async def alone(
    database: Database, pages: Sequence[Page], module: ModuleType, seconds: float, planner: str
) -> list[list[float]]:
    """[statements by pgbench, template from memory] in milliseconds for each page: what it sends and fills is recorded
    while the application answers it in this process.
    """
    app = create_app(served.settings_for(database, Path("/nonexistent")))
    scripts: list[str] = []
    filled: list[float] = []
    conn = await asyncpg.connect(database.plain_url)
    try:
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                for one in pages:
                    scripts.append(await _script(conn, app.state.database, _asking(client, one)))
                    with mock.patch.object(module, "page", wraps=module.page) as made:
                        await _asking(client, one)()
                    filled.append(_filling(made.call_args))
    finally:
        await conn.close()
    by_script = await pgbench.latencies(database.url, scripts, seconds=max(int(seconds * 4), 4), planner=planner)
    return [[statistics.median(by_script[at]), filled[at]] for at in range(len(pages))]


def _asking(client: httpx2.AsyncClient, one: Page) -> Callable[[], Awaitable[object]]:
    async def ask() -> None:
        answer = await client.get(one.path, headers={"Cookie": one.cookie})
        if answer.status_code != 200:
            raise RuntimeError(f"{one.path} was answered {answer.status_code}: {answer.text[:300]}")

    return ask


async def _script(conn: asyncpg.Connection, database: Database, ask: Callable[[], Awaitable[object]]) -> str:
    await ask()
    return await (await Recording().of_database(database, ask)).script(conn, "\\set n 1")


def _filling(call: Any) -> float:
    """Milliseconds of filling the page's template with what the route gave it: the median of several."""
    (request, template, context), _ = call
    given: dict[str, Any] = {}
    page = templates.get_template(template)

    def taking(_template: object, full: dict[str, Any]) -> str:
        given.update(full)
        return ""

    with mock.patch.object(type(page), "render", taking):
        make_page(request, template, context)
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        page.render(given)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


async def costs(
    database: Database, port: int, pages: Sequence[Page], module: ModuleType, *, seconds: float, planner: str
) -> list[Cost]:
    """Every page over HTTP, and its limit with plans as the page gets them."""
    runs = await rounds(port, pages, ROUNDS)
    rows = await rows_shown(port, pages)
    limits = await alone(database, pages, module, seconds, planner)
    each = zip(pages, runs, limits, rows, strict=True)
    return [Cost(one, taken, sql, filled, listed) for one, taken, (sql, filled), listed in each]


def _p99(found: Sequence[Cost]) -> float:
    return statistics.quantiles([one for cost in found for one in cost.runs], n=100)[98]


async def queues(server_url: str, *, seconds: float, size: tuple[int, int] | None = None) -> list[Row]:
    """S9: the queue of three people by every filter, among few and among very many cases."""
    cases, orders = size or asked_for()
    found: dict[str, list[Cost]] = {}
    filled_s = 0.0
    few = min(FEW, cases)
    for name, (how_many, of_orders) in {"few": (few, few), "many": (cases, orders)}.items():
        async with peopled(server_url, name, cases=how_many, orders=of_orders) as (database, took_s):
            filled_s = took_s
            cookies = [await signed_in(database, person) for person in VIEWERS.values()]
            pages = [Page(f"/console/queue?{query}", cookie) for cookie in cookies for query in QUEUES]
            async with served.application(database) as port:
                found[name] = await costs(database, port, pages, queue_page, seconds=seconds, planner=OWN_PLANS)
    many = found["many"]
    limit = statistics.median(one.sql_ms + one.template_ms for one in many)
    times, alike = flatness(found["few"], many)
    worst = max(many, key=lambda one: one.p50_ms)
    note = (
        f"p99 {_p99(many):.0f} ms; of {len(many)} pages (3 people, {len(QUEUES)} filters); {times:.2f} × what they take"
        f" among {few:,} cases, by the {alike} that list as many rows there; SQL"
        f" {statistics.median(one.sql_ms for one in many):.1f} ms, template"
        f" {statistics.median(one.template_ms for one in many):.1f} ms; slowest"
        f" {worst.page.path.split('?')[1] or 'all'} {worst.p50_ms:.0f} ms, its SQL {worst.sql_ms:.0f};"
        f" put in place in {filled_s:.0f} s"
    )
    work = f"GET /console/queue, 50 rows of {cases:,} cases, p50"
    return [row("S9", work, [one.p50_ms for one in many], "ms", limit, note)]


async def real_cases(database: Database, number: int) -> list[int]:
    """Cases that the product has made: orders for what their store has not, and near-by places have."""
    async with database.engine.begin() as conn:
        await conn.execute(text("UPDATE stock SET available = 0 WHERE sku = 'K09999'"))
        await conn.execute(
            text(
                "INSERT INTO stock (location, sku, available) SELECT 'P' || g, 'K09999', 3 FROM generate_series(1, 9) g"
            )
        )
    made = []
    for at in range(number):
        _, answer = await intake.place_order(
            database, place.CALLER, place.order(f"real-{at}", "K09999"), idempotency_key=None, received_at=place.now()
        )
        step = Step(subject=str(answer["journey_id"]), occurrence="1", at=place.now())
        situation = await steps.open_case(database, step)
        if situation.case_id is None:
            raise RuntimeError(f"no case was opened for {answer['journey_id']}")
        made.append(situation.case_id)
    return made


async def one_case(server_url: str, *, seconds: float, size: tuple[int, int] | None = None) -> list[Row]:
    """S10: the page of a case with facts, ways out, timeline and stock, among very many."""
    cases, orders = size or asked_for()
    async with peopled(server_url, "case", cases=cases, orders=orders) as (database, _):
        cookie = await signed_in(database, "every")
        pages = [Page(f"/console/cases/{number}", cookie) for number in await real_cases(database, REAL_CASES)]
        async with served.application(database) as port:
            found = await costs(database, port, pages, case_page, seconds=seconds, planner=KEPT_PLANS)
    sql, template = (statistics.median(getattr(one, name) for one in found) for name in ("sql_ms", "template_ms"))
    note = f"p99 {_p99(found):.0f} ms; SQL {sql:.1f} ms, template {template:.1f} ms; {REAL_CASES} orders without stock"
    work = f"GET /console/cases/…, among {cases:,} cases, p50"
    return [row("S10", work, [one.p50_ms for one in found], "ms", sql + template, note)]
