"""Posting rules: which accounts an event debits and credits. Rules are data and arithmetic; writing them is the
ledger's part.

Amounts are in minor units; a rule that has nothing to post returns no lines. Every rule's lines balance by construction
and the database checks it again.
"""

from collections.abc import Iterable
from typing import NamedTuple

RULE_VERSION = "1"

ACCOUNTS: dict[str, str] = {
    "inventory": "Inventory",
    "goods_received_not_invoiced": "Goods received, not invoiced",
    "opening_balance": "Opening balance",
    "payment_clearing": "Payment clearing",
    "customer_deposits": "Customer deposits",
    "revenue": "Sales revenue",
    "promotional_discounts": "Promotional discounts",
    "coupon_receivable": "Coupons receivable",
    "tax_payable": "Sales tax payable",
    "cogs": "Cost of goods sold",
    "refunds_payable": "Refunds payable",
    "appeasement": "Appeasements",
    "shrinkage": "Inventory shrinkage",
    "inventory_found": "Inventory found",
    "damage_expense": "Damaged goods",
    "average_cost_adjustment": "Average-cost adjustment",
    "returns_pending": "Inventory, returns pending",
    "seconds": "Inventory, seconds",
    "vendor_returns": "Inventory, returns to vendors",
    "vendor_receivable": "Goods returned, owed by vendors",
    "vendor_credits": "Credit notes of vendors",
    "vendor_return_gains": "Credits of vendors beyond cost",
    "sales_returns": "Sales returns",
    "refund_liability": "Refund liability",
    "restocking_fees": "Restocking fees",
    "store_credit": "Store credit issued",
    "gift_cards": "Gift cards issued",
    "write_down": "Write-down of returned goods",
    "write_off": "Returned goods written off",
    "goods_in_transit": "Goods in transit",
    "transfer_differences": "Transfer differences",
    "transit_loss": "Lost in transit",
    "claims_receivable": "Claims against carriers",
    "due_from": "Due from other entities",
    "due_to": "Due to other entities",
    "intercompany_margin": "Margin on goods for other entities",
    "vendor_funding": "Vendor funding accrued",
    "vendor_claims": "Claims against vendors",
    "funding_written_off": "Vendor funding written off",
    "accounts_payable": "Accounts payable",
}
INVENTORY_ACCOUNTS = ("inventory", "goods_in_transit")

# Reason of an adjustment → the account that carries it.
ADJUSTMENT_ACCOUNTS: dict[str, str] = {
    "damaged": "damage_expense",
    "scrapped": "damage_expense",
    "expired": "damage_expense",
    "found": "inventory_found",
}


class Line(NamedTuple):
    """One side of an entry. Exactly one of debit and credit is above zero."""

    account: str
    debit_minor: int = 0
    credit_minor: int = 0
    location: str | None = None
    sku: str | None = None


def _lines(pairs: Iterable[tuple[str, int, int]], location: str | None = None, sku: str | None = None) -> list[Line]:
    lines = []
    for account, debit, credit in pairs:
        net = debit - credit
        if net:
            lines.append(Line(account, max(net, 0), max(-net, 0), location, sku))
    return lines


def deposit(amount_minor: int) -> list[Line]:
    """Money captured for goods not yet handed over."""
    return _lines([("payment_clearing", amount_minor, 0), ("customer_deposits", 0, amount_minor)])


def refund_owed(amount_minor: int) -> list[Line]:
    """A deposit that will go back: cancelled, not collected, line refunded."""
    return _lines([("customer_deposits", amount_minor, 0), ("refunds_payable", 0, amount_minor)])


def refund_paid(amount_minor: int) -> list[Line]:
    """The provider has confirmed the refund."""
    return _lines([("refunds_payable", amount_minor, 0), ("payment_clearing", 0, amount_minor)])


class Sale(NamedTuple):
    """The money of some units of one line. `gross_minor` includes tax exactly when `tax_included`."""

    gross_minor: int
    discount_minor: int
    coupon_minor: int
    tax_minor: int
    tax_included: bool
    cost_minor: int
    appeasement_minor: int = 0  # given away to the customer of this line: a dearer substitute at the old price

    @property
    def revenue_minor(self) -> int:
        return self.gross_minor - (self.tax_minor if self.tax_included else 0)

    @property
    def paid_minor(self) -> int:
        """What the customer pays: a manufacturer's coupon is paid by a third party."""
        given = self.discount_minor + self.coupon_minor + self.appeasement_minor
        return self.gross_minor - given + (0 if self.tax_included else self.tax_minor)


def sale(sale: Sale, *, paid_from: str, location: str, sku: str | None) -> list[Line]:
    """Revenue in gross form and the cost of what left.

    `paid_from` is `customer_deposits` for a hand-over, `payment_clearing` for a sale at the till.
    """
    return _lines(
        [
            (paid_from, sale.paid_minor, 0),
            ("promotional_discounts", sale.discount_minor, 0),
            ("coupon_receivable", sale.coupon_minor, 0),
            ("appeasement", sale.appeasement_minor, 0),
            ("revenue", 0, sale.revenue_minor),
            ("tax_payable", 0, sale.tax_minor),
            ("cogs", sale.cost_minor, 0),
            ("inventory", 0, sale.cost_minor),
        ],
        location,
        sku,
    )


def receipt(cost_minor: int, *, location: str, sku: str, opening: bool = False) -> list[Line]:
    """Goods from a supplier, or the opening stock of a new installation."""
    credit = "opening_balance" if opening else "goods_received_not_invoiced"
    return _lines([("inventory", cost_minor, 0), (credit, 0, cost_minor)], location, sku)


def shipment(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods that left for an order of another system, which knows its money: their cost alone."""
    return _lines([("cogs", cost_minor, 0), ("inventory", 0, cost_minor)], location, sku)


def adjustment(cost_minor: int, reason: str, *, location: str, sku: str) -> list[Line]:
    """Stock found (positive) or lost (negative), at cost; the reason chooses the account."""
    other = ADJUSTMENT_ACCOUNTS.get(reason, "inventory_found" if cost_minor > 0 else "shrinkage")
    return _lines([("inventory", cost_minor, 0), (other, 0, cost_minor)], location, sku)


def count_difference(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """What a count found (positive) or missed (negative), at cost."""
    return adjustment(cost_minor, "cycle_count", location=location, sku=sku)


def count_reversal(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """A late report explains what a count has posted: it was no loss (positive), or no gain."""
    other = "shrinkage" if cost_minor > 0 else "inventory_found"
    return _lines([("inventory", cost_minor, 0), (other, 0, cost_minor)], location, sku)


def damage(cost_minor: int, *, location: str, sku: str) -> list[Line]:
    """Goods that can no longer be sold are written down to nothing when they are found damaged."""
    return _lines([("damage_expense", cost_minor, 0), ("inventory", 0, cost_minor)], location, sku)


def relocation(cost_minor: int, *, source: str, target: str, sku: str) -> list[Line]:
    """Goods put at another place of the same entity."""
    if not cost_minor:
        return []
    return [Line("inventory", cost_minor, 0, target, sku), Line("inventory", 0, cost_minor, source, sku)]


def appeasement(amount_minor: int) -> list[Line]:
    """Money given back although it was earned."""
    return _lines([("appeasement", amount_minor, 0), ("refunds_payable", 0, amount_minor)])
