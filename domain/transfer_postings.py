"""What a transfer posts: goods on their way, the pair of two entities, losses, and claims against carriers.

The value of goods stays in the books of whoever owns them: with two entities, title passes when they are shipped, at
the transfer price, and each entity's lines balance by themselves.
"""

from typing import NamedTuple

from domain.postings import Line, _lines


class Side(NamedTuple):
    """Where goods are in the books: whose, in which account, at which place."""

    entity: str
    account: str
    location: str


class Value(NamedTuple):
    """What goods are worth to whoever gives them (at cost) and to whoever takes them (at the transfer price)."""

    given_minor: int
    taken_minor: int


def transfer_price(cost_minor: int, markup_permille: int) -> int:
    """Cost plus a markup, rounded half up."""
    return (cost_minor * (1000 + markup_permille) + 500) // 1000


def passed(giver: Side, taker: Side, value: Value, sku: str, *, back: bool = False) -> dict[str, list[Line]]:
    """Goods pass from one side to another: lines by entity. `back` reverses what was passed before."""
    if giver.entity == taker.entity:
        pairs = [(taker, value.taken_minor, 0), (giver, 0, value.given_minor)]
        return {giver.entity: _sides(pairs, sku, back=back)}
    margin = value.taken_minor - value.given_minor
    given = [
        (Side(giver.entity, "due_from", giver.location), value.taken_minor, 0),
        (giver, 0, value.given_minor),
        (Side(giver.entity, "intercompany_margin", giver.location), max(-margin, 0), max(margin, 0)),
    ]
    taken = [
        (taker, value.taken_minor, 0),
        (Side(taker.entity, "due_to", taker.location), 0, value.taken_minor),
    ]
    return {giver.entity: _sides(given, sku, back=back), taker.entity: _sides(taken, sku, back=back)}


def _sides(pairs: list[tuple[Side, int, int]], sku: str, *, back: bool) -> list[Line]:
    lines = []
    for side, debit, credit in pairs:
        money = (credit, debit) if back else (debit, credit)
        lines += _lines([(side.account, *money)], side.location, sku)
    return lines


def lost(value_minor: int, account: str, *, location: str, sku: str) -> list[Line]:
    """Units in transit that never come; `account` carries the loss."""
    return _lines([(account, value_minor, 0), ("goods_in_transit", 0, value_minor)], location, sku)


def came_damaged(value_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods that arrived broken are written down to nothing at once."""
    return lost(value_minor, "damage_expense", location=location, sku=sku)


def came_unexpected(value_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods that came and were never in transit: on the shelf, against a difference that somebody must explain."""
    return _lines([("inventory", value_minor, 0), ("transfer_differences", 0, value_minor)], location, sku)


def kept_as_gain(value_minor: int, *, location: str, sku: str) -> list[Line]:
    """Nobody misses what came unexpected."""
    return _lines([("transfer_differences", value_minor, 0), ("inventory_found", 0, value_minor)], location, sku)


def taken_back(value_minor: int, account: str, *, location: str, sku: str) -> list[Line]:
    """What was written off has come after all; `account` carries the loss."""
    return _lines([("transfer_differences", value_minor, 0), (account, 0, value_minor)], location, sku)


def explained(rest_minor: int, *, location: str, sku: str) -> list[Line]:
    """What is left of a difference that the source explains: it was booked at one value and sent at another."""
    return _lines([("transfer_differences", rest_minor, 0), ("average_cost_adjustment", 0, rest_minor)], location, sku)


def claimed(amount_minor: int, other: str, *, location: str, sku: str) -> list[Line]:
    """A carrier is held liable; `other` is what carried the loss until now."""
    return _lines([("claims_receivable", amount_minor, 0), (other, 0, amount_minor)], location, sku)


def claim_given_up(amount_minor: int, *, location: str, sku: str) -> list[Line]:
    """What a carrier does not accept of a claim is a loss in transit after all."""
    return _lines([("transit_loss", amount_minor, 0), ("claims_receivable", 0, amount_minor)], location, sku)


def claim_paid(amount_minor: int, *, location: str, sku: str) -> list[Line]:
    """The carrier has paid what it accepted."""
    return _lines([("payment_clearing", amount_minor, 0), ("claims_receivable", 0, amount_minor)], location, sku)
