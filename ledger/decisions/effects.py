"""Decisions that no journey waits for: they are applied in the transaction that records them."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import RowMapping, update

from domain.case import CaseOption
from domain.messages import Message
from domain.people import Person
from ledger import adjustments, facts, negative, outcomes, payments
from ledger.bopis import answered as orders
from ledger.bopis import correcting
from ledger.case.life import resolve
from ledger.claim import steps as claims
from ledger.count import requests as counts
from ledger.look import cases as looks
from ledger.people import person_by_id
from ledger.promotion import cases as prices
from ledger.promotion import ending
from ledger.promotion import requests as promotions
from ledger.returns import disputes
from ledger.returns import requests as returns
from ledger.tables import case_decision, journey
from ledger.transaction import Transaction
from ledger.transfer import requests as transfers
from ledger.vendor_return import overdue
from ledger.webhooks.endpoints import enable_row

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


def _on_journey(work: Callable[[Transaction, RowMapping, RowMapping, datetime], Awaitable[str]]) -> Effect:
    """What is done to the journey of the case, which has one."""

    async def effect(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
        assert journey_row is not None
        return await work(tx, case_row, journey_row, at)

    return effect


def _on_case(work: Callable[[Transaction, RowMapping, datetime], Awaitable[str]]) -> Effect:
    """What needs its case alone."""

    async def effect(tx: Transaction, case_row: RowMapping, _journey: RowMapping | None, at: datetime) -> str:
        return await work(tx, case_row, at)

    return effect


async def _resume(tx: Transaction, _case: RowMapping, journey_row: RowMapping, _at: datetime) -> str:
    """A suspended journey goes on in the state it was in."""
    await tx.conn.execute(
        update(journey)
        .where(journey.c.id == journey_row["id"])
        .values(suspended_from=None, version=journey_row["version"] + 1)
    )
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The journey was resumed."


async def _abandon(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """A suspended journey is ended with everything undone."""
    return await ABANDON[journey_row["kind"]](tx, journey_row, f"case:{case_row['id']}", at)


async def _retry_payment(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    await payments.request_again(tx, case_row["facts"]["operation_id"], at)
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The provider is asked again."


async def _paid_by_hand(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    await outcomes.settle_by_hand(tx, case_row["facts"]["operation_id"], at)
    tx.tell(journey_row["id"], Message.RESUMED)
    return "Recorded as paid out by hand."


async def _leave_out(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
    """The reports were wrong: they are deleted, and sending them again is refused."""
    count = await facts.discard(tx, case_row["id"], at)
    return f"{count} {'report was' if count == 1 else 'reports were'} left out."


def _review(option: str) -> Effect:
    """A reported adjustment is posted, or what was parked for it goes back."""

    async def decided(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
        person = await person_by_id(tx.conn, tx.actor)
        assert person is not None  # who decides a case is a person
        return await adjustments.decide_review(tx, case_row, option, person, at)

    return _on_case(decided)


async def _enable_webhook(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
    await enable_row(tx, case_row["subject"], at)
    return "The webhook was enabled; what waits is sent."


# Decisions that are carried out after they were recorded, one event or order at a time: by `ledger.facts.finish` and
# `ledger.closures.finish`.
CARRIED_OUT_LATER = frozenset({("event_rejected", "replay"), ("place_closed", "ask_each")})

Abandon = Callable[[Transaction, RowMapping, str, datetime], Awaitable[str]]


def _writing_to_nobody(work: Callable[[Transaction, RowMapping, datetime], Awaitable[str]]) -> Abandon:
    """Ends a journey without a mail that would name its cause."""

    async def abandon(tx: Transaction, journey_row: RowMapping, _cause: str, at: datetime) -> str:
        return await work(tx, journey_row, at)

    return abandon


# How a suspended journey of each kind is ended.
ABANDON: dict[str, Abandon] = {
    "bopis": orders.abandon,
    "claim": _writing_to_nobody(claims.abandon),
    "count": _writing_to_nobody(counts.abandon),
    "promotion": _writing_to_nobody(promotions.abandon),
    "returns": _writing_to_nobody(returns.abandon),
    "transfer": _writing_to_nobody(transfers.abandon),
}

EFFECTS: dict[tuple[str, str], Effect] = {
    ("journey_stuck", "resume"): _on_journey(_resume),
    ("journey_stuck", "abandon"): _on_journey(_abandon),
    ("refund_failed", "retry"): _on_journey(_retry_payment),
    ("capture_failed", "retry"): _on_journey(_retry_payment),
    ("refund_failed", "manual_payout"): _on_journey(_paid_by_hand),
    ("fact_after_close", "report_was_wrong"): _on_journey(correcting.take_back),
    ("refund_failed", "ask_source_again"): _on_journey(orders.ask_source_again),
    ("pick_overdue", "more_time"): _on_journey(orders.more_time),
    ("count_overdue", "more_time"): _on_journey(counts.more_time),
    ("event_rejected", "discard"): _on_case(_leave_out),
    ("negative_inventory", "count"): _on_case(negative.ask_for_count),
    ("adjustment_review", "confirm"): _review("confirm"),
    ("adjustment_review", "undo"): _review("undo"),
    ("adjustment_review", "count"): _review("count"),
    ("webhook_failing", "enable"): _on_case(_enable_webhook),
    ("return_disputed", "stand"): disputes.stand,
    ("return_disputed", "refund_declined"): disputes.refund_declined,
    ("return_disputed", "refund_fee"): disputes.refund_fee,
    ("return_disputed", "take_back"): disputes.take_back,
    ("vendor_credit_overdue", "more_time"): _on_case(overdue.more_time),
    ("vendor_credit_overdue", "write_off"): _on_case(overdue.give_up),
    ("promo_price_conflict", "retry"): _on_journey(prices.retry),
    ("promo_price_conflict", "waive"): _on_journey(ending.give_up),
    ("promo_override", "noted"): looks.noted,
    ("promo_override", "end_now"): _on_journey(looks.end_now),
    ("promo_exposure", "noted"): looks.noted,
    ("promo_exposure", "end_now"): _on_journey(looks.end_now),
}
