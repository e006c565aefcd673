"""What people are asked about a claim, and what they may answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.claim import DISPUTE_GROUNDS, ClaimState
from domain.words import money
from ledger.claim.document import Claim
from ledger.transaction import Transaction

DAY_S = 86_400
SHOWN = 50  # lines in the facts of a case; the claim's page has them all


async def short_paid(it: Claim, at: datetime) -> int:
    """The vendor does not accept all of it; returns the case."""
    short = it.short()
    missing = sum(one.amount_minor for one in short)
    none = it.head["accepted_minor"] <= 0
    currency = it.row["currency"]
    ref = await it.open_case(
        "claim_rejected" if none else "claim_short_paid",
        at,
        text=(
            f"{it.vendor} rejects {money(it.head['amount_minor'], currency)}."
            if none
            else f"{it.vendor} leaves {money(missing, currency)} of {money(it.head['amount_minor'], currency)} out."
        ),
        facts={
            "claimed_minor": it.head["amount_minor"],
            "accepted_minor": it.head["accepted_minor"],
            "short_minor": missing,
            "document": it.agreement["document"],
            "disputes": it.head["disputes"],
            "lines": [
                {
                    "line_id": one.line_id,
                    "promotion_id": it.lines[one.line_id]["promotion_id"],
                    "sku": it.lines[one.line_id]["sku"],
                    "units": it.lines[one.line_id]["units"],
                    "claimed_minor": one.claimed_minor,
                    "short_minor": one.amount_minor,
                    "reason": one.reason,
                }
                for one in short[:SHOWN]
            ],
            "more_lines": max(len(short) - SHOWN, 0),
        },
        options=_short(it),
        value_at_risk_minor=abs(missing),
    )
    it.row["asks"] = {"case_id": ref.id, "about": "short"}
    return ref.id


async def overdue(it: Claim, waits_for: str, at: datetime) -> int:
    """Nobody has handed it over, answered it or paid it in time; `waits_for` is sent, answer or payment."""
    now, currency = it.figures(), it.row["currency"]
    left = now.open_minor if waits_for != "payment" else now.unpaid_minor
    says = {
        "sent": f"Nobody has said that the claim of {money(left, currency)} was handed to {it.vendor}.",
        "answer": f"{it.vendor} has not answered the claim of {money(left, currency)}.",
        "payment": f"{it.vendor} has accepted {money(left, currency)} and not paid them.",
    }[waits_for]
    ref = await it.open_case(
        "claim_overdue",
        at,
        text=says,
        facts={
            "waits_for": waits_for,
            "open_minor": left,
            "claimed_minor": it.head["amount_minor"],
            "sent_at": _told(it.head["sent_at"]),
            "answered_at": _told(it.head["answered_at"]),
            "claims_email": it.agreement["claims_email"],
        },
        options=_late(it, waits_for),
        value_at_risk_minor=left,
    )
    it.row["asks"] = {"case_id": ref.id, "about": "overdue", "waits_for": waits_for}
    return ref.id


def _told(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _minus(it: Claim, label: str, amount: int) -> Consequence:
    return Consequence(money=(MoneyEffect(label=label, amount_minor=-amount, currency=it.row["currency"]),))


def _short(it: Claim) -> list[CaseOption]:
    missing = sum(one.amount_minor for one in it.short())
    above = abs(missing) >= it.policy.bands.write_off_minor
    again = it.head["disputes"] < it.policy.claim.disputes
    options = [
        CaseOption(
            id="dispute",
            label="Dispute it with proof",
            because="the sales of every line are on record, receipt by receipt",
            consequence=Consequence(customer=f"{it.vendor} gets the lines with their receipts."),
            allowed=again,
            why_not=None if again else f"{it.vendor} has refused it {it.head['disputes']} times; choose another way.",
            choices={"ground": DISPUTE_GROUNDS},
            reversible=True,
        ),
        CaseOption(
            id="reclaim",
            label="Claim it again with the next claim",
            consequence=Consequence(customer=f"{it.vendor} finds it in its next claim."),
        ),
        CaseOption(
            id="accept",
            label="The vendor is right: release what was accrued",
            consequence=_minus(it, "Cost of goods sold", missing),
            needs_approval=above,
        ),
        CaseOption(
            id="write_off",
            label="Write it off",
            consequence=_minus(it, "Vendor funding written off", missing),
            needs_approval=above,
        ),
    ]
    return _ranked(options)


def _late(it: Claim, waits_for: str) -> list[CaseOption]:
    days = it.policy.claim.chase_s / DAY_S
    if waits_for == "sent":
        return _ranked(
            [
                CaseOption(id="chase", label=f"It is being handed over: look again in {days:g} days", reversible=True),
                CaseOption(
                    id="withdraw",
                    label="Withdraw the claim",
                    consequence=Consequence(customer="What it claims belongs to the next claim."),
                ),
            ]
        )
    now = it.figures()
    left = now.unpaid_minor if waits_for == "payment" else now.open_minor
    above = left >= it.policy.bands.write_off_minor
    return _ranked(
        [
            CaseOption(
                id="chase",
                label=f"Remind {it.vendor}, look again in {days:g} days",
                because="most late answers come when somebody asks",
                consequence=Consequence(customer=f"{it.vendor} is written to again, where it has an address."),
                reversible=True,
            ),
            CaseOption(
                id="deduct",
                label="Take it off what the vendor is owed",
                consequence=Consequence(
                    money=(MoneyEffect(label="Accounts payable", amount_minor=left, currency=it.row["currency"]),),
                    customer=f"{it.vendor} is paid {money(left, it.row['currency'])} less.",
                ),
                needs_approval=True,
            ),
            CaseOption(
                id="write_off",
                label="Write it off",
                consequence=_minus(it, "Vendor funding written off", left),
                needs_approval=above,
            ),
        ]
    )


def _ranked(options: list[CaseOption]) -> list[CaseOption]:
    return [option.model_copy(update={"rank": rank}) for rank, option in enumerate(options, start=1)]


def options_now(it: Claim) -> list[CaseOption]:
    """The options of the case that asks about the claim, as they are now; none where nothing is left to ask."""
    asks = it.row["asks"]
    if asks.get("about") == "short":
        return _short(it) if it.short() else []
    if asks.get("about") != "overdue":
        return []
    waits_for = asks["waits_for"]
    if waits_for == "sent":
        return _late(it, waits_for) if it.state is ClaimState.APPROVED else []
    return _late(it, waits_for) if it.figures().open_minor else []


async def read_options(conn: AsyncConnection, row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options of a claim's case as they are now, for reading alone."""
    looking = Transaction(conn, actor="reader", via="read")
    it = await Claim.load(looking, await looking.look_at_journey(row["journey_id"]))
    return options_now(it) if it.row["asks"].get("case_id") == row["id"] else []
