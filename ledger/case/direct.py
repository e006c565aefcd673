"""Decisions that no journey waits for: they are applied in the transaction that records them."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select, update

from domain.case import CaseOption
from domain.messages import Message
from domain.people import Person
from domain.words import money
from ledger import payments
from ledger.case.life import resolve
from ledger.people import person_by_id
from ledger.tables import case_decision, journey
from ledger.transaction import Transaction

Effect = Callable[[Transaction, RowMapping, RowMapping | None, datetime], Awaitable[str]]


async def apply(
    tx: Transaction,
    case_row: RowMapping,
    journey_row: RowMapping | None,
    option: CaseOption,
    decision_id: int,
    person: Person,
    at: datetime,
) -> None:
    """Take the option's effect, close the case, and say what was done."""
    effect = EFFECTS.get((case_row["kind"], option.id))
    done = await effect(tx, case_row, journey_row, at) if effect is not None else f"{option.label}."
    await tx.conn.execute(update(case_decision).where(case_decision.c.id == decision_id).values(state="applied"))
    await resolve(tx, case_row["id"], option.id, done, at, by=person.id)


async def _resume(tx: Transaction, _case: RowMapping, journey_row: RowMapping | None, _at: datetime) -> str:
    """A suspended journey goes on in the state it was in."""
    assert journey_row is not None
    await tx.conn.execute(
        update(journey)
        .where(journey.c.id == journey_row["id"])
        .values(suspended_from=None, version=journey_row["version"] + 1)
    )
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The journey was resumed."


async def _abandon(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """A suspended journey is ended with everything undone."""
    assert journey_row is not None
    return await ABANDON[journey_row["kind"]](tx, case_row, journey_row, at)


async def _abandon_order(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """Goods are released, money is paid back."""
    # Not imported above: an order needs cases, so cases cannot need orders while they are loaded.
    from ledger.bopis import decisions
    from ledger.bopis.order import Order

    order = await Order.load(tx, journey_row)
    await order.lock_cases()
    order.row["suspended_from"] = None
    await order.end_asks("the order was abandoned", at)
    await order.lock_goods()
    owed = 0
    if not order.is_final:
        owed = await decisions.cancel_everything(order, f"case:{case_row['id']}", at, reason="abandoned")
        await order.mail_customer("order_cancelled", f"case:{case_row['id']}", at, amount_minor=owed)
    await order.save(at)
    tx.tell(order.id, Message.CANCEL_RECORDED)
    return f"The order was ended; {money(owed, order.row['currency'])} goes back."


async def _abandon_return(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    from ledger.returns.requests import abandon  # returns need cases, so cases cannot need them while they are loaded

    return await abandon(tx, journey_row, at)


async def _abandon_count(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    from ledger.count.requests import abandon  # counts need cases, so cases cannot need them while they are loaded

    return await abandon(tx, journey_row, at)


async def _retry_payment(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    assert journey_row is not None
    await payments.request_again(tx, case_row["facts"]["operation_id"], at)
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The provider is asked again."


async def _paid_by_hand(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    assert journey_row is not None
    await payments.settle_by_hand(tx, case_row["facts"]["operation_id"], at)
    tx.tell(journey_row["id"], Message.RESUMED)
    return "Recorded as paid out by hand."


async def _ask_source_again(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """The source is told once more what it has to pay back, and given its time again."""
    from ledger.bopis import by_the_source
    from ledger.bopis.order import Order

    assert journey_row is not None
    order = await Order.load(tx, journey_row)
    await order.lock_goods()
    await by_the_source.ask(order, case_row["facts"]["operation_id"], at)
    await order.save(at)
    tx.tell(order.id, Message.RESUMED)
    return "The source was asked again."


async def _report_was_wrong(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """What a report after the end of its order has moved and posted is taken back."""
    from ledger.bopis.correcting import take_back  # orders need cases, so cases cannot need them while they are loaded

    assert journey_row is not None
    return await take_back(tx, case_row, journey_row, at)


async def _more_time(tx: Transaction, _case: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """An overdue pick gets another hour before the next reminder."""
    assert journey_row is not None
    row = (await tx.conn.execute(select(journey.c.dues).where(journey.c.id == journey_row["id"]))).scalar_one()
    dues = {name: when for name, when in row.items() if not name.startswith("pick")}
    dues["pick_nag_2"] = (at + timedelta(hours=1)).isoformat()
    await tx.conn.execute(update(journey).where(journey.c.id == journey_row["id"]).values(dues=dues))
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The store was given another hour."


async def _more_time_to_count(tx: Transaction, _case: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """An overdue count gets another day before somebody is asked again."""
    assert journey_row is not None
    dues = journey_row["dues"] | {"count": (at + timedelta(days=1)).isoformat()}
    await tx.conn.execute(update(journey).where(journey.c.id == journey_row["id"]).values(dues=dues))
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The store was given another day."


async def _leave_out(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    """The reports were wrong: they are deleted, and sending them again is refused."""
    from ledger.facts import discard  # facts open cases, so cases cannot need facts while they are loaded

    count = await discard(tx, case_row["id"], at)
    return f"{count} {'report was' if count == 1 else 'reports were'} left out."


async def _ask_for_count(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    """Stock below zero: the store is asked to count. Still below zero after a while, the case comes back."""
    from ledger.negative import ask_for_count  # it opens cases, so cases cannot need it while they are loaded

    return await ask_for_count(tx, case_row, at)


async def _confirm(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    return await _decide_review(tx, case_row, "confirm", at)


async def _count(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    return await _decide_review(tx, case_row, "count", at)


async def _undo(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    return await _decide_review(tx, case_row, "undo", at)


async def _decide_review(tx: Transaction, case_row: RowMapping, option: str, at: datetime) -> str:
    """A reported adjustment is posted, or what was parked for it goes back."""
    from ledger.adjustments import decide_review  # it opens cases, so cases cannot need it while they are loaded

    person = await person_by_id(tx.conn, tx.actor)
    assert person is not None  # who decides a case is a person
    return await decide_review(tx, case_row, option, person, at)


async def _enable_webhook(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    from ledger.webhooks.endpoints import enable_row  # webhooks open cases, so cases cannot need them while loaded

    await enable_row(tx, case_row["subject"], at)
    return "The webhook was enabled; what waits is sent."


async def _it_stands(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.returns.disputes import stand  # returns need cases, so cases cannot need them while they are loaded

    return await stand(tx, case_row, journey_row, at)


async def _refund_declined(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.returns.disputes import refund_declined

    return await refund_declined(tx, case_row, journey_row, at)


async def _refund_fee(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.returns.disputes import refund_fee

    return await refund_fee(tx, case_row, journey_row, at)


async def _take_back(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.returns.disputes import take_back

    return await take_back(tx, case_row, journey_row, at)


async def _vendor_has_time(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    from ledger.vendor_return.overdue import more_time  # it opens cases, so cases cannot need it while they are loaded

    return await more_time(tx, case_row, at)


async def _give_credit_up(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
    from ledger.vendor_return.overdue import give_up

    return await give_up(tx, case_row, at)


# Decisions that are carried out after they were recorded, one event or order at a time: by `ledger.facts.finish` and
# `ledger.closures.finish`.
CARRIED_OUT_LATER = frozenset({("event_rejected", "replay"), ("place_closed", "ask_each")})


async def _abandon_transfer(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    from ledger.transfer.requests import (
        abandon,  # a transfer needs cases, so cases cannot need it while they are loaded
    )

    return await abandon(tx, journey_row, at)


async def _abandon_promotion(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    from ledger.promotion.requests import abandon  # promotions need cases

    return await abandon(tx, journey_row, at)


async def _abandon_claim(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    from ledger.claim.steps import abandon  # a claim needs cases, so cases cannot need it while they are loaded

    return await abandon(tx, journey_row, at)


async def _tell_channel_again(
    tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime
) -> str:
    from ledger.promotion.cases import retry  # promotions need cases

    assert journey_row is not None
    return await retry(tx, case_row, journey_row, at)


async def _give_prices_up(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.promotion.cases import give_up  # promotions need cases

    assert journey_row is not None
    return await give_up(tx, case_row, journey_row, at)


async def _look_noted(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.look.cases import noted  # looks need cases

    return await noted(tx, case_row, journey_row, at)


async def _end_promotion(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    from ledger.look.cases import end_now  # looks need cases

    assert journey_row is not None
    return await end_now(tx, case_row, journey_row, at)


# How a suspended journey of each kind is ended.
ABANDON: dict[str, Callable[[Transaction, RowMapping, RowMapping, datetime], Awaitable[str]]] = {
    "bopis": _abandon_order,
    "claim": _abandon_claim,
    "count": _abandon_count,
    "promotion": _abandon_promotion,
    "returns": _abandon_return,
    "transfer": _abandon_transfer,
}

EFFECTS: dict[tuple[str, str], Effect] = {
    ("journey_stuck", "resume"): _resume,
    ("journey_stuck", "abandon"): _abandon,
    ("refund_failed", "retry"): _retry_payment,
    ("capture_failed", "retry"): _retry_payment,
    ("refund_failed", "manual_payout"): _paid_by_hand,
    ("fact_after_close", "report_was_wrong"): _report_was_wrong,
    ("refund_failed", "ask_source_again"): _ask_source_again,
    ("pick_overdue", "more_time"): _more_time,
    ("count_overdue", "more_time"): _more_time_to_count,
    ("event_rejected", "discard"): _leave_out,
    ("negative_inventory", "count"): _ask_for_count,
    ("adjustment_review", "confirm"): _confirm,
    ("adjustment_review", "undo"): _undo,
    ("adjustment_review", "count"): _count,
    ("webhook_failing", "enable"): _enable_webhook,
    ("return_disputed", "stand"): _it_stands,
    ("return_disputed", "refund_declined"): _refund_declined,
    ("return_disputed", "refund_fee"): _refund_fee,
    ("return_disputed", "take_back"): _take_back,
    ("vendor_credit_overdue", "more_time"): _vendor_has_time,
    ("vendor_credit_overdue", "write_off"): _give_credit_up,
    ("promo_price_conflict", "retry"): _tell_channel_again,
    ("promo_price_conflict", "waive"): _give_prices_up,
    ("promo_override", "noted"): _look_noted,
    ("promo_override", "end_now"): _end_promotion,
    ("promo_exposure", "noted"): _look_noted,
    ("promo_exposure", "end_now"): _end_promotion,
}
