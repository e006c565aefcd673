"""Whatever another system answers, it takes no more of our time and memory than we give it."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ports import bounded
from ports.payment import HttpPaymentProvider, PaymentRequest
from ports.price import ChannelAway, HttpPriceChannel
from ports.tracking import HttpTracking, TrackingAwayError

CALLED: list[str] = []


async def _far_too_much() -> AsyncIterator[bytes]:
    for _ in range(320):
        yield b"x" * 65_536
        await asyncio.sleep(0)  # so that the server hears that nobody reads any more


async def _drop_by_drop() -> AsyncIterator[bytes]:
    for _ in range(1_000):
        yield b" "
        await asyncio.sleep(0.01)


async def answer(request: Request) -> Response:
    CALLED.append(request.url.path)
    how = request.path_params["how"]
    if how == "endless":
        return StreamingResponse(_far_too_much())
    if how == "drips":
        return StreamingResponse(_drop_by_drop())
    if how == "packed":
        return Response(gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    if how == "away":
        return RedirectResponse("/elsewhere/x", status_code=307)
    return JSONResponse({"asked": request.headers["accept-encoding"]})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    CALLED.clear()
    listening = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/{how}/{rest:path}", answer, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    server.config.install_signal_handlers = False  # type: ignore[attr-defined]
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        if running.done():
            await running
        await asyncio.sleep(0.02)  # between two looks whether it listens
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as made:
        yield made


async def test_what_is_usual_comes_whole_and_is_not_compressed(url: str, client: httpx2.AsyncClient) -> None:
    found = await bounded.ask(client, "GET", f"{url}/usual/x")
    assert (found.status_code, found.json()) == (200, {"asked": "identity"})


async def test_one_without_end_is_given_up(url: str, client: httpx2.AsyncClient) -> None:
    with pytest.raises(httpx2.ReadError, match="larger than 100,000 bytes"):
        await bounded.ask(client, "GET", f"{url}/endless/x", most_bytes=100_000)


async def test_one_that_drips_is_given_up_although_each_part_comes_in_time(
    url: str, client: httpx2.AsyncClient
) -> None:
    with pytest.raises(httpx2.ReadTimeout, match="no whole answer"):
        await bounded.ask(client, "GET", f"{url}/drips/x", within_s=0.5)


async def test_one_that_is_larger_than_it_looks_is_not_unpacked(url: str, client: httpx2.AsyncClient) -> None:
    with pytest.raises(httpx2.ReadError, match="compressed"):
        await bounded.ask(client, "GET", f"{url}/packed/x")


@pytest.mark.parametrize("how", ["endless", "packed", "away"])
async def test_carriers_channels_and_payments_are_read_so_and_no_redirect_is_followed(url: str, how: str) -> None:
    tracking = HttpTracking(f"{url}/{how}", "key")
    with pytest.raises(TrackingAwayError):
        await tracking.ask("T-1", None)
    channel = HttpPriceChannel("web", f"{url}/{how}", "key")
    with pytest.raises(ChannelAway):
        await channel.publish([])
    payments = HttpPaymentProvider(f"{url}/{how}", "key")
    request = PaymentRequest(
        operation_id="op-1", kind="refund", payment_reference="pay_1", tender="card", amount_minor=100, currency="USD"
    )
    assert (await payments.carry_out(request)).state == "unknown"
    for one in (tracking, channel, payments):
        await one.aclose()
    assert len(CALLED) == 3
    assert not any("elsewhere" in path for path in CALLED)
