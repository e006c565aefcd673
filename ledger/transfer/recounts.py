"""What was found by counts that were opened because a transfer does not add up. What one has found at the source is on
the book there already: it is not put back a second time when somebody says that it never left.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from ledger.transfer.document import Transfer

EXPLAINED = "explained"  # in the detail of a transfer: units by "place SKU" that were found and never left


class Gain(NamedTuple):
    """Units that counts have booked as found, and an instant that the last of them has seen."""

    units: int
    seen_at: datetime | None


def gained(it: Transfer, place: str, sku: str) -> Gain:
    """What counts at a place have found beyond the book, as far as it was not said yet where it came from."""
    here = [one for one in it.counted if (one["location"], one["sku"]) == (place, sku)]
    found = sum(one["counted"] - one["book"] for one in here if one["counted"] > one["book"])
    known = it.row["detail"].get(EXPLAINED, {}).get(f"{place} {sku}", 0)
    left = max(found - known, 0)
    return Gain(left, max(one["counted_at"] for one in here) - timedelta(microseconds=1) if left else None)


def explain(it: Transfer, place: str, sku: str, units: int) -> None:
    """So many of the units that were found there are those that never left."""
    known = dict(it.row["detail"].get(EXPLAINED, {}))
    known[f"{place} {sku}"] = known.get(f"{place} {sku}", 0) + units
    it.row["detail"][EXPLAINED] = known
