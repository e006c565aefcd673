"""Every refusal has a status, a stable code and words; nothing that failed inside leaks out."""

import asyncio
import errno
import json
from typing import Annotated

import httpx2
import pytest
from asyncpg import InternalClientError
from asyncpg.exceptions import CannotConnectNowError, DiskFullError, NumericValueOutOfRangeError, UniqueViolationError
from fastapi import FastAPI, Query
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import Message, Receive, Scope, Send

from domain.errors import DomainError, Malformed, leaves
from web import errors

FAILURES: dict[str, Exception] = {
    "pool": PoolTimeout("all 20 connections are in use"),
    "refused": ConnectionRefusedError("[Errno 111] 10.1.2.3"),
    "starting": DBAPIError("SELECT secret", {}, CannotConnectNowError("starting up")),
    "range": DBAPIError("INSERT", {}, NumericValueOutOfRangeError("integer out of range")),
    "full": DBAPIError("INSERT secret", {}, DiskFullError("could not extend file base/1: No space left on device")),
    "full, of the driver": DiskFullError("could not extend file base/1"),
    "full, of a file": OSError(errno.ENOSPC, "No space left on device"),
    "unique": DBAPIError("INSERT secret", {}, UniqueViolationError("duplicate key")),
    "ended, of the driver": InternalClientError("cannot switch to state 15; another operation (secret) is in progress"),
    "surprise": RuntimeError("the secret is Aurelia"),
}


class Line(BaseModel, extra="forbid"):
    sku: str
    quantity: Annotated[int, Field(strict=True, gt=0)]


class Order(BaseModel, extra="forbid"):
    lines: list[Line]


@pytest.fixture
def client() -> httpx2.AsyncClient:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(errors.Guarded)

    @app.get("/api/leaf/{name}")
    async def leaf(name: str) -> None:
        raise leaves()[name]("What is wrong, and what to do.", pointer="/lines/0")

    @app.get("/api/failure/{name}")
    async def failure(name: str) -> None:
        raise FAILURES[name]

    @app.post("/api/orders")
    async def orders(order: Order) -> None:
        raise AssertionError(order)

    @app.get("/api/list")
    async def listed(limit: Annotated[int, Query(ge=1)]) -> None:
        raise AssertionError(limit)

    transport = httpx2.ASGITransport(app=app)
    return httpx2.AsyncClient(transport=transport, base_url="http://endcap.test")


class TestRefusalsOfTheDomain:
    @pytest.mark.parametrize("leaf", leaves().values(), ids=leaves().keys())
    async def test_each_has_the_status_of_its_family(self, client: httpx2.AsyncClient, leaf: type[DomainError]) -> None:
        response = await client.get(f"/api/leaf/{leaf.__name__}")
        wanted = {"malformed": 422, "forbidden": 403, "missing": 404, "conflict": 409, "busy": 503}[leaf.family]
        body = response.json()
        assert response.status_code == wanted == body["status"]
        assert response.headers["content-type"] == "application/problem+json"
        assert body["code"] == leaf.code
        assert body["type"] == f"urn:endcap:problem:{leaf.code}"
        assert body["instance"] == f"/api/leaf/{leaf.__name__}"
        assert body["detail"] == "What is wrong, and what to do."
        assert body["errors"] == [{"pointer": "/lines/0", "code": leaf.code, "detail": body["detail"]}]
        assert ("retry-after" in response.headers) is (leaf.family == "busy")

    def test_codes_are_told_apart(self) -> None:
        codes = [leaf.code for leaf in leaves().values()]
        assert len(codes) == len(set(codes))


class TestFailures:
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("pool", 503, "unavailable"),
            ("refused", 503, "unavailable"),
            ("starting", 503, "unavailable"),
            ("ended, of the driver", 503, "unavailable"),
            ("range", 422, "malformed"),
            ("full", 503, "storage_full"),
            ("full, of the driver", 503, "storage_full"),
            ("full, of a file", 503, "storage_full"),
            ("unique", 500, "internal_error"),
            ("surprise", 500, "internal_error"),
        ],
    )
    async def test_each_is_answered_without_a_word_from_inside(
        self, client: httpx2.AsyncClient, name: str, status: int, code: str
    ) -> None:
        response = await client.get(f"/api/failure/{name}")
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert not any(word in response.text for word in ("secret", "10.1.2.3", "Aurelia", "duplicate key"))
        assert ("retry-after" in response.headers) is (status == 503)


class TestStopping:
    """The server cancels what it does not wait for any more; what is not answered by then it would answer 500."""

    @pytest.mark.parametrize("begun", [False, True])
    async def test_what_is_cut_off_is_told_to_come_again_and_half_an_answer_is_no_second_one(
        self, *, begun: bool
    ) -> None:
        sent: list[Message] = []
        waits = asyncio.Event()

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def without_end(_scope: Scope, _receive: Receive, send: Send) -> None:
            if begun:
                await send({"type": "http.response.start", "status": 200, "headers": []})
            waits.set()
            await asyncio.Event().wait()

        scope = {
            "type": "http", "method": "GET", "path": "/api/v1/cases", "query_string": b"", "headers": [],
            "scheme": "http", "server": ("shop.example", 80), "root_path": "",
        }  # fmt: skip
        answering = asyncio.create_task(errors.Guarded(without_end)(scope, receive, send))
        await waits.wait()
        answering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answering
        starts = [message for message in sent if message["type"] == "http.response.start"]
        assert [start["status"] for start in starts] == [200 if begun else 503]
        if not begun:
            assert dict(starts[0]["headers"])[b"retry-after"] == b"1"
            assert json.loads(sent[-1]["body"])["code"] == "unavailable"


class TestShapes:
    async def test_each_wrong_field_is_pointed_at(self, client: httpx2.AsyncClient) -> None:
        body = {"lines": [{"sku": "a", "quantity": 0}, {"sku": 5, "quantity": 1, "price": 3}]}
        response = await client.post("/api/orders", json=body)
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [
            "/lines/0/quantity", "/lines/1/sku", "/lines/1/price",
        ]  # fmt: skip
        assert response.json()["detail"].startswith("/lines/0/quantity: Input should be greater than 0 (2 more")

    async def test_the_value_that_was_sent_is_not_repeated(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/api/orders", json={"lines": [{"sku": "a", "quantity": "noor@example.com"}]})
        assert response.status_code == 422
        assert "noor" not in response.text

    async def test_a_parameter_is_pointed_at(self, client: httpx2.AsyncClient) -> None:
        response = await client.get("/api/list?limit=0")
        assert response.json()["errors"][0]["pointer"] == "/query/limit"

    async def test_a_missing_body_is_named(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/api/orders")
        assert response.status_code == 422
        assert response.json()["detail"].startswith("the body: Field required")

    async def test_an_unknown_address_and_a_wrong_method_say_so(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/api/nothing")).json()["code"] == "not_found"
        response = await client.delete("/api/list")
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
        assert "GET" in response.headers["allow"]


def test_a_pointer_is_left_out_where_there_is_none() -> None:
    assert errors.problem_of(Malformed("No."), "/x").errors == []


@pytest.mark.parametrize(
    "error",
    [PoolTimeout(), ConnectionRefusedError("gone"), CannotConnectNowError("starting up"), InternalClientError("ended")],
)
def test_one_of_a_batch_that_met_an_outage_is_told_to_come_again(error: Exception) -> None:
    found = errors.unexpected_problem(error, "/orders/3")
    assert (found.status, found.code, found.instance) == (503, "unavailable", "/orders/3")
    assert errors.unexpected_problem(KeyError("x"), "/orders/3").status == 500
