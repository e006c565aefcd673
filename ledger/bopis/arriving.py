"""The customer has arrived at the curb: noted, the store is told, and a clock runs until the goods are brought."""

from datetime import datetime, timedelta

from sqlalchemy import insert

from domain.bopis import ON_THE_HOLD_SHELF
from domain.events import BopisArrived
from domain.messages import Message
from ledger import mails, people, steps
from ledger.bopis import cases
from ledger.bopis.order import Order
from ledger.tables import person_note

TOLD = ("store_associate", "store_manager")


async def arrived(order: Order, data: BopisArrived, cause: str, at: datetime) -> str:
    """Somebody waits outside. An order that is not ready, or has ended, is asked about at once."""
    await order.lock_cases()
    await order.lock_goods()
    where = f" at bay {data.bay}" if data.bay else ""
    order.row["detail"].setdefault("arrived", {"at": at.isoformat(), "bay": data.bay})
    if data.vehicle:
        note = insert(person_note).values(subject=order.id, author="customer", text=f"Waits in: {data.vehicle}")
        await order.tx.conn.execute(note)
    if order.row["state"] in ON_THE_HOLD_SHELF:
        detail = f"The customer has arrived{where}; the store is told."
        if "arrived" not in order.row["dues"]:
            order.due("arrived", at + timedelta(seconds=order.policy.bopis.arrival_s))
        await _tell_store(order, data.bay, cause, at)
    else:
        detail = f"The customer has arrived{where}, and the order is {order.row['state'].replace('_', ' ')}."
        await cases.customer_waiting(order, at)
    await steps.note(order.tx, order.id, "arrived", cause, detail, at)
    await order.save(at)
    order.tx.tell(order.id, Message.CUSTOMER_ARRIVED)
    return detail


async def _tell_store(order: Order, bay: str | None, cause: str, at: datetime) -> None:
    told = {}
    for role in TOLD:
        for person in await people.holders_of_role(
            order.tx.conn, role, entity=order.place.entity, region=order.place.region, location=order.place.code
        ):
            told[person.id] = person
    for person_id in sorted(told):
        await mails.queue(
            order.tx,
            template="customer_arrived",
            dedupe_key=f"{order.id}:arrived:{cause}:{person_id}",
            not_before=at,
            person_id=person_id,
            journey_id=order.id,
            context={"bay": bay},
        )
