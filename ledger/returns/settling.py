"""What follows from whatever happened to a return: somebody is asked, or the refund that is due is paid. One question
at a time: first about goods, then about money.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select

from domain import fraud
from domain.case import CaseOption, Consequence, MoneyEffect, StockEffect
from domain.fraud import Evidence
from domain.returns import EFFECTS, NOT_REFUNDED
from domain.words import money, units
from ledger import case
from ledger.case.offers import refused_stay_refused
from ledger.returns import agreeing, exchange, refunding
from ledger.returns.document import Return
from ledger.returns.refunding import Refund
from ledger.tables import return_disposition


async def settle(it: Return, cause: str, at: datetime) -> str:
    """Returns a sentence about the refund, "" where none is due. Goods and sale lines are locked."""
    detail = it.row["detail"]
    if it.row["asks"].get("case_id") or agreeing.has_answered(it):
        return ""
    detail.pop("under_review", None)
    open_ones = await asked_about(it)
    if open_ones:
        await agreeing.withdraw(it, at)
        ref = await _ask_about_dispositions(it, open_ones, at)
        it.row["asks"] = {"case_id": ref.id}
        return ""
    refund = await exchange.share(it, refunding.refund_due(it), at)
    if not refund.lines:
        await agreeing.withdraw(it, at)
        return ""
    granted = detail.get("granted_minor", 0)
    if must_be_looked_at(it, refund) and refund.total_minor > granted:
        return await _have_looked_at(it, refund, at)
    await agreeing.withdraw(it, at)
    if detail.get("credit_only"):
        refund.method = detail["credit_only"]
    detail.pop("granted_minor", None)
    paid = await refunding.pay(it, refund, cause, at, why="returned")
    if refund.exchange_minor:
        exchange.applied(it)
    if refund.total_minor > refund.exchange_minor:
        await it.mail_customer(
            "return_refunded",
            cause,
            at,
            amount_minor=refund.total_minor - refund.exchange_minor,
            fee_minor=sum(one.fee_minor for one in refund.lines.values()),
            clawed_minor=refund.clawed_minor,
            credit=refund.method != "original_tender",
        )
    return paid


async def _have_looked_at(it: Return, refund: Refund, at: datetime) -> str:
    """Somebody agrees to the refund, or looks at the return, before it is paid."""
    it.row["detail"]["under_review"] = True
    if agreeing.may_be_direct(it, refund):
        return await agreeing.ask(it, refund, at)
    await agreeing.withdraw(it, at)
    ref = await _ask_about_refund(it, refund, at)
    it.row["asks"] = {"case_id": ref.id}
    return f"{money(refund.total_minor, it.row['currency'])} wait until somebody has looked at the return."


async def heed(it: Return, cause: str, at: datetime) -> str:
    """Act on the verdict about a refund that was asked for without a case: it is paid, or becomes a case."""
    answer = await agreeing.take_answer(it)
    if answer.verdict == "approved":
        it.row["detail"]["granted_minor"] = answer.looked_at_minor
        return await settle(it, cause, at)
    it.row["detail"].pop("under_review", None)
    refund = await exchange.share(it, refunding.refund_due(it), at)
    if refund.total_minor != answer.looked_at_minor:
        return f"{answer.because} {await settle(it, cause, at)}".strip()
    options = review_options(it, refund)
    if answer.verdict == "rejected":
        refused = options[0].model_copy(update={"allowed": False, "why_not": answer.because})
        options = refused_stay_refused([refused], options)
    ref = await _ask_about_refund(it, refund, at, because=answer.because, options=options)
    it.row["asks"] = {"case_id": ref.id}
    it.row["detail"]["under_review"] = True
    return f"{answer.because} Somebody decides what becomes of it."


def declined_for_good(line: Mapping[str, Any]) -> int:
    """Units of a line that were declined, less those for which a refund was conceded after all."""
    return int(line["declined"]) - int(line["ruling"].get("conceded", 0))


def score(it: Return) -> None:
    """Work the fraud score out again, from what is known by now."""
    detail, policy = it.row["detail"], it.policy.returns.fraud
    history = detail.get("history") or {}
    strangers = sum(max(line["received"] - line["booked"], 0) for line in it.lines.values() if line["document"])
    evidence = Evidence(
        has_receipt=all(line["document"] for line in it.lines.values() if line["claimed"]),
        value_minor=detail.get("value_minor", 0),
        unknown_units=strangers,
        bought=history.get("bought"),
        returned=history.get("returned"),
        days_left=detail.get("days_left"),
        serials_claimed=tuple(str(line["serial"]) for line in it.lines.values() if line["serial"]),
    )
    terms = fraud.terms_of(evidence, policy)
    detail["fraud"] = {
        "score": sum(term.points for term in terms),
        "band": fraud.band_of(terms, policy),
        "terms": [term.model_dump() for term in terms],
    }


def must_be_looked_at(it: Return, refund: Refund) -> bool:
    """Whether the score or the amount asks for somebody's look, with what this return was paid before."""
    return agreeing.is_large(it, refund) or bool(it.row["detail"]["fraud"]["band"] != "low")


async def asked_about(it: Return) -> list[RowMapping]:
    """Dispositions that wait for somebody's word."""
    rows = await it.tx.conn.execute(
        select(return_disposition)
        .where(return_disposition.c.journey_id == it.id, return_disposition.c.state == "asked")
        .order_by(return_disposition.c.id)
    )
    return list(rows.mappings().all())


def _stock(it: Return, rows: list[RowMapping], column: str) -> tuple[StockEffect, ...]:
    return tuple(
        StockEffect(
            location=it.location,
            sku=it.lines[row["line_id"]]["sku"],
            quantity=row["quantity"],
            effect=EFFECTS[row[column]].words,
        )
        for row in rows
    )


async def _ask_about_dispositions(it: Return, rows: list[RowMapping], at: datetime) -> case.CaseRef:
    counted = sum(row["quantity"] for row in rows)
    lost = any(row["disposition"] in NOT_REFUNDED for row in rows)
    return await it.open_case(
        "disposition_override",
        at,
        sku=it.lines[rows[0]["line_id"]]["sku"] if len(rows) == 1 else "",
        facts={
            "inspected": [
                {"sku": it.lines[row["line_id"]]["sku"]}
                | {name: row[name] for name in ("quantity", "condition", "proposed", "disposition", "reason")}
                for row in rows
            ],
        },
        options=(
            CaseOption(
                id="as_proposed",
                label="As the rule proposes",
                rank=1,
                because="the rule knows what such a unit brings",
                consequence=Consequence(stock=_stock(it, rows, "proposed"), customer="Hears nothing of it."),
            ),
            CaseOption(
                id="as_inspected",
                label="As it was inspected",
                rank=2,
                because="whoever held it in their hands saw something that the rule cannot see",
                consequence=Consequence(
                    stock=_stock(it, rows, "disposition"),
                    customer="Gets no refund for these units." if lost else "Hears nothing of it.",
                ),
            ),
        ),
        text=f"{units(counted)} inspected otherwise than the rule proposes.",
    )


def review_options(it: Return, refund: Refund) -> list[CaseOption]:
    """What may be done with a refund that waits, with what it does to money and customer."""
    amount = refund.total_minor
    needs = agreeing.is_large(it, refund) or it.row["detail"]["fraud"]["band"] == "high"
    effect = (MoneyEffect(label="Refund", amount_minor=amount, currency=it.row["currency"]),)
    on_shelf = any(line["accepted"] for line in it.lines.values())
    paid = CaseOption(
        id="pay",
        label=f"Pay {money(amount, it.row['currency'])}",
        rank=1,
        because="the goods are here, and no term of the score proves anything",
        needs_approval=needs,
        consequence=Consequence(money=effect, customer="Gets the money where it came from."),
    )
    credit = CaseOption(
        id="pay_credit",
        label="Pay as store credit",
        rank=2,
        needs_approval=needs,
        confirms=("agreed_with_customer",),
        consequence=Consequence(money=effect, customer="Gets a store credit instead of the money."),
    )
    decline = CaseOption(
        id="decline",
        label="Decline; the goods go back",
        rank=3,
        allowed=not on_shelf,
        why_not="Some of the goods are not theirs any more: they have their disposition." if on_shelf else None,
        consequence=Consequence(customer="Gets no money, and the goods back."),
    )
    return [paid, credit, decline]


async def _ask_about_refund(
    it: Return, refund: Refund, at: datetime, *, because: str = "", options: Sequence[CaseOption] = ()
) -> case.CaseRef:
    told = it.row["detail"]["fraud"]
    why = [f"{term['why']} ({term['points']})" for term in told["terms"]]
    if agreeing.is_large(it, refund):
        why.append("the refund reaches the limit")
    said = f"A refund of {money(refund.total_minor, it.row['currency'])} waits: {'; '.join(why)}."
    return await it.open_case(
        "return_review",
        at,
        facts={
            "order": it.order,
            "score": told["score"],
            "band": told["band"],
            "terms": told["terms"],
            "refund_minor": refund.total_minor,
            "fee_minor": sum(one.fee_minor for one in refund.lines.values()),
            "clawed_minor": refund.clawed_minor,
        },
        options=options or review_options(it, refund),
        value_at_risk_minor=max(refund.total_minor, 0),
        text=f"{because} {said}".strip(),
    )


async def tell_mismatch(it: Return, differences: Sequence[str], at: datetime) -> None:
    """What came is not what was announced, in sentences: somebody looks, and nothing waits for them."""
    await it.open_case(
        "return_mismatch",
        at,
        facts={"order": it.order, "label": it.row["detail"].get("label"), "differences": list(differences)},
        options=(
            CaseOption(
                id="acknowledge",
                label="Go on with what came",
                rank=1,
                because="what came is booked and goes its way by itself",
                consequence=Consequence(customer="Is refunded for what came, as policy says."),
            ),
            CaseOption(
                id="customer_asked",
                label="The customer was asked",
                rank=2,
                consequence=Consequence(customer="Has heard of the difference; late goods are taken in as they come."),
            ),
        ),
        text=" ".join(differences),
    )
