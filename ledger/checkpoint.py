"""Checkpoints: a posted count has seen the shelf, so what happened before it and is recorded after it is in it already.

Such a movement posts like any other, and an equal movement with its journal reverses it: the quantity stays as counted,
and the loss or gain that the count has posted becomes what it was: a sale, a delivery, a pick.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from domain import postings
from domain.stock import SHELF_BUCKETS
from ledger import found, reference
from ledger.journal import Entry
from ledger.shelf import Cause, Shelf
from ledger.tables import entity
from ledger.transaction import Transaction

Place = tuple[str, str]  # (location, SKU)
KIND = "counted"


class _Late(NamedTuple):
    """A movement that a count has seen already; `units` is what it changes on the shelf (available, reserved, count
    pending).
    """

    move: Mapping[str, Any]
    location: str
    units: int


def _late(shelf: Shelf, moves: Sequence[Mapping[str, Any]]) -> list[_Late]:
    found = []
    for move in moves:
        if move["kind"] == KIND:
            continue
        for side, sign in (("from", -1), ("to", 1)):
            location, account = move[f"{side}_location"], move[f"{side}_account"]
            row = shelf.rows.get((location, move["sku"]))
            if account not in SHELF_BUCKETS or row is None:
                continue
            other_side = "to" if side == "from" else "from"
            within = move[f"{other_side}_location"] == location and move[f"{other_side}_account"] in SHELF_BUCKETS
            seen: datetime | None = row["counted_at"]
            if not within and seen is not None and move["at"] < seen:
                found.append(_Late(move, location, sign * move["quantity"]))
    return found


async def reverse_what_was_counted(tx: Transaction) -> dict[Place, Cause]:
    """Move back what the last counts have seen already, of the movements since the last call; post it, and give what is
    available again to whoever waits. Returns why it took units from places: promises there may be in doubt.
    """
    late = _late(tx.shelf, tx.shelf.unchecked())
    if not late:
        return {}
    costs = await _unit_costs(tx, late)
    lines: dict[tuple[str, str], list[postings.Line]] = {}
    whys: dict[tuple[str, str], Cause] = {}
    lowered: dict[Place, Cause] = {}
    raised: dict[Place, Cause] = {}
    for one in late:
        move, units = one.move, abs(one.units)
        why = Cause(move["cause"], move["actor"], move["at"], move["entity"], move["journey_id"])
        unit_cost = move["unit_cost_e4"] or costs.get((why.entity, move["sku"]), 0)
        cost = move["cost_minor"] or reference.cost_of(unit_cost, units)
        sides = ("found", "available") if one.units < 0 else ("available", "shrink")
        tx.shelf.move(
            KIND,
            move["sku"],
            units,
            (one.location, sides[0]),
            (one.location, sides[1]),
            why,
            reason="counted_before",
            unit_cost_e4=unit_cost,
            cost_minor=cost,
        )
        if one.units > 0:
            lowered[one.location, move["sku"]] = why
        else:
            raised[one.location, move["sku"]] = why
        key = (why.entity, why.cause)
        signed = cost if one.units < 0 else -cost
        lines.setdefault(key, []).extend(postings.count_reversal(signed, location=one.location, sku=move["sku"]))
        whys[key] = why
    rows = await tx.conn.execute(select(entity.c.code, entity.c.currency))
    currencies = {row.code: row.currency for row in rows}
    for (code, cause), posted in lines.items():
        tx.post(Entry(code, "count.reversed", currencies[code], cause, posted, whys[code, cause].at))
    for place, why in raised.items():
        await found.assign(tx, [place], why)
    return lowered


async def _unit_costs(tx: Transaction, late: Sequence[_Late]) -> dict[tuple[str, str], int]:
    costs = {}
    for code in sorted({one.move["entity"] for one in late}):
        skus = {one.move["sku"] for one in late if one.move["entity"] == code}
        for sku, cost in (await reference.unit_costs(tx.conn, code, skus)).items():
            costs[code, sku] = cost
    return costs
