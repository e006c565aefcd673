"""What follows from asking the customer: by policy instead of a case, a yes, a no, silence, and an approver's verdict.

Whatever happens is decided by what is recorded under the journey's lock: the first of an answer, a withdrawal, a cancel
and the end of the time wins, and the others are told so by name.
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, select, update

from domain.case import CaseOption
from domain.errors import DomainError, Malformed, NotFound, OfferAnswered, OfferExpired, OfferWithdrawn
from domain.events import BopisCancelled
from domain.messages import Message, Situation, Step
from domain.offer import ANSWERS, way_by_consent
from domain.words import local, money
from ledger import steps
from ledger.bopis import cases, decisions, offered, offering, requests, waiting
from ledger.bopis.order import Order
from ledger.bopis.ways_out import back, ways_out
from ledger.engine import Database
from ledger.steps import take_journey_step
from ledger.tables import offer
from ledger.transaction import Transaction


async def by_policy(order: Order, at: datetime) -> str:
    """Take, or ask the customer about, the best way out that needs nobody else; "" where somebody has to choose.

    Locks the order's goods only where there is one.
    """
    consent = way_by_consent([line["substitution"] for line in order.shorts()])
    if consent is None and set(order.policy.offers.automatic) <= {"substitute"}:
        return ""
    await order.read_money()
    way = await _automatic(order, consent)
    if way is None:
        return ""
    await order.lock_goods(decisions.places(order, way.id, way.parameters))
    if not order.shorts():
        return "The missing units turned up."
    there = await _automatic(order, consent)
    if there is None or (there.id, there.parameters) != (way.id, way.parameters):
        return ""
    if consent == "auto" and there.id == "substitute" and not there.needs_approval:
        cause = f"step:{order.id}:substitute:{order.row['version']}"
        done = await decisions.apply(order, there.id, there.parameters, cause, at)
        await _replaced(order, there, cause, at)
        return f"{done} The customer had allowed it beforehand."
    return await offering.make(order, there, at, asked_by="endcap")


async def _automatic(order: Order, consent: str | None) -> CaseOption | None:
    allowed = order.policy.offers.automatic
    ways = [way for way in await ways_out(order) if way.allowed and "agreed_by_phone" in way.confirms]
    asks = await offering.can_be_asked(order)
    count, refused = await offering.asked_before(order)
    for way in ways:
        kind = way.id.split(":", maxsplit=1)[0]
        if kind not in allowed or way.id in refused or (kind == "substitute" and consent is None):
            continue
        if kind == "substitute" and consent == "auto" and not way.needs_approval:
            return way
        if asks and count < order.policy.offers.most:
            return way
    return None


async def _replaced(order: Order, way: CaseOption, cause: str, at: datetime) -> None:
    """The substitute is the order's own now, and the customer is told so, with what goes back."""
    await waiting.end(order)
    order.row["detail"]["failure"] = None
    await order.mail_customer("order_substituted", cause, at, amount_minor=back(way))


class Outcome(NamedTuple):
    """What became of an answer: the offer's state after it, and a sentence for the record."""

    state: str
    said: str


async def answer(database: Database, offer_id: int, customer_id: str, *, answer: str, via: str) -> Outcome:
    """Record what the customer says, once, and take its effect.

    The offer may turn out to be withdrawn at this very moment (units turned up); then that is recorded, and nothing of
    the answer. Raises `Malformed`, `NotFound`, `OfferAnswered`, `OfferExpired`, `OfferWithdrawn`.
    """
    if answer not in ANSWERS:
        raise Malformed("Choose one of the answers; nothing is chosen for you.", pointer="/answer")

    async def work(tx: Transaction) -> Outcome:
        found = await tx.conn.execute(select(offer.c.journey_id).where(offer.c.id == offer_id))
        journey_id = found.scalar_one_or_none()
        if journey_id is None:
            raise NotFound("This question is not known.")
        order = await Order.load(tx, await tx.lock_journey(journey_id))
        row = (await tx.conn.execute(select(offer).where(offer.c.id == offer_id))).mappings().one()
        at = await tx.now(order.row["clock_offset_s"])
        check_open(row, at, order.place.hours.time_zone)
        cause = f"offer:{offer_id}"
        if answer == "cancel":
            return await _cancel(order, row, cause, at)
        await order.lock_cases()
        await order.lock_goods()
        await offered.look(order, at)
        if await offered.asked(order) is None:
            await order.save(at)
            tx.tell(order.id, Message.CUSTOMER_ANSWERED)
            return Outcome("withdrawn", "Withdrawn before it was answered.")
        done: Outcome = await _EFFECTS[answer](order, row, cause, at)
        await steps.note(
            tx, order.id, "customer_answered", str(offer_id), done.said, at, actor=f"customer:{customer_id}"
        )
        await order.save(at)
        tx.tell(order.id, Message.CUSTOMER_ANSWERED)
        return done

    return await database.write(work, actor=f"customer:{customer_id}", via=via)


def check_open(row: RowMapping, at: datetime, zone: str) -> None:
    """Raise unless the offer still waits for an answer at `at`, saying what became of it and when."""
    when = local(row["answered_at"], zone) if row["answered_at"] else ""
    if row["state"] in ("applied", "accepted", "declined", "rejected"):
        raise OfferAnswered(f"This was answered already, {when}. What you sent now changes nothing.")
    if row["state"] == "withdrawn":
        raise OfferWithdrawn(f"We have taken this question back, {when}: {row['because']}.")
    if row["state"] == "expired" or at >= row["due_at"]:
        raise OfferExpired(f"The time to answer ended {local(row['due_at'], zone)}.")


async def _accept(order: Order, row: RowMapping, cause: str, at: datetime) -> Outcome:
    way = CaseOption.model_validate(row["option"])
    # Whatever turns up from now on is for others: the customer has said yes, and that stands.
    await waiting.end(order)
    if not way.needs_approval:
        return await _apply(order, row, cause, at)
    amount = sum(abs(effect.amount_minor) for effect in way.consequence.money)
    number = await order.open_approval(
        "appeasement",
        at,
        subject=f"{way.label}: order {order.row['key']}",
        requester=row["asked_by"],
        amount_minor=amount,
        facts={"order": order.row["key"], "option": row["option"], "store": order.place.name, "offer": row["id"]},
    )
    order.drop_dues("offer")
    order.row["asks"] |= {"approval_id": number}
    await order.tx.conn.execute(
        update(offer)
        .where(offer.c.id == row["id"])
        .values(state="accepted", answer="accept", answered_at=at, approval_id=number)
    )
    order.tx.record("offer.accepted", f"offer:{row['id']}", at, after={"approval": number})
    return Outcome("accepted", f"The customer said yes; {money(amount, order.row['currency'])} need an approval.")


async def _apply(order: Order, row: RowMapping, cause: str, at: datetime) -> Outcome:
    """What was offered becomes the order's own; where it cannot, the question is taken back and says why."""
    way = CaseOption.model_validate(row["option"])
    asks = dict(order.row["asks"])
    order.row["asks"] = {}
    try:
        done = await decisions.apply(order, way.id, way.parameters, cause, at)
    except DomainError as refusal:
        order.row["asks"] = asks
        await offered.withdraw(order, row, refusal.detail.rstrip("."), at)
        await waiting.wait_again(order, at)
        await order.settle(at)
        return Outcome("withdrawn", f"The customer said yes, too late: {refusal.detail}")
    order.row["asks"] = asks
    await offered.end(order, row, at, state="applied", answer="accept")
    if way.id == "substitute":
        await _replaced(order, way, cause, at)
    elif order.shorts():  # it waits, as agreed
        await order.settle(at)
    order.row["detail"]["failure"] = None
    return Outcome("applied", f"The customer said yes. {done}")


async def _other(order: Order, row: RowMapping, _cause: str, at: datetime) -> Outcome:
    """Something else, please: the next way is offered, or somebody calls the customer."""
    await offered.end(order, row, at, state="declined", answer="other")
    await order.settle(at)
    return Outcome("declined", "The customer would rather have something else.")


async def _leave_out(order: Order, row: RowMapping, cause: str, at: datetime) -> Outcome:
    await offered.end(order, row, at, state="declined", answer="leave_out")
    owed = await _fall_back(order, cause, at, whole=False)
    return Outcome("declined", f"The customer goes without; {money(owed, order.row['currency'])} goes back.")


async def _cancel(order: Order, row: RowMapping, cause: str, at: datetime) -> Outcome:
    await offered.end(order, row, at, state="declined", answer="cancel")
    actor = f"customer:{order.row['customer_id']}"
    said = await requests.cancelled(order, BopisCancelled(reason="customer_request", actor=actor), cause, at)
    return Outcome("declined", said)


_EFFECTS: dict[str, Any] = {"accept": _accept, "other": _other, "leave_out": _leave_out}


async def silence(order: Order, cause: str, at: datetime) -> str:
    """Nobody answered in time: what the order says for this case happens, by default the missing lines are refunded."""
    row = await offered.asked(order)
    if row is None or row["state"] != "open":
        return ""
    whole = any(line["fallback"] == "cancel_order" for line in order.shorts())
    await offered.end(order, row, at, state="expired", because="nobody answered in time")
    owed = await _fall_back(order, cause, at, whole=whole)
    return f"The customer did not answer in time; {money(owed, order.row['currency'])} goes back."


async def _fall_back(order: Order, cause: str, at: datetime, *, whole: bool) -> int:
    """Refund what is missing, or the whole order where nothing else is left of it. Returns minor units."""
    missing = {line["line_id"]: order.missing(line) for line in order.shorts()}
    rest = sum(order.open_quantity(line) for line in order.lines.values()) - sum(missing.values())
    if whole or not rest:
        owed = await decisions.cancel_everything(order, cause, at, reason="could not be fulfilled")
        await order.mail_customer("order_cancelled", cause, at, amount_minor=owed)
    else:
        owed = await decisions.leave_out(order, missing, cause, at)
    await waiting.end(order)
    order.row["detail"]["failure"] = None
    if owed >= order.policy.bands.refund_approval_minor:
        await cases.refund_review(order, owed, cause, at)
    return owed


async def settle_offer(database: Database, step: Step) -> Situation:
    """An approver has spoken, or kept silent, about what the customer said yes to."""

    async def work(tx: Transaction, journey_row: RowMapping) -> str:
        if journey_row["asks"].get("approval_id") != step.approval_id:
            return ""
        order = await Order.load(tx, journey_row)
        await order.lock_cases()
        await order.lock_goods()
        await offered.look(order, step.at)
        row = await offered.asked(order)
        if row is None:
            await order.save(step.at)
            return "The question to the customer was withdrawn before the verdict."
        cause = f"offer:{row['id']}"
        if order.row["asks"].get("verdict") == "approved":
            told = (await _apply(order, row, cause, step.at)).said
        else:
            because = "nobody approved it in time" if order.row["asks"]["verdict"] == "expired" else "not approved"
            await offered.end(order, row, step.at, state="rejected", because=because)
            owed = await _fall_back(order, cause, step.at, whole=False)
            told = f"What the customer accepted was {because}: {money(owed, order.row['currency'])} goes back."
        await order.save(step.at)
        return told

    return await take_journey_step(database, "settle_offer", step, work)
