"""What a replacement costs more than what comes back is worth: its customer is asked by link whether they pay it, and
nothing is charged without their word. A no, silence, or a replacement that is there no more make the return money.

Whatever happens is decided under the return's lock, which covers the replacement's: the first of an answer, the end of
the time, a change of the replacement and a call-off wins, and the others are told so by name.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, func, insert, select

from domain import exchanges
from domain.case import CaseOption, Consequence, MoneyEffect
from domain.errors import Malformed, NotFound, StateConflict
from domain.exchanges import Means, NewExchange
from domain.ids import payment_id
from domain.messages import Message
from domain.words import local, money
from ledger import steps
from ledger.bopis.asking import Outcome, check_open
from ledger.engine import Database
from ledger.returns import exchange, questions, settling
from ledger.returns.document import Return
from ledger.tables import customer, hold, journey_line, offer, payment, payment_operation
from ledger.transaction import Transaction

DUE = "answer"
REMINDER = "answer_reminder"
BY_SOURCE = "of this order, the system that it came from writes and pays"
NO_CUSTOMER = "the return has no customer whom we could ask by mail"
NOTHING_TO_CHARGE = "nothing is known that their customer could be charged by"


# ---------------------------------------------------------------------- whether it can be asked
async def means_for(it: Return, wanted: NewExchange, open_minor: int) -> Means:
    """By what the customer would pay. Raises `StateConflict` where nobody can be asked, or nothing can be charged."""
    means, why_not = await asked_by(it, wanted.order.difference_from)
    if means is not None:
        return means
    costs = f"The replacement costs {money(open_minor, it.row['currency'])} more than what comes back is worth"
    named = "name the customer's payment of it in order.payments"
    if why_not == BY_SOURCE:
        raise StateConflict(f"{costs}, and {why_not}: ask the customer there, and {named}.")
    if why_not == NOTHING_TO_CHARGE:
        raise StateConflict(f"{costs}, and {why_not}; {named}, or a card in order.difference_from.")
    raise StateConflict(f"{costs}, and {why_not}; {named}.")


async def asked_by(it: Return, named: Means | None) -> tuple[Means | None, str]:
    """By what the customer would pay a difference: what is named, or what they paid by; else None, and why they cannot
    be asked.
    """
    authority = it.policy.authority
    if "source" in (authority.notice, authority.refund):
        return None, BY_SOURCE
    found = await it.tx.conn.execute(
        select(customer.c.id).where(
            customer.c.id == it.row["customer_id"], customer.c.erased_at.is_(None), func.length(customer.c.email) > 0
        )
    )
    if found.first() is None:
        return None, NO_CUSTOMER
    means = named or await _paid_by(it)
    return means, "" if means is not None else NOTHING_TO_CHARGE


async def _paid_by(it: Return) -> Means | None:
    """What the order that comes back was paid by, where the return is of the same customer: a gift is another's."""
    if it.order is None or (await it.tx.lock_journey(it.order))["customer_id"] != it.row["customer_id"]:
        return None
    rows = await it.tx.conn.execute(
        select(payment.c.reference, payment.c.tender)
        .where(
            payment.c.journey_id == it.order,
            payment.c.tender.in_(exchanges.CHARGEABLE),
            payment.c.captured_minor > 0,
        )
        .order_by(payment.c.id)
    )
    found = rows.first()
    return None if found is None else Means(reference=exchanges.means_of(found.reference), tender=found.tender)


# ---------------------------------------------------------------------- asking
async def ask(it: Return, at: datetime, *, declined: bool = False) -> str:
    """Ask the customer whether they pay the difference; `declined` says that their provider would not pay it before.

    Returns what was done, as a sentence.
    """
    swap = it.exchange
    assert swap is not None
    due = at + timedelta(seconds=it.policy.returns.exchange_answer_s)
    made = await it.tx.conn.execute(
        insert(offer)
        .values(
            journey_id=it.id,
            way=exchanges.WAY,
            option=_option(it, swap).model_dump(mode="json"),
            missing={},
            asked_by="endcap",
            at=at,
            due_at=due,
        )
        .returning(offer.c.id)
    )
    number = int(made.scalar_one())
    it.row["detail"]["exchange"] = swap | {"state": "asking", "offer_id": number, "asked": swap.get("asked", 0) + 1}
    it.due(DUE, due)
    if it.policy.returns.exchange_reminder_s < it.policy.returns.exchange_answer_s:
        it.due(REMINDER, at + timedelta(seconds=it.policy.returns.exchange_reminder_s))
    it.tx.record("offer.made", f"offer:{number}", at, after={"way": exchanges.WAY})
    await it.mail_customer("exchange_asked", str(number), at, offer_id=number, declined=declined, reminder=False)
    more = money(swap["difference_minor"], it.row["currency"])
    return f"The customer is asked by link until {local(due, it.place.hours.time_zone)} whether they pay {more} more."


def _option(it: Return, swap: Mapping[str, Any]) -> CaseOption:
    """What is asked, with its figures in minor units: they stay what the customer has read."""
    difference, currency = swap["difference_minor"], it.row["currency"]
    figures = ("price_minor", "price_tax_minor", "worth_minor", "worth_tax_minor", "paid_minor", "difference_minor")
    return CaseOption(
        id=exchanges.WAY,
        label=f"Order {swap['order_id']} instead, for {money(difference, currency)} more",
        parameters={"order": swap["order"], "tender": swap["tender"], **{name: swap[name] for name in figures}},
        consequence=Consequence(
            money=(MoneyEffect(label="Paid by the customer", amount_minor=difference, currency=currency),),
            customer="Pays the difference by what they paid with before, and gets the other order.",
        ),
    )


async def remind(it: Return, at: datetime) -> str:
    """Half of the time has passed. A question whose replacement is there no more is taken back instead."""
    await it.lock_goods()
    if told := await look(it, at):
        return told
    if it.exchange is None or it.exchange["state"] != "asking":
        return ""
    number = it.exchange["offer_id"]
    await it.mail_customer(
        "exchange_asked", f"{number}:reminder", at, offer_id=number, declined=False, reminder=True
    )  # fmt: skip
    return "The customer was reminded that we wait for their answer."


async def silence(it: Return, at: datetime) -> str:
    """Nobody answered in time: what comes back is money."""
    if it.exchange is None or it.exchange["state"] != "asking":
        return ""
    await it.lock_goods()
    because = "nobody answered in time"
    await questions.end(it, at, state="expired", because=because)
    await questions.tell_off(it, because, at)
    return await _without(it, because, at)


async def _without(it: Return, because: str, at: datetime) -> str:
    """No exchange; the goods are refunded as any."""
    await exchange.take_off(it, because, at)
    paid = await settling.settle(it, f"exchange:{it.id}:{it.row['version']}", at)
    return f"Not exchanged: {because}. {paid}".strip()


# ---------------------------------------------------------------------- looking
async def look(it: Return, at: datetime) -> str:
    """Take the question back where what it was asked about is not so any more; says so, or "" where it stands. Goods
    are locked.
    """
    swap = it.exchange
    if swap is None or swap["state"] != "asking":
        return ""
    if exchange.is_called_off(it.replacement):
        return await _without(it, "the replacement was called off", at)
    if await is_short(it):
        return await _without(it, "what was wanted instead is there no more", at)
    left = await _left_to_pay(it)
    if left == swap["difference_minor"]:
        return ""
    await questions.end(it, at, state="withdrawn", because="the replacement was changed")
    less = swap["difference_minor"] - left
    swap = swap | {"difference_minor": left, "price_minor": swap["price_minor"] - less, "price_tax_minor": None}
    it.row["detail"]["exchange"] = swap | {"asked": swap["asked"] - 1}
    if left > 0:
        return await ask(it, at)
    it.row["detail"]["exchange"] = swap | {"state": "waiting"}
    paid = await settling.settle(it, f"exchange:{it.id}:{it.row['version']}", at)
    return f"The replacement costs no more than what comes back any more. {paid}".strip()


async def is_short(it: Return) -> bool:
    """Whether units of the replacement are not there, or may have gone with somebody else."""
    order = it.replacement
    assert order is not None
    short = select(func.coalesce(func.sum(journey_line.c.short), 0)).where(journey_line.c.journey_id == order["id"])
    if (await it.tx.conn.execute(short)).scalar_one():
        return True
    doubted = select(hold.c.id).where(
        hold.c.journey_id == order["id"], hold.c.doubted_at.is_not(None), hold.c.reserved > 0
    )
    return (await it.tx.conn.execute(doubted)).first() is not None


async def _left_to_pay(it: Return) -> int:
    """What of the difference its replacement still wants, in minor units."""
    assert it.exchange is not None
    row = (await it.tx.conn.execute(select(payment).where(payment.c.id == payment_of(it.exchange)))).mappings().one()
    return int(row["amount_minor"] - row["captured_minor"] - row["voided_minor"])


def payment_of(swap: Mapping[str, Any]) -> str:
    """The payment of the difference, on the replacement."""
    return payment_id(swap["order"], exchanges.difference_by(swap["means"]))


# ---------------------------------------------------------------------- answers
async def answer(database: Database, offer_id: int, customer_id: str, *, answer: str, via: str) -> Outcome:
    """Record what the customer says, once, and take its effect.

    The question may turn out to be withdrawn at this very moment; then that is recorded, and nothing of the answer.
    Raises `Malformed`, `NotFound`, `OfferAnswered`, `OfferExpired`, `OfferWithdrawn`.
    """
    if answer not in exchanges.ANSWERS:
        raise Malformed("Choose one of the answers; nothing is chosen for you.", pointer="/answer")

    async def work(tx: Transaction) -> Outcome:
        found = await tx.conn.execute(
            select(offer.c.journey_id).where(offer.c.id == offer_id, offer.c.way == exchanges.WAY)
        )
        own = found.scalar_one_or_none()
        row = await tx.lock_journey(own) if own is not None else None
        if row is None or row["customer_id"] != customer_id:
            raise NotFound("This question is not known.")
        it = await Return.load(tx, row)
        asked = (await tx.conn.execute(select(offer).where(offer.c.id == offer_id))).mappings().one()
        at = await tx.now(it.row["clock_offset_s"])
        check_open(asked, at, it.place.hours.time_zone)
        await it.lock_goods()
        if withdrawn := await look(it, at):
            done = Outcome("withdrawn", f"Withdrawn before it was answered. {withdrawn}")
        elif answer == "decline":
            await questions.end(it, at, state="declined", answer=answer)
            done = Outcome("declined", await _without(it, "the customer would rather have the money", at))
        else:
            done = await _agree(it, asked, at)
        await steps.note(
            tx, it.id, "customer_answered", str(offer_id), done.said, at, actor=f"customer:{customer_id}"
        )  # fmt: skip
        await it.save(at)
        tx.tell(it.id, Message.CUSTOMER_ANSWERED)
        return done

    return await database.write(work, actor=f"customer:{customer_id}", via=via)


async def _agree(it: Return, asked: RowMapping, at: datetime) -> Outcome:
    """They pay it: the provider is asked for the money under a key of its own, by the replacement's workflow."""
    swap = it.exchange
    assert swap is not None
    await questions.agreed(it, at)
    charge = f"capture:{payment_of(swap)}:offer:{asked['id']}"
    it.row["detail"]["exchange"] = swap | {"state": "collecting", "charge": charge}
    it.drop_dues(DUE)
    await it.tx.conn.execute(
        insert(payment_operation).values(
            id=charge,
            payment_id=payment_of(swap),
            journey_id=swap["order"],
            kind="capture",
            amount_minor=swap["difference_minor"],
            currency=it.row["currency"],
            reason="the customer has agreed to pay the difference",
            state="requested",
            at=at,
        )
    )
    it.tx.tell(swap["order"], Message.RESUMED)
    more = money(swap["difference_minor"], it.row["currency"])
    return Outcome("accepted", f"The customer pays {more} more; the provider is asked for it.")
