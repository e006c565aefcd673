"""Asking to have a return exchanged: the replacement is placed as an order that is kept back, and paid by what the
return owes.

Placing an order is a transaction of its own (`ledger.intake`). So the return says first what it is exchanged for, then
the order is placed under the id that was said, then the return goes on. Whoever is cut off in between asks again with
the same body; the return itself finds out by the due instant `exchange`.
"""

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from domain import bopis
from domain.bopis import BopisState
from domain.errors import DomainError, IdempotencyMismatch, NotFound, StateConflict
from domain.exchanges import (
    ExchangeAnswer,
    NewExchange,
    Replacement,
    divide,
)
from domain.ids import journey_id
from domain.messages import Message
from domain.returns import FINAL
from ledger import intake, steps
from ledger.engine import Database
from ledger.people import Caller
from ledger.returns import difference, exchange, replacing, settling
from ledger.returns.document import Return
from ledger.returns.finding import find
from ledger.transaction import Transaction

PLACING_S = 300  # after which the return looks itself whether its replacement was placed
_NO_MORE = FINAL  # what is closed has paid back, or declined, whatever came


class _Begun(NamedTuple):
    """What is to be placed; None where all was done before."""

    own: str
    order: Replacement | None
    at: datetime


async def start(
    database: Database, caller: Caller, named: str, wanted: NewExchange, *, actor: str, via: str
) -> tuple[int, ExchangeAnswer]:
    """Exchange a return for another order: (201, answer), or (200, the same) for a repeat.

    Raises `NotFound`, `UnknownLine`, `StateConflict` where nothing of it can be exchanged (any more), `Malformed`,
    `IdempotencyMismatch`, and whatever refuses the replacement as an order.
    """
    digest = hashlib.sha256(wanted.model_dump_json().encode()).hexdigest()
    begun = await database.write(lambda tx: _begin(tx, caller, named, wanted, digest), actor=actor, via=via)
    if begun.order is None:
        return 200, (await database.write(lambda tx: _placed(tx, begun.own, digest), actor=actor, via=via))[0]
    try:
        await intake.place_order(database, caller, begun.order, idempotency_key=None, received_at=begun.at)
    except DomainError:
        await database.write(lambda tx: _refused(tx, begun.own, digest), actor=actor, via=via)
        raise
    answer, because = await database.write(lambda tx: _placed(tx, begun.own, digest), actor=actor, via=via)
    if answer.state == "off":
        raise StateConflict(f"The return is not exchanged: {because}.")
    return 201, answer


async def _begin(tx: Transaction, caller: Caller, named: str, wanted: NewExchange, digest: str) -> _Begun:
    own = await find(tx, caller, named)
    if own is None:
        raise NotFound(f"There is no return {named} that this key may speak about.")
    it = await Return.load(tx, await tx.lock_journey(own))
    at = await tx.now(it.row["clock_offset_s"])
    before, order_journey = it.exchange, journey_id("bopis", caller.source, wanted.order.order_id)
    if before is not None and before["digest"] == digest and before["state"] != "placing":
        return _Begun(it.id, None, at)
    if before is not None and before["state"] != "off" and before["digest"] != digest:
        if before["order"] == order_journey:
            raise IdempotencyMismatch(f"Order {wanted.order.order_id} was asked for before with another body.")
        raise StateConflict(f"The return is exchanged for order {before['order_id']} already.")
    if it.state in _NO_MORE:
        raise StateConflict(f"The return is {it.row['state'].replace('_', ' ')}; order the other item by itself.")
    await it.lock_goods()
    again = before is not None and before["state"] == "placing" and before["digest"] == digest
    # Whoever asks again means the same order, also where another warehouse would be chosen by now.
    code = before["place"] if before is not None and again else await replacing.place_for(it, wanted)
    who = await replacing.customer_for(it, wanted)
    lines = exchange.lines_of(it, wanted.lines)
    worth = exchange.worth_of(it, lines)
    paid = sum(payment.amount_minor for payment in wanted.order.payments)
    split = divide(worth.total_minor, wanted.order.total_minor, paid)
    means = await difference.means_for(it, wanted, split.open_minor) if split.open_minor else None
    asked = {} if means is None else {
        "difference_minor": split.open_minor,
        "price_minor": wanted.order.total_minor,
        "price_tax_minor": wanted.order.tax_minor,
        "worth_minor": worth.total_minor,
        "worth_tax_minor": sum(one.share.tax_minor for one in worth.lines.values()),
        "paid_minor": paid,
        "means": means.reference,
        "tender": means.tender,
    }  # fmt: skip
    it.row["detail"]["exchange"] = {
        "order": order_journey,
        "order_id": wanted.order.order_id,
        "lines": list(lines),
        "credit_minor": split.credit_minor,
        "back_minor": split.back_minor,
        "place": code,
        "is_sent": wanted.order.ship_to_home,
        "state": "placing",
        "because": "",
        "digest": digest,
        **asked,
    }
    it.due("exchange", at + timedelta(seconds=PLACING_S))
    await it.save(at)
    tx.tell(it.id, Message.RETURN_RECORDED)
    return _Begun(it.id, replacing.as_order(it, wanted, code, who, split, means), at)


async def _refused(tx: Transaction, own: str, digest: str) -> None:
    """The replacement was refused as an order: the return is as it was before."""
    it = await Return.load(tx, await tx.lock_journey(own))
    before = it.exchange
    if before is None or before["digest"] != digest or before["state"] != "placing" or it.replacement is not None:
        return
    at = await tx.now(it.row["clock_offset_s"])
    await _go_on_without(it, "the replacement was refused", at)
    await it.save(at)
    tx.tell(it.id, Message.RETURN_RECORDED)


async def _placed(tx: Transaction, own: str, digest: str) -> tuple[ExchangeAnswer, str]:
    """The order is there; the second is why there is no exchange all the same, or "". Raises `StateConflict` where it
    has ended meanwhile.
    """
    it = await Return.load(tx, await tx.lock_journey(own))
    at = await tx.now(it.row["clock_offset_s"])
    before = it.exchange
    if before is None or before["digest"] != digest or before["state"] == "off":
        said = f": {before['because']}" if before is not None and before["because"] else ""
        raise StateConflict(f"The return is not exchanged any more{said}.")
    if before["state"] == "placing":
        await _go_on_with(it, at)
        await it.save(at)
        tx.tell(it.id, Message.RETURN_RECORDED)
    swap = it.exchange
    assert swap is not None
    until = it.row["dues"].get(difference.DUE)
    answer = ExchangeAnswer(
        journey_id=it.id,
        order_journey_id=swap["order"],
        state=swap["state"],
        credit_minor=swap["credit_minor"],
        back_minor=swap["back_minor"],
        difference_minor=swap.get("difference_minor", 0),
        answer_until=datetime.fromisoformat(until) if until else None,
    )
    return answer, swap["because"]


async def _go_on_with(it: Return, at: datetime) -> None:
    """The replacement waits; where its return is due already, it waits no longer."""
    before = it.exchange
    assert before is not None
    it.drop_dues("exchange")
    await it.lock_goods()
    asked = ""
    if it.replacement is None or BopisState(it.replacement["state"]) in bopis.FINAL:
        await exchange.take_off(it, f"order {before['order_id']} has ended", at)
    elif not before.get("difference_minor"):
        it.row["detail"]["exchange"] = before | {"state": "waiting"}
    elif await difference.is_short(it):  # nobody is asked to pay for what is not there
        await exchange.take_off(it, "what the customer wants instead is not there", at)
    else:
        asked = await difference.ask(it, at)
    paid = await settling.settle(it, f"exchange:{it.id}:{it.row['version']}", at)
    told = " ".join(one for one in (f"To be exchanged for order {before['order_id']}.", asked, paid) if one)
    await steps.note(it.tx, it.id, "exchange", before["order"] + f":{it.row['version']}", told, at)


async def _go_on_without(it: Return, because: str, at: datetime) -> None:
    await it.lock_goods()
    await exchange.take_off(it, because, at)
    await settling.settle(it, f"exchange:{it.id}:{it.row['version']}", at)


async def place_was_lost(it: Return, at: datetime) -> str:
    """Whoever asked for the exchange was cut off: it stands where the order was placed, else there is none."""
    if it.exchange is None or it.exchange["state"] != "placing":
        return ""
    if it.replacement is not None:
        await _go_on_with(it, at)
        return "The replacement was placed."
    await _go_on_without(it, "the replacement was never placed", at)
    return "The replacement was never placed; what comes back is refunded."
