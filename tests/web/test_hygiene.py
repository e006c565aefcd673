"""What may come in: JSON that means one thing, of a bounded size; the rest is refused with words on what to do."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from web.errors import WebError
from web.hygiene import Hygiene
from web.strict_json import MAX_DEPTH, checked_json

MAX_BODY_BYTES = 10_000


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(body, media_type="application/octet-stream")(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = Hygiene(echo, most_bytes=lambda _path: MAX_BODY_BYTES)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as made:
        yield made


async def never(message: Message) -> None:
    raise AssertionError(f"it was answered: {message}")


def refusal(body: bytes) -> WebError:
    with pytest.raises(WebError) as caught:
        checked_json(body)
    assert caught.value.status == 422
    return caught.value


class TestCheckedJson:
    def test_a_plain_document_passes_byte_for_byte(self) -> None:
        body = ' {"a": [1, 2.5, null, true, "é"], "b": {}} '.encode()
        assert checked_json(body) is body

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b'{"a": 1, "a": 2}', "duplicate_key"),
            (b'{"x": {"a": 1, "a": 1}}', "duplicate_key"),
            (b'{"a": NaN}', "not_a_number"),
            (b'{"a": Infinity}', "not_a_number"),
            (b'{"a": -Infinity}', "not_a_number"),
            (b'{"a": 1e400}', "number_too_large"),
            (b'{"a": -1e400}', "number_too_large"),
            (b'{"a": 9223372036854775808}', "number_too_large"),
            (b'{"a": -9223372036854775808}', "number_too_large"),
            (b'{"a": ' + b"9" * 5000 + b"}", "number_too_large"),
            (b'{"a": "\xff"}', "bad_encoding"),
            (b'\xef\xbb\xbf{"a": 1}', "bad_json"),
            (b'{"a": "\\u0000"}', "bad_character"),
            (b'{"a\\u0000": 1}', "bad_character"),
            ('{"a": "é\\u0000"}'.encode(), "bad_character"),
            (b'{"a": "\\ud800"}', "bad_character"),
            (b'{"a": "\\udc00x"}', "bad_character"),
            (('"a' + "\u0301" * 31 + '"').encode(), "bad_character"),
            (b'{"a": 1} {"b": 2}', "bad_json"),
            (b'{"a": 1,}', "bad_json"),
            (b"{'a': 1}", "bad_json"),
            (b'{"a": 01}', "bad_json"),
            (b'{"a": "\x01"}', "bad_json"),
            (b"", "bad_json"),
        ],
    )
    def test_what_means_nothing_or_two_things_is_refused_by_name(self, body: bytes, code: str) -> None:
        assert refusal(body).code == code

    def test_the_largest_integer_is_let_through(self) -> None:
        assert checked_json(b"9223372036854775807") == b"9223372036854775807"

    def test_the_deepest_document_allowed_passes_and_one_level_more_does_not(self) -> None:
        allowed = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
        assert checked_json(allowed) == allowed
        assert refusal(b"[" + allowed + b"]").code == "too_deep"

    @pytest.mark.parametrize("opening", [b"[", b'{"a":'])
    def test_a_hundred_thousand_levels_are_refused_at_once(self, opening: bytes) -> None:
        began = time.process_time()
        assert refusal(opening * 100_000).code == "too_deep"
        assert time.process_time() - began < 10  # of the processor

    def test_a_hundred_thousand_keys_are_looked_at_in_one_go(self) -> None:
        body = json.dumps({f"k{number}": 0 for number in range(100_000)}).encode()
        began = time.process_time()
        assert checked_json(body) is body
        assert time.process_time() - began < 10  # of the processor

    def test_sixty_four_thousand_combining_marks_are_refused_before_they_are_sorted(self) -> None:
        began = time.process_time()
        assert refusal(('"a' + "\u0315\u0300" * 32_000 + '"').encode()).code == "bad_character"
        assert time.process_time() - began < 10  # of the processor

    def test_texts_that_look_alike_become_the_same_text(self) -> None:
        twin = checked_json('{"sku": "cafe\u0301"}'.encode())
        assert json.loads(twin) == {"sku": "caf\u00e9"}

    def test_signs_that_turn_what_follows_are_left_out(self) -> None:
        spoof = checked_json('{"note": "pays \u202e00.03\u202c EUR", "name": "\u2066Noor\u2069"}'.encode())
        assert json.loads(spoof) == {"note": "pays 00.03 EUR", "name": "Noor"}
        of_the_script = '{"name": "\u05e0\u200f \u0646\u200c\u06cc"}'.encode()
        assert checked_json(of_the_script) is of_the_script

    def test_keys_that_become_the_same_are_refused(self) -> None:
        assert refusal('{"cafe\u0301": 1, "caf\u00e9": 2}'.encode()).code == "duplicate_key"

    def test_the_place_of_a_syntax_error_is_named(self) -> None:
        assert "line 2, column 1" in refusal(b'{"a": 1\n"b": 2}').detail


class TestBodies:
    async def post(self, client: httpx2.AsyncClient, body: Any, **headers: str) -> httpx2.Response:
        kind = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await client.post("/api/v1/events", content=body, headers=kind)

    async def test_a_body_arrives_unchanged(self, client: httpx2.AsyncClient) -> None:
        response = await self.post(client, b'{"a": 1}')
        assert (response.status_code, response.content) == (200, b'{"a": 1}')

    async def test_one_byte_too_many_is_413(self, client: httpx2.AsyncClient) -> None:
        fits = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
        assert (await self.post(client, fits)).status_code == 200
        response = await self.post(client, fits + b" ")
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert str(MAX_BODY_BYTES) in response.json()["detail"]

    async def test_a_body_without_a_length_is_cut_off_at_the_limit(self, client: httpx2.AsyncClient) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while sent < 100 * MAX_BODY_BYTES:
                sent += 1_000
                yield b"x" * 1_000

        response = await self.post(client, endless())
        assert response.status_code == 413
        assert sent <= 2 * MAX_BODY_BYTES

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/html; a=b", ""])
    async def test_another_content_type_is_415(self, client: httpx2.AsyncClient, kind: str) -> None:
        response = await self.post(client, b"{}", content_type=kind)
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")

    async def test_a_compressed_body_is_415(self, client: httpx2.AsyncClient) -> None:
        response = await self.post(client, b"{}", content_encoding="gzip")
        assert (response.status_code, response.json()["code"]) == (415, "unsupported_encoding")

    async def test_a_page_is_not_asked_for_a_body_that_it_does_not_announce(self) -> None:
        def scope(method: str, **headers: str) -> Scope:
            sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
            return {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": sent}

        async def asked() -> dict[str, Any]:
            raise AssertionError("it was asked for its body")

        async def says(scope: Scope, _receive: Receive, _send: Send) -> None:
            seen.append(scope["method"])

        seen: list[str] = []
        app = Hygiene(says, most_bytes=lambda _path: MAX_BODY_BYTES)
        for method in ("GET", "HEAD"):
            await app(scope(method), asked, never)
        assert seen == ["GET", "HEAD"]
        for one in (scope("POST"), scope("GET", content_length="3"), scope("GET", transfer_encoding="chunked")):
            with pytest.raises(AssertionError, match="asked for its body"):
                await app(one, asked, never)

    async def test_a_page_that_announces_too_large_a_body_is_413(self, client: httpx2.AsyncClient) -> None:
        answer = await client.request("GET", "/", content=b"x" * (MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    async def test_a_form_outside_of_the_api_is_not_read_as_json(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/sign-in", data={"email": "a@b.c"})
        assert (response.status_code, response.content) == (200, b"email=a%40b.c")

    @pytest.mark.parametrize(
        ("sent", "arrives"),
        [
            (b"a=1&b=+2%26&c=", b"a=1&b=+2%26&c="),
            (b"note=cafe%CC%81+%26+bar", b"note=caf%C3%A9+%26+bar"),
            ("n\u00f6=\u202e1=2".encode(), b"n\xc3\xb6=1%3D2"),
            (b"a=%C3%A9&a=%C3%A9&b", b"a=%C3%A9&a=%C3%A9&b"),
            (b"a=%ff%zz", b"a=%ff%zz"),
        ],
    )
    async def test_what_is_typed_becomes_the_text_that_is_kept(
        self, client: httpx2.AsyncClient, sent: bytes, arrives: bytes
    ) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        response = await client.post("/console/cases/1/comments", content=sent, headers=kind)
        assert (response.status_code, response.content) == (200, arrives)

    @pytest.mark.parametrize("sent", [b"note=a%00", b"a%00=1", b"note=" + b"a" + b"%CC%81" * 31])
    async def test_what_no_text_may_hold_is_refused_in_forms_too(self, client: httpx2.AsyncClient, sent: bytes) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        response = await client.post("/console/cases/1/comments", content=sent, headers=kind)
        assert (response.status_code, response.json()["code"]) == (422, "bad_character")

    async def test_a_form_of_combining_marks_alone_costs_little(self, client: httpx2.AsyncClient) -> None:
        began = time.process_time()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        response = await client.post("/sign-in", content=b"email=" + b"%CC%95%CC%80" * 800, headers=kind)
        assert response.status_code == 422
        assert time.process_time() - began < 10  # of the processor

    async def test_a_large_form_is_413_as_well(self, client: httpx2.AsyncClient) -> None:
        response = await client.post("/sign-in", data={"email": "a" * MAX_BODY_BYTES})
        assert response.status_code == 413


class TestAddresses:
    @pytest.mark.parametrize("query", ["key=%00", "key=a%0Ab", "key=%ff", "key=%ed%a0%80", "key=%zz", "key=%"])
    async def test_what_no_text_is_made_of_is_refused(self, client: httpx2.AsyncClient, query: str) -> None:
        response = await client.get(httpx2.URL("http://endcap.test/api/v1/journeys", query=query.encode()))
        assert (response.status_code, response.json()["code"]) == (422, "bad_character")

    async def test_a_control_character_in_the_path_is_refused(self, client: httpx2.AsyncClient) -> None:
        response = await client.get("/api/v1/journeys/a%00b")
        assert (response.status_code, response.json()["instance"]) == (422, "/api/v1/journeys/a?b")

    async def test_a_very_long_address_is_414(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/api/v1/journeys?key=" + "a" * 8_000)).status_code == 414

    async def test_both_normal_forms_of_an_address_are_one(self, client: httpx2.AsyncClient) -> None:
        async def says(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            await Response(f"{request.url.path}?{request.query_params['text']}")(scope, receive, send)

        app = Hygiene(says, most_bytes=lambda _path: MAX_BODY_BYTES)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as made:
            for word in ("caf%C3%A9", "cafe%CC%81"):
                answer = await made.get(f"/api/v1/journeys/{word}?text={word}+%26%3D")
                assert answer.text == "/api/v1/journeys/caf\u00e9?caf\u00e9 &="

    async def test_percent_plus_and_letters_of_all_kinds_pass(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/api/v1/journeys?text=50%25+caf%C3%A9&key=a%3Ab")).status_code == 200
