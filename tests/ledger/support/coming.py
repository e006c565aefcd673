"""Orders whose goods a transfer brings, moved on by hand, for the tests of ship-to-store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.messages import Situation
from ledger.bopis import steps
from ledger.bopis.order import Order
from ledger.transaction import Transaction
from ledger.transfer import steps as of_transfers
from tests.ledger.support.orders import decide, situation, step
from tests.ledger.support.transfers import Moved, shelf
from tests.ledger.test_shipping import warehouse
from tests.shop import TEA, Shop


@dataclass
class Coming:
    """An order of eight packs: five are at its store, three are brought from the warehouse."""

    shop: Shop
    journey: str
    moved: Moved

    @classmethod
    async def begin(cls, shop: Shop, quantity: int = 8, **more: Any) -> Coming:
        """Somebody has chosen it for the customer, who agreed by phone."""
        await warehouse(shop)
        journey = await shop.order(quantity, **({"order_id": "W-7"} | more))
        told = await steps.open_case(shop.database, step(journey, "1"))
        assert told.case_id is not None
        return await cls.chosen(shop, journey, told.case_id)

    @classmethod
    async def chosen(cls, shop: Shop, journey: str, case_id: int) -> Coming:
        """The same, of a case that is open."""
        answer = await decide(shop, case_id, "ship_to_store:DC", agreed_by_phone=True)
        done = await steps.apply_decision(
            shop.database, step(journey, uuid.uuid4().hex, decision_id=answer.decision_id)
        )
        assert (done.state, [due.name for due in done.dues]) == ("ship_to_store", ["goods"])
        return cls(shop, journey, await brought_by(shop, journey))

    async def situation(self) -> Situation:
        return await situation(self.shop, self.journey)

    async def attend(self) -> Situation:
        """The order takes up what others left for it, as its workflow has it do when it is told."""
        assert (await self.situation()).attention == ("found",)
        return await steps.attend(self.shop.database, step(self.journey, uuid.uuid4().hex))

    async def transfer_attends(self) -> str:
        """The transfer takes up what the order gave up; returns its state."""
        assert (await situation(self.shop, self.moved.id)).attention == ("unneeded",)
        return (await self.moved.take(of_transfers.attend)).state

    async def ask_again(self) -> int:
        """Somebody has to choose another way out; returns the case."""
        told = await steps.open_case(self.shop.database, step(self.journey, uuid.uuid4().hex))
        assert told.case_id is not None
        return told.case_id

    async def shelves(self) -> dict[str, dict[str, int]]:
        """What is at the warehouse and at the store."""
        return {code: await shelf(self.shop, code) for code in ("DC", "S1")}

    async def still(self) -> tuple[int, int, int, int]:
        """Units that are still to come, that came, that will not come, and that are given up; of all its transfers."""
        row = await self.shop.value(
            "SELECT json_build_array(sum(quantity), sum(came), sum(failed), sum(given_up)) FROM awaited"
            " WHERE journey_id = :id",
            id=self.journey,
        )
        return tuple(row)


async def brought_by(shop: Shop, journey: str) -> Moved:
    """The transfer that brings goods of an order."""
    key = await shop.value("SELECT max(transfer_id) FROM awaited WHERE journey_id = :id", id=journey)
    return Moved(shop, key, None)  # type: ignore[arg-type]  # nobody asked for it, so nobody was answered


async def held_there(shop: Shop) -> str:
    """An order from before: it holds three units at the warehouse itself, for a delivery that will name it."""
    await warehouse(shop)
    journey = await shop.order(8, order_id="W-7")

    async def work(tx: Transaction) -> None:
        order = await Order.load(tx, await tx.lock_journey(journey))
        await order.lock_cases()
        await order.lock_goods([("DC", TEA)])
        at, line = datetime.now(UTC), order.lines["1"]
        held = order.new_hold(line, 3, part="reserved", at=at, place="DC")
        why = order.cause("decision:1", at)
        tx.shelf.move("reserved", TEA, 3, ("DC", "available"), ("DC", "reserved"), why, hold_id=held["id"])
        line["reserved"] += 3
        await order.settle(at)
        order.due("goods", at + timedelta(days=2))
        await order.save(at)

    await shop.database.write(work, actor="test", via="test")
    return journey
