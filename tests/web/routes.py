"""The routes of the application as tests walk through them: ids of things that are there, and plausible bodies."""

import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
from sqlalchemy import text
from starlette.routing import Mount

import ledger.engine
from ledger import tables
from tests.web.conftest import As, settings_for
from tests.web.funding import agreement_at, promoted_at
from tests.web.people import SignIn, failed_order
from tests.web.promotions import definition, promotion
from tests.web.retail import a_case, an_approval, order, rows
from web.app import create_app

# What may be opened by anybody: it says nothing of the business, or asks for another proof.
OPEN = {
    "/sign-in", "/api/v1/openapi.json", "/healthz", "/readyz", "/metrics", "/a/{token}", "/a/{token}/again",
    "/a/{token}/stand-in", "/sign-in/go-on", "/signed-out", "/sign-out/by-provider", "/c/{token}",
    "/c/{token}/photos/{photo_id}",
}  # fmt: skip
SAFE = {"GET", "HEAD"}
LOCATION = "S1"  # in the region of Sam, not in that of Sol


class Route(NamedTuple):
    """`path` as it is written, with its parameters in braces."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)(?::\w+)?}", self.path)

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")

    def with_ids(self, ids: dict[str, str]) -> str:
        return re.sub(r"{(\w+)(?::\w+)?}", lambda found: ids[found[1]], self.path)


def _routes(candidates: Any) -> Iterator[Route]:
    for one in candidates:
        if hasattr(one, "effective_candidates"):
            yield from _routes(one.effective_candidates())
        elif not isinstance(one, Mount):
            for method in sorted((one.methods or set()) - {"HEAD"}):
                yield Route(method, one.path)


ROUTES = list(_routes(create_app(settings_for("postgresql://nobody@127.0.0.1/none")).routes))
CLOSED = [route for route in ROUTES if route.path not in OPEN]
API = [route for route in CLOSED if route.is_api]
PAGES = [route for route in CLOSED if not route.is_api]
ANY = {
    "case_id": "1", "approval_id": "1", "decision_id": "1", "view_id": "1", "delegation_id": "1", "bulk_id": "1",
    "delivery_id": "1", "webhook_id": "we_1", "journey_id": "bopis:web:W-1", "count_id": "count:web:C-1",
    "parent_id": "1", "adjustment_id": "A-1", "hold_id": "H-1", "location": LOCATION, "token": "T",
    "transfer_id": "transfer:web:T-1", "claim_id": "1",
    "reply_id": "999999", "photo_id": "999999",
}  # fmt: skip
ANY["return_id"] = "returns:web:RT-1"
ANY["vendor_return_id"] = "vendor_return:web:VR-1"
ANY["promotion_id"] = "promotion:web:P-1"
ANY |= {"agreement_id": "web:A-17", "vendor_claim_id": "claim:web:A-17-1"}
ANY["receipt_id"] = "transfer:web:T-2"  # on its way to Store S1, where T-1 leaves


async def everything(database: ledger.engine.Database) -> dict[str, str]:
    """A digest of each table, less who was seen when and who was refused."""
    async with database.read() as conn:
        found = {}
        for table in tables.metadata.sorted_tables:
            if table.name not in ("session", "denial"):
                query = f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table.name} t"  # noqa: S608
                found[table.name] = str((await conn.execute(text(query))).scalar_one())
        return found


@pytest.fixture
async def ids(web: httpx2.AsyncClient, retailer: ledger.engine.Database, as_key: As, sign_in: SignIn) -> dict[str, str]:
    """One of everything that a route can name, at Store S1, of the source `web`, kept by Sam."""
    sam = await sign_in("sam.ortega")
    case_id = await failed_order(web, retailer, "W-1")
    await failed_order(web, retailer, "W-3")  # of the same cause: both stand under a parent
    approval_id = await an_approval(retailer)
    async with retailer.engine.begin() as conn:
        await conn.execute(text("UPDATE approval SET journey_id = 'bopis:web:W-1', case_id = :case"), {"case": case_id})
    other = await a_case(retailer, "S1|BREAD", sku="BREAD")
    line = {"line_id": "1", "sku": "BREAD", "quantity": 1, "location": LOCATION}
    made = [
        await web.post("/api/v1/bopis-orders", json=order("W-2", sku="BREAD", quantity=1)),
        await web.post("/api/v1/holds", json={"hold_id": "H-1", "channel": "web", "lines": [line]}),
        await web.post("/api/v1/counts", json={"count_id": "C-1", "location": LOCATION, "skus": ["APPLE"]}),
        await as_key("sam-adjusts").post(
            "/api/v1/adjustments",
            json={
                "adjustment_id": "A-1",
                "location": LOCATION,
                "lines": [{"sku": "BREAD", "quantity": -1, "reason": "damaged"}],
            },
        ),
        await web.post(
            "/api/v1/returns",
            json={
                "return_id": "RT-1",
                "returned_to": LOCATION,
                "currency": "USD",
                "lines": [{"line_id": "1", "sku": "BREAD", "quantity": 1, "reason": "defective"}],
            },
        ),
        await web.post(
            "/api/v1/transfers",
            json={
                "transfer_id": "T-1",
                "from": LOCATION,
                "to": "S2",
                "reason": "rebalance",
                "lines": [{"line_id": "1", "sku": "BREAD", "quantity": 1}],
            },
        ),
        await web.post(
            "/api/v1/transfers",
            json={
                "transfer_id": "T-2",
                "from": "S2",
                "to": LOCATION,
                "reason": "rebalance",
                "lines": [{"line_id": "1", "sku": "APPLE", "quantity": 1}],
            },
        ),
        await web.post("/api/v1/promotions", json=promotion(locations=[LOCATION])),
        await web.post("/api/v1/funding-agreements", json=agreement_at(LOCATION)),
        await web.post("/api/v1/events", json={"events": [promoted_at(LOCATION)]}),
        await web.post("/api/v1/funding-agreements/web:A-17:claim"),
        await web.post("/api/v1/webhooks", json={"url": "https://shop.example/hook", "types": ["*"]}),
    ]
    assert [one.status_code for one in made] == [201] * 9 + [200, 201, 201], [one.text for one in made]
    webhook = made[-1].json()["id"]
    async with retailer.engine.begin() as conn:
        claim = await conn.execute(
            text(
                "INSERT INTO carrier_claim (journey_id, line_id, sku, quantity, location, entity, currency,"
                " amount_minor, opened_at) SELECT 'transfer:web:T-1', '1', 'BREAD', 1, location, entity, 'EUR', 100,"
                " now() FROM journey WHERE id = 'transfer:web:T-1' RETURNING id"
            )
        )
        claim_id = claim.scalar_one()
        shot = await conn.execute(
            text(
                "INSERT INTO photo (journey_id, storage_key, media_type, size_bytes, sha256, person_id)"
                " VALUES ('returns:web:RT-1', repeat('0', 32), 'image/png', 1, '', 'sam.ortega') RETURNING id"
            )
        )
        photo_id = shot.scalar_one()
        await conn.execute(
            text(
                "INSERT INTO vendor_return (id, source, key, vendor, location, region, entity, currency, state,"
                " requested_by, opened_at) SELECT 'vendor_return:web:VR-1', 'web', 'VR-1', 'ACME', location, region,"
                " entity, currency, 'open', 'x', now() FROM journey WHERE id = 'transfer:web:T-1'"
            )
        )
    ping = await web.post(f"/api/v1/webhooks/{webhook}:ping")
    decided = await web.post(
        f"/api/v1/cases/{case_id}/decisions",
        json={"option": "cancel_refund", "parameters": {}, "note": "x"},
        headers={"X-On-Behalf-Of": "sam.ortega"},
    )
    assert (ping.status_code, decided.status_code) == (202, 202), decided.text
    await sam.post("/console/views", data={"name": "Mine", "query": "tab=mine", "shared": "on"})
    (seen,) = [row["version"] for row in await rows(retailer, tables.case_file) if row["id"] == other]
    preview = (await sam.post("/console/bulk/preview", data={"case": str(other)})).text
    (shown,) = re.findall(r'name="shown" value="(dismiss#[^"]+)"', preview)
    form = {"seen": f"{other}@{seen}", "shown": shown, "option": "dismiss", "note": ""}
    page = await sam.post("/console/bulk", data=form)
    assert page.status_code == 303, page.text
    (view,) = await rows(retailer, tables.saved_view)
    days = {"to": "ana.ruiz@stores.example", "start": "2098-01-01", "until": "2098-02-01"}
    assert (await sam.post("/console/delegations", data=days)).status_code == 303
    (delegation,) = await rows(retailer, tables.delegation)
    (parent,) = await rows(retailer, tables.case_parent)
    return ANY | {
        "case_id": str(case_id),
        "approval_id": str(approval_id),
        "decision_id": str(decided.json()["decision_id"]),
        "view_id": str(view["id"]),
        "delegation_id": str(delegation["id"]),
        "parent_id": str(parent["id"]),
        "bulk_id": page.headers["location"].rsplit("/", 1)[1],
        "webhook_id": webhook,
        "delivery_id": str(ping.json()["delivery_id"]),
        "journey_id": "bopis:web:W-2",
        "count_id": "count:web:C-1",
        "claim_id": str(claim_id),
        "photo_id": str(photo_id),
    }


FORM = {
    "option": "dismiss", "version": "1", "note": "words", "reason": "words", "verdict": "approve", "answer": "words",
    "sku": "APPLE", "quantity": "1", "submit": "on", "until": "2099-01-01T10:00", "form_id": uuid.uuid4().hex,
    "find": "W-2", "minutes": "60", "decision": "1", "state": "applying",
}  # fmt: skip
BODY = {
    "option": "dismiss", "parameters": {}, "note": "words", "version": 1, "verdict": "approve", "reason": "words",
    "session": "tablet", "counter": "crew-7", "lines": [], "submit": True, "expires_in_s": 600,
    "accepted_minor": 0, "settlement": "cash", "amount_minor": 1, "csv": "line_id,accepted_minor\n1,0",
    "text": "words",
    "number": "RMA-1", "reference": "CN-1",
    "order": {
        "order_id": "X-1", "lines": [{"line_id": "1", "sku": "BREAD", "quantity": 1, "unit_price_minor": 1}],
    },
}  # fmt: skip

_LINE = {"line_id": "1", "sku": "BREAD", "quantity": 2}
WITH_LINES: dict[str, dict[str, Any]] = {
    ":amend": {"lines": [_LINE]},
    ":override": {"lines": ["1"]},
    ":exchange": {
        "lines": ["1"],
        "order": {"order_id": "W-9", "prices_include_tax": True, "lines": [_LINE | {"unit_price_minor": 129}]},
    },
}


PROMOTIONS: dict[str, dict[str, Any]] = {
    "amend": definition(), "extend": {"ends_at": "2099-01-01T00:00:00Z"}, "submit": {}, "cancel": {}, "end": {},
}  # fmt: skip


def body_of(route: Route, delivery_id: str) -> dict[str, Any]:
    """Something plausible: nothing is refused for its form before anybody asks who sends it."""
    if not route.is_api:
        return {"data" if route.method == "POST" else "params": FORM | {"delivery": delivery_id}}
    wanted = {
        "/decisions": ("option", "parameters", "note", "version"),
        "/entries": ("session", "counter", "lines", "submit"),
        ":submit": ("session", "counter", "lines", "submit"),
        ":cancel": ("reason",),
        "{claim_id}:answer": ("accepted_minor",),
        "{vendor_claim_id}:answer": ("settlement",),
        ":answer-csv": ("csv", "settlement"),
        ":settle": ("amount_minor", "settlement"),
        ":extend": ("expires_in_s",),
        ":exchange": ("order",),
        ":override": ("reason",),
        ":authorize": ("number",),
        ":credit": ("reference", "amount_minor"),
        ":write-off": ("reason",),
        "/comments": ("text",),
    }
    if (part := route.path.partition("/promotions/{promotion_id}:")[2]) in PROMOTIONS:
        return {"json": PROMOTIONS[part]}
    names = next((names for end, names in wanted.items() if route.path.endswith(end)), ())
    if route.path.endswith("approvals/{approval_id}/decisions"):
        names = ("verdict", "note", "version")
    more = next((more for end, more in WITH_LINES.items() if route.path.endswith(end)), {})
    return {"json": {name: BODY[name] for name in names} | more} if route.method == "POST" else {}
