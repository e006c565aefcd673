"""Posting rules of returns. Goods that come back wait in returns pending, at the cost at which they left, and leave it
by their disposition; nothing goes from a return straight to inventory. Amounts are in minor units.
"""

from domain.postings import Line
from domain.returns import EFFECTS, Effect


def _pairs(pairs: list[tuple[str, int]], location: str | None, sku: str | None) -> list[Line]:
    """Lines of (account, debit − credit)."""
    return [Line(account, max(net, 0), max(-net, 0), location, sku) for account, net in pairs if net]


def received(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods came back: not for sale, and not sold any more either."""
    return _pairs([("returns_pending", cost_minor), ("cogs", -cost_minor)], location, sku)


def worth(effect: Effect, cost_minor: int, market_permille: int) -> int:
    """What units are still worth after a disposition."""
    if effect.value == "market":
        return cost_minor * market_permille // 1000
    return cost_minor if effect.value == "cost" else 0


def disposed(disposition: str, cost_minor: int, market_permille: int, *, location: str, sku: str) -> list[Line]:
    """What an inspection decides. More work first posts nothing: the unit still waits."""
    effect = EFFECTS[disposition]
    if effect.target is None:
        return []
    kept = worth(effect, cost_minor, market_permille)
    return _pairs(
        [(effect.account, kept), (effect.loss, cost_minor - kept), ("returns_pending", -cost_minor)], location, sku
    )


def accepted(
    paid_minor: int, tax_minor: int, *, fee_minor: int = 0, clawed_minor: int = 0, location: str, sku: str | None
) -> list[Line]:
    """The refund is owed. `paid_minor` is the share with its tax; `clawed_minor` below zero is given back."""
    return _pairs(
        [
            ("sales_returns", paid_minor - tax_minor),
            ("tax_payable", tax_minor),
            ("restocking_fees", -fee_minor),
            ("promotional_discounts", -clawed_minor),
            ("refund_liability", -(paid_minor - fee_minor - clawed_minor)),
        ],
        location,
        sku,
    )


PAID_FROM = {"store_credit": "store_credit", "gift_card": "gift_cards"}


def paid(amount_minor: int, tender: str) -> list[Line]:
    """The refund has been paid, or its credit issued."""
    return _pairs(
        [("refund_liability", amount_minor), (PAID_FROM.get(tender, "payment_clearing"), -amount_minor)], None, None
    )


def sent_to_vendor(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods have gone back to their vendor, who owes what they had cost."""
    return _pairs([("vendor_receivable", cost_minor), ("vendor_returns", -cost_minor)], location, sku)


def credited_by_vendor(paid_minor: int, beyond_minor: int, *, location: str) -> list[Line]:
    """A credit note: what it pays of the cost, and what it brings beyond it."""
    return _pairs(
        [
            ("vendor_credits", paid_minor + beyond_minor),
            ("vendor_receivable", -paid_minor),
            ("vendor_return_gains", -beyond_minor),
        ],
        location,
        None,
    )


def vendor_given_up(amount_minor: int, *, location: str) -> list[Line]:
    """What a vendor does not credit is a loss."""
    return _pairs([("write_off", amount_minor), ("vendor_receivable", -amount_minor)], location, None)


def exchanged(amount_minor: int) -> list[Line]:
    """What a return owes pays for its replacement: a deposit of that order, as any payment."""
    return _pairs([("refund_liability", amount_minor), ("customer_deposits", -amount_minor)], None, None)


def replacement_given_up(amount_minor: int) -> list[Line]:
    """A replacement that its return had paid for was given up: the return owes it again."""
    return _pairs([("refunds_payable", amount_minor), ("refund_liability", -amount_minor)], None, None)
