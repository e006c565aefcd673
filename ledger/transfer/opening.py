"""Writes new transfers, many in one transaction: who must agree to each is asked, the others are reserved at once.

The stock rows of every line at its source are locked. What is promised is decided in memory from the locked quantities,
in the order given, exactly as it would be one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from domain.bands import Level, Rolling, level_of
from domain.calendars import add_open_time
from domain.ids import api_link, hold_id
from domain.messages import Situation
from domain.transfer import TransferState
from domain.transfers import TransferAnswer, TransferLineAnswer
from domain.words import money, units
from ledger import bands, policies, rows, situations, tables
from ledger.outbox import search_attributes
from ledger.shelf import Cause
from ledger.transaction import Transaction
from ledger.transfer import agreeing
from ledger.transfer.promising import CHANNEL, can_promise
from ledger.transfer.wanted import Costs, Wanted, value_of


async def level_for(tx: Transaction, one: Wanted, value_minor: int, *, subject: str) -> Level:
    """Who must agree to a transfer of this value."""
    limits = one.policy.bands.transfer.limits
    if one.is_agreed:
        return Level.NONE
    if one.band_actor is None:
        return agreeing.needed(one.place, one.target, level_of(limits, value_minor, Rolling()))
    level = await bands.use(
        tx,
        kind="transfer",
        actor=one.band_actor,
        location=one.place.code,
        subject=subject,
        gross_minor=value_minor,
        limits=limits,
        at=one.at,
    )
    return agreeing.needed(one.place, one.target, level)


@dataclass
class _Rows:
    """What new transfers write, table by table."""

    journeys: list[dict[str, Any]] = field(default_factory=list)
    heads: list[dict[str, Any]] = field(default_factory=list)
    lines: list[tuple[Any, ...]] = field(default_factory=list)
    holds: list[tuple[Any, ...]] = field(default_factory=list)
    steps: list[tuple[Any, ...]] = field(default_factory=list)


_LINE = ("journey_id", "line_id", "sku", "ordered", "reserved", "cancelled")
_HOLD = (
    "id", "source", "channel", "journey_id", "line_id", "location", "sku", "quantity", "reserved", "promised_at", "at",
)  # fmt: skip
_STEP = ("journey_id", "step", "occurrence", "input_hash", "result", "detail", "actor", "at")


async def open_all(tx: Transaction, openings: Sequence[Wanted], costs: Costs) -> list[TransferAnswer]:
    """Write them with their holds, approvals and workflows; one answer for each, in the order given."""
    kept: dict[str, str] = {}
    written, answers = _Rows(), []
    for one in openings:
        if one.policy.version not in kept:
            kept[one.policy.version] = await policies.keep(tx.conn, one.policy)
        answers.append(await _open(tx, one, costs, kept[one.policy.version], written))
    conn = tx.conn
    await rows.write(conn, tables.journey, written.journeys)
    await rows.write(conn, tables.transfer, written.heads)
    await rows.copy(conn, "transfer_line", _LINE, written.lines)
    if written.holds:
        await rows.copy(conn, "hold", _HOLD, written.holds)
    await rows.copy(conn, "journey_step", _STEP, written.steps)
    return answers


async def _open(tx: Transaction, one: Wanted, costs: Costs, policy_copy: str, written: _Rows) -> TransferAnswer:
    value = value_of(one, costs)
    level = await level_for(tx, one, value, subject=one.id)
    needed = level > Level.NONE
    detail: dict[str, Any] = {"barred": sorted(set(one.barred)), "band_actor": one.band_actor, **one.detail}
    asks: dict[str, Any] = {}
    dues: dict[str, str] = {}
    reserved: dict[str, int] = {}
    state = TransferState.PENDING_APPROVAL
    if needed:
        asks = {"approval_id": await agreeing.ask(tx, one, detail, value, level)}
    else:
        reserved = _reserve(tx, one, written)
        state = TransferState.READY_TO_SHIP if any(reserved.values()) else TransferState.CANCELLED
        if state is TransferState.READY_TO_SHIP:
            span = timedelta(seconds=one.policy.transfer.ship_open_s)
            dues["ship"] = add_open_time(one.at, span, one.place.staff_hours).isoformat()
    row = {
        "id": one.id, "kind": "transfer", "source": one.source, "key": one.key, "state": state.value,
        "location": one.place.code, "region": one.place.region, "entity": one.place.entity, "channel": CHANNEL,
        "currency": one.place.currency, "requested_by": one.requested_by, "promised_at": one.needed_by,
        "opened_at": one.at, "closed_at": one.at if state is TransferState.CANCELLED else None, "dues": dues,
        "asks": asks, "detail": detail, "policy_copy": policy_copy, "policy_version": one.policy.version,
        "clock_offset_s": one.clock_offset_s,
    }  # fmt: skip
    written.journeys.append(row)
    written.heads.append(_head(one, value, is_agreed=not needed))
    for line_id, sku, number in one.lines:
        cut = 0 if needed else number - reserved[line_id]
        written.lines.append((one.id, line_id, sku, number, reserved.get(line_id, 0), cut))
    told = _sentence(one, value, reserved, needed=needed)
    written.steps.append((one.id, "opened", one.key, "", "{}", told, tx.actor, one.at))
    tx.record("transfer.opened", one.id, one.at, after={"value_minor": value, "lines": len(one.lines)})
    situation = Situation(
        subject=one.id,
        state=state.value,
        ended=state is TransferState.CANCELLED,
        dues=situations.due_list(dues),
        approval_id=asks.get("approval_id"),
        clock_offset_s=one.clock_offset_s,
    )
    tx.start(one.id, "transfer", situation, search_attributes(row))
    return _answer(one, state, value, reserved, asks.get("approval_id"))


def _head(one: Wanted, value: int, *, is_agreed: bool) -> dict[str, Any]:
    return {
        "journey_id": one.id, "from_location": one.place.code, "to_location": one.target.code,
        "from_entity": one.place.entity, "to_entity": one.target.entity, "reason": one.reason,
        "needed_by": one.needed_by, "value_minor": value, "approved_at": one.at if is_agreed else None,
    }  # fmt: skip


def _reserve(tx: Transaction, one: Wanted, written: _Rows) -> dict[str, int]:
    """Hold what can be promised, line by line; returns the units by line."""
    why, held = Cause(f"intake:{one.id}", tx.actor, one.at, one.place.entity, one.id), {}
    for line_id, sku, number in one.lines:
        of_before = one.held.get(line_id, 0)
        of_shelf = min(number - of_before, can_promise(tx, one.policy, one.place.code, sku))
        units_held = held[line_id] = of_before + of_shelf
        if not units_held:
            continue
        key = hold_id(one.id, line_id, one.place.code)
        if of_shelf:
            sides = (one.place.code, "available"), (one.place.code, "reserved")
            tx.shelf.move("reserved", sku, of_shelf, *sides, why, hold_id=key)
        written.holds.append(
            (key, one.source, CHANNEL, one.id, line_id, one.place.code, sku, units_held, units_held, one.needed_by,
             one.at)
        )  # fmt: skip
    return held


def _sentence(one: Wanted, value: int, reserved: Mapping[str, int], *, needed: bool) -> str:
    wanted = sum(number for _, _, number in one.lines)
    told = f"{units(wanted)} from {one.place.name} to {one.target.name}, worth {money(value, one.place.currency)}"
    if needed:
        return f"{told}: somebody has to agree."
    held = sum(reserved.values())
    if held == wanted:
        return f"{told}: reserved."
    return f"{told}: {units(held)} reserved, the rest cannot be promised there."


def _answer(
    one: Wanted, state: TransferState, value: int, reserved: Mapping[str, int], approval_id: int | None
) -> TransferAnswer:
    pending = state is TransferState.PENDING_APPROVAL
    return TransferAnswer(
        journey_id=one.id,
        state=state.value,
        value_minor=value,
        currency=one.place.currency,
        approval_id=approval_id,
        lines=tuple(
            TransferLineAnswer(
                line_id=line_id,
                sku=sku,
                quantity=number,
                reserved=reserved.get(line_id, 0),
                short=0 if pending else number - reserved.get(line_id, 0),
            )
            for line_id, sku, number in one.lines
        ),
        links={"self": api_link("transfers", one.id)},
    )
