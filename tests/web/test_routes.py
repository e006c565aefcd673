"""Every route of the application against strangers: a new route stands here by itself, and nobody can forget it.

Nobody signed in, a key without scopes, a form from another site, a person of another region, a system of another
source, ids that no table can hold: what each may get is the same for all routes, with the few exceptions named here.
"""

from typing import Any

import httpx2
import pytest

import ledger.engine
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.routes import ANY, API, CLOSED, OPEN, PAGES, ROUTES, SAFE, Route, body_of, everything, ids
from tests.web.store import staff

__all__ = ["accounts", "browse", "ids", "sign_in", "staff"]
# Where a browser goes as a whole: htmx is never sent there.
NEVER_PARTS = {"/sign-out", "/sign-in/with", "/sign-in/back"}


def test_the_routes_are_all_found() -> None:
    paths = {route.path for route in ROUTES}
    assert len(ROUTES) > 80
    assert {"/api/v1/cases/{case_id}", "/console/queue.csv", "/store/{location}/pick/{journey_id}", "/"} <= paths
    assert paths >= OPEN
    assert {name for route in ROUTES for name in route.names} <= set(ANY)


@pytest.fixture
def nobody(standing_key: As) -> httpx2.AsyncClient:
    return standing_key("")


class TestStrangers:
    @pytest.mark.parametrize("route", PAGES, ids=str)
    async def test_a_page_leads_to_the_sign_in(self, nobody: httpx2.AsyncClient, route: Route) -> None:
        answer = await nobody.request(route.method, route.with_ids(ANY))
        assert (answer.status_code, answer.headers.get("location", "").split("?")[0]) == (303, "/sign-in")
        assert answer.text == ""

    @pytest.mark.parametrize("route", [route for route in PAGES if route.path not in NEVER_PARTS], ids=str)
    async def test_a_fragment_tells_htmx_where_to_sign_in(self, nobody: httpx2.AsyncClient, route: Route) -> None:
        answer = await nobody.request(
            route.method, route.with_ids(ANY), headers={"HX-Request": "true", "HX-Request-Type": "partial"}
        )
        assert answer.status_code == 401
        assert answer.headers["hx-redirect"].startswith("/sign-in")

    @pytest.mark.parametrize("route", API, ids=str)
    async def test_the_api_wants_a_key(self, nobody: httpx2.AsyncClient, route: Route) -> None:
        assert (await nobody.request(route.method, route.with_ids(ANY), json={})).status_code == 401

    @pytest.mark.parametrize("route", API, ids=str)
    async def test_a_key_without_scopes_or_one_that_was_revoked_gets_nothing(
        self, standing_key: As, route: Route
    ) -> None:
        for key, status in (("mute", 403), ("gone", 401)):
            answer = await standing_key(key).request(route.method, route.with_ids(ANY), json={})
            assert answer.status_code == status, (key, answer.text)

    @pytest.mark.parametrize("route", [route for route in ROUTES if route.method not in SAFE], ids=str)
    @pytest.mark.parametrize(
        "headers",
        [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
        ids=["cross-site", "same-site", "origin"],
    )
    async def test_another_site_cannot_send_a_form(
        self, nobody: httpx2.AsyncClient, route: Route, headers: dict[str, str]
    ) -> None:
        sent: dict[str, Any] = {"json": {}} if route.is_api else {"data": {"x": "y"}}
        answer = await nobody.request(route.method, route.with_ids(ANY), headers=headers, **sent)
        assert answer.status_code == 403
        assert "another site" in answer.text


NAMED = [route for route in CLOSED if route.names]


class TestOthers:
    @pytest.mark.parametrize("person", ["sol.byrne", "lea.marx"])
    async def test_of_another_region_or_store_nothing_exists_and_nothing_changes(
        self, person: str, ids: dict[str, str], staff: None, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        stranger, before = await sign_in(person), await everything(retailer)
        got = {}
        for route in NAMED:
            if not route.is_api:
                answer = await stranger.request(route.method, route.with_ids(ids), **body_of(route, ids["delivery_id"]))
                got[str(route)] = answer.status_code
        webhooks = {name: 403 for name in got if "webhook" in name}
        # Canned replies belong to no region; who may not keep them learns of none.
        replies = {name: 403 for name in got if "/replies/" in name and person == "lea.marx"}
        # The transfer goes to Lea's store: she sees it and what is claimed for it, and does nothing about either.
        at_the_end = {
            name: 200 if name.startswith("GET") else 403
            for name in got if person == "lea.marx" and ("/claims/" in name or "/console/transfers/" in name)
        }  # fmt: skip
        assert got == dict.fromkeys(got, 404) | webhooks | replies | at_the_end
        assert await everything(retailer) == before

    async def test_another_systems_things_do_not_exist_and_do_not_change(
        self, ids: dict[str, str], as_key: As, retailer: ledger.engine.Database
    ) -> None:
        before = await everything(retailer)
        got = {}
        for route in NAMED:
            if route.is_api:
                answer = await as_key("other").request(
                    route.method, route.with_ids(ids), **body_of(route, ids["delivery_id"])
                )
                got[str(route)] = answer.status_code
        decisions = {
            name: 403
            for name in got
            if name.startswith("POST") and name.endswith(("/decisions", "/comments", ":undo", "{delegation_id}:end"))
        }
        assert got == dict.fromkeys(got, 404) | decisions
        assert await everything(retailer) == before

    async def test_a_persons_token_of_another_region_sees_none_of_it(
        self, ids: dict[str, str], as_key: As, retailer: ledger.engine.Database
    ) -> None:
        before = await everything(retailer)
        got = {}
        for route in NAMED:
            if route.is_api:
                answer = await as_key("sol").request(
                    route.method, route.with_ids(ids), **body_of(route, ids["delivery_id"])
                )
                got[str(route)] = answer.status_code
        assert {name: status for name, status in got.items() if status not in (403, 404)} == {}
        assert await everything(retailer) == before

    async def test_looking_changes_nothing(
        self, ids: dict[str, str], sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        sam, before = await sign_in("sam.ortega"), await everything(retailer)
        for route in ROUTES:
            if route.method in SAFE:
                answer = await (web if route.is_api else sam).get(route.with_ids(ids))
                assert answer.status_code < 500, (str(route), answer.text)
        assert await everything(retailer) == before


ODD = (
    "%00",
    "9" * 40,
    "-1",
    "1e9",
    "%2E%2E%2F%2E%2E%2Fetc",
    "a" * 3_000,
    "%F0%9F%98%80",
    "%27%20OR%201%3D1--",
    "%0D%0Ax",
)


class TestIdsThatNoTableHolds:
    @pytest.mark.parametrize("odd", ODD, ids=[repr(one[:12]) for one in ODD])
    async def test_each_route_refuses_them_and_none_breaks(
        self, odd: str, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        sam, before = await sign_in("sam.ortega"), await everything(retailer)
        got = {}
        for route in [route for route in ROUTES if route.names]:
            for name in route.names:
                path = route.with_ids(ANY | {name: odd})
                answer = await (web if route.is_api else sam).request(
                    route.method, path, **body_of(route, odd if odd.isdigit() else "1")
                )
                if answer.status_code not in (400, 403, 404, 409, 410, 422):
                    got[path[:80]] = answer.status_code
        assert got == {}
        assert await everything(retailer) == before
