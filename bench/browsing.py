"""S9 and S10: pages of the console among very many cases, over HTTP, beside what such a page cannot do without.

That is its limit (`bench.floor`): its statements with their rows by the driver, its template filled from memory, and a
page from the framework that says nothing. Everything else that a page costs is ours. The lower limit, statements by
pgbench and template alone, is told beside it.
"""

import asyncio
import os
import re
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import NamedTuple

from sqlalchemy import text

from bench import company, floor, place, served
from bench.floor import Floor, Page
from bench.rows import Row, row
from domain.messages import Step
from ledger import intake, sessions
from ledger.bopis import steps
from ledger.engine import Database
from web.console import cases as case_page
from web.console import queue as queue_page

FEW = 10_000
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ROUNDS, TURNS = 3, 4  # of pages, and of all that is compared
MORE = 8  # rounds of a page that says nothing, since it is so short
REAL_CASES = 16
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


class Cost(NamedTuple):
    """Of one page, in milliseconds: over HTTP (every run) and what it cannot do without; its cases, and bytes."""

    page: Page
    runs: list[float]
    floor: Floor
    rows: int
    length: int = 0

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


async def shown(port: int, pages: Sequence[Page]) -> list[tuple[int, int]]:
    """How many cases each page lists, and how many bytes it is long."""
    async with asking(port) as ask:
        bodies = [await ask(one) for one in pages]
    return [(body.count(b'<li class="case-row'), len(body)) for body in bodies]


def flatness(few: Sequence[Cost], many: Sequence[Cost]) -> tuple[float, int]:
    """How many times as long a page takes among many cases as among few, and by how many pages: the median of those
    that list as many rows in both, and any. A page that lists fifty among many and none among few says nothing.
    """
    alike = [(a, b) for a, b in zip(few, many, strict=True) if a.rows == b.rows > 0]
    return statistics.median(b.p50_ms / a.p50_ms for a, b in alike), len(alike)


async def costs(
    database: Database, port: int, pages: Sequence[Page], module: ModuleType, *, seconds: float, plans: floor.Plans
) -> list[Cost]:
    """Every page over HTTP, and its limit with plans as the page gets them; in turns, so that a machine that is slow
    for some seconds is slow for both.
    """
    found = await shown(port, pages)
    needs = await floor.needs_of(database, pages, module)
    logged = await floor.by_pgbench(database, needs, seconds, plans)
    runs: list[list[float]] = [[] for _ in pages]
    least: list[list[tuple[float, float]]] = [[] for _ in pages]
    bare: list[float] = []
    async with served.bare() as bare_port:
        nothing = Page(f"/page?length={int(statistics.median(length for _, length in found))}", "")
        for _ in range(TURNS):
            _add(runs, await rounds(port, pages, ROUNDS))
            _add(least, await floor.without_ours(database.url, needs, plans, ROUNDS))
            bare += (await rounds(bare_port, [nothing], MORE * ROUNDS))[0]
    bare_ms = statistics.median(bare)
    return [
        Cost(one, taken, Floor(sql, *_medians(some), bare_ms), *said)
        for one, taken, sql, some, said in zip(pages, runs, logged, least, found, strict=True)
    ]


def _medians(taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    driver_ms, template_ms = zip(*taken, strict=True)
    return statistics.median(driver_ms), statistics.median(template_ms)


def _add[Taken](to: Sequence[list[Taken]], more: Sequence[list[Taken]]) -> None:
    for all_of_it, some in zip(to, more, strict=True):
        all_of_it.extend(some)


def least_of(found: Sequence[Cost]) -> tuple[float, str]:
    """The limit of such pages in milliseconds, and the parts of it in words."""
    sql, driven, template, bare = (statistics.median(each) for each in zip(*(one.floor for one in found), strict=True))
    limit = statistics.median(one.floor.driver_ms + one.floor.template_ms + one.floor.bare_ms for one in found)
    lower = statistics.median(one.floor.pgbench_ms + one.floor.template_ms for one in found)
    p50 = statistics.median(one.p50_ms for one in found)
    return limit, (
        f"p99 {_p99(found):.0f} ms; rows by the driver {driven:.1f} ms, template {template:.1f} ms, a page that says"
        f" nothing {bare:.2f} ms; statements by pgbench {sql:.1f} ms, with the template {lower:.1f} ms:"
        f" {p50 / lower:.2f} ×"
    )


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
                found[name] = await costs(database, port, pages, queue_page, seconds=seconds, plans=floor.OWN)
    many = found["many"]
    limit, least = least_of(many)
    times, alike = flatness(found["few"], many)
    worst = max(many, key=lambda one: one.p50_ms)
    note = (
        f"{least}; of {len(many)} pages (3 people, {len(QUEUES)} filters); {times:.2f} × what they take among {few:,}"
        f" cases, by the {alike} that list as many rows there; slowest {worst.page.path.split('?')[1] or 'all'}"
        f" {worst.p50_ms:.0f} ms, its SQL {worst.floor.pgbench_ms:.0f}; put in place in {filled_s:.0f} s"
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
            found = await costs(database, port, pages, case_page, seconds=seconds, plans=floor.KEPT)
    limit, least = least_of(found)
    note = f"{least}; {REAL_CASES} orders without stock"
    work = f"GET /console/cases/…, among {cases:,} cases, p50"
    return [row("S10", work, [one.p50_ms for one in found], "ms", limit, note)]
