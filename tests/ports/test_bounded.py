"""Whatever another system answers, it takes no more of our time and memory than we give it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from domain.promotion import ShelfPrice
from ports import bounded
from ports.payment import HttpPaymentProvider, PaymentRequest
from ports.price import ChannelAway, CsvPriceChannel, HttpPriceChannel, PriceAt, PriceToShow
from ports.tracking import HttpTracking, TrackingAwayError
from tests.serving import serving

CALLED: list[str] = []
SAYS: dict[str, str] = {}  # by the last part of the path
REFUND = PaymentRequest(
    operation_id="op-1", kind="refund", payment_reference="pay_1", tender="card", amount_minor=100, currency="USD"
)


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
    if how == "says":
        return Response(SAYS[request.path_params["rest"].split("/")[-1]], media_type="application/json")
    if how == "away":
        return RedirectResponse("/elsewhere/x", status_code=307)
    return JSONResponse({"asked": request.headers["accept-encoding"]})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    CALLED.clear()
    app = Starlette(routes=[Route("/{how}/{rest:path}", answer, methods=["GET", "POST"])])
    async with serving(app, log_level="critical", timeout_graceful_shutdown=1) as port:
        yield f"http://127.0.0.1:{port}"


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
    assert (await payments.carry_out(REFUND)).state == "unknown"
    for one in (tracking, channel, payments):
        await one.aclose()
    assert len(CALLED) == 3
    assert not any("elsewhere" in path for path in CALLED)


AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
ENDS: tuple[object, ...] = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "2026-11-24T12:00:00",
    "\x00",
    7,
    [],
)

type Asking = tuple[HttpTracking, HttpPriceChannel, HttpPaymentProvider]


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[Asking]:
    """Somebody of each kind, who answers what `SAYS` says."""
    at = f"{url}/says"
    found = HttpTracking(at, "key"), HttpPriceChannel("web", at, "key"), HttpPaymentProvider(at, "key")
    try:
        yield found
    finally:
        for one in found:
            await one.aclose()


class TestWhatNobodyCanStore:
    """Half a character, a NUL, an instant before all instants, a number without end: each would be an error of ours
    when it is computed with or written, and be asked for again and again.
    """

    @pytest.mark.parametrize("written", ["[" * 200_000, '{"x":' * 90_000, "{", '"x"', "\x00"])
    async def test_what_is_no_json_object_is_no_answer(self, url: str, written: str) -> None:
        for path in ("T-1", "prices", "refund"):
            SAYS[path] = written
        async with asking(url) as (tracking, channel, payments):
            with pytest.raises(TrackingAwayError):
                await tracking.ask("T-1", None)
            with pytest.raises(ChannelAway):
                await channel.publish([])
            assert (await payments.carry_out(REFUND)).reference is None

    @pytest.mark.parametrize("at", ENDS, ids=repr)
    async def test_an_instant(self, url: str, at: object) -> None:
        SAYS["refund"] = json.dumps({"reference": "pay\x00\ud800_1", "authorized_until": at})
        SAYS["T-1"] = json.dumps({"status": "lost", "at": at})
        SAYS["T-2"] = json.dumps({"status": [at]})
        async with asking(url) as (tracking, _, payments):
            found = await payments.carry_out(REFUND)
            assert (found.state, found.reference, found.authorized_until) == ("succeeded", "pay ?_1", None)
            with pytest.raises(TrackingAwayError, match="its at is no instant"):
                await tracking.ask("T-1", None)
            with pytest.raises(TrackingAwayError, match="its status"):
                await tracking.ask("T-2", None)

    async def test_a_price(self, url: str) -> None:
        at = PriceAt("S1", "TEA", AT)
        asked = {"location": "S1", "sku": "TEA", "at": AT.isoformat()}
        told = [PriceToShow(at, ShelfPrice(199, ""), "USD", 1)]
        async with asking(url) as (_, channel, _):
            for minor in (10**30, -(10**30), True, "199", 1.5):
                SAYS["read"] = json.dumps({"prices": [{**asked, "price_minor": minor}]})
                assert await channel.shown([at]) == {}
            SAYS["read"] = json.dumps({"prices": [{**asked, "price_minor": 199, "deal": "2\x00+1\ud800"}]})
            assert await channel.shown([at]) == {at: ShelfPrice(199, "2 +1?")}
            SAYS["prices"] = json.dumps({"refused": [{**asked, "valid_from": one} for one in ENDS]})
            assert await channel.publish(told) == {}
            refused = {**asked, "valid_from": AT.isoformat(), "reason": "\x00no" + "!" * 900}
            SAYS["prices"] = json.dumps({"refused": [refused]})
            [said] = (await channel.publish(told)).values()
        assert (said[:3], len(said)) == (" no", 200)

    @pytest.mark.parametrize("price", ["9" * 30, "9" * 5_000, "\u0661", "1_0", "x" * 200_000], ids=lambda one: one[:3])
    async def test_a_file(self, tmp_path: Path, price: str) -> None:
        (tmp_path / "shown").mkdir()
        shown = tmp_path / "shown" / "a.csv"
        shown.write_text(f"location,sku,valid_from,price_minor,deal\nS1,TEA,2026-11-24T12:00:00Z,{price},\n")
        channel = CsvPriceChannel(tmp_path)
        with pytest.raises(ChannelAway, match=r"shown/a\.csv"):
            await channel.shown([PriceAt("S1", "TEA", AT)])
        shown.write_bytes(b"PK\x03\x04\xff\xfe,\x80\n")
        with pytest.raises(ChannelAway, match=r"shown/a\.csv is no CSV"):
            await channel.shown([PriceAt("S1", "TEA", AT)])
