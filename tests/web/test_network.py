"""The network between callers, Endcap and PostgreSQL fails: answers are lost, connections are cut or become a black
hole. What was taken is taken once, and all is well when the network is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2
from fastapi import FastAPI
from sqlalchemy import text

import ledger.engine
from tests.faults.proxy import Proxy, proxy_to
from tests.serving import serving
from tests.web.conftest import As, open_app, open_clients, settings_for
from tests.web.retail import key_text, order
from tests.web.test_api_orders import ORDERS


async def count(retailer: ledger.engine.Database, what: str) -> int:
    async with retailer.read() as conn:
        return int((await conn.execute(text(what))).scalar_one())


async def taken(web: httpx2.AsyncClient, number: int) -> int:
    """Send an order until it is taken; the status of that answer."""
    while True:
        answer = await web.post(ORDERS, json=order(f"W-{number}", quantity=1))
        if answer.status_code != 503:
            return answer.status_code


@asynccontextmanager
async def through_a_proxy(url: str, **settings: object) -> AsyncIterator[tuple[Proxy, As, FastAPI]]:
    """The application with the network between itself and PostgreSQL in the hand of the test."""
    parts = urlsplit(url)
    async with proxy_to(parts.hostname or "", parts.port or 5432) as proxy:
        host, port = proxy.address
        account = parts.netloc.rpartition("@")[0]
        there = urlunsplit(parts._replace(netloc=f"{account}@{host}:{port}"))
        async with (
            open_app(settings_for(there).model_copy(update=settings)) as app,
            open_clients(app) as made,
        ):
            yield proxy, made, app


class TestAnswersAreLost:
    async def test_the_same_order_again_is_answered_and_taken_once(
        self, app: FastAPI, retailer: ledger.engine.Database
    ) -> None:
        async with serving(app) as port, proxy_to("127.0.0.1", port) as proxy:
            host, there = proxy.address
            headers = {"Authorization": f"Bearer {key_text('web')}"}
            answers = []
            for number in range(6):
                proxy.answers_to_lose = 1 + number % 2
                body = order(f"W-{number}", quantity=1)
                while True:
                    try:
                        async with httpx2.AsyncClient(base_url=f"http://{host}:{there}", headers=headers) as caller:
                            answers.append(await caller.post(ORDERS, json=body, timeout=120))
                        break
                    except httpx2.TransportError:
                        continue
        assert proxy.answers_lost == 9
        assert {answer.status_code for answer in answers} == {200}  # taken before; the first answer
        assert {answer.json()["state"] for answer in answers} == {"reserved"}
        assert await count(retailer, "SELECT count(*) FROM journey") == 6
        assert await count(retailer, "SELECT sum(reserved) FROM stock") == 6


class TestLatency:
    async def test_far_away_orders_share_the_way_and_what_waits_too_long_comes_again(
        self, retailer_url: str, retailer: ledger.engine.Database
    ) -> None:
        async with through_a_proxy(retailer_url, database_timeout_s=2.0, database_pool_size=3) as (proxy, as_key, _):
            web = as_key("web")
            assert (await web.get("/api/v1/stock")).status_code == 200
            proxy.delay_s = 0.05
            orders = [web.post(ORDERS, json=order(f"W-{number}", quantity=1)) for number in range(10)]
            placed = await asyncio.gather(*orders)
            answers = await asyncio.gather(*(web.get("/api/v1/stock") for _ in range(60)))
            assert (await as_key("").get("/healthz")).status_code == 200
            proxy.delay_s = 0.0
            assert {answer.status_code for answer in placed} <= {201, 503}
            # Each takes three ways there and back: sixty are more than six connections do in their time.
            assert {answer.status_code for answer in answers} == {200, 503}
            assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 503)
            for number in range(10):
                assert await taken(web, number) in (200, 201)
            assert (await web.get("/api/v1/stock")).status_code == 200
        assert await count(retailer, "SELECT count(*) FROM journey") == 10
        assert await count(retailer, "SELECT sum(reserved) FROM stock") == 10


class TestPostgresql:
    async def test_its_connections_are_cut_and_the_next_requests_are_served(
        self, retailer_url: str, retailer: ledger.engine.Database
    ) -> None:
        async with through_a_proxy(retailer_url) as (proxy, as_key, _):
            web = as_key("web")
            for number in range(4):
                body = order(f"W-{number}", quantity=1)
                assert (await web.post(ORDERS, json=body)).status_code == 201
                proxy.cut()
                assert await taken(web, number) == 200
                assert (await web.get(f"/api/v1/journeys/bopis:web:W-{number}")).status_code == 200
        assert await count(retailer, "SELECT count(*) FROM journey") == 4

    async def test_a_black_hole_is_said_and_left_behind(
        self, retailer_url: str, retailer: ledger.engine.Database, eventually: Callable[..., Any]
    ) -> None:
        async with through_a_proxy(retailer_url, database_timeout_s=1.0) as (proxy, as_key, _):
            web = as_key("web")
            assert await taken(web, 1) in (200, 201)
            proxy.hold()
            ready: Any = await as_key("").get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["database"]["status"]) == (503, "fail")
            assert "no answer within" in ready.json()["checks"]["database"]["detail"]
            assert (await as_key("").get("/healthz")).status_code == 200
            held = await web.post(ORDERS, json=order("W-2", quantity=1))
            assert held.status_code == 503
            assert int(held.headers["Retry-After"]) > 0
            proxy.release()
            proxy.cut()
            assert await taken(web, 2) in (200, 201)

            async def is_ready() -> bool:
                return (await as_key("").get("/readyz")).status_code == 200

            await eventually(is_ready)
        assert await count(retailer, "SELECT count(*) FROM journey") == 2
        assert await count(retailer, "SELECT sum(reserved) FROM stock") == 2
