"""Twenty cases of all journeys, each opened by what happens in a shop: pickups, counts, corrections, transfers,
returns, what goes back to a vendor, promotions, and claims.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from temporalio.testing import ActivityEnvironment

from activities.publishing import PublishingActivities
from bench.channel import Channel
from domain.messages import Step
from ledger import tables
from ledger.bopis import dues
from ledger.bopis import steps as bopis
from ledger.count import steps as counting
from ledger.promotion import dues as promoting
from ledger.transfer import steps as transferring
from ledger.vendor_return import overdue
from tests.e2e.conftest import Site
from tests.web.funding import agreement_at, promoted_at
from tests.web.promotions import promotion
from tests.web.retail import key_text, order

KINDS = {
    "transfer_short": 2, "return_mismatch": 1, "vendor_credit_overdue": 1, "promo_price_conflict": 1,
    "claim_short_paid": 1, "pick_overdue": 2, "fact_after_close": 2, "pick_short": 2, "event_rejected": 2,
    "adjustment_review": 1, "count_variance": 1, "reservation_failure": 4,
}  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


class Shopkeeping:
    """What the shop's systems report; the test takes the steps that a worker would."""

    def __init__(self, site: Site, client: httpx2.AsyncClient) -> None:
        self.site = site
        self.client = client
        self.number = 0

    async def order(self, *, quantity: int = 1) -> str:
        self.number += 1
        answer = await self.client.post("/api/v1/bopis-orders", json=order(f"K-{self.number}", quantity=quantity))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["journey_id"])

    async def report(self, kind: str, **data: Any) -> None:
        self.number += 1
        event = {"id": f"e-{self.number}", "type": kind, "occurred_at": _now().isoformat(), "data": data}
        answer = await self.client.post("/api/v1/events", json={"events": [event]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["outcome"] in ("accepted", "quarantined"), answer.text

    def step(self, journey: str, occurrence: str, **fields: Any) -> Step:
        return Step(**{"subject": journey, "occurrence": occurrence, "at": _now(), **fields})

    async def ask_for(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(f"/api/v1/{path}", json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    async def transfer_short(self) -> None:
        """Four apples leave Store S2, one arrives, and nothing more comes."""
        self.number += 1
        name = f"K-{self.number}"
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": 4}]
        wanted = {"transfer_id": name, "from": "S2", "to": "S1", "reason": "rebalance", "lines": lines}
        await self.ask_for("transfers", wanted)
        await self.report("transfer.shipped", transfer_id=name, lines=None)
        arrived = [{"line_id": "1", "quantity": 1}]
        await self.report("transfer.received", transfer_id=name, lines=arrived, complete=True)
        await transferring.compare(self.site.database, self.step(f"transfer:web:{name}", "compare"))

    async def taken_home(self) -> str:
        """An order of an apple that its customer has collected; returns its number."""
        self.number += 1
        name = f"K-{self.number}"
        await self.ask_for("bopis-orders", order(name, sku="APPLE", quantity=1))
        await self.report("bopis.picked", order_id=name, picker="p", lines=[{"line_id": "1", "quantity": 1}])
        await self.report("bopis.handed_over", order_id=name, lines=None, actor="p")
        return name

    async def brought_back(self, *other: dict[str, Any]) -> str:
        """It comes back, with what else was in the parcel; returns the return's number."""
        bought = await self.taken_home()
        name = f"RT-{self.number}"
        line = {"line_id": "1", "sku": "APPLE", "quantity": 1, "reason": "changed_mind"}
        wanted = {"return_id": name, "returned_to": "S1", "currency": "USD", "lines": [line], "order_reference": bought}
        await self.ask_for("returns", wanted)
        came = [{"line_id": "1", "quantity": 1}, *other]
        await self.report("return.received", return_id=name, lines=came)
        return name

    async def return_mismatch(self) -> None:
        await self.brought_back({"sku": "BREAD", "quantity": 1})

    async def vendor_credit_overdue(self) -> None:
        name = await self.brought_back()
        looked = [{"line_id": "1", "quantity": 1, "condition": "used", "disposition": "return_to_vendor"}]
        await self.report("return.inspected", return_id=name, lines=looked)
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": 1}]
        wanted = {"vendor_return_id": "VR-1", "vendor": "ACME", "location": "S1", "lines": lines}
        await self.ask_for("vendor-returns", wanted)
        await self.ask_for("vendor-returns/VR-1:ship", {"carrier": "UPS"})
        assert await overdue.sweep(self.site.database, _now() + timedelta(days=60)) == 1

    async def promo_price_conflict(self) -> None:
        """The tills do not answer when they are told its prices."""
        made = await self.ask_for("promotions", promotion(margin_floor_permille=-1000))
        away = Channel("pos", {})
        away.is_away = True
        told = PublishingActivities(self.site.database, {"pos": away.port()})
        at = _now() + timedelta(days=2)
        journey = made["journey_id"]
        await promoting.on_due(self.site.database, self.step(journey, "publish", due="publish", at=at))
        for run in range(3):
            talk = self.step(journey, f"run-{run}", due="prices:pos", at=at + timedelta(hours=run))
            await ActivityEnvironment().run(told.publish, talk)

    async def claim_short_paid(self) -> None:
        await self.ask_for("funding-agreements", agreement_at("S1"))
        await self.ask_for("events", {"events": [promoted_at("S1")]})
        claim = await self.ask_for("funding-agreements/A-17:claim", {})
        answered = [{"line_id": "1", "accepted_minor": 50, "reason": "over_cap"}]
        await self.ask_for(f"claims/{claim['claim_id']}:answer", {"lines": answered, "settlement": "cash"})

    async def pick_short(self) -> None:
        journey = await self.order()
        lines = [{"line_id": "1", "quantity": 0, "reason": "damaged"}]
        await self.report("bopis.picked", journey_id=journey, picker="crew-7", lines=lines)
        await bopis.open_case(self.site.database, self.step(journey, "ask"))

    async def fact_after_close(self) -> None:
        journey = await self.order()
        await self.report("bopis.cancelled", journey_id=journey)
        await self.report("bopis.handed_over", journey_id=journey, actor="crew-7", lines=None)

    async def pick_overdue(self) -> None:
        journey = await self.order()
        await dues.on_due(
            self.site.database, self.step(journey, "late", due="pick_nag_2", at=_now() + timedelta(days=2))
        )

    async def event_rejected(self) -> None:
        line = {"line": "1", "sku": f"NEW-{self.number}", "quantity": 1, "unit_price_minor": 100}
        await self.report("pos.sale", location="S1", receipt=f"R-{self.number}", lines=[line])

    async def adjustment_review(self) -> None:
        await self.report("stock.adjusted", location="S2", sku="BREAD", quantity=100, reason="found", actor="crew-1")

    async def count_variance(self) -> None:
        opened = await self.client.post("/api/v1/counts", json={"count_id": "C-1", "location": "S1", "skus": ["BREAD"]})
        journey = opened.json()["journey_id"]
        for counter, quantity in (("crew-1", 90), ("crew-2", 70)):
            figures = [{"sku": "BREAD", "quantity": quantity, "counted_at": _now().isoformat()}]
            body = {"session": counter, "counter": counter, "lines": figures, "submit": True}
            answer = await self.client.post(f"/api/v1/counts/{journey}/entries", json=body)
            assert answer.status_code == 200, answer.text
            await counting.compare_counts(self.site.database, self.step(journey, counter))

    async def reservation_failure(self) -> None:
        journey = await self.order(quantity=12)
        await bopis.open_case(self.site.database, self.step(journey, "ask"))


async def open_twenty(site: Site) -> dict[int, str]:
    """The cases with their kinds."""
    headers = {"Authorization": f"Bearer {key_text('web')}"}
    async with httpx2.AsyncClient(base_url=site.url, headers=headers, timeout=120) as client:
        shop = Shopkeeping(site, client)
        for kind, count in KINDS.items():
            for _ in range(count):
                await getattr(shop, kind)()
    return {row["id"]: row["kind"] for row in await site.table(tables.case_file)}
