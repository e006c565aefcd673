"""Who has asked for, sent or received a transfer: they approve nothing about it."""

from ledger import people
from ledger.transfer.document import Transfer


async def people_of(it: Transfer, alias: str | None, location: str) -> list[str]:
    """The people that an actor of an event stands for; nobody where the event names none. An actor whom nobody knows
    counts as everybody at the place.
    """
    if not alias:
        return []
    return await people.resolve_actor(it.tx.conn, str(it.row["source"]), alias, location)
