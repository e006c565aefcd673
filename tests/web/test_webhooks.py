"""Webhooks by API and page: the secret once, one's own alone, the log, sending again, refusals by name."""

from typing import Any

import httpx2
import pytest

from ledger.engine import Database
from ledger.tables import person_role
from ledger.transaction import Transaction
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import order
from tests.web.test_api_orders import ORDERS, problem

__all__ = ["accounts", "browse", "sign_in"]  # fixtures
HOOKS = "/api/v1/webhooks"
URL = "https://shop.example/hooks/secret-part"


def body(*types: str, url: str = URL) -> dict[str, Any]:
    return {"url": url, "types": list(types or ("bopis.*",))}


async def registered(client: httpx2.AsyncClient, *types: str) -> dict[str, Any]:
    made = await client.post(HOOKS, json=body(*types))
    assert made.status_code == 201, made.text
    answer: dict[str, Any] = made.json()
    return answer


class TestApi:
    async def test_the_secret_is_shown_once(self, web: httpx2.AsyncClient) -> None:
        made = await registered(web)
        assert made["secret"].startswith("whsec_")
        shown = (await web.get(HOOKS)).json()["items"]
        assert shown == [{name: value for name, value in made.items() if name != "secret"}]
        assert (await web.get(f"{HOOKS}/{made['id']}")).json() == shown[0]
        newer = (await web.post(f"{HOOKS}/{made['id']}:rotate")).json()
        assert newer["secret"] not in ("", made["secret"])

    async def test_what_waits_is_listed_and_sent_again_on_demand(self, web: httpx2.AsyncClient) -> None:
        made = await registered(web)
        hook = f"{HOOKS}/{made['id']}"
        await web.post(ORDERS, json=order("W-1"))
        answer = await web.post(f"{hook}:ping")
        assert answer.status_code == 202
        page = (await web.get(f"{hook}/deliveries?limit=1")).json()
        assert [one["type"] for one in page["items"]] == ["webhook.ping"]
        (first,) = (await web.get(f"{hook}/deliveries?limit=1&cursor={page['next']}")).json()["items"]
        assert (first["type"], first["state"], first["subject"]) == ("bopis.reserved", "queued", "bopis:web:W-1")
        assert first["message_id"] == f"msg_{first['id']}"
        again = await web.post(f"{hook}/deliveries/{first['id']}:redeliver")
        assert (again.status_code, again.json()) == (202, {"delivery_id": first["id"]})
        assert (await web.get(f"{hook}/deliveries?state=sent")).json()["items"] == []

    async def test_a_removed_one_is_gone(self, web: httpx2.AsyncClient) -> None:
        made = await registered(web)
        assert (await web.delete(f"{HOOKS}/{made['id']}")).status_code == 204
        problem(await web.get(f"{HOOKS}/{made['id']}"), 404, "not_found")
        problem(await web.delete(f"{HOOKS}/{made['id']}"), 404, "not_found")

    async def test_one_of_another_source_does_not_exist(self, as_key: As) -> None:
        hook = f"{HOOKS}/{(await registered(as_key('web')))['id']}"
        other = as_key("other")
        assert (await other.get(HOOKS)).json() == {"items": []}
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", ":rotate"), ("POST", ":enable"), ("POST", ":ping"),
                             ("GET", "/deliveries"), ("POST", "/deliveries/1:redeliver")):  # fmt: skip
            problem(await other.request(method, hook + path), 404, "not_found")

    async def test_an_active_one_has_nothing_to_enable(self, web: httpx2.AsyncClient) -> None:
        made = await registered(web)
        problem(await web.post(f"{HOOKS}/{made['id']}:enable"), 409, "state_conflict")

    async def test_a_key_without_the_scope_is_refused(self, standing_key: As) -> None:
        for method, path in (("POST", ""), ("GET", ""), ("GET", "/we_1/deliveries")):
            refused = problem(
                await standing_key("pos").request(method, HOOKS + path, json=body()), 403, "insufficient_scope"
            )
            assert "webhooks" in refused["detail"]

    @pytest.mark.parametrize(
        "wrong",
        [
            body(url="http://shop.example/"),
            body(url="https://127.0.0.1/"),
            body(url="https://0x7f000001/"),
            body(url="https://169.254.169.254/latest"),
            body(url="https://user:pw@shop.example/"),
            body(url=""),
            body("bopis.eaten"),
            {"url": URL, "types": []},
            {"url": URL, "types": ["*"], "secret": "whsec_mine"},
        ],
    )
    async def test_what_cannot_be_called_or_told_is_refused_with_where(
        self, standing: httpx2.AsyncClient, wrong: dict[str, Any]
    ) -> None:
        refused = await standing.post(HOOKS, json=wrong)
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"]


class TestPage:
    async def owner(self, retailer: Database, sign_in: SignIn) -> httpx2.AsyncClient:
        async def work(tx: Transaction) -> None:
            row = {"person_id": "sam.ortega", "role": "integration_owner"}
            await tx.conn.execute(person_role.insert().values(row))

        await retailer.write(work, actor="test", via="test")
        return await sign_in("sam.ortega")

    async def test_the_log_is_shown_and_a_delivery_sent_again(
        self, web: httpx2.AsyncClient, retailer: Database, sign_in: SignIn
    ) -> None:
        made = await registered(web)
        await web.post(ORDERS, json=order("W-1"))
        sam = await self.owner(retailer, sign_in)
        assert 'href="/console/webhooks"' in (await sam.get("/console/more")).text
        assert made["id"] in (await sam.get("/console/webhooks")).text
        shown = (await sam.get(f"/console/webhooks/{made['id']}?state=queued")).text
        assert "bopis.reserved" in shown
        assert "whsec_" not in shown
        (one,) = (await web.get(f"{HOOKS}/{made['id']}/deliveries")).json()["items"]
        answer = await sam.post(f"/console/webhooks/{made['id']}/redeliver", data={"delivery": one["id"]})
        assert answer.status_code == 303
        assert (await sam.post(f"/console/webhooks/{made['id']}/redeliver", data={"delivery": 99})).status_code == 404
        assert (await sam.post(f"/console/webhooks/{made['id']}/enable")).status_code == 409

    async def test_others_are_refused(self, sign_in: SignIn) -> None:
        sol = await sign_in("sol.byrne")
        assert "/console/webhooks" not in (await sol.get("/console/help")).text
        for path in ("/console/webhooks", "/console/webhooks/we_1"):
            assert (await sol.get(path)).status_code == 403
        assert (await sol.post("/console/webhooks/we_1/enable")).status_code == 403
