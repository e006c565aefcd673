"""What open pages are told, and who is told what: the application itself, asked by a client that listens."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Self

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text, update

import ledger.engine
from ledger import case, sessions, tables
from ledger.listening import Change, read
from ledger.people import person_by_id
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case, an_approval, order
from web import live
from web.live import Live

__all__ = ["accounts", "browse", "sign_in"]
NORTH, SOUTH = "S1", "S9"
PATIENCE_S = 60  # for an event that never comes; a busy machine is no mistake of ours


class Listener:
    """A page that listens: it reads what the application sends, as a server would hand it on."""

    def __init__(self, app: FastAPI, cookies: str, *, query: str = "", **headers: str) -> None:
        sent = {"accept": "text/event-stream", "cookie": cookies, "host": "endcap.test", **headers}
        self.scope: MutableMapping[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/console/live", "raw_path": b"/console/live", "query_string": query.encode(), "root_path": "",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
            "server": ("endcap.test", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        self.app = app
        self.status = 0
        self.headers: dict[str, str] = {}
        self.reads = asyncio.Event()  # cleared: the browser takes nothing more
        self.reads.set()
        self.is_gone = asyncio.Event()
        self._asked = False
        self._chunks: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        assert (await self._next() or "").startswith("retry: ")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_gone.set()
        self.reads.set()
        assert self._task is not None
        async with asyncio.timeout(PATIENCE_S):
            await self._task

    async def _run(self) -> None:
        try:
            await self.app(self.scope, self._receive, self._send)
        finally:
            self._chunks.put_nowait(None)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        await self.reads.wait()
        if message["body"]:
            self._chunks.put_nowait(message["body"].decode())

    async def _next(self) -> str | None:
        async with asyncio.timeout(PATIENCE_S):
            return await self._chunks.get()

    async def event(self) -> tuple[str, Any, str]:
        """(name, data, id) of the next event."""
        while True:
            words = await self._next()
            assert words is not None, "the stream has ended"
            if not words.startswith(":"):
                break
        fields = dict(line.split(": ", 1) for line in words.strip().splitlines())
        data = fields["data"]
        return fields["event"], json.loads(data) if data.startswith("{") else data, fields.get("id", "")

    async def cases(self) -> dict[str, int]:
        """The cases that the next event names."""
        name, data, _ = await self.event()
        assert name == "changed"
        found: dict[str, int] = data["case"]
        return found

    async def has_ended(self) -> None:
        while await self._next() is not None:
            pass


Listen = Callable[..., Awaitable[Listener]]


def cookies_of(client: httpx2.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


@pytest.fixture
async def listen(app: FastAPI, sign_in: SignIn) -> AsyncIterator[Listen]:
    """`await listen("sam.ortega")`: somebody's page, which has been told all that was before it."""
    opened: list[Listener] = []

    async def made(person: str, *, client: httpx2.AsyncClient | None = None) -> Listener:
        one = Listener(app, cookies_of(client or await sign_in(person)))
        opened.append(await one.__aenter__())
        assert (await one.event())[1] == {"many": True}  # it did not say since when it knows
        return one

    yield made
    for one in opened:
        await one.__aexit__()


@pytest.fixture
async def hears(app: FastAPI, listen: Listen, eventually: Callable[..., Any]) -> Live:
    """The application listens to PostgreSQL."""
    await listen("fin.weber")
    found: Live = app.state.live
    await eventually(lambda: found.mark() != "")
    return found


class TestWhoIsToldWhat:
    async def test_a_change_is_told_to_those_who_may_see_the_case_and_to_nobody_else(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database
    ) -> None:
        sam, sol, ida = [await listen(who) for who in ("sam.ortega", "sol.byrne", "ida.noor")]
        north = await a_case(retailer, "north", location=NORTH)
        assert str(north) in await sam.cases()
        assert str(north) in await ida.cases()
        south = await a_case(retailer, "south", location=SOUTH)
        assert set(await sol.cases()) == {str(south)}  # its first event ever
        async with retailer.read() as conn:
            person = await person_by_id(conn, "sam.ortega")
        assert person is not None
        await case.claim(retailer, north, person, via="test")
        name, told, _ = await sam.event()
        assert (name, set(told["case"]), told["new"]) == ("changed", {str(north)}, [])
        async with retailer.read() as conn:
            version = (await conn.execute(text("SELECT version FROM case_file WHERE id = :id"), {"id": north})).scalar()
        assert told["case"][str(north)] == version

    async def test_what_is_told_names_rows_and_says_nothing_about_them(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database, web: httpx2.AsyncClient
    ) -> None:
        sam = await listen("sam.ortega")
        placed = await web.post("/api/v1/bopis-orders", json=order("W-7"))  # an order alone tells nobody
        assert placed.status_code == 201
        number = await a_case(retailer, "north")
        assert await sam.event() == ("changed", {"case": {str(number): 1}, "new": ["case"]}, hears.mark())

    async def test_approvals_are_told_as_well(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database
    ) -> None:
        sam = await listen("sam.ortega")
        number = await an_approval(retailer)
        name, told, _ = await sam.event()
        assert (name, set(told["approval"]), told["new"]) == ("changed", {str(number)}, ["approval"])

    async def test_other_roles_count_from_the_next_look_on(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database
    ) -> None:
        sol = await listen("sol.byrne")
        async with retailer.engine.begin() as conn:
            await conn.execute(
                update(tables.person_role).where(tables.person_role.c.person_id == "sol.byrne").values(region="NORTH")
            )
        await hears.look_at_sessions()
        assert (await sol.event())[1] == {"many": True}
        number = await a_case(retailer, "north")
        assert set(await sol.cases()) == {str(number)}


class TestStreams:
    async def test_a_page_that_has_missed_nothing_is_told_nothing(
        self, app: FastAPI, hears: Live, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        cookies = cookies_of(await sign_in("sam.ortega"))
        async with Listener(app, cookies, query=f"since={hears.mark()}") as page:
            first = await a_case(retailer, "first")
            assert set(await page.cases()) == {str(first)}
            seen = hears.mark()
        async with Listener(app, cookies, query="since=long-ago", last_event_id=seen) as page:
            second = await a_case(retailer, "second")
            assert set(await page.cases()) == {str(second)}
        async with Listener(app, cookies, last_event_id=seen) as page:  # while it was away there was the second
            assert (await page.event())[1] == {"many": True}

    async def test_a_lost_connection_to_postgresql_is_made_again_and_every_page_looks(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database
    ) -> None:
        sam = await listen("sam.ortega")
        async with retailer.engine.begin() as conn:
            await conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'endcap-web-listen' AND datname = current_database()"
                )
            )
        assert (await sam.event())[1] == {"many": True}
        number = await a_case(retailer, "after")
        assert set(await sam.cases()) == {str(number)}

    async def test_it_is_not_kept_nor_held_back_on_the_way(self, listen: Listen) -> None:
        sam = await listen("sam.ortega")
        assert sam.status == 200
        assert sam.headers["content-type"].startswith("text/event-stream")
        assert (sam.headers["cache-control"], sam.headers["x-accel-buffering"]) == ("no-store", "no")

    async def test_whoever_does_not_listen_is_told_how(self, sign_in: SignIn) -> None:
        refused = await (await sign_in("sam.ortega")).get("/console/live")
        assert refused.status_code == 422
        assert "text/event-stream" in refused.text

    async def test_a_page_that_goes_leaves_nothing_behind(self, app: FastAPI, hears: Live, sign_in: SignIn) -> None:
        before = hears.streams
        async with Listener(app, cookies_of(await sign_in("sam.ortega"))):
            assert hears.streams == before + 1
        assert hears.streams == before


class TestEnds:
    async def test_a_session_that_ends_is_told_and_its_stream_closed(
        self, hears: Live, listen: Listen, sign_in: SignIn
    ) -> None:
        client = await sign_in("sam.ortega")
        sam, other = await listen("sam.ortega", client=client), await listen("sam.ortega")
        before = hears.streams
        await client.post("/sign-out")
        await hears.look_at_sessions()
        assert (await sam.event())[:2] == ("ended", "signed_out")
        await sam.has_ended()
        assert hears.streams == before - 1  # the other session's goes on
        assert other.status == 200

    async def test_ending_every_session_or_leaving_ends_them_too(
        self, hears: Live, listen: Listen, retailer: ledger.engine.Database
    ) -> None:
        sam, sol = await listen("sam.ortega"), await listen("sol.byrne")
        await sessions.end_all(retailer, "sam.ortega")
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.person).where(tables.person.c.id == "sol.byrne").values(active=False))
        await hears.look_at_sessions()
        for page in (sam, sol):
            assert (await page.event())[:2] == ("ended", "signed_out")

    async def test_of_one_session_the_oldest_stream_makes_room(
        self, hears: Live, listen: Listen, sign_in: SignIn
    ) -> None:
        client = await sign_in("sam.ortega")
        pages = [await listen("sam.ortega", client=client) for _ in range(live.MOST_OF_A_SESSION + 1)]
        assert (await pages[0].event())[:2] == ("ended", "elsewhere")

    async def test_too_many_are_refused_and_look_by_themselves(
        self, app: FastAPI, hears: Live, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "MOST_STREAMS", hears.streams)
        client = await sign_in("sam.ortega")
        refused = await client.get("/console/live", headers={"Accept": "text/event-stream"})
        assert refused.status_code == 503
        assert "Too many pages" in refused.text

    async def test_a_server_that_stops_ends_every_stream_at_once_and_takes_no_more(
        self, hears: Live, listen: Listen, sign_in: SignIn
    ) -> None:
        sam, client = await listen("sam.ortega"), await sign_in("sol.byrne")
        hears.close()
        await sam.has_ended()
        refused = await client.get("/console/live", headers={"Accept": "text/event-stream"})
        assert refused.status_code == 503

    async def test_a_browser_that_takes_nothing_holds_nobody_up_and_is_let_go(
        self,
        hears: Live,
        listen: Listen,
        retailer: ledger.engine.Database,
        eventually: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        stuck, sam = await listen("sam.ortega"), await listen("sam.ortega")
        stuck.reads.clear()
        monkeypatch.setattr(live, "TAKEN_WITHIN_S", 0.2)
        before = hears.streams
        first = await a_case(retailer, "first")
        assert set(await sam.cases()) == {str(first)}
        await eventually(lambda: hears.streams < before)
        assert not stuck.is_gone.is_set()


class TestSignals:
    """Handlers of signals belong to whoever runs the process; only a server's are heard beside."""

    async def test_without_a_server_they_stay_as_they_are(self, retailer: ledger.engine.Database) -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        with live.ends_at_once(Live(retailer)):
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before

    async def test_a_server_asked_to_stop_ends_streams_and_stops(
        self, retailer: ledger.engine.Database, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server = uvicorn.Server(uvicorn.Config("nothing:here"))
        closed, streams = asyncio.Event(), Live(retailer)
        monkeypatch.setattr(streams, "close", closed.set)
        before = signal.signal(signal.SIGTERM, server.handle_exit)
        try:
            with live.ends_at_once(streams):
                signal.raise_signal(signal.SIGTERM)
                await eventually(closed.is_set)
            assert server.should_exit
            assert signal.getsignal(signal.SIGTERM) == server.handle_exit
        finally:
            signal.signal(signal.SIGTERM, before)


class TestNotices:
    @pytest.mark.parametrize(
        "payload",
        [
            "",
            "{}",
            "[]",
            '["case"]',
            '["case", "x", 1, true, "E", "R", "L"]',
            '["case", 1, 1, 1, "E", "R", null]',
            "\\",
        ],
    )
    def test_one_of_another_release_is_no_change(self, payload: str) -> None:
        assert read(payload) is None

    def test_one_of_ours_is(self) -> None:
        assert read('["case", 7, 2, false, "E", "R", "L"]') == Change(
            "case", 7, 2, is_new=False, entity="E", region="R", location="L"
        )
