"""Busy addresses have a short way through the framework: it says what the usual way says, byte for byte."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.web.retail import order
from web.api import STRAIGHT
from web.api.straight import Straight

ORDERS, BATCH, EVENTS = (one.path for one in STRAIGHT)
SALE = {
    "id": "evt-1",
    "type": "pos.sale",
    "occurred_at": "2026-11-21T10:00:00Z",
    "data": {
        "location": "S1", "receipt": "1", "lines": [{"line": "1", "sku": "APPLE", "quantity": 1, "unit_price_minor": 9}]
    },
}  # fmt: skip


def by_the_usual_way(app: FastAPI) -> None:
    """From now on the application has no short way."""
    app.router.routes[:] = [one for one in app.router.routes if not isinstance(one, Straight)]


def as_sent(response: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    return response.status_code, response.content, dict(response.headers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (BATCH, b""),
        (BATCH, b"null"),
        (BATCH, b"[]"),
        (BATCH, b'{"orders": []}'),
        (BATCH, b'{"orders": {"0": {}}}'),
        (BATCH, b'{"orders": [1, {}]}'),
        (BATCH, b'{"orders": [{}], "more": 1}'),
        (BATCH, b'{"orders": [{}, {"order_id": 7}]}'),
        (EVENTS, b""),
        (EVENTS, b"null"),
        (EVENTS, b"7"),
        (EVENTS, b'{"events": [{}, {"id": "e"}, {"id": 5, "type": "pos.sale", "data": 1e99}]}'),
        (EVENTS, b'{"events": [null]}'),
        (EVENTS, b'{"events": "none"}'),
    ],
)
async def test_what_is_refused_is_refused_in_the_same_words(
    app: FastAPI, web: httpx2.AsyncClient, path: str, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    straight = as_sent(await web.post(path, content=body, headers=headers))
    by_the_usual_way(app)
    assert as_sent(await web.post(path, content=body, headers=headers)) == straight


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORDERS, order("W-1")),
        (BATCH, {"orders": [order("W-1"), order("W-2", sku="BREAD", quantity=5), order("W-3", sku="GHOST"), {"a": 1}]}),
        (EVENTS, {"events": [SALE, SALE | {"id": "evt-2", "type": "unheard.of"}, {"id": "evt-3"}]}),
    ],
)
async def test_what_is_taken_is_answered_alike(app: FastAPI, web: httpx2.AsyncClient, path: str, body: Any) -> None:
    first = await web.post(path, json=body)
    straight = as_sent(await web.post(path, json=body))
    by_the_usual_way(app)
    assert as_sent(await web.post(path, json=body)) == straight
    assert first.status_code in {200, 201}


@pytest.mark.parametrize("path", [ORDERS, BATCH, EVENTS])
async def test_a_parameter_that_there_is_not_is_refused_there_too(standing: httpx2.AsyncClient, path: str) -> None:
    response = await standing.post(f"{path}?dry_run=1", json={})
    assert response.status_code == 422
    assert "There is no parameter dry_run here" in response.text


@pytest.mark.parametrize("path", [ORDERS, BATCH, EVENTS])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_method_is_told_which_there_is(standing: httpx2.AsyncClient, path: str, method: str) -> None:
    response = await standing.request(method, path, json={})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
