"""A parameter that a route does not know is refused by name: a misspelt filter must not show everything."""

import httpx2
import pytest


class TestUnknown:
    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/api/v1/cases?locaton=S1", "locaton"),
            ("/api/v1/stock?sku=APPLE&Location=S1", "Location"),
            ("/api/v1/journeys?state=open&page=2", "page"),
            ("/api/v1/availability?sku=APPLE:1&channels=web", "channels"),
            ("/api/v1/cases/1?x=1", "x"),
        ],
    )
    async def test_it_is_named_and_nothing_is_answered(
        self, standing: httpx2.AsyncClient, path: str, name: str
    ) -> None:
        answer = await standing.get(path)
        assert answer.status_code == 422
        body = answer.json()
        assert name in body["detail"]
        assert body["errors"][0]["pointer"] == f"/query/{name}"

    async def test_those_that_are_known_are_listed(self, standing: httpx2.AsyncClient) -> None:
        detail = (await standing.get("/api/v1/stock?skus=APPLE")).json()["detail"]
        for name in ("location", "sku", "region", "cursor", "limit"):
            assert name in detail

    async def test_a_write_is_refused_before_it_is_made(self, web: httpx2.AsyncClient) -> None:
        answer = await web.post("/api/v1/counts?dry_run=true", json={"count_id": "C-1", "location": "S1"})
        assert answer.status_code == 422
        assert (await web.get("/api/v1/counts/C-1")).status_code == 404


class TestKnown:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/stock?location=S1&sku=APPLE&limit=1",
            "/api/v1/cases?state=open&limit=5",
            "/api/v1/journeys?kind=bopis&state=open",
            "/api/v1/availability?sku=APPLE:1&sku=BREAD:1&near=S1",
        ],
    )
    async def test_it_is_understood(self, standing: httpx2.AsyncClient, path: str) -> None:
        assert (await standing.get(path)).status_code == 200
