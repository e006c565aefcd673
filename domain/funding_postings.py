"""What vendor funding posts, from the sale that earns it to the vendor's money or what is given up of it.

Amounts in minor units; below zero they go the other way, as a return's share does. What a vendor pays of a promotion
makes the goods cheaper: it is credited to the cost of sales, never to revenue.
"""

from typing import NamedTuple

from domain.postings import Line, _lines


class Spot(NamedTuple):
    """Where an amount belongs in the books; nowhere in particular for a lump sum."""

    location: str | None = None
    sku: str | None = None


def accrued(amount_minor: int, spot: Spot) -> list[Line]:
    """A sale has earned it, or (below zero) a return takes it back."""
    return _lines([("vendor_funding", amount_minor, 0), ("cogs", 0, amount_minor)], *spot)


def claimed(amount_minor: int) -> list[Line]:
    """A claim has gone to the vendor: what was accrued is billed."""
    return _lines([("vendor_claims", amount_minor, 0), ("vendor_funding", 0, amount_minor)])


def settled(amount_minor: int, settlement: str) -> list[Line]:
    """The vendor has paid (`cash`), or it was taken off what the vendor is owed (`deduction`)."""
    account = "payment_clearing" if settlement == "cash" else "accounts_payable"
    return _lines([(account, amount_minor, 0), ("vendor_claims", 0, amount_minor)])


def released(amount_minor: int, *, billed: bool) -> list[Line]:
    """Too much was accrued: the goods have cost as much more. `billed`: it was in a claim that had gone out."""
    other = "vendor_claims" if billed else "vendor_funding"
    return _lines([("cogs", amount_minor, 0), (other, 0, amount_minor)])


def written_off(amount_minor: int) -> list[Line]:
    """The vendor owes it and will not pay; it is given up."""
    return _lines([("funding_written_off", amount_minor, 0), ("vendor_claims", 0, amount_minor)])


def claimed_again(amount_minor: int) -> list[Line]:
    """What was not paid waits for the next claim."""
    return _lines([("vendor_funding", amount_minor, 0), ("vendor_claims", 0, amount_minor)])
