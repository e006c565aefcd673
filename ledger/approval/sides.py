"""The sides of an approval and the words that they have given, as rows: what `domain.approval.tally` is told."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Side, Word
from ledger.tables import approval_side, approval_verdict


def own_side(row: Mapping[Any, Any]) -> Side:
    """The one side of an approval that names no others."""
    return Side("", row["entity"], row["region"], row["location"], tuple(row["roles"]), row["quorum"])


async def sides_of(conn: AsyncConnection, rows: Iterable[Mapping[Any, Any]]) -> dict[int, tuple[Side, ...]]:
    """By approval: its sides, at least one, by name."""
    asked = {row["id"]: row for row in rows}
    named: dict[int, list[Side]] = {}
    found = await conn.execute(
        select(approval_side)
        .where(approval_side.c.approval_id.in_(list(asked)))
        .order_by(approval_side.c.approval_id, approval_side.c.name)
    )
    for one in found.mappings():
        row = asked[one["approval_id"]]
        side = Side(one["name"], one["entity"], one["region"], one["name"], tuple(row["roles"]), one["need"])
        named.setdefault(row["id"], []).append(side)
    return {number: tuple(named[number]) if number in named else (own_side(row),) for number, row in asked.items()}


async def words_of(conn: AsyncConnection, approval_ids: Iterable[int]) -> dict[int, list[Word]]:
    """By approval: who has agreed, in that order; an approval without any is left out."""
    rows = await conn.execute(
        select(approval_verdict)
        .where(approval_verdict.c.approval_id.in_(list(approval_ids)), approval_verdict.c.verdict == "approve")
        .order_by(approval_verdict.c.id)
    )
    found: dict[int, list[Word]] = {}
    for row in rows.mappings():
        voice = row["on_behalf_of"] or row["person_id"]
        word = Word(row["person_id"], voice, frozenset(row["sides"]))
        found.setdefault(row["approval_id"], []).append(word)
    return found
