"""Whether this process lives, whether it can do its work, and a few figures for Prometheus."""

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.engine import Database
from ledger.reads.health import counts, database_time, forgets_in_a_crash, mails_waiting, migration_of, outbox_depth
from ledger.revisions import head
from web.errors import WebError
from web.keys import bearer, caller_of, database_of

router = APIRouter(tags=["health"])

CHECK_TIMEOUT_S = 3.0
OUTBOX_LATE_S = 120.0
MAIL_LATE_S = 600.0
CLOCK_OFF_S = 5.0
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Check(BaseModel):
    """`warn` does not make the process unready: it can do its own work."""

    status: Literal["ok", "warn", "fail"]
    detail: str
    took_ms: float


class Readiness(BaseModel):
    status: Literal["ok", "warn", "fail"]
    checks: dict[str, Check]


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Is the process alive")
async def healthz() -> Alive:
    """Asks nothing but the process itself."""
    return Alive()


@router.get(
    "/readyz",
    response_model=Readiness,
    summary="Can it do its work",
    responses={503: {"model": Readiness, "description": "A check fails; its detail says why."}},
)
async def readyz(request: Request) -> Response:
    """The database answers and has room to write, its schema is this code's, and how long the oldest message waits.

    Late messages and mails are a warning: orders and decisions are still taken while Temporal, the relay or the mail
    server is away. So is a clock that differs from the database's.
    """
    database = database_of(request)
    checks = {
        "database": await _check(lambda: _database(database)),
        "storage": await _check(lambda: _storage(database)),
        "migrations": await _check(lambda: _migrations(database)),
        "outbox": await _check(lambda: _outbox(database)),
        "mail": await _check(lambda: _mail(database)),
        "clock": await _check(lambda: _clock(database)),
    }
    words = {check.status for check in checks.values()}
    status: Literal["ok", "warn", "fail"] = "fail" if "fail" in words else "warn" if "warn" in words else "ok"
    body = Readiness(status=status, checks=checks)
    return JSONResponse(body.model_dump(), status_code=503 if status == "fail" else 200)


Found = tuple[Literal["ok", "warn", "fail"], str]


async def _check(ask: Callable[[], Awaitable[Found]]) -> Check:
    began = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            status, detail = await ask()
    except TimeoutError:
        status, detail = "fail", f"no answer within {CHECK_TIMEOUT_S:g} s"
    except (SQLAlchemyError, OSError) as error:
        # Addresses and names of a database do not belong into a public answer.
        status, detail = "fail", f"the database cannot be asked ({type(error).__name__})"
    return Check(status=status, detail=detail, took_ms=round((time.perf_counter() - began) * 1000, 1))


async def _database(database: Database) -> Found:
    async with database.read() as conn:
        if await forgets_in_a_crash(conn):
            return "fail", "it acknowledges what a crash would take back: set synchronous_commit to on for it"
        return "ok", f"answers; its clock says {(await database_time(conn)).isoformat(timespec='seconds')}"


async def _storage(database: Database) -> Found:
    if await database.storage.is_full():
        return "fail", "its disk is full: make room, and it goes on by itself"
    return "ok", "there is room to write"


async def _migrations(database: Database) -> Found:
    async with database.read() as conn:
        there = await migration_of(conn)
    wanted = head()
    if there == wanted:
        return "ok", f"at {there}"
    return "fail", f"the database is at {there or 'nothing'}, this code needs {wanted}: run `endcap migrate`"


async def _outbox(database: Database) -> Found:
    async with database.read() as conn:
        waiting, oldest_age_s = await outbox_depth(conn)
    detail = f"{waiting} waiting, the oldest for {oldest_age_s:.0f} s"
    return ("warn", f"{detail}: is a worker running?") if oldest_age_s > OUTBOX_LATE_S else ("ok", detail)


async def _mail(database: Database) -> Found:
    async with database.read() as conn:
        due, oldest_age_s, refused = await mails_waiting(conn)
    detail = f"{due} due, the oldest for {oldest_age_s:.0f} s, {refused} tried three times or more"
    if refused or oldest_age_s > MAIL_LATE_S:
        return "warn", f"{detail}: does the mail server answer?"
    return "ok", detail


async def _clock(database: Database) -> Found:
    """What is recorded goes by the database's clock; what pages say of "now", and cookies, by this machine's."""
    asked = datetime.now(UTC)
    async with database.read() as conn:
        there = await database_time(conn)
    here = asked + (datetime.now(UTC) - asked) / 2
    ahead_s = (here - there).total_seconds()
    if abs(ahead_s) <= CLOCK_OFF_S:
        return "ok", "this machine and the database agree"
    said = f"{abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the database's"
    return "warn", f"this machine's clock is {said}: does each machine have its time by NTP?"


class Metrics:
    """The registry of one application: requests by route, and gauges that are read at each scrape."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "endcap_http_requests", "Requests answered", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "endcap_http_request_seconds",
            "Time to the first byte of the answer",
            ("method", "route"),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        names: dict[str, tuple[str, tuple[str, ...]]] = {
            "cases_open": ("Cases that are not closed", ("kind", "severity")),
            "journeys_open": ("Journeys that are not closed", ("kind", "state")),
            "approvals_pending": ("Approvals without a verdict", ("kind",)),
            "mails": ("Mails not sent", ("state",)),
            "events_held": ("Events parked or quarantined", ("outcome",)),
            "stock_negative": ("Stock rows below zero", ()),
            "outbox_waiting": ("Messages not delivered to Temporal", ()),
            "outbox_oldest_age_seconds": ("Age of the oldest undelivered message", ()),
            "storage_full": ("1 while PostgreSQL finds no room to write", ()),
        }
        self.gauges = {
            name: Gauge(f"endcap_{name}", words, labels, registry=self.registry)
            for name, (words, labels) in names.items()
        }

    async def refresh(self, database: Database) -> None:
        """Read the gauges from the database; a label that has no rows any more disappears."""
        full = await database.storage.is_full()
        async with database.read() as conn:
            found = await counts(conn)
            depth = await outbox_depth(conn)
        for gauge in self.gauges.values():
            gauge.clear()
        for name, labels, value in found:
            gauge = self.gauges[name]
            (gauge.labels(**dict(labels)) if labels else gauge).set(value)
        self.gauges["storage_full"].set(full)
        self.gauges["outbox_waiting"].set(depth.waiting)
        self.gauges["outbox_oldest_age_seconds"].set(depth.oldest_age_s)


@router.get("/metrics", response_class=PlainTextResponse, summary="Figures for Prometheus")
async def metrics(request: Request, credentials: HTTPAuthorizationCredentials | None = Depends(bearer)) -> Response:
    """From this machine without a key; from elsewhere, or through a proxy, with one that has the scope `read`."""
    if not _is_local(request):
        caller = await caller_of(request, credentials)
        if "read" not in caller.scopes:
            raise WebError(403, "insufficient_scope", "This key does not have the scope read. Use one that has it.")
    found: Metrics = request.app.state.metrics
    await found.refresh(database_of(request))
    return Response(generate_latest(found.registry), media_type=CONTENT_TYPE_LATEST)


def _is_local(request: Request) -> bool:
    if any(name in request.headers for name in FORWARDED) or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class Measured:
    """ASGI middleware that counts answers by the route's template, never by the address that was asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        kept: Metrics = scope["app"].state.metrics

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                template = template_of(scope)
                method = scope["method"] if scope["method"] in KNOWN_METHODS else "OTHER"
                kept.requests.labels(method, template, message["status"]).inc()
                kept.seconds.labels(method, template).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)


def template_of(scope: Scope) -> str:
    """`/api/v1/journeys/{journey_id}`: a route of an included router knows only its own part of the path."""
    whole: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return getattr(whole, "path", None) or "(none)"


KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
