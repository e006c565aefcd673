"""What becomes of promises when a fact has taken more units than the book had for sale: baskets lose theirs at once,
and the stores of orders are asked to verify theirs before anybody is told.

Which fact it was (a sale, a pick beyond what was held, a shipment, a correction) makes no difference.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from domain.messages import Message
from domain.policy import StockPolicy
from domain.stock import Basket, DoubtRule, Promise, baskets_lost, promises_in_doubt
from ledger.checkpoint import reverse_what_was_counted
from ledger.shelf import Cause
from ledger.transaction import Transaction

type Place = tuple[str, str]  # (location, SKU)


class Taken(NamedTuple):
    """Why units left the shelf of a place, and which promise policy doubts first there."""

    cause: Cause
    rules: Sequence[DoubtRule]


_OPEN = text(
    "SELECT h.id, h.journey_id, h.location, h.sku, h.reserved, h.staged, h.at, h.promised_at, h.doubted_at,"
    " coalesce(l.unit_price_minor, 0) * h.reserved AS at_stake FROM hold h"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku) USING (location, sku)"
    " LEFT JOIN sale_line l ON l.document = h.journey_id AND l.line_id = h.line_id"
    # A hold without an end is kept for an order of another system: only that system can say that it is lost.
    " WHERE h.reserved + h.staged > 0 AND h.reserved > 0 AND (h.journey_id IS NOT NULL OR h.expires_at IS NOT NULL)"
    " ORDER BY h.id FOR UPDATE OF h"
)
_LOSE = text(
    "UPDATE hold h SET reserved = h.reserved - w.units, lost = h.lost + w.units"
    " FROM unnest(CAST(:ids AS text[]), CAST(:units AS int[])) AS w(id, units) WHERE h.id = w.id"
)
_DOUBT = text(
    "UPDATE hold h SET doubted_at = w.at FROM unnest(CAST(:ids AS text[]), CAST(:ats AS timestamptz[])) AS w(id, at)"
    " WHERE h.id = w.id"
)


async def doubt(tx: Transaction, places: Mapping[Place, Taken]) -> None:
    """Where the book is below zero now, take units from open baskets, and have stores verify promises for the rest.

    First what a posted count has seen already is moved back, so that nobody doubts a unit that was counted.
    The stock rows are locked, and cover the holds; holds that this transaction has changed must have been written.
    """
    lowered = await reverse_what_was_counted(tx)
    shipped = StockPolicy().doubt_first  # for a place that only a reversal has lowered
    places = {place: Taken(cause, shipped) for place, cause in lowered.items()} | dict(places)
    short = {place: -tx.shelf.quantity(*place, "available") for place in sorted(places)}
    short = {place: units for place, units in short.items() if units > 0}
    if not short:
        return
    arrays = {"locations": [place[0] for place in short], "skus": [place[1] for place in short]}
    open_at: dict[Place, list[Mapping[Any, Any]]] = {}
    for row in (await tx.conn.execute(_OPEN, arrays)).mappings():
        open_at.setdefault((row["location"], row["sku"]), []).append(row)
    lost: dict[str, int] = {}
    doubted = {}
    for place, rows in open_at.items():
        cause, rules = places[place]
        in_doubt = sum(row["reserved"] for row in rows if row["doubted_at"] is not None)
        baskets = [Basket(row["id"], row["reserved"], row["at"]) for row in rows if row["journey_id"] is None]
        for hold_id, units in baskets_lost(baskets, short[place] - in_doubt):
            _lose(tx, place, hold_id, units, cause)
            lost[hold_id] = units
        left = -tx.shelf.quantity(*place, "available")
        for promise in promises_in_doubt(map(_promise, filter(_is_ordered, rows)), left, rules):
            doubted[promise.hold_id] = cause.at
            tx.tell(promise.journey_id, Message.UNIT_DOUBTED)
    if lost:
        await tx.conn.execute(_LOSE, {"ids": list(lost), "units": list(lost.values())})
    if doubted:
        await tx.conn.execute(_DOUBT, {"ids": list(doubted), "ats": list(doubted.values())})


def _lose(tx: Transaction, place: Place, hold_id: str, units: int, cause: Cause) -> None:
    location, sku = place
    tx.shelf.move(
        "lost", sku, units, (location, "reserved"), (location, "available"), cause, reason="sold", hold_id=hold_id
    )


def _is_ordered(row: Mapping[Any, Any]) -> bool:
    return row["journey_id"] is not None


def _promise(row: Mapping[Any, Any]) -> Promise:
    return Promise(
        row["id"],
        row["journey_id"],
        row["reserved"],
        row["staged"],
        row["at"],
        row["promised_at"],
        row["at_stake"],
        row["doubted_at"] is not None,
    )
