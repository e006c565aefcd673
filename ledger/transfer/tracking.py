"""Takes a carrier's news of a parcel: when its transfer is expected, from when somebody is asked. Never a quantity."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.errors import AmbiguousReference, NotAllowed, NotFound
from domain.ids import OWN_SOURCE
from domain.messages import Message
from domain.tracking import Parcel, TransferTracked, comes_at
from domain.words import local, words
from ledger import steps
from ledger.people import Caller
from ledger.tables import journey, parcel_tracking, transfer_parcel
from ledger.transaction import Transaction
from ledger.transfer import requests
from ledger.transfer.document import Transfer


async def find(tx: Transaction, caller: Caller, data: TransferTracked) -> str:
    """The transfer whose parcel is meant. Raises `NotFound` while no shipment has the number, `AmbiguousReference`
    where several have it and none is named, `NotAllowed`.
    """
    known = {caller.source, *caller.sources, OWN_SOURCE}
    if data.transfer_source is not None and data.transfer_source not in known:
        raise NotAllowed(
            f"This key may not speak about transfers of {data.transfer_source}.", pointer="/data/transfer_source"
        )
    named = None
    if data.transfer_id is not None:
        named = await requests.find(tx, caller, data.transfer_id, data.transfer_source)
    rows = await tx.conn.execute(
        select(journey.c.id, journey.c.closed_at)
        .distinct()
        .join(transfer_parcel, transfer_parcel.c.journey_id == journey.c.id)
        .where(transfer_parcel.c.tracking == data.tracking, journey.c.source.in_(sorted(known)))
        .order_by(journey.c.id)
    )
    found = [(row.id, row.closed_at is None) for row in rows if named in (None, row.id)]
    if not found:
        raise NotFound(
            f"No shipment that this key may speak about has the tracking number {data.tracking}; send it again once"
            " the shipment was announced or reported.",
            pointer="/data/tracking",
        )
    # Carriers use their numbers again: what is still open is meant before what is over.
    meant = [key for key, is_open in found if is_open] or [key for key, _ in found]
    if len(meant) > 1:
        raise AmbiguousReference(
            f"Several transfers travel under {data.tracking}: {', '.join(meant[:5])}; name transfer_id."
        )
    return str(meant[0])


async def tracked(it: Transfer, data: TransferTracked, cause: str, at: datetime) -> str:
    """News that is older than what is known changes nothing. The transfer is locked; returns the sentence."""
    rows = await it.tx.conn.execute(
        select(parcel_tracking).where(parcel_tracking.c.journey_id == it.id, parcel_tracking.c.status.is_not(None))
    )
    known = {row["tracking"]: row for row in rows.mappings()}
    before = known.get(data.tracking)
    if before is not None and at < before["told_at"]:
        return "Older than what the carrier has said since."
    news = Parcel(data.status, data.expected_at or (before["expected_at"] if before else None), at)
    values = {"status": news.status, "expected_at": news.expected_at, "told_at": at, "error": None}
    if data.carrier is not None:
        values["carrier"] = data.carrier
    await it.tx.conn.execute(
        insert(parcel_tracking)
        .values(journey_id=it.id, tracking=data.tracking, **values)
        .on_conflict_do_update(index_elements=["journey_id", "tracking"], set_=values)
    )
    if before is not None and (before["status"], before["expected_at"]) == (news.status, news.expected_at):
        return "Nothing new."
    others = [
        Parcel(row["status"], row["expected_at"], row["told_at"]) for key, row in known.items() if key != data.tracking
    ]
    expected = comes_at([*others, news])
    await it.lock_cases()
    if expected is not None:
        it.row["detail"]["expected_at"] = expected.isoformat()
        if "receipt" in it.row["dues"]:
            it.due("receipt", expected + timedelta(seconds=it.policy.transfer.receipt_grace_s))
    detail = f"{data.carrier or it.row['detail'].get('carrier') or 'The carrier'} says of {data.tracking}:"
    detail += f" {words(news.status).lower()}"
    if news.expected_at is not None and news.status != "delivered":
        detail += f", expected {local(news.expected_at, it.target.hours.time_zone)}"
    await steps.note(it.tx, it.id, "tracked", cause, f"{detail}.", at)
    await it.save(at)
    it.tx.tell(it.id, Message.TRANSFER_CHANGED)
    return f"{detail}."
