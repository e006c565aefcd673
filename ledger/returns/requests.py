"""What systems ask of a return: begin one, call it off. Each is one transaction, refused by name where it cannot be."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import RowMapping

from domain.errors import Malformed, NotFound, StateConflict
from domain.ids import api_link
from domain.messages import Message
from domain.return_requests import NewReturn, ReturnAnswer, ReturnLineAnswer
from domain.returns import AWAITING_GOODS, ReturnState
from ledger import facts, reference, steps
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.people import Caller
from ledger.returns import exchange, overriding, settling
from ledger.returns.asking import ask_without_receipt
from ledger.returns.document import Return
from ledger.returns.finding import find, find_order
from ledger.returns.opening import (
    Opening,
    Sold,
    Wanted,
    await_goods,
    begin,
    check_place,
    judged,
    label,
    open_return,
    sold_by_order,
    sold_by_receipt,
)
from ledger.transaction import Transaction


async def start(
    database: Database,
    caller: Caller,
    wanted: NewReturn,
    *,
    actor: str,
    via: str,
    idempotency_key: str | None = None,
    is_here: bool = False,
) -> tuple[int, ReturnAnswer]:
    """Ask to bring something back: (201, what policy says of each line), or (200, the same) for a repeat.

    `is_here`: the customer stands at the counter with it, and needs no mail that says how to bring it.

    A line that policy refuses is no error: it is answered with its reason. Raises `NotFound` for an order that is not
    known, `UnknownLine`, `AlreadyReturned`, `UnknownLocation`, `UnknownSku`, `WrongCurrency`, `IdempotencyMismatch`,
    `Malformed`.
    """
    digest = body_hash(wanted.model_dump_json())
    keys = [f"return:{wanted.return_id}"] + ([f"key:{idempotency_key}"] if idempotency_key else [])

    async def work(tx: Transaction) -> tuple[int, ReturnAnswer]:
        before = await claim_keys(tx, caller.source, keys, digest)
        if before is not None:
            return 200, ReturnAnswer.model_validate(before.body)
        answer = await _open(tx, caller, wanted, actor, is_here=is_here)
        await keep_answer(tx, caller.source, keys, Answer(201, json.loads(answer.model_dump_json())))
        return 201, answer

    status, answer = await database.write(work, actor=actor, via=via)
    if status == 201:
        await facts.apply_parked(database, caller.source, wanted.return_id, answer.journey_id)
    return status, answer


async def _open(
    tx: Transaction, caller: Caller, wanted: NewReturn, actor: str, *, is_here: bool = False
) -> ReturnAnswer:
    now = await tx.now()
    sold = await _sold(tx, caller, wanted)
    code = wanted.returned_to or (sold.order["location"] if sold.order is not None else None)
    if code is None:
        raise Malformed(
            "Say where the goods come back to; only an order has a place of its own.", pointer="/returned_to"
        )
    place = await reference.place(tx.conn, code, pointer="/returned_to")
    check_place(place, sold, wanted.currency)
    policy = await reference.policy_at(tx.conn, place, now)
    lines = await judged(
        tx,
        policy,
        place,
        sold,
        [
            Wanted(
                line.line_id,
                line.sku,
                line.quantity,
                line.reason,
                line.unit_price_minor,
                line.serial,
                line.order_line_id,
            )
            for line in wanted.lines
        ],
        now,
        wanted.method,
    )
    state = _first_state(lines)
    it = await open_return(
        tx,
        Opening(
            source=caller.source,
            key=wanted.return_id,
            place=place,
            policy=policy,
            at=now,
            method=wanted.method,
            bought_at=wanted.bought_at,
            sold=sold,
            lines=lines,
            state=state,
            customer=wanted.customer,
            requested_by=actor,
            detail={
                "label": None if state is ReturnState.DECLINED else label(),
                "history": wanted.customer_history.model_dump() if wanted.customer_history else None,
                "receipt": _receipt(wanted, sold),
            },
        ),
    )
    await it.lock_cases()
    told = await _follow_up(it, now, is_here=is_here)
    await steps.note(tx, it.id, "opened", wanted.return_id, told, now)
    tx.record("return.opened", it.id, now, after={"state": it.row["state"], "lines": len(lines)})
    await it.save(now)
    await begin(it)
    return _answer(it)


def _first_state(lines: Sequence[dict[str, Any]]) -> ReturnState:
    if all(line["ruling"]["refused"] for line in lines):
        return ReturnState.DECLINED
    if any(line["ruling"]["asks"] for line in lines):
        return ReturnState.REQUESTED
    return ReturnState.AUTHORIZED


async def _follow_up(it: Return, at: datetime, *, is_here: bool) -> str:
    """What follows from the first state: somebody is asked, the goods are awaited, a refund is paid at once."""
    if it.state is ReturnState.DECLINED:
        await it.mail_customer("return_declined", "1", at)
        return "Declined: " + " ".join(dict.fromkeys(line["ruling"]["because"] for line in it.lines.values()))
    await it.lock_goods()
    if it.state is ReturnState.REQUESTED:
        await ask_without_receipt(it, at)
        await_goods(it, at)
        return "Nothing proves the purchase; somebody has to decide."
    await_goods(it, at)
    if not is_here:
        await it.mail_customer(
            "return_authorized", "1", at, label=it.row["detail"]["label"], method=it.row["detail"]["method"]
        )
    paid = await settling.settle(it, f"intake:{it.id}", at)
    return f"Authorised; reference {it.row['detail']['label']}." + (f" {paid}" if paid else "")


def _receipt(wanted: NewReturn, sold: Sold) -> dict[str, object] | None:
    if wanted.receipt is None:
        return None
    return {"number": wanted.receipt.number, "tender": wanted.receipt.tender, "known": sold.document is not None}


async def _sold(tx: Transaction, caller: Caller, wanted: NewReturn) -> Sold:
    if wanted.order_reference is not None:
        return await sold_by_order(tx, await find_order(tx, caller, wanted.order_reference, wanted.order_source))
    receipt = wanted.receipt
    if receipt is None:
        return Sold()
    where = receipt.location or wanted.returned_to
    if where is None:
        raise Malformed("Say at which place the receipt was given.", pointer="/receipt/location")
    await reference.place(tx.conn, where, pointer="/receipt/location")
    return await sold_by_receipt(tx, caller.source, where, receipt.number, receipt.tender)


def _answer(it: Return) -> ReturnAnswer:
    lines = []
    for line in it.lines.values():
        ruling = line["ruling"]
        until = ruling.get("until")
        lines.append(
            ReturnLineAnswer(
                line_id=line["line_id"],
                sku=line["sku"],
                quantity=line["claimed"],
                refused=ruling["refused"],
                because=ruling["because"],
                returnable_until=date.fromisoformat(until) if until else None,
                keep=ruling["keeps"],
                refund_minor=ruling["value_minor"] - ruling["fee_minor"],
                fee_minor=ruling["fee_minor"],
            )
        )
    return ReturnAnswer(
        journey_id=it.id,
        state=it.row["state"],
        label=it.row["detail"]["label"],
        lines=tuple(lines),
        links={"self": api_link("returns", it.id)},
    )


async def cancel(database: Database, caller: Caller, named: str, *, reason: str, actor: str, via: str) -> str:
    """Call a return off before its goods have come; returns its journey.

    Raises `NotFound`, and `StateConflict` once something came or was paid: what came has its own way.
    """

    async def work(tx: Transaction) -> str:
        own = await find(tx, caller, named)
        if own is None:
            raise NotFound(f"There is no return {named} that this key may speak about.")
        it = await Return.load(tx, await tx.lock_journey(own))
        at = await tx.now(it.row["clock_offset_s"])
        if it.state not in AWAITING_GOODS:
            raise StateConflict(f"The return is {it.row['state'].replace('_', ' ')}; it cannot be called off any more.")
        if any(line["refunded"] for line in it.lines.values()):
            raise StateConflict("Its refund was paid before the goods came; it cannot be called off any more.")
        await it.answer_asks("the return was called off", at)
        it.row["detail"].pop("under_review", None)
        await overriding.withdraw(it, at)
        await exchange.take_off(it, "the return was called off", at)
        it.go(ReturnState.CANCELLED)
        await steps.note(tx, it.id, "cancelled", str(it.row["version"]), f"Called off: {reason.replace('_', ' ')}.", at)
        tx.record("return.cancelled", it.id, at, reason=reason)
        await it.save(at)
        tx.tell(it.id, Message.RETURN_RECORDED)
        return it.id

    return await database.write(work, actor=actor, via=via)


async def abandon(tx: Transaction, journey_row: RowMapping, at: datetime) -> str:
    """End a suspended return; the journey is locked, with the case that says so. Nothing more is refunded; goods that
    are here still wait for their inspection, which nothing but goods can end.
    """
    it = await Return.load(tx, journey_row)
    it.row["suspended_from"] = None
    await it.answer_asks("the return was ended", at)
    await overriding.withdraw(it, at)
    await exchange.take_off(it, "the return was ended", at)
    for line in it.lines.values():
        line["ruling"] = line["ruling"] | {"asks": False, "refused": line["ruling"].get("refused") or "unmatched"}
    it.row["detail"].pop("under_review", None)
    if it.state in AWAITING_GOODS:
        it.go(ReturnState.CANCELLED)
    await it.save(at)
    tx.tell(it.id, Message.RETURN_RECORDED)
    waits = any(line["received"] > line["accepted"] + line["declined"] for line in it.lines.values())
    return "Nothing more is refunded; the goods wait for their inspection." if waits else "The return was ended."
