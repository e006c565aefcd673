"""Who must agree to a transfer, and what follows from their word.

Within one entity somebody at the source agrees, from the band on; between two entities finance does, one from each
side. Nobody agrees to what they asked for, and nobody counts for both sides.
"""

from typing import Any

from sqlalchemy import insert

from domain.bands import Level
from domain.ids import hold_id
from domain.transfer import TransferState
from domain.words import money, units
from ledger import approval, bands, reference
from ledger.tables import hold
from ledger.transaction import Rank, Transaction
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment
from ledger.transfer.promising import CHANNEL, can_promise
from ledger.transfer.standing import start_shipping
from ledger.transfer.wanted import Wanted


def needed(place: reference.Place, target: reference.Place, level: Level) -> Level:
    """Who must agree: by value within one entity, finance between two."""
    return Level.FINANCE if place.entity != target.entity else level


async def ask(
    tx: Transaction, one: Wanted, detail: dict[str, Any], value_minor: int, level: Level, *, clock_offset_s: int = 0
) -> int:
    """Ask them; returns the approval's number."""
    names = await reference.items(tx.conn, [sku for _, sku, _ in one.lines])
    return await approval.open_approval(
        tx,
        approval.Request(
            kind="transfer",
            subject=f"Transfer {one.key}: {one.place.name} to {one.target.name}",
            place=one.place,
            policy=one.policy,
            at=one.at,
            requester=one.requested_by,
            barred=detail.get("barred", ()),
            amount_minor=value_minor,
            facts={
                "transfer": one.key,
                "from": one.place.name,
                "to": one.target.name,
                "reason": one.reason.replace("_", " "),
                "lines": [{"sku": sku, "name": names[sku]["name"], "units": number} for _, sku, number in one.lines],
                **({"because": " ".join(one.detail["because"])} if one.detail.get("because") else {}),
            },
            journey_id=one.id,
            case_id=None,
            decision_id=None,
            clock_offset_s=clock_offset_s,
            level=level,
            sides=(one.place, one.target) if one.place.entity != one.target.entity else (),
        ),
    )


async def settle(it: Transfer, moment: Moment) -> str:
    """A verdict was given, or nobody gave one in time: reserve and go on, or end it as rejected."""
    verdict = it.row["asks"]["verdict"]
    it.row["asks"] = {}
    await it.lock_goods()
    if verdict == "approved":
        return await agreed(it, moment)
    it.go(TransferState.REJECTED)
    it.tx.enter(Rank.MONEY)
    await bands.withdraw(it.tx, "transfer", it.id, moment.at)
    return "Rejected." if verdict == "rejected" else "Nobody agreed in time; it is rejected."


async def agreed(it: Transfer, moment: Moment) -> str:
    """Everybody has agreed: what can be promised is reserved, the rest is not sent. Its goods are locked."""
    it.go(TransferState.APPROVED)
    it.head["approved_at"] = moment.at
    held = wanted = 0
    for line_id, line in it.lines.items():
        sku, number = str(line["sku"]), it.to_ship(line)
        part = min(number, can_promise(it.tx, it.policy, it.place.code, sku))
        wanted += number
        held += part
        line["cancelled"] += number - part
        if not part:
            continue
        key = hold_id(it.id, line_id, it.place.code)
        sides = (it.place.code, "available"), (it.place.code, "reserved")
        it.tx.shelf.move("reserved", sku, part, *sides, it.cause(*moment), hold_id=key)
        line["reserved"] = part
        await it.tx.conn.execute(
            insert(hold).values(
                id=key, source=it.row["source"], channel=CHANNEL, journey_id=it.id, line_id=line_id,
                location=it.place.code, sku=sku, quantity=part, reserved=part, promised_at=it.head["needed_by"],
                at=moment.at,
            )
        )  # fmt: skip
    if not held:
        it.go(TransferState.CANCELLED)
        return f"Agreed, but {it.place.name} can promise nothing of it any more; it is cancelled."
    it.go(TransferState.READY_TO_SHIP)
    start_shipping(it, moment.at)
    worth = money(it.head["value_minor"], it.place.currency)
    return f"Agreed: {units(held)} of {units(wanted)}, asked for at {worth}, are reserved at {it.place.name}."
