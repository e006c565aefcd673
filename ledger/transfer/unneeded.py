"""An order no longer needs its goods: what has not left stays at the source, somebody decides about the rest."""

from domain.transfer import ON_THE_WAY
from domain.words import units
from ledger.transfer import asking, goods, yielding
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

REASON = "not_needed"


async def take_up(it: Transfer, moment: Moment) -> str:
    """Take up what the order has given up; "" where it has given up nothing. The transfer and its goods are locked."""
    stays = comes = 0
    for row in it.awaited.rows:
        line, given_up = it.lines[row["line_id"]], row["given_up"]
        row["given_up"] = 0
        part = min(given_up, it.to_ship(line))
        if part:
            goods.release(it, line, part, moment, REASON)
        stays += part
        comes += min(given_up - part, line["in_transit"])
    if not stays + comes:
        return ""
    if stays:
        if not it.quantities().to_ship:
            it.drop_dues("ship")
        await yielding.stand_after(it, moment)
    told = f"Its order needs {units(stays + comes)} no more"
    if stays:
        told += f"; {units(stays)} stay at {it.place.name} and may be promised again"
    return f"{told}. {await _on_the_way(it, comes, moment)}".rstrip()


async def _on_the_way(it: Transfer, comes: int, moment: Moment) -> str:
    """Goods that nobody waits for are on their way: nothing is turned round, or let come, silently."""
    if not comes or it.state not in ON_THE_WAY:
        return ""
    if any(row["quantity"] for row in it.awaited.rows):
        return f"{units(comes)} come all the same, with what the order still needs."
    if it.row["asks"].get("about") == "cancel":
        return "Somebody is asked already what becomes of the goods on their way."
    await it.answer_asks("its order needs the goods no more", moment.at)
    return f"Case {await asking.cancelled_on_the_way(it, REASON, moment.at)} asks what becomes of those on their way."
