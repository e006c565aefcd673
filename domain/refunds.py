"""What goes back to a customer for returned units: the share that was actually paid, with the original tax, less a fee
and less a promotion that what is kept no longer earns; and to which tender. Amounts are in minor units.

Whatever is returned in whatever parts, all refunds of a line together are what was paid for it, never more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.errors import AlreadyReturned
from domain.payments import part_of


class Bought(NamedTuple):
    """The units of one sale line that the customer took, and what of their money went back by returns before.

    `paid_minor` includes `tax_minor`, however the shop wrote its prices.
    """

    units: int
    paid_minor: int
    tax_minor: int
    cost_minor: int = 0
    refunded: int = 0
    refunded_minor: int = 0
    refunded_tax_minor: int = 0


class Share(NamedTuple):
    """The money of some units: paid (tax included), the tax in it."""

    paid_minor: int
    tax_minor: int


def share_of(bought: Bought, units: int) -> Share:
    """What was paid for the next `units` that come back; the last of the line take the rounding rest.

    Raises `AlreadyReturned` for more units than are left: each is refunded once.
    """
    left = bought.units - bought.refunded
    if units > left:
        raise AlreadyReturned(
            f"{units} are to be refunded and {left} of {bought.units} are left; the others were paid back."
        )
    if units == left:
        return Share(
            max(bought.paid_minor - bought.refunded_minor, 0), max(bought.tax_minor - bought.refunded_tax_minor, 0)
        )
    paid = part_of(bought.paid_minor, bought.units, bought.refunded, units)
    tax = part_of(bought.tax_minor, bought.units, bought.refunded, units)
    # A line that was handed over in parts may have grown since the last return of it.
    paid = max(min(paid, bought.paid_minor - bought.refunded_minor), 0)
    return Share(paid, max(min(tax, bought.tax_minor - bought.refunded_tax_minor, paid), 0))


def fee_of(share_minor: int, permille: int) -> int:
    """The fee that is kept, rounded down; never more than what would go back."""
    return min(share_minor * permille // 1000, share_minor)


class Kept(NamedTuple):
    """A line of a promotion as it will stand when the return is done: what the customer keeps of it."""

    units: int
    gross_minor: int
    discount_minor: int
    clawed_minor: int = 0  # of its discount, taken back by returns before


class Terms(NamedTuple):
    """What must be kept for a promotion to stay earned."""

    least_units: int = 0
    least_minor: int = 0


def claw_back(lines: Mapping[str, Kept], terms: Terms) -> dict[str, int]:
    """What of each kept line's discount is to be clawed back altogether, once the promotion is not earned any more.

    A line of which nothing is kept gives back what was clawed from it: its share is refunded as it was paid.
    """
    units = sum(line.units for line in lines.values())
    gross = sum(line.gross_minor for line in lines.values())
    if units >= terms.least_units and gross >= terms.least_minor:
        return dict.fromkeys(lines, 0)
    return {key: line.discount_minor if line.units else 0 for key, line in lines.items()}


class Clawed(NamedTuple):
    """`change_minor` is kept of this refund (below zero: given back); `targets` is what stands clawed by line now."""

    change_minor: int
    targets: dict[str, int]


def clawed(lines: Mapping[str, Kept], terms: Terms, at_most_minor: int) -> Clawed:
    """The claw-back of one return: never more than its refund, since nobody is charged without their word."""
    wanted = claw_back(lines, terms)
    change, targets = 0, {}
    for key, line in sorted(lines.items(), key=lambda pair: wanted[pair[0]] - pair[1].clawed_minor):
        step = min(wanted[key] - line.clawed_minor, at_most_minor - change)
        targets[key] = line.clawed_minor + step
        change += step
    return Clawed(change, targets)


class Tender(NamedTuple):
    """A payment that was made, and what of it may still go back."""

    payment_id: str
    tender: str
    open_minor: int


class Payout(NamedTuple):
    """Money for one tender. `payment_id` is None where it goes to none that was used: a credit is issued."""

    payment_id: str | None
    tender: str
    amount_minor: int


CREDITS = ("store_credit", "gift_card")


def pay_out(
    amount_minor: int, tenders: Sequence[Tender], *, method: str, by_mail: bool = False, credit: str = "store_credit"
) -> list[Payout]:
    """Where a refund goes: to the original tenders in the order in which they were used, what they cannot take as a
    credit. A credit (a gift, no receipt) goes to none of them. Cash is not sent by mail.
    """
    payouts = []
    rest = amount_minor
    if method == "original_tender":
        for one in tenders:
            part = min(rest, one.open_minor)
            if part <= 0 or (by_mail and one.tender == "cash"):
                continue
            payouts.append(Payout(one.payment_id, one.tender, part))
            rest -= part
    if rest > 0:
        payouts.append(Payout(None, method if method in CREDITS else credit, rest))
    return payouts


class LineRefund(NamedTuple):
    """The refund of one line, taken apart. `net_minor` is what goes back for it before any claw-back."""

    units: int
    share: Share
    fee_minor: int

    @property
    def net_minor(self) -> int:
        return self.share.paid_minor - self.fee_minor


def total_of(lines: Iterable[LineRefund], clawed_minor: int = 0) -> int:
    """What the customer gets for the lines."""
    return sum(line.net_minor for line in lines) - clawed_minor
