"""Twenty cases of the kinds that pickups and counts bring, each opened by what happens in a shop."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from domain.messages import Step
from ledger.bopis import dues
from ledger.bopis import steps as bopis
from ledger.count import steps as counting
from tests.e2e.conftest import Site
from tests.web.retail import key_text, order

KINDS = {
    "pick_overdue": 3, "fact_after_close": 3, "pick_short": 3, "event_rejected": 2, "adjustment_review": 1,
    "count_variance": 1, "reservation_failure": 7,
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
    from ledger import tables

    return {row["id"]: row["kind"] for row in await site.table(tables.case_file)}
