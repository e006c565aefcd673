"""Receives events: each takes its whole effect in one transaction, once; what cannot be understood is set aside,
never lost.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.case import CaseOption
from domain.errors import AmbiguousReference, DomainError, Malformed, NotAllowed, NotFound
from domain.events import EVENT_TYPES, FACTS, BopisHandedOver, Event, EventOutcome, HandedLine, OrderReference, PosSale
from domain.ids import journey_id
from ledger import case, goods, holds, reference
from ledger.bopis import facts, requests
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import event_inbox, journey, location
from ledger.transaction import Rank, Transaction

Handler = Callable[[Order, Any, str, datetime], Awaitable[str]]

ON_ORDERS: dict[str, Handler] = {
    "bopis.picked": facts.picked,
    "bopis.handed_over": facts.handed_over,
    "bopis.put_away": facts.put_away,
    "bopis.cancelled": requests.cancelled,
    "bopis.extended": requests.extended,
    "bopis.hold_released": requests.hold_released,
}


async def receive(
    database: Database, caller: Caller, events: Sequence[Mapping[str, Any]], *, received_at: datetime
) -> list[EventOutcome]:
    """Take each event in its own transaction, in the order given; the outcome of one never depends on another's.

    accepted: took its effect. duplicate: was taken before. parked: waits for its order. quarantined: not understood,
    kept sealed, a case says why. refused: a request that the recorded state does not allow, or a malformed envelope.
    """
    return [await _receive_one(database, caller, raw, received_at) for raw in events]


async def _receive_one(
    database: Database, caller: Caller, raw: Mapping[str, Any], received_at: datetime
) -> EventOutcome:
    try:
        event = Event.model_validate(raw)
    except ValidationError as error:
        return EventOutcome(id=str(raw.get("id", ""))[:80], outcome="refused", problem=_from_pydantic(error))
    body = json.dumps(event.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(body.encode()).digest()
    try:
        return await database.write(
            lambda tx: _take(tx, caller, event, digest, body), actor=f"key:{caller.key_id}", via="api"
        )
    except DomainError as error:
        said = problem(error)
        keep = event.type in FACTS and not isinstance(error, NotAllowed)
    if keep:
        return await database.write(
            lambda tx: _quarantine(tx, caller, event, digest, body, said, received_at),
            actor=f"key:{caller.key_id}",
            via="api",
        )
    return await database.write(
        lambda tx: _refuse(tx, caller, event, digest, said), actor=f"key:{caller.key_id}", via="api"
    )


def problem(refusal: DomainError) -> dict[str, Any]:
    """A refusal as the problem of an event."""
    found = {"code": refusal.code, "detail": refusal.detail}
    return found | ({"pointer": refusal.pointer} if refusal.pointer else {})


def _from_pydantic(error: ValidationError) -> dict[str, Any]:
    first = error.errors()[0]
    pointer = "/" + "/".join(str(part) for part in first["loc"])
    return {"code": "malformed", "detail": f"{pointer}: {first['msg']}", "pointer": pointer}


async def _take(tx: Transaction, caller: Caller, event: Event, digest: bytes, body: str) -> EventOutcome:
    before = await _inbox(tx, caller.source, event, digest)
    if before is not None:
        return before
    data = _data(event)
    cause = f"event:{caller.source}:{event.id}"
    case_id = None
    about = None
    if isinstance(data, OrderReference):
        about = await _find_order(tx, caller, data)
        if about is None:
            return await _park(tx, caller, event, data, body)
        order = await Order.load(tx, await tx.lock_journey(about))
        await ON_ORDERS[event.type](order, data, cause, order.clock(event.occurred_at))
    elif isinstance(data, PosSale):
        about = await _sale(tx, caller, data, cause, event.occurred_at)
    else:
        case_id = await _goods(tx, caller, event.type, data, cause, event.occurred_at)
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == caller.source, event_inbox.c.event_id == event.id)
        .values(outcome="accepted", journey_id=about, case_id=case_id, body_sealed=None, waits_for=None)
    )
    return EventOutcome(id=event.id, outcome="accepted", case_id=case_id)


async def _inbox(tx: Transaction, source: str, event: Event, digest: bytes) -> EventOutcome | None:
    """Take the event's place in the inbox; a concurrent one with the same id waits here. Raises for another body."""
    tx.enter(Rank.KEYS)
    taken = await tx.conn.execute(
        upsert(event_inbox)
        .values(
            source=source,
            event_id=event.id,
            type=event.type,
            body_hash=digest,
            sequence=event.sequence,
            occurred_at=event.occurred_at,
            outcome="accepted",
        )
        .on_conflict_do_nothing()
        .returning(event_inbox.c.event_id)
    )
    if taken.first() is not None:
        return None
    row = (
        (
            await tx.conn.execute(
                select(event_inbox)
                .where(event_inbox.c.source == source, event_inbox.c.event_id == event.id)
                .with_for_update()
            )
        )
        .mappings()
        .one()
    )
    if row["body_hash"] != digest:
        return EventOutcome(
            id=event.id,
            outcome="refused",
            problem={
                "code": "idempotency_mismatch",
                "detail": f"Event {event.id} was sent before with another body; give a correction an id of its own.",
            },
        )
    if row["outcome"] in ("parked", "quarantined") and tx.via == "replay":
        return None
    if row["outcome"] == "accepted":
        return EventOutcome(id=event.id, outcome="duplicate")
    return EventOutcome(id=event.id, outcome=row["outcome"], problem=row["problem"], case_id=row["case_id"])


def _data(event: Event) -> Any:
    """The event's data in the shape of its type. Raises `Malformed`."""
    shape = EVENT_TYPES.get(event.type)
    if shape is None:
        raise Malformed(
            f"There is no event type {event.type}; the types are {', '.join(sorted(EVENT_TYPES))}.", pointer="/type"
        )
    try:
        return shape.model_validate(event.data)
    except ValidationError as error:
        first = error.errors()[0]
        pointer = "/data/" + "/".join(str(part) for part in first["loc"])
        raise Malformed(f"{pointer}: {first['msg']}", pointer=pointer) from error


async def _find_order(tx: Transaction, caller: Caller, data: OrderReference) -> str | None:
    """The journey that is meant, or None when there is none yet. Raises `AmbiguousReference`, `Malformed`,
    `NotAllowed`.
    """
    sources = sorted({caller.source, *caller.sources})
    if data.journey_id is not None:
        wanted = [data.journey_id]
    elif data.order_id is None:
        raise Malformed("Name the order: journey_id, or order_id (with order_source).", pointer="/data/order_id")
    elif data.order_source is not None:
        if data.order_source not in sources:
            raise NotAllowed(f"This key may not speak about orders of {data.order_source}.")
        wanted = [journey_id("bopis", data.order_source, data.order_id)]
    else:
        wanted = [journey_id("bopis", source, data.order_id) for source in sources]
    rows = await tx.conn.execute(select(journey.c.id, journey.c.source).where(journey.c.id.in_(wanted)))
    known = {row.id: row.source for row in rows}
    own = [key for key, source in known.items() if source == caller.source]
    if own:
        return str(own[0])
    if len(known) > 1:
        raise AmbiguousReference(f"Order {data.order_id} exists in several sources; name order_source.")
    for key, source in known.items():
        if source not in sources:
            raise NotAllowed(f"This key may not speak about orders of {source}.")
        return str(key)
    return None


async def _park(tx: Transaction, caller: Caller, event: Event, data: OrderReference, body: str) -> EventOutcome:
    """The order has not come yet: keep the event sealed, and apply it when the order comes."""
    waits_for = data.journey_id or data.order_id or ""
    said = {
        "code": "order_unknown",
        "detail": f"There is no order {waits_for} yet; the event is applied when it comes.",
    }
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == caller.source, event_inbox.c.event_id == event.id)
        .values(outcome="parked", waits_for=waits_for, problem=said, body_sealed=tx.seal.close(body))
    )
    return EventOutcome(id=event.id, outcome="parked", problem=said)


async def _sale(tx: Transaction, caller: Caller, data: PosSale, cause: str, at: datetime) -> str | None:
    """A till receipt. Lines that name an order are that order's hand-over: one movement, whoever reports it."""
    handed: dict[str, list[HandedLine]] = {}
    rest = []
    for line in data.lines:
        if line.order_id is None or line.line_id is None:
            rest.append(line)
            continue
        about = await _find_order(tx, caller, OrderReference(order_id=line.order_id, order_source=line.order_source))
        if about is None:
            raise NotFound(f"Line {line.line} names order {line.order_id}, which is not known.", pointer="/data/lines")
        handed.setdefault(about, []).append(HandedLine(line_id=line.line_id, quantity=line.quantity))
    if len(handed) > 1:
        raise Malformed("One receipt may hand over one order; send a receipt for each.", pointer="/data/lines")
    for about, lines in handed.items():
        order = await Order.load(tx, await tx.lock_journey(about))
        given = [line for line in lines if line.quantity <= order.open_quantity(order.line(line.line_id))]
        if given:
            report = BopisHandedOver(lines=tuple(given), actor="till")
            await facts.handed_over(order, report, cause, order.clock(at))
    if rest:
        await goods.sold(tx, caller, data.model_copy(update={"lines": tuple(rest)}), cause, at)
    return next(iter(handed), None)


async def _goods(tx: Transaction, caller: Caller, kind: str, data: Any, cause: str, at: datetime) -> int | None:
    if kind == "stock.received":
        await goods.received(tx, data, cause, at)
        return None
    if kind == "order.shipped":
        await holds.shipped(tx, caller, data, cause, at)
        return None
    return await goods.adjusted(tx, caller, data, cause, at)


async def _refuse(tx: Transaction, caller: Caller, event: Event, digest: bytes, said: dict[str, Any]) -> EventOutcome:
    await tx.conn.execute(
        upsert(event_inbox)
        .values(
            source=caller.source,
            event_id=event.id,
            type=event.type,
            body_hash=digest,
            sequence=event.sequence,
            occurred_at=event.occurred_at,
            outcome="refused",
            problem=said,
        )
        .on_conflict_do_nothing()
    )
    return EventOutcome(id=event.id, outcome="refused", problem=said)


async def _quarantine(
    tx: Transaction,
    caller: Caller,
    event: Event,
    digest: bytes,
    body: str,
    said: dict[str, Any],
    received_at: datetime,
) -> EventOutcome:
    """Keep what happened sealed until somebody mends the master data, and open a case that says what is wrong."""
    values = {"outcome": "quarantined", "problem": said, "body_sealed": tx.seal.close(body)}
    await tx.conn.execute(
        upsert(event_inbox)
        .values(
            source=caller.source,
            event_id=event.id,
            type=event.type,
            body_hash=digest,
            sequence=event.sequence,
            occurred_at=event.occurred_at,
            **values,
        )
        .on_conflict_do_update(index_elements=["source", "event_id"], set_=values)
    )
    case_id = await _rejected_case(tx, caller, event, said, received_at)
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == caller.source, event_inbox.c.event_id == event.id)
        .values(case_id=case_id)
    )
    return EventOutcome(id=event.id, outcome="quarantined", problem=said, case_id=case_id)


async def _rejected_case(
    tx: Transaction, caller: Caller, event: Event, said: dict[str, Any], at: datetime
) -> int | None:
    """One case for one cause: the same unknown SKU in a hundred receipts is one thing to mend."""
    code = event.data.get("location")
    known = await tx.conn.execute(
        select(location.c.code)
        .order_by(location.c.code != (code if isinstance(code, str) else ""), location.c.code)
        .limit(1)
    )
    first = known.scalar()
    if first is None:
        return None
    place = await reference.place(tx.conn, first)
    ref = await case.open_case(
        tx,
        case.Opening(
            kind="event_rejected",
            subject=f"{caller.source}|{said['code']}|{said['detail'][:120]}",
            place=place,
            policy=await reference.policy_at(tx.conn, place, at),
            at=at,
            facts={"source": caller.source, "event_id": event.id, "type": event.type, "problem": said},
            options=(
                CaseOption(
                    id="replay",
                    label="The master data is mended; replay",
                    rank=1,
                    because="the report is right and what it names was missing",
                ),
                CaseOption(id="discard", label="The report is wrong; leave it out", rank=2),
            ),
            text=f"{event.type} {event.id} from {caller.source}: {said['detail']}",
        ),
    )
    return ref.id


async def waiting_for(database: Database, order_key: str, about: str) -> list[tuple[str, dict[str, Any]]]:
    """Parked events that wait for an order: (source, event), in the order in which they happened."""
    async with database.read() as conn:
        rows = await conn.execute(
            select(event_inbox.c.source, event_inbox.c.body_sealed)
            .where(event_inbox.c.outcome == "parked", event_inbox.c.waits_for.in_((order_key, about)))
            .order_by(event_inbox.c.occurred_at, event_inbox.c.recorded_at)
        )
        return [(row.source, json.loads(database.seal.open(row.body_sealed))) for row in rows if row.body_sealed]


async def replay(database: Database, caller: Caller, events: Sequence[Mapping[str, Any]]) -> list[EventOutcome]:
    """Take parked or quarantined events again, now that what they lacked is there."""
    outcomes = []
    for raw in events:
        event = Event.model_validate(raw)
        body = json.dumps(event.model_dump(mode="json"), sort_keys=True)
        digest = hashlib.sha256(body.encode()).digest()
        outcomes.append(
            await database.write(
                lambda tx, e=event, d=digest, b=body: _take(tx, caller, e, d, b),  # type: ignore[misc]
                actor=f"key:{caller.key_id}",
                via="replay",
            )
        )
    return outcomes


async def apply_parked(database: Database, order_source: str, order_key: str, about: str) -> list[EventOutcome]:
    """An order has come: take the events that waited for it, in the order in which they happened."""
    outcomes = []
    for source, event in await waiting_for(database, order_key, about):
        behind = Caller(f"parked:{source}", source, frozenset(), frozenset({order_source}), None, frozenset())
        outcomes += await replay(database, behind, [event])
    return outcomes
