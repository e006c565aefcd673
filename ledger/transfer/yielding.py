"""What a transfer gives up while it waits to be sent: units that a till has sold, or whose item was stopped from sale.

Customers go first: nobody is asked, the transfer sends less, and is called off when nothing is left to send.
"""

from typing import Any

from domain.messages import Message
from domain.transfer import TO_BE_SHIPPED, TransferState
from domain.words import units
from ledger import steps
from ledger.transfer import standing
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

type Place = tuple[str, str]  # (location, SKU)


def give_up(it: Transfer, held: dict[str, Any], number: int, account: str, reason: str, moment: Moment) -> None:
    """Held units go to another account of the source; they are not sent any more."""
    line, sku = it.lines[held["line_id"]], str(held["sku"])
    held["reserved"] -= number
    held["lost"] += number
    line["reserved"] = held["reserved"]
    line["cancelled"] += number
    sides = (it.place.code, "reserved"), (it.place.code, account)
    it.tx.shelf.move("lost", sku, number, *sides, it.cause(*moment), reason=reason, hold_id=held["id"])


async def stand_after(it: Transfer, moment: Moment) -> None:
    """Less is sent than was promised: go on with the rest, or call it off."""
    now = it.quantities()
    if it.state in TO_BE_SHIPPED and not now.to_ship:
        await it.answer_asks("there is nothing left to send", moment.at)
        it.go(TransferState.CANCELLED)
    elif now.in_transit or now.arrived:
        await standing.settle(it, moment, "less comes than was promised")


async def lose_stopped(it: Transfer, places: set[Place], reason: str, moment: Moment) -> int:
    """Units of stopped items are set aside; returns how many. The transfer and its cases are locked, its stock too."""
    await it.lock_goods()
    lost = 0
    for held in it.holds.values():
        if held["reserved"] and (held["location"], str(held["sku"])) in places:
            lost += held["reserved"]
            give_up(it, held, held["reserved"], "quarantined", reason, moment)
    if not lost:
        return 0
    await stand_after(it, moment)
    detail = f"An item was stopped from sale: {units(lost)} are not sent."
    await steps.note(it.tx, it.id, "sale_stopped", moment.cause, detail, moment.at)
    await it.save(moment.at)
    it.tx.tell(it.id, Message.SALE_STOPPED)
    return lost
