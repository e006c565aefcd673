"""BOPIS orders in tests of the ledger: what stores report of them, what is decided about them, and their steps."""

import uuid
from datetime import UTC, datetime
from typing import Any

from domain.messages import Situation, Step
from ledger import decisions, facts, situations
from ledger.bopis import steps
from ledger.people import Caller
from tests.shop import ANA, WEB, Shop

NOW = datetime.now(UTC)


async def report(
    shop: Shop, kind: str, data: dict[str, Any], *, event_id: str | None = None, caller: Caller = WEB
) -> Any:
    event = {
        "id": event_id or uuid.uuid4().hex,
        "type": kind,
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": data,
    }
    return (await facts.receive(shop.database, caller, [event], received_at=datetime.now(UTC)))[0]


async def situation(shop: Shop, target: str) -> Situation:
    async with shop.database.read() as conn:
        found = await situations.situation_of_target(conn, target)
    assert found is not None
    return found[1]


async def pick(shop: Shop, journey: str, quantity: int, reason: str | None = None, line: str = "1") -> Any:
    lines = [{"line_id": line, "quantity": quantity, "reason": reason}]
    return await report(shop, "bopis.picked", {"journey_id": journey, "picker": "p1", "lines": lines})


async def hand_over(shop: Shop, journey: str, quantity: int | None = None, line: str = "1") -> Any:
    lines = None if quantity is None else [{"line_id": line, "quantity": quantity}]
    return await report(shop, "bopis.handed_over", {"journey_id": journey, "lines": lines, "actor": "p1"})


def step(journey: str, occurrence: str, **more: Any) -> Step:
    return Step(subject=journey, occurrence=occurrence, at=datetime.now(UTC), **more)


async def failed_order(shop: Shop, quantity: int = 8) -> tuple[str, int]:
    journey = await shop.order(quantity)
    told = await steps.open_case(shop.database, step(journey, "1"))
    assert told.case_id is not None
    return journey, told.case_id


async def decide(shop: Shop, case_id: int, option: str, **parameters: Any) -> decisions.DecisionAnswer:
    return await decisions.decide(
        shop.database, case_id, ANA, option_id=option, parameters=parameters, note="", version=None, via="test"
    )
