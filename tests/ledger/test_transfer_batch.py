"""Many transfers of one request: each has an answer, its place's policy, and the rows that it would have alone."""

from typing import Any

import pytest
from sqlalchemy import text

from domain.errors import DomainError
from domain.transfers import NewTransfer
from ledger import rows
from ledger.transfer import intake
from ledger.transfer.intake import Result
from tests.ledger.support.transfers import WMS, shelf
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
MANY = rows.FROM_ROWS + 10


async def take(shop: Shop, *wanted: dict[str, Any]) -> list[Result]:
    some = [
        NewTransfer.model_validate(
            {"from": "S1", "to": "S2", "reason": "rebalance", "lines": [{"line_id": "1", "sku": TEA, "quantity": 1}]}
            | one
        )
        for one in wanted
    ]
    return await intake.request(shop.database, WMS, some, via="api")


def states(results: list[Result]) -> list[str]:
    return [one.code if isinstance(one, DomainError) else one[1].state for one in results]


async def written(shop: Shop, key: str) -> dict[str, Any]:
    """Every row of one transfer, without what differs from one to the next."""
    found = {}
    async with shop.database.read() as conn:
        for table, column in (
            ("journey", "id"), ("transfer", "journey_id"), ("transfer_line", "journey_id"), ("hold", "journey_id"),
            ("journey_step", "journey_id"), ("outbox", "target"), ("audit", "on_what"), ("idempotency", "key"),
        ):  # fmt: skip
            wanted = f"transfer:{key}" if table == "idempotency" else f"transfer:wms:{key}"
            some = await conn.execute(text(f"SELECT to_jsonb(t) FROM {table} t WHERE {column} = :id"), {"id": wanted})  # noqa: S608  of a test
            (row,) = some.scalars().all()
            found[table] = {name: value for name, value in row.items() if name not in _OF_ITS_OWN}
    return found


_OF_ITS_OWN = ("id", "recorded_at", "opened_at", "at", "approved_at", "body_hash", "dues", "payload", "leased_until")


async def test_many_at_once_write_the_rows_of_one_alone(shop: Shop) -> None:
    await shop.put("S1", 200)
    alone = states(await take(shop, {"transfer_id": "A-0000"}))
    many = states(await take(shop, *({"transfer_id": f"M-{n:04}"} for n in range(MANY))))
    assert alone + many == ["ready_to_ship"] * (MANY + 1)
    one, other = await written(shop, "A-0000"), await written(shop, "M-0007")
    assert {name: str(row).replace("A-0000", "M-0007") for name, row in one.items()} == {
        name: str(row) for name, row in other.items()
    }
    assert await shelf(shop, "S1") == {"available": 200 - MANY - 1, "reserved": MANY + 1}


async def test_each_place_has_its_own_policy(shop: Shop) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, location, effective_from, body) VALUES ('s2', 'S2', '2020-01-01',"
        ' \'{"bands": {"transfer": {"manager_minor": 0}}}\')'
    )
    told = await take(
        shop, {"transfer_id": "T-1"}, {"transfer_id": "T-2", "from": "S2", "to": "S1"}, {"transfer_id": "T-3"}
    )
    assert states(told) == ["ready_to_ship", "pending_approval", "ready_to_ship"]


async def test_a_refused_one_leaves_the_others_and_writes_nothing(shop: Shop) -> None:
    told = await take(
        shop,
        {"transfer_id": "T-1"},
        {"transfer_id": "T-2", "from": "NOWHERE"},
        {"transfer_id": "T-3", "to": "NOWHERE"},
        {"transfer_id": "T-4"},
    )
    assert states(told) == ["ready_to_ship", "unknown_location", "unknown_location", "ready_to_ship"]
    refused = [one.pointer for one in told if isinstance(one, DomainError)]
    assert refused == ["/from", "/to"]
    assert await shop.value("SELECT count(*) FROM transfer") == 2
