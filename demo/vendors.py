"""Goods that go back to their makers, of the demo's first seconds: one document has its number and waits for the
carrier, one has left, of one the maker has credited less than it had cost, and one was credited in full.

Each is brought as far as it shall be, from wherever it is: whoever was cut off goes on.
"""

from collections.abc import Sequence
from typing import NamedTuple

from demo import people
from demo.bodies import Body
from demo.client import Client

HERE = people.ANAS_STORE
PATH = "/api/v1/vendor-returns"
AS = "oms"


class Plan(NamedTuple):
    """A document of one item, and how far it comes; `credit_permille` of its cost is credited, None for not yet."""

    vendor: str
    has_left: bool
    credit_permille: int | None = None


PLANS = (
    Plan("M0069", has_left=False),
    Plan("M0317", has_left=True),
    Plan("M0673", has_left=True, credit_permille=600),
    Plan("M1208", has_left=True, credit_permille=1000),
)


async def send_back(client: Client, goods: Sequence[tuple[str, int]], day: int) -> None:
    """Gather, send and credit `goods`, (SKU, units) of each document; raises RefusedError."""
    for number, ((sku, units), plan) in enumerate(zip(goods, PLANS, strict=False), start=1):
        own = f"VR-{day:03d}-{number}"
        line = {"line_id": "1", "sku": sku, "quantity": units}
        body: Body = {"vendor_return_id": own, "vendor": plan.vendor, "location": HERE, "lines": [line]}
        found = await client.post(PATH, body, as_=AS)
        if found["state"] == "open":
            found = await client.post(f"{PATH}/{own}:authorize", {"number": f"RMA-{day:03d}{number}"}, as_=AS)
        if found["state"] == "authorized" and plan.has_left:
            shipment = {"carrier": "UPS", "tracking": f"1Z999AA1{day:03d}{number:04d}"}
            found = await client.post(f"{PATH}/{own}:ship", shipment, as_=AS)
        if found["state"] == "shipped" and plan.credit_permille is not None:
            amount = found["balance"]["cost_minor"] * plan.credit_permille // 1000
            note = {"reference": f"CN-{day:03d}{number}", "amount_minor": amount}
            await client.post(f"{PATH}/{own}:credit", note, as_=AS)
