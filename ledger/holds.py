"""Holds of channels: promised, extended, released, shipped and expired, each unit exactly once.

A hold's rows change only under the locks of their stock rows. A part that is not open any more is refused by name; what
has physically left is not refused, it is taken from where the units went.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, insert, select, text, update

from domain import postings
from domain.errors import (
    AmbiguousReference,
    HoldEnded,
    Malformed,
    NotEnoughStock,
    NotFound,
    UnknownLine,
    UnsupportedItem,
)
from domain.events import OrderShipped
from domain.holds import Held, HeldLine, HoldExtension, HoldIn
from domain.ids import checkout_id, hold_id
from domain.stock import atp
from ledger import found, reference
from ledger.doubt import Taken, doubt
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.journal import Entry
from ledger.people import Caller
from ledger.shelf import Cause
from ledger.tables import hold
from ledger.transaction import Rank, Transaction

SWEEP_LIMIT = 500
_ENDS = ("committed", "released", "expired", "lost")
# What has left although it was not held any more: where its units are counted, the likeliest first.
_LEFT_FROM = ("released", "expired", "lost")


async def open_hold(
    database: Database, caller: Caller, wanted: HoldIn, *, idempotency_key: str | None
) -> tuple[int, Held]:
    """Promise units line by line as far as ATP covers them: (201, hold), or (200, the same) for a repeat.

    Where nothing can be held, or less than all and policy wants whole orders, `NotEnoughStock`. Raises
    `UnknownLocation`, `UnknownSku`, `UnsupportedItem`, `IdempotencyMismatch`. A refusal writes nothing.
    """
    digest = body_hash(wanted.model_dump_json())
    keys = [f"hold:{wanted.hold_id}"] + ([f"key:{idempotency_key}"] if idempotency_key else [])

    async def work(tx: Transaction) -> tuple[int, Held]:
        before = await claim_keys(tx, caller.source, keys, digest)
        if before is not None:
            return 200, Held.model_validate(before.body)
        held = await _promise(tx, caller.source, wanted)
        await keep_answer(tx, caller.source, keys, Answer(201, held.model_dump(mode="json")))
        return 201, held

    return await database.write(work, actor=f"key:{caller.key_id}", via="api")


async def _promise(tx: Transaction, source: str, wanted: HoldIn) -> Held:
    now = await tx.now()
    places = {}
    for number, line in enumerate(wanted.lines):
        if line.location not in places:
            places[line.location] = await reference.place(tx.conn, line.location, pointer=f"/lines/{number}/location")
    items = await reference.known_items(tx.conn, (line.sku for line in wanted.lines))
    stopped = await reference.stopped_at(tx.conn, items)
    for number, line in enumerate(wanted.lines):
        if items[line.sku]["stop_sale"] or (line.sku, line.location) in stopped:
            raise UnsupportedItem(f"SKU {line.sku} is stopped from sale.", pointer=f"/lines/{number}/sku")
    policies = {code: await reference.policy_at(tx.conn, place, now) for code, place in places.items()}
    await tx.lock_stock((line.location, line.sku) for line in wanted.lines)
    tx.enter(Rank.HOLD)
    checkout = checkout_id(source, wanted.hold_id)
    expires_at = None if wanted.expires_in_s is None else now + timedelta(seconds=wanted.expires_in_s)
    lines, rows = [], []
    for line in wanted.lines:
        row = tx.shelf.rows[line.location, line.sku]
        can = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=policies[line.location].stock.channel_threshold.get(wanted.channel, 0),
            confidence_permille=row["confidence_permille"],
        )
        units = min(line.quantity, can)
        lines.append(HeldLine(**line.model_dump(), reserved=units, short=line.quantity - units))
        if not units:
            continue
        key = hold_id(checkout, line.line_id, line.location)
        cause = Cause(checkout, tx.actor, now, places[line.location].entity)
        sides = (line.location, "available"), (line.location, "reserved")
        tx.shelf.move("reserved", line.sku, units, *sides, cause, hold_id=key)
        rows.append(
            {
                "id": key,
                "source": source,
                "channel": wanted.channel,
                "checkout": checkout,
                "order_reference": wanted.order_reference,
                "line_id": line.line_id,
                "location": line.location,
                "sku": line.sku,
                "quantity": units,
                "reserved": units,
                "expires_at": expires_at,
                "at": now,
            }
        )
    _refuse_what_is_too_little(lines, whole=any(p.bopis.allocation == "whole_order" for p in policies.values()))
    await tx.conn.execute(insert(hold), rows)
    return Held(
        hold_id=wanted.hold_id,
        state="held",
        channel=wanted.channel,
        order_reference=wanted.order_reference,
        expires_at=expires_at,
        lines=tuple(lines),
    )


def _refuse_what_is_too_little(lines: Sequence[HeldLine], *, whole: bool) -> None:
    short = [number for number, line in enumerate(lines) if line.short]
    if short and (whole or not any(line.reserved for line in lines)):
        line = lines[short[0]]
        raise NotEnoughStock(
            f"Line {line.line_id}: {line.reserved} of {line.quantity} of {line.sku} can be promised at {line.location};"
            " nothing was held.",
            pointer=f"/lines/{short[0]}/quantity",
        )


async def extend(database: Database, caller: Caller, key: str, wanted: HoldExtension) -> Held:
    """Hold until later. Raises `NotFound`, `HoldEnded` where nothing is held any more, `Malformed` for an earlier
    end.
    """

    async def work(tx: Transaction) -> Held:
        rows = await _lock(tx, caller, key)
        now = await tx.now()
        held = _open(rows, key, now)
        expires_at = None if wanted.expires_in_s is None else now + timedelta(seconds=wanted.expires_in_s)
        ends = [row["expires_at"] for row in held]
        if expires_at is not None and any(end is None or end > expires_at for end in ends):
            raise Malformed("The hold would end earlier than it does now.", pointer="/expires_in_s")
        ids = [row["id"] for row in held]
        await tx.conn.execute(update(hold).where(hold.c.id.in_(ids)).values(expires_at=expires_at))
        for row in held:
            row["expires_at"] = expires_at
        return _answer(rows)

    return await database.write(work, actor=f"key:{caller.key_id}", via="api")


async def release(database: Database, caller: Caller, key: str) -> Held:
    """Give back what is held; whoever waits for it is served first. Raises `NotFound`, `HoldEnded`."""

    async def work(tx: Transaction) -> Held:
        rows = await _lock(tx, caller, key)
        now = await tx.now()
        await _give_back(tx, _open(rows, key, None), "released", now)
        return _answer(rows)

    return await database.write(work, actor=f"key:{caller.key_id}", via="api")


async def shipped(tx: Transaction, caller: Caller, data: OrderShipped, cause: str, at: datetime) -> None:
    """Held goods have left: committed, at their average cost. What was given back meanwhile has left all the same and
    is taken from what is available, below zero if need be; then promises that the book lacks are doubted.

    Raises `NotFound`, `UnknownLine`, and `HoldEnded` for units that were committed before.
    """
    rows = await _lock(tx, caller, data.hold_id)
    wanted = _units_shipped(rows, data)
    entities = await reference.entities_of(tx.conn, {row["location"] for row in rows})
    tx.enter(Rank.MONEY)
    taken: dict[tuple[str, str], Taken] = {}
    for entity in sorted({entities[row["location"]] for row in rows if row["id"] in wanted}):
        there = [row for row in rows if row["id"] in wanted and entities[row["location"]] == entity]
        costs = await reference.unit_costs(tx.conn, entity, (row["sku"] for row in there))
        why = Cause(cause, tx.actor, at, entity)
        lines: list[postings.Line] = []
        for row in there:
            cost = _ship(tx, row, wanted[row["id"]], costs.get(row["sku"], 0), why)
            lines += postings.shipment(cost, location=row["location"], sku=row["sku"])
        place = await reference.place(tx.conn, there[0]["location"])
        policy = await reference.policy_at(tx.conn, place, at)
        authority = policy.authority.of_posting("order.shipped")
        taken |= {(row["location"], row["sku"]): Taken(why, policy.stock.doubt_first) for row in there}
        tx.post(Entry(entity, "order.shipped", place.currency, cause, lines, at, None, authority))
    await _save(tx, rows)
    await doubt(tx, taken)


def _units_shipped(rows: Sequence[Mapping[str, Any]], data: OrderShipped) -> dict[str, int]:
    """Units by row. Raises `UnknownLine`, `HoldEnded`."""
    if data.lines is None:
        wanted = {row["id"]: row["reserved"] for row in rows if row["reserved"]}
        if not wanted:
            raise HoldEnded(_ended(rows, data.hold_id), pointer="/data/hold_id")
        return wanted
    by_line = {row["line_id"]: row for row in rows}
    wanted = {}
    for line in data.lines:
        row = by_line.get(line.line_id)
        if row is None:
            raise UnknownLine(
                f"Hold {data.hold_id} has no line {line.line_id}; its lines are {', '.join(by_line)}.",
                pointer="/data/lines",
            )
        wanted[row["id"]] = wanted.get(row["id"], 0) + line.quantity
        if wanted[row["id"]] > row["quantity"] - row["committed"]:
            raise HoldEnded(
                f"Line {line.line_id} of hold {data.hold_id}: {row['committed']} of {row['quantity']} units are"
                f" committed already, {wanted[row['id']]} more cannot leave.",
                pointer="/data/lines",
            )
    return wanted


def _ship(tx: Transaction, row: dict[str, Any], units: int, unit_cost_e4: int, why: Cause) -> int:
    """Move a line's units to the customer; returns their cost in minor units."""
    place, sku = row["location"], row["sku"]
    parts = []
    for part in ("reserved", *_LEFT_FROM):
        taken = min(units, row[part])
        if taken:
            row[part] -= taken
            row["committed"] += taken
            units -= taken
            parts.append(("reserved" if part == "reserved" else "available", taken))
    whole = reference.cost_of(unit_cost_e4, sum(taken for _, taken in parts))
    left = whole
    for number, (bucket, taken) in enumerate(parts, start=1):
        cost = left if number == len(parts) else min(reference.cost_of(unit_cost_e4, taken), left)
        left -= cost
        tx.shelf.move(
            "shipped",
            sku,
            taken,
            (place, bucket),
            (place, "customer"),
            why,
            unit_cost_e4=unit_cost_e4,
            cost_minor=cost,
            hold_id=row["id"],
        )
    return whole


_EXPIRED = text(
    "SELECT DISTINCT location, sku FROM hold WHERE expires_at <= now() AND reserved > 0 ORDER BY 1, 2 LIMIT :limit"
)
# Rows in use are left for the next sweep: nobody shall wait behind one that waits.
_FREE = text(
    "SELECT s.location, s.sku FROM stock s"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku) USING (location, sku)"
    " ORDER BY s.location, s.sku FOR UPDATE OF s SKIP LOCKED"
)
_EXPIRED_THERE = text(
    "SELECT h.* FROM hold h"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku) USING (location, sku)"
    " WHERE h.expires_at <= now() AND h.reserved > 0 ORDER BY h.id FOR UPDATE OF h"
)


async def sweep(database: Database) -> int:
    """Give back what expired; returns how many lines of holds that were. Stock that is in use is left for the next
    time.
    """
    total = 0
    while True:
        spots, released = await database.write(_sweep, actor="endcap", via="sweep")
        total += released
        if spots < SWEEP_LIMIT or not released:
            return total


async def _sweep(tx: Transaction) -> tuple[int, int]:
    """(places that have expired holds, lines that were given back), a bounded number of places at a time."""
    expired = (await tx.conn.execute(_EXPIRED, {"limit": SWEEP_LIMIT})).all()
    if not expired:
        return 0, 0
    tx.enter(Rank.STOCK)
    free = [tuple(row) for row in await tx.conn.execute(_FREE, _spots(expired))]
    await tx.lock_stock((location, sku) for location, sku in free)
    tx.enter(Rank.HOLD)
    rows = [dict(row) for row in (await tx.conn.execute(_EXPIRED_THERE, _spots(free))).mappings()]
    await _give_back(tx, rows, "expired", await tx.now())
    return len(expired), len(rows)


def _spots(pairs: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    listed = list(pairs)
    return {"locations": [pair[0] for pair in listed], "skus": [pair[1] for pair in listed]}


async def _lock(tx: Transaction, caller: Caller, key: str) -> list[dict[str, Any]]:
    """The rows of a hold, locked after their stock rows. Raises `NotFound`, `AmbiguousReference`."""
    names = [checkout_id(source, key) for source in sorted({caller.source, *caller.sources})]
    spots = (
        await tx.conn.execute(select(hold.c.checkout, hold.c.location, hold.c.sku).where(hold.c.checkout.in_(names)))
    ).all()
    known = {row.checkout for row in spots}
    own = checkout_id(caller.source, key)
    if len(known) > 1 and own not in known:
        raise AmbiguousReference(f"Hold {key} exists in several sources.")
    if not known:
        raise NotFound(f"There is no hold {key}.")
    name = own if own in known else known.pop()
    await tx.lock_stock((row.location, row.sku) for row in spots if row.checkout == name)
    tx.enter(Rank.HOLD)
    rows = await tx.conn.execute(select(hold).where(hold.c.checkout == name).order_by(hold.c.id).with_for_update())
    return [dict(row) for row in rows.mappings()]


def _open(rows: Sequence[dict[str, Any]], key: str, now: datetime | None) -> list[dict[str, Any]]:
    """Rows with something held; at `now`, what has expired and was not swept yet is not. Raises `HoldEnded`."""
    held = [
        row for row in rows if row["reserved"] and (now is None or row["expires_at"] is None or row["expires_at"] > now)
    ]
    if not held:
        raise HoldEnded(_ended(rows, key))
    return held


def _ended(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    what = ended_as(rows)
    return f"Nothing of hold {key} is held any more: it is {what} already."


def ended_as(rows: Sequence[Mapping[str, Any]]) -> str:
    """What became of most units of a hold, in a word. What is reserved still has run out of time."""
    units = {part: sum(row[part] for row in rows) for part in _ENDS}
    units["expired"] += sum(row["reserved"] for row in rows)
    return max(_ENDS, key=lambda part: units[part])


async def _give_back(tx: Transaction, rows: Sequence[dict[str, Any]], part: str, at: datetime) -> None:
    """Take what is reserved of locked rows back to what is available, and serve who waits."""
    if not rows:
        return
    entities = await reference.entities_of(tx.conn, {row["location"] for row in rows})
    causes = {}
    for row in rows:
        place, sku = row["location"], row["sku"]
        why = Cause(f"{part}:{row['id']}", tx.actor, at, entities[place], row["journey_id"])
        causes[place, sku] = why
        sides = (place, "reserved"), (place, "available")
        tx.shelf.move("released", sku, row["reserved"], *sides, why, reason=part, hold_id=row["id"])
        row[part] += row["reserved"]
        row["reserved"] = 0
    await _save(tx, rows)
    for (place, sku), why in sorted(causes.items()):
        await found.assign(tx, [(place, sku)], why)


_SAVE = text(
    "UPDATE hold SET reserved = h.reserved, committed = h.committed, released = h.released, expired = h.expired,"
    " lost = h.lost FROM unnest(CAST(:id AS text[]), CAST(:reserved AS int[]), CAST(:committed AS int[]),"
    " CAST(:released AS int[]), CAST(:expired AS int[]), CAST(:lost AS int[]))"
    " AS h(id, reserved, committed, released, expired, lost) WHERE hold.id = h.id"
)


async def _save(tx: Transaction, rows: Sequence[Mapping[str, Any]]) -> None:
    names = ("id", "reserved", *_ENDS)
    await tx.conn.execute(_SAVE, {name: [row[name] for row in rows] for name in names})


def _answer(rows: Sequence[Mapping[str, Any] | RowMapping]) -> Held:
    first = rows[0]
    held = [row for row in rows if row["reserved"]]
    return Held(
        hold_id=first["checkout"].split(":", 2)[2],
        state="held" if held else "ended",
        channel=first["channel"],
        order_reference=first["order_reference"],
        expires_at=held[0]["expires_at"] if held else None,
        lines=tuple(
            HeldLine(**{name: row[name] for name in ("line_id", "sku", "location", "quantity", "reserved", *_ENDS)})
            for row in sorted(rows, key=lambda row: row["line_id"])
        ),
    )
