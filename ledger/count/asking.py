"""Counts that nobody asked for: units that could not be found, stock below zero."""

from collections.abc import Iterable

from domain.policy import Policy
from ledger import reference
from ledger.count.opening import Opening, being_counted, not_yet_asked, open_count
from ledger.transaction import Transaction


async def count_what_waits(
    tx: Transaction, place: reference.Place, policy: Policy, skus: Iterable[str], *, why: str
) -> str | None:
    """Open a count for those of the SKUs of which units wait for one, unless one is open already. Their stock rows are
    locked by this transaction. Returns the count's journey, None when there is nothing to open.
    """
    waiting = [
        sku
        for sku in sorted(set(skus))
        if (place.code, sku) in tx.shelf.rows and tx.shelf.quantity(place.code, sku, "count_pending") > 0
    ]
    wanted = await not_yet_asked(tx, place.code, waiting) if waiting else []
    if not wanted:
        return None
    return await open_count(
        tx,
        # By the database's clock: what an order has skipped in a demo is not skipped for the shelf.
        Opening(place=place, policy=policy, reason="short_pick", skus=wanted, at=await tx.now(), why=why),
    )


async def count_below_zero(
    tx: Transaction, place: reference.Place, policy: Policy, skus: Iterable[str]
) -> dict[str, str]:
    """See that a count is open for each of these SKUs, of which the till has sold what the book did not have. Returns
    the counts' journeys by SKU.

    Nothing is locked for it: of two sheets that are opened in the same moment the later count stands.
    """
    wanted = sorted(set(skus))
    found = await being_counted(tx, place.code, wanted)
    fresh = [sku for sku in wanted if sku not in found]
    if fresh:
        opening = Opening(place=place, policy=policy, reason="negative_stock", skus=fresh, at=await tx.now())
        found |= dict.fromkeys(fresh, await open_count(tx, opening))
    return found
