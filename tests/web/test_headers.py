"""Headers that go with every answer, also with refusals."""

import httpx2
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from web.headers import SecurityHeaders


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Cache-Control": "private"} if Request(scope).url.path == "/own" else {}
    await Response("x", headers=headers)(scope, receive, send)


async def ask(path: str, *, is_https: bool = False) -> httpx2.Headers:
    app = SecurityHeaders(plain, asset_base="https://cdn.example/npm", is_https=is_https)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as client:
        return (await client.get(path)).headers


async def test_scripts_come_from_here_and_from_the_one_package_path_only() -> None:
    policy = (await ask("/console"))["content-security-policy"]
    assert "script-src 'self' https://cdn.example/npm/htmx.org@4.0.1/;" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


async def test_a_page_behind_a_mail_link_gets_no_script_at_all() -> None:
    policy = (await ask("/a/some-token"))["content-security-policy"]
    assert "script-src 'none'" in policy
    assert "cdn.example" not in policy


async def test_a_form_sent_from_our_pages_keeps_its_origin() -> None:
    assert (await ask("/a/some-token"))["referrer-policy"] == "same-origin"


async def test_answers_are_not_kept_and_static_files_are() -> None:
    assert (await ask("/console"))["cache-control"] == "no-store"
    assert "max-age" in (await ask("/static/endcap.css"))["cache-control"]


async def test_what_a_route_says_itself_stays() -> None:
    assert (await ask("/own"))["cache-control"] == "private"


async def test_https_is_only_insisted_on_where_it_is_used() -> None:
    assert "strict-transport-security" not in await ask("/console")
    assert "strict-transport-security" in await ask("/console", is_https=True)
