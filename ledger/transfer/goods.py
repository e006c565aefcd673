"""Units of a transfer move: sent, received, unexpected, never sent, lost. Each changes line, stock and books together.

The transfer and its goods are locked. Values follow the units: a line knows what its units in transit are worth to
their owner, and what they have cost whoever sent them.
"""

from datetime import datetime
from typing import Any, NamedTuple

from domain import transfer_postings as postings
from domain.transfer import LOSS_ACCOUNTS, share
from domain.transfer_postings import Side, Value, transfer_price
from ledger.reference import Place
from ledger.transfer import recounts
from ledger.transfer.document import Transfer

SHIPPED, RECEIVED, SETTLED = "transfer.shipped", "transfer.received", "transfer.settled"


class Moment(NamedTuple):
    """Which fact, decision or step moves goods, and when it happened on the transfer's clock."""

    cause: str
    at: datetime


def _on_the_way(it: Transfer) -> Side:
    return Side(it.target.entity, "goods_in_transit", it.target.code)


def _taken_out(line: dict[str, Any], units: int) -> Value:
    """The value of some of a line's units in transit, which they take with them."""
    taken = share(line["transit_minor"], units, line["in_transit"])
    given = share(line["cost_minor"], units, line["in_transit"])
    line["in_transit"] -= units
    line["transit_minor"] -= taken
    line["cost_minor"] -= given
    return Value(given, taken)


def ship(it: Transfer, line: dict[str, Any], units: int, moment: Moment, *, is_assumed: bool = False) -> None:
    """Units leave the source: those that are held for it first, then from the shelf, which may fall below zero."""
    sku, source, target = str(line["sku"]), it.place, it.target
    held = it.holds.get(line["line_id"])
    of_hold = min(held["reserved"], units) if held else 0
    cost = it.cost_of(source.entity, sku, units)
    price = transfer_price(cost, it.policy.transfer.markup_permille) if it.crosses else cost
    why, left = it.cause(*moment), cost
    for bucket, part in (("reserved", of_hold), ("available", units - of_hold)):
        if not part:
            continue
        part_cost = left if bucket == "available" or part == units else share(cost, part, units)
        left -= part_cost
        key = held["id"] if held and bucket == "reserved" else None
        to = (source.code, "carrier") if it.crosses else (target.code, "in_transit")
        it.tx.shelf.move(
            "transfer_shipped", sku, part, (source.code, bucket), to, why, cost_minor=part_cost, hold_id=key
        )
    if it.crosses:
        theirs = it.cause(*moment, entity=target.entity)
        sides = (target.code, "carrier"), (target.code, "in_transit")
        it.tx.shelf.move("transfer_shipped", sku, units, *sides, theirs, cost_minor=price)
    if held:
        held["reserved"] -= of_hold
        held["committed"] += of_hold
        line["reserved"] = held["reserved"]
    if of_hold < units:
        it.taken.add((source.code, sku))
    line["shipped"] += units
    line["in_transit"] += units
    line["assumed"] += units if is_assumed else 0
    line["transit_minor"] += price
    line["cost_minor"] += cost
    giver = Side(source.entity, "inventory", source.code)
    it.post(SHIPPED, moment.cause, postings.passed(giver, _on_the_way(it), Value(cost, price), sku))


def release(it: Transfer, line: dict[str, Any], units: int, moment: Moment, reason: str) -> None:
    """Units of a line do not leave any more: what is held of them may be promised again."""
    held = it.holds.get(line["line_id"])
    line["cancelled"] += units
    part = min(held["reserved"], units) if held else 0
    if held and part:
        held["reserved"] -= part
        held["released"] += part
        line["reserved"] = held["reserved"]
        sides = (it.place.code, "reserved"), (it.place.code, "available")
        it.tx.shelf.move(
            "released", str(line["sku"]), part, *sides, it.cause(*moment), reason=reason, hold_id=held["id"]
        )
        it.freed.add((it.place.code, str(line["sku"])))


def receive(it: Transfer, line: dict[str, Any], units: int, condition: str, where: Place, moment: Moment) -> Value:
    """Units in transit have come, to the destination or to another place; what was sent for an order is held for it.
    Returns their value.
    """
    sku, target = str(line["sku"]), it.target
    value = _taken_out(line, units)
    worth = value.taken_minor
    why = it.cause(*moment, entity=target.entity)
    if condition == "damaged":
        sides = (target.code, "in_transit"), (where.code, "damaged")
        it.tx.shelf.move("transfer_received", sku, units, *sides, why, reason="damaged", cost_minor=worth)
        lines = postings.came_damaged(worth, location=where.code, sku=sku)
        it.post(RECEIVED, moment.cause, {target.entity: lines})
        line["damaged"] += units
        line["damage_minor"] += worth
        return value
    if where.entity == target.entity:
        of_order, key = it.awaited.hand_over(line, units) if where.code == target.code else (0, None)
        left = worth
        for bucket, part, hold_key in (("reserved", of_order, key), ("available", units - of_order, None)):
            if not part:
                continue
            cost = left if part == units or bucket == "available" else share(worth, part, units)
            left -= cost
            sides = (target.code, "in_transit"), (where.code, bucket)
            it.tx.shelf.move("transfer_received", sku, part, *sides, why, cost_minor=cost, hold_id=hold_key)
    else:
        theirs = it.cause(*moment, entity=where.entity)
        away = (target.code, "in_transit"), (target.code, "carrier")
        here = (where.code, "carrier"), (where.code, "available")
        it.tx.shelf.move("transfer_received", sku, units, *away, why, cost_minor=worth)
        it.tx.shelf.move("transfer_received", sku, units, *here, theirs, cost_minor=worth)
    taker = Side(where.entity, "inventory", where.code)
    it.post(RECEIVED, moment.cause, postings.passed(_on_the_way(it), taker, Value(worth, worth), sku))
    line["received"] += units
    it.freed.add((where.code, sku))
    return value


class Extra(NamedTuple):
    """Units at a place that nobody expected there, with the line under which they came."""

    line_id: str
    kind: str
    sku: str
    units: int
    where: Place


def unexpected(it: Transfer, extra: Extra, condition: str, moment: Moment) -> None:
    """Units have come that were not in transit for the line. What is good is on the shelf at once."""
    sku, where, is_good = extra.sku, extra.where, condition == "good"
    value = it.cost_of(where.entity, sku, extra.units) if is_good else 0
    sides = (where.code, "carrier"), (where.code, "available" if is_good else "damaged")
    why = it.cause(*moment, entity=where.entity)
    it.tx.shelf.move("transfer_received", sku, extra.units, *sides, why, reason=extra.kind, cost_minor=value)
    it.post(RECEIVED, moment.cause, {where.entity: postings.came_unexpected(value, location=where.code, sku=sku)})
    note_extra(it, extra, value, moment.at)
    if is_good:
        it.freed.add((where.code, sku))


def note_extra(it: Transfer, extra: Extra, value_minor: int, at: datetime) -> None:
    """Somebody will have to say why these units are there."""
    it.extras.append(
        {
            "journey_id": it.id,
            "line_id": extra.line_id,
            "kind": extra.kind,
            "location": extra.where.code,
            "sku": extra.sku,
            "quantity": extra.units,
            "settled": 0,
            "value_minor": value_minor,
            "root_cause": None,
            "at": at,
        }
    )


def never_left(it: Transfer, line: dict[str, Any], units: int, moment: Moment) -> None:
    """Units that were said to be shipped are still at the source. Those that a count has found there since are dated
    before it, so that its gain is moved back (`ledger.checkpoint`) and the quantity stays as counted.
    """
    sku, source = str(line["sku"]), it.place
    value = _taken_out(line, units)
    gain = recounts.gained(it, source.code, sku)
    counted = min(gain.units, units)
    left = value
    for part, at in ((counted, gain.seen_at), (units - counted, moment.at)):
        if not part:
            continue
        worth = left if part == units or at == moment.at else Value(*(share(one, part, units) for one in left))
        left = Value(left.given_minor - worth.given_minor, left.taken_minor - worth.taken_minor)
        _put_back(it, sku, part, worth, Moment(moment.cause, at or moment.at))
    if counted:
        recounts.explain(it, source.code, sku, counted)
    giver = Side(source.entity, "inventory", source.code)
    it.post(SETTLED, moment.cause, postings.passed(giver, _on_the_way(it), value, sku, back=True))
    line["shipped"] -= units
    line["assumed"] = min(line["assumed"], line["shipped"])
    line["cancelled"] += units
    if counted < units:
        it.freed.add((source.code, sku))


def _put_back(it: Transfer, sku: str, units: int, value: Value, moment: Moment) -> None:
    """From their way to the shelf of the source."""
    source, target = it.place, it.target
    why = it.cause(*moment, entity=target.entity)
    if it.crosses:
        ours = it.cause(*moment)
        away = (target.code, "in_transit"), (target.code, "carrier")
        here = (source.code, "carrier"), (source.code, "available")
        it.tx.shelf.move("transfer_settled", sku, units, *away, why, cost_minor=value.taken_minor)
        it.tx.shelf.move("transfer_settled", sku, units, *here, ours, cost_minor=value.given_minor)
    else:
        sides = (target.code, "in_transit"), (source.code, "available")
        it.tx.shelf.move("transfer_settled", sku, units, *sides, why, cost_minor=value.taken_minor)


def lose(it: Transfer, line: dict[str, Any], units: int, root_cause: str, moment: Moment) -> int:
    """Units in transit never come; returns the loss. The root cause chooses the account."""
    sku, target = str(line["sku"]), it.target
    worth = _taken_out(line, units).taken_minor
    sides = (target.code, "in_transit"), (target.code, "shrink")
    why = it.cause(*moment, entity=target.entity)
    it.tx.shelf.move("transfer_settled", sku, units, *sides, why, reason=root_cause, cost_minor=worth)
    account = LOSS_ACCOUNTS.get(root_cause, "transit_loss")
    it.post(SETTLED, moment.cause, {target.entity: postings.lost(worth, account, location=target.code, sku=sku)})
    line["settled"] += units
    line["root_cause"] = root_cause
    return worth


def hand_to_carrier(it: Transfer, line: dict[str, Any], units: int, root_cause: str, moment: Moment) -> int:
    """Units in transit are the carrier's to pay for; returns what they are worth."""
    sku, target = str(line["sku"]), it.target
    worth = _taken_out(line, units).taken_minor
    sides = (target.code, "in_transit"), (target.code, "carrier")
    why = it.cause(*moment, entity=target.entity)
    it.tx.shelf.move("transfer_settled", sku, units, *sides, why, reason=root_cause, cost_minor=worth)
    lines = postings.claimed(worth, "goods_in_transit", location=target.code, sku=sku)
    it.post(SETTLED, moment.cause, {target.entity: lines})
    line["settled"] += units
    line["root_cause"] = root_cause
    return worth


def sent_unbooked(
    it: Transfer, extra: dict[str, Any], units: int, entity: str, root_cause: str, moment: Moment
) -> None:
    """What came unexpected had left the source without being booked: it leaves the source's book now."""
    sku, source = str(extra["sku"]), it.place
    booked = _settle(extra, units, root_cause)
    cost = it.cost_of(source.entity, sku, units)
    price = cost if entity == source.entity else transfer_price(cost, it.policy.transfer.markup_permille)
    sides = (source.code, "available"), (source.code, "carrier")
    it.tx.shelf.move("transfer_settled", sku, units, *sides, it.cause(*moment), reason=root_cause, cost_minor=cost)
    it.taken.add((source.code, sku))
    giver = Side(source.entity, "inventory", source.code)
    taker = Side(entity, "transfer_differences", str(extra["location"]))
    it.post(SETTLED, moment.cause, postings.passed(giver, taker, Value(cost, price), sku))
    rest = postings.explained(booked - price, location=str(extra["location"]), sku=sku)
    it.post(SETTLED, moment.cause, {entity: rest})


def keep_as_gain(it: Transfer, extra: dict[str, Any], units: int, entity: str, root_cause: str, moment: Moment) -> None:
    """What came unexpected stays, and nobody misses it."""
    booked = _settle(extra, units, root_cause)
    lines = postings.kept_as_gain(booked, location=str(extra["location"]), sku=str(extra["sku"]))
    it.post(SETTLED, moment.cause, {entity: lines})


def take_back(
    it: Transfer, line: dict[str, Any], extra: dict[str, Any], units: int, root_cause: str, moment: Moment
) -> int:
    """What came unexpected is what was written off of its line: that loss was none. Returns what it was worth."""
    booked = _settle(extra, units, root_cause)
    account = LOSS_ACCOUNTS.get(line["root_cause"] or "", "transit_loss")
    lines = postings.taken_back(booked, account, location=str(extra["location"]), sku=str(extra["sku"]))
    it.post(SETTLED, moment.cause, {it.target.entity: lines})
    line["settled"] -= units
    line["received"] += units
    if not line["settled"] and not line["damage_settled"]:
        line["root_cause"] = None
    return booked


def settle_stray(extra: dict[str, Any], root_cause: str) -> None:
    """Goods at another store stay there, or go on from there; in the books they are there already."""
    _settle(extra, extra["quantity"] - extra["settled"], root_cause)


def settle_damage(line: dict[str, Any], root_cause: str) -> int:
    """Nobody asks any more about what came damaged; returns what it was worth."""
    worth = int(line["damage_minor"])
    line["damage_settled"] = line["damaged"]
    line["damage_minor"] = 0
    line["root_cause"] = root_cause
    return worth


def _settle(extra: dict[str, Any], units: int, root_cause: str) -> int:
    booked = share(extra["value_minor"], units, extra["quantity"] - extra["settled"])
    extra["settled"] += units
    extra["value_minor"] -= booked
    extra["root_cause"] = root_cause
    return booked
