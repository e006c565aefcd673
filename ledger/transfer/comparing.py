"""What came against what was sent: what differs, what is tolerated, and which case asks about the rest."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.case import CaseOption, Consequence, MoneyEffect, StockEffect
from domain.transfer import (
    CASE_KINDS,
    ROOT_CAUSES,
    WITHIN_TOLERANCE,
    Discrepancy,
    TransferState,
    tolerated,
)
from domain.words import money, units, words
from ledger import reference
from ledger.transfer import goods, recounts
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

WORDS = {
    "short": "did not come",
    "damage": "came damaged",
    "over": "came too many",
    "misship": "came as another item",
    "wrong_store": "came to another store",
}


def discrepancies(it: Transfer) -> list[Discrepancy]:
    """What differs now that nothing more comes."""
    found = []
    for name, line in it.lines.items():
        sku, sent = str(line["sku"]), int(line["shipped"])
        if line["in_transit"]:
            worth = int(line["transit_minor"])
            found.append(Discrepancy("short", name, sku, it.target.code, line["in_transit"], sent, worth))
        broken = line["damaged"] - line["damage_settled"]
        if broken:
            worth = int(line["damage_minor"])
            found.append(Discrepancy("damage", name, sku, it.target.code, broken, sent, worth))
    for extra in it.open_extras():
        line = it.lines[extra["line_id"]]
        found.append(
            Discrepancy(
                extra["kind"],
                extra["line_id"],
                str(extra["sku"]),
                str(extra["location"]),
                extra["quantity"] - extra["settled"],
                int(line["shipped"]),
                int(extra["value_minor"]),
                extra.get("id"),
            )
        )
    return found


async def compare(it: Transfer, moment: Moment) -> str:
    """Settle what is tolerated, and ask about the rest, one kind after the other; with nothing left the transfer is
    closed. The transfer, its cases and its goods are locked. Returns the sentence for the timeline.
    """
    fine = tolerated(discrepancies(it), it.policy.transfer)
    for one in fine:
        await _tolerate(it, one, moment)
    told = f"Within tolerance, posted: {_sentence(fine)}. " if fine else ""
    left = discrepancies(it)
    if not left:
        it.go(TransferState.CLOSED)
        return f"{told}Everything that was sent is accounted for."
    ref = await ask(it, left, moment.at)
    return f"{told}Case {ref} asks: {_sentence(left)}."


async def _tolerate(it: Transfer, one: Discrepancy, moment: Moment) -> None:
    line = it.lines[one.line_id]
    if one.kind == "short":
        goods.lose(it, line, one.units, WITHIN_TOLERANCE, moment)
        return
    if one.kind == "damage":
        goods.settle_damage(line, WITHIN_TOLERANCE)
        return
    extra = next(extra for extra in it.extras if extra.get("id") == one.extra_id)
    if _not_written_off(it, one) is None:
        goods.take_back(it, line, extra, one.units, WITHIN_TOLERANCE, moment)
    else:
        goods.keep_as_gain(it, extra, one.units, await it.entity_of(one.location), WITHIN_TOLERANCE, moment)


def next_kind(left: Sequence[Discrepancy]) -> tuple[str, list[Discrepancy]]:
    """The kind of case that asks first, and what it asks about: differences of one kind, which one answer fits."""
    first = next(kind for kind in CASE_KINDS if any(one.kind == kind for one in left))
    return CASE_KINDS[first], [one for one in left if one.kind == first]


async def ask(it: Transfer, left: Sequence[Discrepancy], at: datetime) -> int:
    """Open the case about the first kind of what is left; returns its number."""
    kind, about = next_kind(left)
    worth = sum(one.value_minor for one in about)
    it.go(TransferState.DISCREPANCY_REVIEW)
    names = await reference.items(it.tx.conn, {one.sku for one in about})
    ref = await it.open_case(
        kind,
        at,
        text=f"{_sentence(about)}, worth {money(worth, it.target.currency)}.",
        facts={
            "reason": it.head["reason"],
            "carrier": it.row["detail"].get("carrier"),
            "tracking": it.row["detail"].get("tracking"),
            "counts": it.row["detail"].get("recounts", []),
            "counted": [
                {
                    "count": one["journey_id"],
                    "at": one["location"],
                    "sku": one["sku"],
                    "name": names[one["sku"]]["name"],
                    "counted": one["counted"],
                    "more": one["counted"] - one["book"],
                }
                for one in it.counted
                if one["sku"] in names
            ],
            "lines": [
                {
                    "line_id": one.line_id,
                    "sku": one.sku,
                    "name": names[one.sku]["name"],
                    "what": WORDS[one.kind],
                    "at": one.location,
                    "units": one.units,
                    "of": one.of_units,
                    "value_minor": one.value_minor,
                }
                for one in about
            ],
        },
        options=options_of(it, about),
        value_at_risk_minor=worth,
        sku=about[0].sku if len({one.sku for one in about}) == 1 else "",
    )
    it.row["asks"] = {"case_id": ref.id}
    return ref.id


def _sentence(some: Iterable[Discrepancy]) -> str:
    by_kind: dict[str, int] = {}
    for one in some:
        by_kind[one.kind] = by_kind.get(one.kind, 0) + one.units
    return ", ".join(f"{units(number)} {WORDS[kind]}" for kind, number in by_kind.items())


# ---------------------------------------------------------------------- ways to settle it
_CAUSES: dict[str, tuple[str, ...]] = {"root_cause": ROOT_CAUSES}


def options_of(it: Transfer, about: Sequence[Discrepancy]) -> list[CaseOption]:
    """What may be done about discrepancies of one kind, the best first, each with what it would move and post."""
    kind = about[0].kind
    if kind == "short":
        options = [_await_rest(it), *_recounts(it), _claim(it, about), _never_left(it, about), _write_off(it, about)]
    elif kind == "damage":
        options = [_claim(it, about), _write_off(it, about, label="Accept the damage")]
    elif kind == "wrong_store":
        options = [_send_on(it, about), _keep_there(about)]
    else:
        options = [*_was_written_off(it, about), _sent_unbooked(it, about), _send_back(it, about), *_recounts(it)]
        options.append(_write_off(it, about, label="Keep it as found"))
    return [option.model_copy(update={"rank": rank}) for rank, option in enumerate(options, start=1)]


def _effects(about: Sequence[Discrepancy], effect: str, location: str | None = None) -> tuple[StockEffect, ...]:
    return tuple(
        StockEffect(location=location or one.location, sku=one.sku, quantity=one.units, effect=effect) for one in about
    )


def _await_rest(it: Transfer) -> CaseOption:
    days = it.policy.transfer.await_s / 86_400
    return CaseOption(
        id="await_rest",
        label=f"Wait {days:g} days for the rest",
        consequence=Consequence(customer=f"{it.target.name} goes on waiting; the units stay in transit."),
        because="a parcel of the shipment may still be on its way",
        reversible=True,
    )


def _recounts(it: Transfer) -> list[CaseOption]:
    return [
        CaseOption(
            id=f"recount_{end}",
            label=f"Have it counted at {place.name}",
            consequence=Consequence(customer="The units stay where the book has them until then."),
            because=because,
            reversible=True,
        )
        for end, place, because in (
            ("destination", it.target, "goods put away without being reported are found on the shelf"),
            ("source", it.place, "what never left is still there"),
        )
    ]


def _claim(it: Transfer, about: Sequence[Discrepancy]) -> CaseOption:
    worth = sum(one.value_minor for one in about)
    carrier = it.row["detail"].get("carrier")
    effect = MoneyEffect(label="Claim against the carrier", amount_minor=worth, currency=it.target.currency)
    return CaseOption(
        id="carrier_claim",
        label=f"Claim it from {carrier}" if carrier else "Claim it from the carrier",
        consequence=Consequence(
            stock=_effects(about, "claimed"), money=(effect,), customer="The carrier is asked to pay."
        ),
        because="the carrier signed for the goods" if carrier else "",
        allowed=bool(carrier) and worth > 0,
        why_not=None if carrier and worth else "no shipment names a carrier" if not carrier else "nothing is at stake",
        choices=_CAUSES,
    )


def _never_left(it: Transfer, about: Sequence[Discrepancy]) -> CaseOption:
    turned = bool(it.row["detail"].get("turned_from"))
    return CaseOption(
        id="never_left",
        label=f"It never left {it.place.name}",
        consequence=Consequence(
            stock=_effects(about, "available again", it.place.code),
            customer=f"{it.place.name} has them for sale again; whoever waits there gets them.",
        ),
        because=_found_at(it, it.place, about) or "the source has found them",
        allowed=not turned,
        why_not="these goods were turned back on their way" if turned else None,
    )


def _found_at(it: Transfer, place: reference.Place, about: Sequence[Discrepancy]) -> str:
    """What a count there has found of what lacks, in words; nothing where none has."""
    found = sum(recounts.gained(it, place.code, sku).units for sku in sorted({one.sku for one in about}))
    return f"a count at {place.name} has found {units(found)} more than the book" if found else ""


def _write_off(it: Transfer, about: Sequence[Discrepancy], *, label: str = "Accept and write off") -> CaseOption:
    worth = sum(one.value_minor for one in about)
    is_loss = about[0].kind in ("short", "damage")
    signed = -worth if is_loss else worth
    name = "Lost in transit" if about[0].kind == "short" else "Damaged goods" if is_loss else "Inventory found"
    effects = (MoneyEffect(label=name, amount_minor=signed, currency=it.target.currency),) if worth else ()
    found = _found_at(it, it.target, about) if about[0].kind == "short" else ""
    return CaseOption(
        id="accept",
        label=label,
        because=f"{found}: choose {words('receipt_found_by_count')} as its cause" if found else "",
        consequence=Consequence(
            stock=_effects(about, "written off" if is_loss else "kept"),
            money=effects,
            customer="Whoever waits for these units goes on waiting." if is_loss else "Nobody waits for it.",
        ),
        needs_approval=worth >= it.policy.bands.write_off_minor,
        choices=_CAUSES,
    )


def _not_written_off(it: Transfer, one: Discrepancy) -> str | None:
    """Why what came too many cannot be what was written off of its line; None where it can."""
    line = it.lines[one.line_id]
    if one.kind != "over" or one.location != it.target.code or not line["settled"]:
        return "nothing of it was written off"
    if one.line_id in it.claimed():
        return "it was claimed from the carrier; keep it as found, and tell the carrier"
    return None if one.units <= line["settled"] else "more came than was written off"


def _was_written_off(it: Transfer, about: Sequence[Discrepancy]) -> list[CaseOption]:
    """Goods that came after their loss was booked. Not shown where there was no loss."""
    if not any(it.lines[one.line_id]["settled"] for one in about):
        return []
    worth = sum(one.value_minor for one in about)
    why_not = next((why for one in about if (why := _not_written_off(it, one))), None)
    gain = MoneyEffect(label="Loss taken back", amount_minor=worth, currency=it.target.currency)
    return [
        CaseOption(
            id="was_written_off",
            label="It is what was written off; take the loss back",
            consequence=Consequence(
                stock=_effects(about, "kept"), money=(gain,) if worth else (), customer=f"{it.target.name} has it."
            ),
            because="" if why_not else "as much was given up for lost before it came",
            allowed=why_not is None,
            why_not=why_not,
            needs_approval=worth >= it.policy.bands.write_off_minor,
            choices=_CAUSES,
        )
    ]


def _sent_unbooked(it: Transfer, about: Sequence[Discrepancy]) -> CaseOption:
    return CaseOption(
        id="sent_unbooked",
        label=f"{it.place.name} sent it; book it there",
        consequence=Consequence(
            stock=_effects(about, "taken from the source's book", it.place.code),
            customer=f"{it.target.name} keeps what came.",
        ),
        because="what came must have left somewhere",
        choices=_CAUSES,
    )


def _send_back(it: Transfer, about: Sequence[Discrepancy]) -> CaseOption:
    return CaseOption(
        id="send_back",
        label=f"Send it back to {it.place.name}",
        consequence=Consequence(
            stock=_effects(about, "reserved to be sent back"),
            customer=f"A transfer back to {it.place.name} begins.",
        ),
        because="the source misses it",
        choices=_CAUSES,
    )


def _send_on(it: Transfer, about: Sequence[Discrepancy]) -> CaseOption:
    return CaseOption(
        id="send_on",
        label=f"Send it on to {it.target.name}",
        consequence=Consequence(
            stock=_effects(about, "reserved to be sent on"), customer=f"A transfer to {it.target.name} begins."
        ),
        because="the destination still needs it",
    )


def _keep_there(about: Sequence[Discrepancy]) -> CaseOption:
    return CaseOption(
        id="keep_there",
        label="Leave it where it came",
        consequence=Consequence(stock=_effects(about, "kept"), customer="The destination goes without."),
    )
