"""What is append-only stays as it was written: the database refuses every change of it, whoever asks."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from tests.shop import Shop

KEPT = ("movement", "journal_line", "audit", "case_event", "approval_verdict", "approval_side", "policy_copy")


async def guards(shop: Shop) -> dict[str, set[str]]:
    """The guarded tables, with what is refused there."""
    found = await shop.value(
        "SELECT json_object_agg(name, what) FROM (SELECT event_object_table AS name,"
        " json_agg(DISTINCT event_manipulation) AS what FROM information_schema.triggers"
        " WHERE action_statement LIKE '%append_only()%' GROUP BY 1) AS found"
    )
    return {name: set(what) for name, what in found.items()}


async def test_every_table_that_is_kept_is_guarded(shop: Shop) -> None:
    found = await guards(shop)
    assert {name for name in KEPT if found.get(name, set()) >= {"UPDATE", "DELETE"}} == set(KEPT)
    assert found["journal"] >= {"DELETE"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE movement SET quantity = quantity + 1",
        "DELETE FROM movement",
        "TRUNCATE movement",
        "UPDATE journal_line SET debit_minor = 0",
        "DELETE FROM journal_line",
        "TRUNCATE journal_line",
        "UPDATE journal SET entity = 'other'",
        "DELETE FROM journal",
        "TRUNCATE journal CASCADE",
        "UPDATE audit SET who = 'nobody'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
async def test_it_is_neither_changed_nor_emptied(shop: Shop, statement: str) -> None:
    order = await shop.order(1)
    lines = [{"line_id": "1", "quantity": 1}]
    await shop.report("bopis.picked", journey_id=order, lines=lines, picker="p1")
    await shop.report("bopis.handed_over", journey_id=order, lines=lines, actor="p1")
    await shop.change(
        "INSERT INTO audit (who, what, on_what, via, at) VALUES ('p1', 'order.collected', :id, 'test', now())", id=order
    )
    with pytest.raises(DBAPIError, match="append-only"):
        await shop.change(statement)
