"""The money of a return: what is due by now, what of it somebody must look at first, and where it goes. The return, its
order and its sale lines are locked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select, text, update

from domain import exchanges, return_postings
from domain.ids import payment_id
from domain.postings import Line
from domain.refunds import Kept, LineRefund, Payout, Share, Tender, clawed, fee_of, pay_out, share_of, total_of
from domain.return_rules import Moment, refund_moment
from domain.words import money
from ledger.bopis import by_the_source
from ledger.returns.document import Return, SaleKey, bought
from ledger.tables import payment, payment_operation
from ledger.transaction import Rank

CREDIT = "credit"  # the reference of a payment that was never made: a credit is issued


@dataclass
class Refund:
    """What is due now: by line, what is clawed back of promotions, and how it is to be paid."""

    lines: dict[str, LineRefund] = field(default_factory=dict)
    clawed_minor: int = 0
    targets: dict[SaleKey, int] = field(default_factory=dict)
    method: str = "original_tender"
    exchange_minor: int = 0  # of it, what pays for a replacement

    @property
    def total_minor(self) -> int:
        return total_of(self.lines.values(), self.clawed_minor)


def due_units(it: Return, line: Mapping[str, Any]) -> int:
    """Units of a line whose refund is due and was not paid: by what policy says of the moment, and by what happened."""
    ruling, detail = line["ruling"], it.row["detail"]
    conceded = int(ruling.get("conceded", 0))  # of those declined, refunded all the same
    if ruling.get("refused") or ruling.get("asks"):
        return max(conceded - int(line["refunded"]), 0)
    if ruling.get("keeps"):
        return int(max(line["claimed"] - line["refunded"], 0))
    moment = _moment(it, line)
    has_sale = line["document"] is not None
    here = min(line["booked"] if has_sale else line["received"], line["claimed"])
    if moment == "request" or (moment == "scan" and ("scanned_at" in detail or line["received"])):
        units = line["claimed"] - line["declined"]
    elif moment == "receipt":
        # What was sent back is not booked any more; what was missing after all still is.
        units = min(here, line["received"] - line["declined"])
    else:
        # Units that were looked at; those without a sale among them are not refunded.
        units = min(line["accepted"], here)
    return int(max(units + conceded - line["refunded"], 0))


def _moment(it: Return, line: Mapping[str, Any]) -> Moment:
    """When the refund of a line is due; what is exchanged is due when its replacement may go on."""
    if line["line_id"] in it.kept_for_exchange:
        rules = it.policy.returns
        is_sent = it.exchange is not None and it.exchange.get("is_sent")
        return rules.exchange_sent_at or rules.exchange_at if is_sent else rules.exchange_at
    detail = it.row["detail"]
    return refund_moment(
        it.policy.returns,
        method=detail["method"],
        reason=line["reason"],
        value_minor=detail.get("value_minor", 0),
        band=detail["fraud"]["band"],
    )


def refund_due(it: Return, *, all_units: Mapping[str, int] | None = None) -> Refund:
    """Work out what goes back now. `all_units` says the units by line where somebody else has decided that."""
    refund = Refund()
    for line_id, line in it.lines.items():
        units = due_units(it, line) if all_units is None else all_units.get(line_id, 0)
        found = _of_line(it, line, units)
        if found is not None:
            refund.lines[line_id] = found
            refund.method = line["ruling"].get("method") or refund.method
    if refund.lines:
        _claw(it, refund)
    return refund


def _of_line(it: Return, line: Mapping[str, Any], units: int) -> LineRefund | None:
    sale = it.sale_of(line)
    if sale is None:
        share = Share(units * (line["unit_price_minor"] or 0), 0)
    else:
        # Units of one sale that several returns claim are refunded once, to whoever is first.
        units = min(units, sale["handed_over"] - sale["return_refunded"])
        share = share_of(bought(sale), units) if units > 0 else Share(0, 0)
    if units <= 0:
        return None
    return LineRefund(units, share, fee_of(share.paid_minor, line["ruling"].get("fee_permille", 0)))


def _claw(it: Return, refund: Refund) -> None:
    """What the customer keeps of a promotion may not earn it any more."""
    units: dict[SaleKey, int] = {}
    for line_id, one in refund.lines.items():
        line = it.lines[line_id]
        if it.sale_of(line) is not None:
            key = line["document"], line["sale_line_id"]
            units[key] = units.get(key, 0) + one.units
    by_promotion: dict[str, dict[str, Kept]] = {}
    keys: dict[str, SaleKey] = {}
    for key, sale in it.sales.items():
        if sale["promotion_id"] not in it.policy.returns.promotions:
            continue
        kept = sale["handed_over"] - sale["return_refunded"] - units.get(key, 0)
        name = "|".join(key)
        keys[name] = key
        by_promotion.setdefault(sale["promotion_id"], {})[name] = Kept(
            kept,
            sale["gross_minor"] * kept // sale["quantity"],
            sale["discount_minor"] * kept // sale["quantity"],
            sale["clawed_minor"],
        )
    at_most = total_of(refund.lines.values())
    for promotion, lines in sorted(by_promotion.items()):
        found = clawed(lines, it.policy.returns.promotions[promotion].terms, at_most - refund.clawed_minor)
        refund.clawed_minor += found.change_minor
        refund.targets |= {keys[name]: target for name, target in found.targets.items()}


async def pay(it: Return, refund: Refund, cause: str, at: datetime, *, why: str) -> str:
    """Owe the refund and have it paid: to the tenders that were used, else as a credit. Returns what goes where, as a
    sentence. The operations are written as requested; the journey carries them out.
    """
    _accept(it, refund, cause, at)
    exchanged = []
    if refund.exchange_minor:
        assert it.exchange is not None
        exchanged = [Payout(exchanges.debit_for(it.exchange["order"]), exchanges.TENDER, refund.exchange_minor)]
    money_back = refund.total_minor - refund.exchange_minor
    return await pay_money(it, money_back, cause, at, method=refund.method, why=why, first=exchanged)


async def pay_money(
    it: Return, amount_minor: int, cause: str, at: datetime, *, method: str, why: str, first: Sequence[Payout] = ()
) -> str:
    """Have money that is owed paid, after what goes elsewhere `first`; returns what goes where, as a sentence."""
    tenders = await _tenders(it)
    by_mail = it.row["detail"]["method"] == "mail"
    payouts = [*first, *pay_out(amount_minor, list(tenders.values()), method=method, by_mail=by_mail)]
    for number, payout in enumerate(payouts, start=1):
        await _request(it, tenders, payout, f"{cause}:{number}", at, why)
    said = [f"{money(one.amount_minor, it.row['currency'])} to {one.tender.replace('_', ' ')}" for one in payouts]
    return f"Refund: {', '.join(said)}." if said else "Nothing is left to refund."


def _accept(it: Return, refund: Refund, cause: str, at: datetime, *, event: str = "returns.accepted") -> None:
    """Write down what was refunded, so that no unit is refunded twice, and post that it is owed."""
    posted: list[Line] = []
    clawed_minor = refund.clawed_minor
    for line_id, one in refund.lines.items():
        line = it.lines[line_id]
        line["refunded"] += one.units
        line["refunded_minor"] += one.share.paid_minor
        line["tax_minor"] += one.share.tax_minor
        line["fee_minor"] += one.fee_minor
        sale = it.sale_of(line)
        if sale is not None:
            sale["return_refunded"] += one.units
            sale["return_refunded_minor"] += one.share.paid_minor
            sale["return_refunded_tax_minor"] += one.share.tax_minor
            sale["refunded_minor"] += one.share.paid_minor
        posted += return_postings.accepted(
            one.share.paid_minor,
            one.share.tax_minor,
            fee_minor=one.fee_minor,
            location=it.location,
            sku=line["sku"],
        )
    for key, target in refund.targets.items():
        it.sales[key]["clawed_minor"] = target
    posted += return_postings.accepted(0, 0, clawed_minor=clawed_minor, location=it.location, sku=None)
    it.tx.post(it.entry(event, cause, posted, at))


async def _tenders(it: Return) -> dict[str | None, Tender]:
    """What the sale was paid by, with what of each may still go back, in the order of the payments."""
    if it.order is None:
        receipt = it.row["detail"].get("receipt") or {}
        if not receipt.get("tender") or not receipt.get("known"):
            return {}
        # A till's payments are not recorded here: what was paid for the units is all that can go back on its tender.
        name = f"receipt:{receipt['number']}"
        return {name: Tender(name, receipt["tender"], sum(bought(sale).paid_minor for sale in it.sales.values()))}
    it.tx.enter(Rank.MONEY)
    rows = await it.tx.conn.execute(
        select(payment).where(payment.c.journey_id == it.order).order_by(payment.c.id).with_for_update()
    )
    return {
        row["id"]: Tender(
            row["id"], row["tender"], row["captured_minor"] - row["refund_requested_minor"] - row["returned_minor"]
        )
        for row in rows.mappings()
    }


_PAYMENT = text(
    "INSERT INTO payment (id, journey_id, reference, tender, currency, amount_minor, authorized_minor, captured_minor,"
    " voided_minor, refund_requested_minor, refunded_minor)"
    " VALUES (:id, :journey_id, :reference, :tender, :currency, :minor, 0, :minor, 0, :minor, 0)"
    " ON CONFLICT (id) DO UPDATE SET amount_minor = payment.amount_minor + excluded.amount_minor,"
    " captured_minor = payment.captured_minor + excluded.captured_minor,"
    " refund_requested_minor = payment.refund_requested_minor + excluded.refund_requested_minor"
)


async def _request(
    it: Return, tenders: Mapping[str | None, Tender], payout: Payout, cause: str, at: datetime, why: str
) -> str:
    """One operation for one tender; returns its id, which is the provider's key. The payment that it goes back to
    knows how much of it is spoken for, so nothing goes back twice whoever asks.
    """
    reference = f"{CREDIT}:{payout.tender}"
    if payout.payment_id is not None:
        reference = payout.payment_id.removeprefix(f"{it.order}/")
        if it.order is not None and payout.payment_id in tenders:
            await it.tx.conn.execute(
                update(payment)
                .where(payment.c.id == payout.payment_id)
                .values(returned_minor=payment.c.returned_minor + payout.amount_minor)
            )
    own = payment_id(it.id, reference)
    await it.tx.conn.execute(
        _PAYMENT,
        {
            "id": own,
            "journey_id": it.id,
            "reference": reference,
            "tender": payout.tender,
            "currency": it.row["currency"],
            "minor": payout.amount_minor,
        },
    )
    by_source = it.policy.authority.refund == "source" and it.order is not None
    by_source = by_source and payout.tender != exchanges.TENDER
    operation_id = f"refund:{own}:{cause}"
    await it.tx.conn.execute(
        payment_operation.insert().values(
            id=operation_id,
            payment_id=own,
            journey_id=it.id,
            kind="refund",
            amount_minor=payout.amount_minor,
            currency=it.row["currency"],
            reason=why,
            state=by_the_source.WITH_SOURCE if by_source else "requested",
            at=at,
        )
    )
    if by_source:
        await by_the_source.ask(it, operation_id, at)
    return operation_id


async def paid_by_till(
    it: Return, units: Mapping[str, int], refunds: Sequence[Mapping[str, Any]], cause: str, at: datetime
) -> int:
    """What a till has paid out already: owed and paid in one, up to what the units were worth; what it kept of that is
    a fee. Returns what it paid beyond that, in minor units.
    """
    # A unit that was paid back before it came is paid once more: that is beyond what was paid for the goods.
    most = {line_id: max(line["claimed"], line["received"]) - line["refunded"] for line_id, line in it.lines.items()}
    due = refund_due(it, all_units={line_id: min(count, most[line_id]) for line_id, count in units.items()})
    left = sum(int(one["amount_minor"]) for one in refunds)
    for line_id, one in due.lines.items():
        part = min(one.share.paid_minor, left)
        left -= part
        if it.sale_of(it.lines[line_id]) is None:  # nobody knows what was paid for it but the till
            due.lines[line_id] = LineRefund(one.units, Share(part, 0), 0)
        else:  # what it has kept of the share was a fee: nobody pays that back with the units that come later
            due.lines[line_id] = LineRefund(one.units, one.share, one.share.paid_minor - part)
    due.clawed_minor, due.targets = 0, {}
    _accept(it, due, cause, at, event="pos.refund")
    beyond = return_postings.accepted(left, 0, location=it.location, sku=None)
    it.tx.post(it.entry("pos.refund_beyond", cause, beyond, at))
    for number, refund in enumerate(refunds, start=1):
        if not refund["amount_minor"]:
            continue
        name = f"till:{refund['tender']}"
        payout = Payout(name, str(refund["tender"]), int(refund["amount_minor"]))
        own = payment_id(it.id, name)
        await _request(it, {}, payout, f"{cause}:{number}", at, "paid by the till")
        await it.tx.conn.execute(
            update(payment_operation)
            .where(payment_operation.c.id == f"refund:{own}:{cause}:{number}")
            .values(state="succeeded", provider_reference=refund.get("reference"), finished_at=at)
        )
        await it.tx.conn.execute(
            update(payment)
            .where(payment.c.id == own)
            .values(refunded_minor=payment.c.refunded_minor + payout.amount_minor)
        )
        it.tx.post(
            it.entry(
                "pos.refund_paid",
                f"{cause}:{number}",
                return_postings.paid(payout.amount_minor, payout.tender),
                at,
            )
        )
    return left
