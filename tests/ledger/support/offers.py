"""Orders whose customer is asked: made, answered and looked at, for the tests of offers."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.messages import Situation, Step
from ledger import situations
from ledger.bopis import asking, dues, steps
from tests.shop import PRICE_MINOR, TEA, Shop

OOLONG = "OOLONG"


async def with_substitute(shop: Shop, price_minor: int = PRICE_MINOR, *, sku: str = OOLONG, rank: int = 1) -> None:
    """Ten packs at S1 that stand in for tea."""
    await shop.change(
        "INSERT INTO item (sku, name, price_minor, cost_minor) VALUES (:sku, :name, :price, 600)",
        sku=sku, name=sku.title(), price=price_minor,
    )  # fmt: skip
    await shop.change(
        "INSERT INTO substitute (sku, substitute_sku, rank) VALUES ('TEA-1', :sku, :rank)", sku=sku, rank=rank
    )
    await shop.change("INSERT INTO stock (location, sku, available) VALUES ('S1', :sku, 10)", sku=sku)
    await shop.change(
        "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
        " cause, actor, at)"
        " VALUES ('received', :sku, 10, 'S1', 'supplier', 'S1', 'available', 'DE01', 'opening', 'test', now())",
        sku=sku,
    )


def line(quantity: int, line_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "line_id": line_id, "sku": TEA, "quantity": quantity, "unit_price_minor": PRICE_MINOR, "substitution": "ask",
    } | more  # fmt: skip


@dataclass
class Asked:
    """An order whose customer is asked about something."""

    shop: Shop
    journey: str

    async def situation(self) -> Situation:
        async with self.shop.database.read() as conn:
            found = await situations.situation_of_target(conn, self.journey)
        assert found is not None
        return found[1]

    async def value(self, column: str) -> Any:
        """A column of the order's latest offer."""
        return await self.shop.value(
            f"SELECT {column} FROM offer WHERE journey_id = :id ORDER BY id DESC LIMIT 1",  # noqa: S608  of a test
            id=self.journey,
        )

    async def answer(self, words: str, *, offer_id: int | None = None) -> asking.Outcome:
        number = offer_id or await self.value("id")
        customer = await self.shop.value("SELECT customer_id FROM journey WHERE id = :id", id=self.journey)
        return await asking.answer(self.shop.database, number, customer, answer=words, via="link")

    async def look_for_a_way(self, occurrence: str) -> Situation:
        """What the workflow does when an order fails."""
        step = Step(subject=self.journey, occurrence=occurrence, at=datetime.now(UTC))
        return await steps.open_case(self.shop.database, step)

    async def silence(self) -> Situation:
        """Nobody answers: the due instant comes."""
        due = await self.value("due_at")
        step = Step(subject=self.journey, occurrence=str(due), at=due + timedelta(seconds=1), due="offer")
        return await dues.on_due(self.shop.database, step)

    async def verdict(self) -> Situation:
        """What the workflow does when an approver has spoken."""
        held = await self.situation()
        step = Step(
            subject=self.journey, occurrence=f"approval-{held.approval_id}", at=datetime.now(UTC),
            approval_id=held.approval_id,
        )  # fmt: skip
        return await asking.settle_offer(self.shop.database, step)

    async def mails(self) -> list[str]:
        """Templates of the customer's mails, in their order."""
        return list(
            await self.shop.value(
                "SELECT coalesce(array_agg(template ORDER BY id), '{}') FROM mail WHERE customer_id IS NOT NULL"
                " AND journey_id = :id",
                id=self.journey,
            )
        )

    async def units(self) -> dict[str, tuple[int, int]]:
        """(open, reserved) by SKU."""
        rows = await self.shop.value(
            "SELECT json_object_agg(sku, json_build_array(ordered - collected - cancelled, reserved))"
            " FROM journey_line WHERE journey_id = :id",
            id=self.journey,
        )
        return {sku: tuple(both) for sku, both in rows.items()}


async def asked(shop: Shop, quantity: int = 8, *, price_minor: int = PRICE_MINOR, **more: Any) -> Asked:
    """Eight packs ordered where five are: the customer is offered oolong for the three that lack."""
    await with_substitute(shop, price_minor)
    body: dict[str, Any] = {"lines": [line(quantity)], **more}
    order = Asked(shop, await shop.order(quantity, **body))
    await order.look_for_a_way("1")
    return order
