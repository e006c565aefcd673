"""Takes BOPIS orders in: what can be promised is reserved, and everything an order writes is one transaction."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert

from domain import bopis, postings
from domain.bopis import BopisState
from domain.errors import Malformed, StateConflict, UnknownLocation, UnsupportedItem, WrongCurrency
from domain.ids import hold_id, journey_id, payment_id
from domain.messages import Situation
from domain.orders import BopisOrder, PlacedLine, PlacedOrder
from domain.policy import Policy
from domain.stock import atp
from ledger import facts, reference, situations, steps
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.journal import Entry
from ledger.outbox import search_attributes
from ledger.people import Caller
from ledger.shelf import Cause
from ledger.tables import customer, hold, journey, journey_line, payment, sale_line, waiting_demand
from ledger.transaction import Rank, Transaction


class Reserved(NamedTuple):
    """What of one line is promised, and what is not."""

    line_id: str
    sku: str
    quantity: int
    reserved: int

    @property
    def short(self) -> int:
        return self.quantity - self.reserved


async def place_order(
    database: Database,
    caller: Caller,
    order: BopisOrder,
    *,
    idempotency_key: str | None,
    received_at: datetime,
) -> tuple[int, dict[str, Any]]:
    """Reserve an order and record it. Returns (201, answer), or (200, the same answer) for a repeat.

    Raises `UnknownLocation`, `UnknownSku`, `WrongCurrency`, `UnsupportedItem`, `StateConflict`, `IdempotencyMismatch`,
    `Malformed`; then nothing was written.
    """
    digest = body_hash(order.model_dump_json())
    keys = [f"order:{order.order_id}"] + ([f"key:{idempotency_key}"] if idempotency_key else [])

    async def work(tx: Transaction) -> tuple[int, dict[str, Any]]:
        before = await claim_keys(tx, caller.source, keys, digest)
        if before is not None:
            return 200, before.body
        placed = await _place(tx, caller.source, order, received_at)
        body = placed.model_dump(mode="json")
        await keep_answer(tx, caller.source, keys, Answer(201, body))
        return 201, body

    status, body = await database.write(work, actor=f"key:{caller.key_id}", via="api")
    if status == 201:
        await facts.apply_parked(database, caller.source, order.order_id, body["journey_id"])
    return status, body


async def _place(tx: Transaction, source: str, order: BopisOrder, received_at: datetime) -> PlacedOrder:
    where, policy, items = await _check(tx, order, received_at)
    journey = journey_id("bopis", source, order.order_id)
    at = order.placed_at or received_at
    due = bopis.pick_due(at, order.promised_at, policy.bopis, where.hours)
    await tx.lock_stock((where.code, line.sku) for line in order.lines)
    cause = Cause(f"intake:{journey}", tx.actor, at, where.entity, journey)
    tx.enter(Rank.HOLD)
    reserved = reserve(tx, order, policy, cause)
    if order.hold is not None:
        state = BopisState.PLACED
    elif any(line.short for line in reserved):
        state = BopisState.RESERVATION_FAILED
    else:
        state = BopisState.RESERVED
    dues = {}
    if state is BopisState.RESERVED:
        dues = {name: when.isoformat() for name, when in bopis.nag_dues(at, due, policy.bopis).items()}
    row = {
        "id": journey,
        "kind": "bopis",
        "source": source,
        "key": order.order_id,
        "state": state.value,
        "location": where.code,
        "region": where.region,
        "entity": where.entity,
        "channel": order.channel,
        "currency": order.currency,
        "customer_id": uuid.uuid4().hex,
        "requested_by": tx.actor,
        "promised_at": order.promised_at or due,
        "opened_at": at,
        "dues": dues,
        "asks": {},
        "detail": {
            "failure": "reservation_failure" if state is BopisState.RESERVATION_FAILED else None,
            "kept_back": order.hold.reason if order.hold else None,
            "frozen": any(items[line.sku]["frozen"] for line in order.lines),
            "has_address": order.customer.address is not None,
        },
        "policy": policy.model_dump(mode="json"),
        "policy_version": policy.version,
    }
    await _write(tx, source, order, row, reserved, at)
    paid = sum(entry.amount_minor for entry in order.payments if entry.state == "captured")
    tx.post(
        Entry(
            where.entity,
            "bopis.deposit",
            order.currency,
            cause.cause,
            postings.deposit(paid),
            at,
            journey,
            policy.authority.of_posting("bopis"),
        )
    )
    short = sum(line.short for line in reserved)
    await steps.note(
        tx,
        journey,
        "placed",
        "1",
        f"Order placed on {order.channel}; {sum(line.reserved for line in reserved)} of"
        f" {sum(line.quantity for line in order.lines)} units reserved at {where.name}"
        + (f", {short} not there." if short else "."),
        at,
    )
    situation = Situation(subject=journey, state=state.value, dues=situations.due_list(dues))
    tx.start(journey, "bopis", situation, search_attributes(row))
    return PlacedOrder(
        journey_id=journey,
        state=state.value,
        promised_at=row["promised_at"],  # type: ignore[arg-type]  # a datetime among words
        lines=tuple(
            PlacedLine(
                line_id=line.line_id, sku=line.sku, quantity=line.quantity, reserved=line.reserved, short=line.short
            )
            for line in reserved
        ),
        links={"self": f"/api/v1/journeys/{journey}"},
    )


async def _check(
    tx: Transaction, order: BopisOrder, at: datetime
) -> tuple[reference.Place, Policy, Mapping[str, RowMapping]]:
    """What the master data must say before anything is promised."""
    where = await reference.place(tx.conn, order.pickup_location, pointer="/pickup_location")
    if where.kind not in ("store", "hub") or not where.pickup:
        raise UnknownLocation(
            f"{where.name} ({where.code}) hands out no pickups; choose a store that does.", pointer="/pickup_location"
        )
    if where.status != "open":
        raise StateConflict(f"{where.name} takes no pickup orders now: {where.status.replace('_', ' ')}.")
    if order.currency != where.currency:
        raise WrongCurrency(
            f"{where.name} sells in {where.currency}, the order is in {order.currency}.", pointer="/currency"
        )
    if order.hold_id is not None:
        raise Malformed(
            "hold_id is given, but there is no such checkout hold; send the order without it.", pointer="/hold_id"
        )
    items = await reference.known_items(tx.conn, (line.sku for line in order.lines))
    for number, line in enumerate(order.lines):
        if items[line.sku]["stop_sale"]:
            raise UnsupportedItem(
                f"SKU {line.sku} is stopped from sale; take it off the order.", pointer=f"/lines/{number}/sku"
            )
    return where, await reference.policy_at(tx.conn, where, at), items


def reserve(tx: Transaction, order: BopisOrder, policy: Policy, cause: Cause) -> list[Reserved]:
    """Promise what ATP covers, from locked quantities: line by line, or the whole order or nothing."""
    threshold = policy.stock.channel_threshold.get(order.channel, 0)
    left: dict[str, int] = {}
    granted = []
    for line in order.lines:
        row = tx.shelf.rows[order.pickup_location, line.sku]
        if line.sku not in left:
            left[line.sku] = atp(
                row["available"],
                safety_stock=row["safety_stock"],
                channel_threshold=threshold,
                confidence_permille=row["confidence_permille"],
            )
        grant = min(line.quantity, left[line.sku])
        left[line.sku] -= grant
        granted.append(Reserved(line.line_id, line.sku, line.quantity, grant))
    if policy.bopis.allocation == "whole_order" and any(line.short for line in granted):
        granted = [got._replace(reserved=0) for got in granted]
    for got in granted:
        if got.reserved:
            tx.shelf.move(
                "reserved",
                got.sku,
                got.reserved,
                (order.pickup_location, "available"),
                (order.pickup_location, "reserved"),
                cause,
                hold_id=hold_id(cause.journey_id or "", got.line_id, order.pickup_location),
            )
    return granted


async def _write(
    tx: Transaction, source: str, order: BopisOrder, row: dict[str, Any], reserved: list[Reserved], at: datetime
) -> None:
    """Insert the rows of an order, each table by one statement."""
    journey_key = row["id"]
    who = order.customer
    await tx.conn.execute(
        insert(customer).values(
            id=row["customer_id"],
            name=who.name,
            email=who.email,
            phone=who.phone,
            address=who.address,
            pickup_person=who.pickup_person,
        )
    )
    await tx.conn.execute(insert(journey).values(**row))
    await tx.conn.execute(
        insert(journey_line),
        [
            {
                "journey_id": journey_key,
                "line_id": line.line_id,
                "sku": line.sku,
                "ordered": line.quantity,
                "reserved": got.reserved,
                "short": got.short,
                "substitution": line.substitution,
                "fallback": line.fallback,
                "state": "reserved" if not got.short else "short",
            }
            for line, got in zip(order.lines, reserved, strict=True)
        ],
    )
    holds = [
        {
            "id": hold_id(journey_key, got.line_id, row["location"]),
            "source": source,
            "channel": order.channel,
            "journey_id": journey_key,
            "line_id": got.line_id,
            "location": row["location"],
            "sku": got.sku,
            "quantity": got.reserved,
            "reserved": got.reserved,
            "promised_at": row["promised_at"],
            "at": at,
        }
        for got in reserved
        if got.reserved
    ]
    if holds:
        await tx.conn.execute(insert(hold), holds)
    waiting = [
        {
            "location": row["location"],
            "sku": got.sku,
            "journey_id": journey_key,
            "line_id": got.line_id,
            "quantity": got.short,
            "promised_at": row["promised_at"],
            "at": at,
        }
        for got in reserved
        if got.short
    ]
    if waiting:
        await tx.conn.execute(insert(waiting_demand), waiting)
    tx.enter(Rank.MONEY)
    await tx.conn.execute(insert(sale_line), _sale_lines(order, row))
    if order.payments:
        await tx.conn.execute(insert(payment), _payments(order, journey_key))


def _sale_lines(order: BopisOrder, row: dict[str, Any]) -> list[dict[str, Any]]:
    common = {
        "document": row["id"],
        "entity": row["entity"],
        "location": row["location"],
        "currency": order.currency,
        "tax_included": order.prices_include_tax,
    }
    lines = [
        common
        | {
            "line_id": line.line_id,
            "sku": line.sku,
            "quantity": line.quantity,
            "unit_price_minor": line.unit_price_minor,
            "gross_minor": line.gross_minor,
            "discount_minor": line.discount_minor,
            "tax_minor": line.tax_minor,
            "tax": [part.model_dump() for part in line.tax or ()],
        }
        for line in order.lines
    ]
    # A charge is a line without goods: one unit, earned with the first hand-over.
    charges = [
        common
        | {
            "line_id": f"charge:{number}",
            "sku": f"charge:{charge.kind}",
            "quantity": 1,
            "unit_price_minor": charge.amount_minor,
            "gross_minor": charge.amount_minor,
            "discount_minor": 0,
            "tax_minor": charge.tax_minor,
            "tax": [],
        }
        for number, charge in enumerate(order.charges, start=1)
    ]
    return lines + charges


def _payments(order: BopisOrder, journey_key: str) -> list[dict[str, Any]]:
    return [
        {
            "id": payment_id(journey_key, entry.reference),
            "journey_id": journey_key,
            "reference": entry.reference,
            "tender": entry.tender,
            "currency": order.currency,
            "amount_minor": entry.amount_minor,
            "authorized_minor": entry.amount_minor if entry.state == "authorized" else 0,
            "captured_minor": entry.amount_minor if entry.state == "captured" else 0,
            "authorized_until": entry.authorized_until,
        }
        for entry in order.payments
    ]
