"""Carries out what was decided about a transfer: wait, count, claim, write off, book at the source, send back or on."""

from datetime import datetime, timedelta
from typing import Any

from domain.errors import NothingOffered
from domain.journey_kinds import journey_words
from domain.transfer import Discrepancy, TransferState
from domain.words import local, money, units
from ledger import reference
from ledger.count.opening import Opening, being_counted, open_count
from ledger.transfer import claims, goods, onward, standing
from ledger.transfer.comparing import compare, discrepancies, next_kind
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

WAITS = frozenset({"await_rest", "recount_destination", "recount_source", "chase", "extend", "more_time", "carry_on"})


async def carry_out(it: Transfer, option: str, parameters: dict[str, Any], moment: Moment) -> str:
    """Do it; returns a sentence. Raises `NothingOffered` where goods that came meanwhile have answered the question.

    The transfer, its cases and its goods are locked.
    """
    if it.state in (TransferState.READY_TO_SHIP, TransferState.APPROVED):
        return _before_shipment(it, option, moment)
    if it.state in (TransferState.IN_TRANSIT, TransferState.PARTIALLY_RECEIVED):
        return await _on_the_way(it, option, parameters, moment)
    left = discrepancies(it)
    if not left or it.state is not TransferState.DISCREPANCY_REVIEW:
        raise NothingOffered("What differed has been explained meanwhile.")
    _, about = next_kind(left)
    return await _settle(it, option, about, str(parameters.get("root_cause") or ""), moment)


def _before_shipment(it: Transfer, option: str, moment: Moment) -> str:
    if option == "cancel_rest":
        return cancel_rest(it, moment, "not_shipped")
    standing.start_shipping(it, moment.at)
    return f"{it.place.name} was given another {it.policy.transfer.ship_open_s / 3600:g} open hours."


def cancel_rest(it: Transfer, moment: Moment, reason: str) -> str:
    """Nothing more leaves the source; a transfer of which nothing has left is cancelled."""
    rest = standing.cut_what_is_left(it, moment, reason)
    now = it.quantities()
    if now.in_transit or now.arrived:
        standing.stand(it, moment)
    else:
        it.go(TransferState.CANCELLED)
    return f"{units(rest)} stay at {it.place.name} and may be promised again."


async def _on_the_way(it: Transfer, option: str, parameters: dict[str, Any], moment: Moment) -> str:
    policy, zone = it.policy.transfer, it.target.hours.time_zone
    if option == "chase":
        until = moment.at + timedelta(seconds=policy.chase_s)
        it.due("receipt", until)
        return f"The carrier is asked; somebody looks again {local(until, zone)}."
    if option in ("extend", "carry_on"):
        until = moment.at + timedelta(seconds=policy.extend_s)
        it.due("receipt", until)
        return f"It may come until {local(until, zone)}."
    if option == "cancel_rest":
        return cancel_rest(it, moment, "not_shipped")
    if option == "more_time":
        return _before_shipment(it, option, moment)
    if option == "bring_back":
        return await onward.turn_back(it, moment)
    if option != "accept":
        raise NothingOffered("This way out is not there any more; look at the others.")
    lost = sum(
        goods.lose(it, line, line["in_transit"], str(parameters["root_cause"]), moment)
        for line in it.lines.values()
        if line["in_transit"]
    )
    standing.cut_what_is_left(it, moment, "lost")
    it.row["detail"]["complete"] = True
    if it.quantities().arrived:
        standing.stand(it, moment)
    else:
        it.drop_dues("receipt", "await")
        it.head["completed_at"] = moment.at
        it.go(TransferState.CLOSED)
    return f"Written off: {money(lost, it.target.currency)}."


async def _settle(it: Transfer, option: str, about: list[Discrepancy], root_cause: str, moment: Moment) -> str:
    place, zone = it.place, it.target.hours.time_zone
    if option == "await_rest":
        until = moment.at + timedelta(seconds=it.policy.transfer.await_s)
        it.due("await", until)
        return f"The rest is waited for until {local(until, zone)}."
    if option.startswith("recount_"):
        return await _recount(it, option.removeprefix("recount_"), about, moment.at)
    number = units(sum(one.units for one in about))
    if option == "never_left":
        for one in about:
            goods.never_left(it, it.lines[one.line_id], one.units, moment)
            it.lines[one.line_id]["root_cause"] = "not_shipped"
        return f"{number} never left {place.name} and are available there."
    if option == "carrier_claim":
        worth = sum(claims.open_claim(it, one, root_cause, moment) for one in about)
        return f"Claimed from the carrier: {money(worth, it.target.currency)}."
    if option == "was_written_off":
        worth = sum(
            goods.take_back(it, it.lines[one.line_id], _extra(it, one), one.units, root_cause, moment) for one in about
        )
        return f"{number} were written off before; {money(worth, it.target.currency)} of that loss are taken back."
    if option in ("send_on", "keep_there"):
        return await _stray(it, option, about, moment)
    if option in ("sent_unbooked", "send_back"):
        for one in about:
            extra = _extra(it, one)
            goods.sent_unbooked(it, extra, one.units, await it.entity_of(one.location), root_cause, moment)
        told = f"{number} were sent by {place.name} and are booked there."
        return told if option == "sent_unbooked" else f"{told} {await onward.send_back(it, about, moment)}"
    if option != "accept":
        raise NothingOffered("This way out is not there any more; look at the others.")
    return await _accept(it, about, root_cause, moment)


async def _accept(it: Transfer, about: list[Discrepancy], root_cause: str, moment: Moment) -> str:
    worth = 0
    for one in about:
        line = it.lines[one.line_id]
        if one.kind == "short":
            worth += goods.lose(it, line, one.units, root_cause, moment)
        elif one.kind == "damage":
            worth += goods.settle_damage(line, root_cause)
        elif one.kind == "wrong_store":
            goods.settle_stray(_extra(it, one), root_cause)
        else:
            worth += one.value_minor
            entity = await it.entity_of(one.location)
            goods.keep_as_gain(it, _extra(it, one), one.units, entity, root_cause, moment)
    return f"Accepted: {money(worth, it.target.currency)}; cause: {root_cause.replace('_', ' ')}."


async def _stray(it: Transfer, option: str, about: list[Discrepancy], moment: Moment) -> str:
    for one in about:
        goods.settle_stray(_extra(it, one), "wrong_store")
    if option == "keep_there":
        return "It stays where it came."
    return await onward.send_on(it, about, moment)


def _extra(it: Transfer, one: Discrepancy) -> dict[str, Any]:
    return next(extra for extra in it.extras if extra.get("id") == one.extra_id)


async def _recount(it: Transfer, end: str, about: list[Discrepancy], at: datetime) -> str:
    """A count at one end; when it is done, or has taken too long, the question is asked again with what it found."""
    place = it.place if end == "source" else it.target
    skus = sorted({one.sku for one in about})
    asked = await being_counted(it.tx, place.code, skus)
    wanted = [sku for sku in skus if sku not in asked]
    until = at + timedelta(seconds=it.policy.transfer.recount_s)
    it.due("recount", until)
    it.row["detail"]["recounts"] = sorted({*it.row["detail"].get("recounts", ()), *asked.values()})
    if not wanted:
        return f"{place.name} is counting already; somebody looks again {local(until, place.hours.time_zone)}."
    now = await it.tx.now()
    policy = await reference.policy_at(it.tx.conn, place, now)
    count_id = await open_count(
        it.tx,
        Opening(
            place=place,
            policy=policy,
            reason="transfer",
            skus=wanted,
            at=now,
            requested_by=it.id,
            due_at=now + timedelta(seconds=it.policy.transfer.recount_s),
            why=f"Transfer {it.row['key']} does not add up.",
        ),
    )
    it.row["detail"]["recounts"] = [*it.row["detail"].get("recounts", ()), count_id]
    return f"{place.name} counts: {journey_words(count_id)}."


async def after_decision(it: Transfer, option: str, moment: Moment) -> None:
    """The case is closed: what else differs is asked about next, and a transfer without a question is over."""
    if it.state is TransferState.DISCREPANCY_REVIEW and option not in WAITS and not it.row["asks"]:
        await compare(it, moment)
