"""What another site makes a browser send is refused; what people and systems send themselves is not."""

import httpx2
import pytest
from fastapi import FastAPI

from web.csrf import CrossOriginProtection, origin_of

HOST = "endcap.test"


def app_with(*trusted: str) -> httpx2.AsyncClient:
    app = FastAPI()

    @app.api_route("/act", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
    async def act() -> dict[str, bool]:
        return {"done": True}

    protected = CrossOriginProtection(app, trusted=frozenset(trusted))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=protected), base_url=f"http://{HOST}")


class TestRefused:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "same-site", "Origin": f"http://sub.{HOST}"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://{HOST}.evil.example"},
            {"Origin": f"http://{HOST}:81"},
            {"Origin": "not an origin"},
            {"Sec-Fetch-Site": "cross-site", "Authorization": "Basic YTpi"},
        ],
    )
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    async def test_a_write_from_another_site_is_403(self, method: str, headers: dict[str, str]) -> None:
        async with app_with() as client:
            response = await client.request(method, "/act", headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "cross_origin")


class TestAllowed:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": f"http://{HOST}"},
            {"Origin": f"HTTP://{HOST.upper()}"},
            {},
            {"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer a-key"},
        ],
    )
    async def test_a_write_from_here_or_from_no_browser_passes(self, headers: dict[str, str]) -> None:
        async with app_with() as client:
            assert (await client.post("/act", headers=headers)).status_code == 200

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_following_a_link_from_elsewhere_passes(self, method: str) -> None:
        async with app_with() as client:
            assert (await client.request(method, "/act", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200

    async def test_the_public_address_is_trusted_behind_a_proxy(self) -> None:
        headers = {"Origin": "https://console.example"}
        async with app_with("https://console.example") as client:
            assert (await client.post("/act", headers=headers)).status_code == 200
        async with app_with() as client:
            assert (await client.post("/act", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://console.example/a/b?c", "https://console.example"),
        ("https://console.example:443", "https://console.example"),
        ("http://127.0.0.1:8400/", "http://127.0.0.1:8400"),
        ("HTTP://Console.Example:80", "http://console.example"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
