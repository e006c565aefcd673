"""The return policy as data, and how it decides about a line: yes or no, until when, at what fee, and why.

Every list is read from its top, the first row that fits decides. A refusal names its reason; nothing is refused because
of a fraud score.
"""

from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from domain.fraud import Band, FraudPolicy
from domain.refunds import Terms
from domain.returns import OUR_FAULT

DAY_S = 86_400


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Part):
    """How many days a customer has. An empty category or tender fits all."""

    days: int = Field(ge=0)
    category: str = ""
    tender: str = ""


class Season(_Part):
    """What was bought within these days may come back until a later one, both ends included."""

    bought_from: date
    bought_until: date
    until: date


class Fee(_Part):
    """Thousandths of the refund that are kept. Never for what is our fault."""

    permille: int = Field(ge=0, le=1000)
    category: str = ""
    method: Literal["", "store", "mail"] = ""
    condition: str = ""


Moment = Literal["request", "scan", "receipt", "inspection"]


class RefundAt(_Part):
    """When a refund is paid. Empty words and nulls fit all; `below_minor` is a value that the return stays under."""

    at: Moment
    method: Literal["", "store", "mail"] = ""
    reason: str = ""
    below_minor: int | None = Field(None, ge=0)
    band: Band | None = None


class PromotionTerms(_Part):
    """What must be kept of a promotion's lines for its discount to stay earned."""

    least_units: int = Field(0, ge=0)
    least_minor: int = Field(0, ge=0)

    @property
    def terms(self) -> Terms:
        return Terms(self.least_units, self.least_minor)


class ReturnPolicy(_Part):
    """Money is in minor units of the entity's currency; days are days of the place where the goods come back."""

    windows: tuple[Window, ...] = (Window(days=30),)
    faulty_days: int = Field(730, ge=0)  # for what is our fault, whatever the window says
    seasons: tuple[Season, ...] = ()
    final_sale_categories: tuple[str, ...] = ()
    final_sale_skus: tuple[str, ...] = ()
    fees: tuple[Fee, ...] = ()
    # Without a receipt: how it is refunded, up to which value without anybody's word; 0 asks always.
    no_receipt: Literal["refuse", "store_credit", "gift_card"] = "store_credit"
    no_receipt_minor: int = Field(5_000, ge=0)
    gift_credit: Literal["store_credit", "gift_card"] = "gift_card"
    refund_at: tuple[RefundAt, ...] = (
        RefundAt(at="inspection", band="high"),
        RefundAt(at="receipt", method="store"),
        RefundAt(at="inspection", method="mail"),
    )
    exchange_at: Moment = "receipt"  # when a replacement is let go on; at the request it waits for nothing
    exchange_sent_at: Moment | None = None  # the same of one that is sent to its customer; None is as any
    # A refund that is asked about for its amount alone: at once by whoever approves refunds, or after a case.
    large_refund: Literal["approval", "case"] = "approval"
    # A replacement that costs more: how long its customer may think, when they are reminded (not at all from the end of
    # that time on), and how often they are asked where their provider says no.
    exchange_answer_s: int = Field(2 * DAY_S, gt=0)
    exchange_reminder_s: int = Field(DAY_S, gt=0)
    exchange_asks: int = Field(2, ge=1)
    keep_below_minor: int = Field(0, ge=0)  # what is our fault and worth less is refunded without coming back
    goods_s: int = Field(14 * DAY_S, gt=0)
    goods_reminder_s: int = Field(7 * DAY_S, gt=0)
    inspection_s: int = Field(DAY_S, gt=0)
    by_condition: dict[str, str] = {
        "new": "restock",
        "opened": "restock_open_box",
        "used": "liquidate",
        "damaged": "destroy",
    }
    market_permille: int = Field(400, ge=0, le=1000)  # of cost: what an opened or used unit still brings
    override_minor: int = Field(
        2_000, ge=0
    )  # from this cost on, another disposition than the proposed one is asked about
    vendor_credit_s: int = Field(30 * DAY_S, gt=0)  # that a vendor has to credit what went back to it
    vendor_credit_again_s: int = Field(14 * DAY_S, gt=0)  # once somebody has asked it
    # The codes by which somebody says why a line shall be taken back although it was refused.
    override_reasons: tuple[str, ...] = ("goodwill", "our_mistake", "told_otherwise", "could_not_come")
    promotions: dict[str, PromotionTerms] = {}
    fraud: FraudPolicy = FraudPolicy()


class Claimed(NamedTuple):
    """A line as it is to come back. `bought_at` is None where nothing proves a purchase; `value_minor` is what would be
    refunded.
    """

    sku: str
    category: str
    reason: str
    method: str
    value_minor: int
    bought_at: datetime | None
    tender: str = ""
    condition: str = ""


class Ruling(NamedTuple):
    """What the policy says of a line. `refused` is empty, or a code: `final_sale`, `window_expired` or `no_receipt` by
    policy, `unmatched` for goods of no sale, `suspected_fraud` where a person has declined it. `asks` tells that a
    person must decide; `until` is the last day of its window. Fee and method hold for what is refused as well, should
    somebody override it.
    """

    because: str
    refused: str = ""
    asks: bool = False
    until: date | None = None
    fee_permille: int = 0
    method: str = "original_tender"
    keeps: bool = False


def rule_on(policy: ReturnPolicy, line: Claimed, at: datetime) -> Ruling:
    """Decide about one line at the instant at which it is asked for, in the zone of `at`."""
    faulty = line.reason in OUR_FAULT
    if line.bought_at is None:
        return without_receipt(policy, line.value_minor)
    until, because = _until(policy, line, at)
    fee = 0 if faulty else _fee(policy, line)
    method = policy.gift_credit if line.reason == "gift" else "original_tender"
    if not faulty and (line.sku in policy.final_sale_skus or line.category in policy.final_sale_categories):
        return Ruling(
            "It was sold as final sale: it does not come back unless it is faulty.",
            "final_sale",
            until=until,
            fee_permille=fee,
            method=method,
        )
    if at.date() > until:
        said = f"{because}; that was {until:%d %b %Y}."
        return Ruling(said, "window_expired", until=until, fee_permille=fee, method=method)
    keeps = faulty and line.value_minor < policy.keep_below_minor
    said = f"{because}, {until:%d %b %Y}."
    if fee:
        said += f" {fee / 10:g} % are kept as a fee."
    if keeps:
        said += " It need not come back."
    return Ruling(said, until=until, fee_permille=fee, method=method, keeps=keeps)


def without_receipt(policy: ReturnPolicy, value_minor: int) -> Ruling:
    """What becomes of goods that nothing proves to be bought here."""
    if policy.no_receipt == "refuse":
        return Ruling("Nothing proves that it was bought here.", "no_receipt", method="store_credit")
    words = policy.no_receipt.replace("_", " ")
    if value_minor >= policy.no_receipt_minor:
        return Ruling(
            f"Nothing proves that it was bought here, and it is worth more than is taken back as {words} unasked.",
            asks=True,
            method=policy.no_receipt,
        )
    return Ruling(f"Without a receipt it is taken back as {words}, at the lowest price.", method=policy.no_receipt)


def _until(policy: ReturnPolicy, line: Claimed, at: datetime) -> tuple[date, str]:
    assert line.bought_at is not None
    bought = line.bought_at.astimezone(at.tzinfo).date()
    days = next(
        (
            window.days
            for window in policy.windows
            if window.category in ("", line.category) and window.tender in ("", line.tender)
        ),
        0,
    )
    because = f"It may come back within {days} d"
    if line.reason in OUR_FAULT and policy.faulty_days > days:
        days, because = policy.faulty_days, f"What is faulty may come back within {policy.faulty_days} d"
    until = bought + timedelta(days=days)
    for season in policy.seasons:
        if season.bought_from <= bought <= season.bought_until and season.until > until:
            return season.until, "What was bought in the season may come back until a later day"
    return until, because


def _fee(policy: ReturnPolicy, line: Claimed) -> int:
    fits = (
        fee.permille
        for fee in policy.fees
        if fee.category in ("", line.category)
        and fee.method in ("", line.method)
        and fee.condition in ("", line.condition)
    )
    return next(fits, 0)


def refund_moment(policy: ReturnPolicy, *, method: str, reason: str, value_minor: int, band: Band) -> Moment:
    """When a refund is paid: the first row that fits; after the inspection where none does."""
    for row in policy.refund_at:
        if (
            row.method in ("", method)
            and row.reason in ("", reason)
            and (row.below_minor is None or value_minor < row.below_minor)
            and (row.band is None or row.band == band)
        ):
            return row.at
    return "inspection"
