"""The question that the customer of a dearer replacement is asked, as a row: how it ends. What it asks, and what
follows from an answer, is in `difference`.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from domain.offer import UNDECIDED
from ledger import links
from ledger.returns.document import Return
from ledger.tables import offer


async def end(it: Return, at: datetime, **values: Any) -> bool:
    """The question is decided, one way or the other: no clock runs for it, and its link only tells what became of it.

    Returns whether there was one that was not.
    """
    it.drop_dues("answer")
    number = (it.exchange or {}).get("offer_id")
    found = await it.tx.conn.execute(select(offer).where(offer.c.id == number, offer.c.state.in_(UNDECIDED)))
    row = found.mappings().one_or_none()
    if row is None:
        return False
    await it.tx.conn.execute(
        update(offer).where(offer.c.id == number).values({"answered_at": row["answered_at"] or at, **values})
    )
    await links.revoke(it.tx, at, offer_id=number)
    it.tx.record(f"offer.{values['state']}", f"offer:{number}", at, before={"state": row["state"]})
    return True


async def agreed(it: Return, at: datetime) -> None:
    """The customer has said yes; the question is decided when their provider has, too."""
    assert it.exchange is not None
    number = it.exchange["offer_id"]
    await it.tx.conn.execute(
        update(offer).where(offer.c.id == number).values(state="accepted", answer="accept", answered_at=at)
    )
    await links.revoke(it.tx, at, offer_id=number)
    it.tx.record("offer.accepted", f"offer:{number}", at, before={"state": "open"})


async def tell_off(it: Return, because: str, at: datetime) -> None:
    """There is no exchange after all; the customer, who was asked about it, is told why."""
    swap = it.exchange
    assert swap is not None
    number = swap["offer_id"]
    await it.mail_customer(
        "exchange_off", str(number), at, because=because, order_id=swap["order_id"], offer_id=number
    )  # fmt: skip
