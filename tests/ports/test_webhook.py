"""Webhooks on the wire: the signature of the standard, one resolved address, no redirect, bounded time."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from ports.webhook import Call, WebhookCaller, signatures

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = json.dumps({"type": "case.opened", "data": {"case_id": 7}})


def call(url: str = "https://shop.example/hooks?x=1", *secrets: str, at: datetime | None = None) -> Call:
    """Sent just now: a receiver takes no message that is older than five minutes."""
    return Call(url, "msg_7", at or datetime.now(UTC), BODY, secrets or (SECRET,))


def to(*answers: str) -> Callable[[str, int], object]:
    """A resolver that gives one answer after the other, each a list of addresses with commas."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0).split(",")

    return resolve


type Answering = Callable[[httpx2.Request], httpx2.Response]


def caller(answering: Answering, resolver: object) -> WebhookCaller:
    return WebhookCaller(transport=httpx2.MockTransport(answering), resolver=resolver)  # type: ignore[arg-type]


def yes(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(204)


class TestSignature:
    def test_the_published_vector_of_the_standard(self) -> None:
        at = datetime.fromtimestamp(1_614_265_330, UTC)
        vector = Call("", "msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}',
                      ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])  # fmt: skip
        assert signatures(vector) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    async def test_a_receiver_with_the_library_of_the_standard_accepts_it(self) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200)

        answer = await caller(answering, to("93.184.215.14")).call(call())
        assert answer.is_accepted
        headers, content = dict(seen[0].headers), seen[0].content
        assert Webhook(SECRET).verify(content, headers) == json.loads(BODY)
        assert (headers["webhook-id"], headers["content-type"]) == ("msg_7", "application/json")
        with pytest.raises(WebhookVerificationError):
            Webhook(OTHER).verify(content, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(content.replace(b"7", b"8"), headers)

    async def test_while_a_secret_is_changed_both_are_accepted(self) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200)

        await caller(answering, to("93.184.215.14")).call(call("https://shop.example/", OTHER, SECRET))
        for secret in (SECRET, OTHER):
            assert Webhook(secret).verify(seen[0].content, dict(seen[0].headers))


class TestAddress:
    async def test_the_connection_goes_to_the_address_that_was_checked(self) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200)

        # The name would lead to this machine if it were resolved a second time.
        await caller(answering, to("93.184.215.14", "127.0.0.1")).call(call("https://shop.example:8443/hooks?x=1"))
        (request,) = seen
        assert str(request.url) == "https://93.184.215.14:8443/hooks?x=1"
        assert request.headers["Host"] == "shop.example:8443"
        assert request.extensions["sni_hostname"] == "shop.example", "the certificate is that of the name"

    async def test_a_name_of_other_letters_is_looked_up_as_it_was_written(self) -> None:
        """A resolver takes `straße` for `strasse`, which is somebody else's; the message would go there."""
        asked: list[str] = []
        seen: list[httpx2.Request] = []

        async def looking(host: str, _port: int) -> Sequence[str]:
            asked.append(host)
            return ["93.184.215.14"]

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200)

        await caller(answering, looking).call(call("https://xn--strae-oqa.example/"))
        assert asked == ["xn--strae-oqa.example"]
        assert (seen[0].headers["Host"], seen[0].extensions["sni_hostname"]) == (asked[0], asked[0])

    async def test_an_ipv6_address_is_written_in_brackets(self) -> None:
        seen: list[str] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(str(request.url))
            return httpx2.Response(200)

        answer = await caller(answering, to("2606:2800:21f:cb07:6820:80da:af6b:8b2c")).call(call())
        assert answer.is_accepted, answer
        assert seen == ["https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/hooks?x=1"]

    @pytest.mark.parametrize(
        "resolved",
        ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254",
         "93.184.215.14,10.0.0.1"],
    )  # fmt: skip
    async def test_a_name_that_leads_to_a_network_of_ours_is_never_called(self, resolved: str) -> None:
        def never(request: httpx2.Request) -> httpx2.Response:
            raise AssertionError(f"called {request.url}")

        answer = await caller(never, to(resolved)).call(call())
        assert answer.status is None
        assert answer.error is not None
        assert "shop.example leads to" in answer.error

    async def test_numbers_that_mean_an_address_are_refused_before_anything_is_resolved(self) -> None:
        for host in ("2130706433", "0x7f000001", "0177.0.0.1"):
            answer = await caller(yes, to()).call(call(f"https://{host}/"))
            assert answer.error is not None
            assert "usual form" in answer.error

    async def test_a_name_without_an_address_is_said_to_be_so(self) -> None:
        async def nothing(_host: str, _port: int) -> Sequence[str]:
            raise OSError("no such name")

        answer = await caller(yes, nothing).call(call())
        assert (answer.status, answer.error) == (None, "its name cannot be resolved")


class TestAnswers:
    @pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 429, 500, 503])
    async def test_only_a_2xx_is_accepted_and_no_redirect_is_followed(self, status: int) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(status, headers={"Location": "http://169.254.169.254/", "Retry-After": "120"})

        answer = await caller(answering, to("93.184.215.14")).call(call())
        assert (answer.is_accepted, answer.status, answer.retry_after_s) == (False, status, 120)
        assert len(seen) == 1

    @pytest.mark.parametrize("given", ["", "soon", "-1", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400])
    async def test_a_retry_after_that_is_no_number_of_seconds_is_left_out(self, given: str) -> None:
        answer = await caller(lambda _: httpx2.Response(503, headers={"Retry-After": given}), to("93.184.215.14")).call(
            call()
        )
        assert answer.retry_after_s is None

    async def test_no_answer_is_no_exception(self) -> None:
        def broken(_request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ConnectError("refused")

        answer = await caller(broken, to("93.184.215.14")).call(call())
        assert answer.error == "no answer: ConnectError"


@asynccontextmanager
async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[str]:
    """A server on this machine that does whatever `serve` does; yields its URL."""
    tasks: set[asyncio.Task[object]] = set()

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)  # type: ignore[misc]
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(each, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class TestRealServer:
    async def test_one_that_never_answers_is_left_in_time(self) -> None:
        async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read(-1)

        async with listening(silent) as url:
            patient = WebhookCaller(allow_local=True, timeout_s=0.3)
            answer = await patient.call(call(url))
            await patient.aclose()
        assert answer.error is not None
        assert "no answer" in answer.error
        assert answer.ms < 5_000

    async def test_an_endless_body_is_not_read(self) -> None:
        sent = 0

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
                sent += 65_536

        async with listening(endless) as url:
            calling = WebhookCaller(allow_local=True)
            answer = await calling.call(call(url))
            await calling.aclose()
        assert answer.is_accepted
        assert sent < 50_000_000

    async def test_without_the_setting_this_machine_is_not_called(self) -> None:
        async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            raise AssertionError("called")

        async with listening(never) as url:
            calling = WebhookCaller()
            answer = await calling.call(call(url))
            await calling.aclose()
        assert answer.error == "Webhooks go over https."
