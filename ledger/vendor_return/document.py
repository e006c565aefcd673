"""The row of a vendor return: found, locked, changed, posted for."""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain.errors import NotFound
from domain.postings import Line
from domain.vendor_returns import VendorReturnState, check_transition
from ledger import reference
from ledger.journal import Entry
from ledger.people import Caller
from ledger.tables import vendor_return, vendor_return_line
from ledger.transaction import Rank, Transaction

S = VendorReturnState
_IS_OVER = frozenset({S.CREDITED, S.WRITTEN_OFF, S.CANCELLED})


def document_id(source: str, key: str) -> str:
    return f"vendor_return:{source}:{key}"


def actor_of(caller: Caller) -> str:
    return caller.person.id if caller.person else f"key:{caller.key_id}"


async def locked(tx: Transaction, caller: Caller, named: str) -> RowMapping:
    """The document that a caller means, locked: its own id, or the whole one. Raises `NotFound`."""
    tx.enter(Rank.JOURNEY)
    sources = sorted({caller.source, *caller.sources})
    wanted = [named, *(document_id(source, named) for source in sources)]
    rows = await tx.conn.execute(select(vendor_return).where(vendor_return.c.id.in_(wanted)).with_for_update())
    found = sorted(rows.mappings(), key=lambda row: wanted.index(row["id"]))
    refusal = NotFound(f"There is no vendor return {named} that you may change.")
    if not found:
        raise refusal
    row, person = found[0], caller.person
    if person is None and row["source"] not in sources:
        raise refusal
    if person is not None and not person.may_decide(row["entity"], row["region"], row["location"]):
        raise refusal
    return row


async def lines_of(tx: Transaction, own: str) -> dict[str, RowMapping]:
    rows = await tx.conn.execute(
        select(vendor_return_line)
        .where(vendor_return_line.c.vendor_return_id == own)
        .order_by(vendor_return_line.c.line_id)
    )
    return {row["line_id"]: row for row in rows.mappings()}


async def post(tx: Transaction, row: RowMapping, event: str, cause: str, lines: list[Line], at: datetime) -> None:
    place = await reference.place(tx.conn, row["location"])
    authority = (await reference.policy_at(tx.conn, place, at)).authority.of_posting(event)
    tx.post(Entry(row["entity"], event, row["currency"], cause, lines, at, None, authority))


async def change(tx: Transaction, row: RowMapping, state: VendorReturnState, at: datetime, **values: Any) -> str:
    check_transition(row["state"], state)
    closed_at = (row["closed_at"] or at) if state in _IS_OVER else None
    await tx.conn.execute(
        update(vendor_return)
        .where(vendor_return.c.id == row["id"])
        .values(state=state.value, closed_at=closed_at, **values)
    )
    after = {"state": state.value} | {name: value for name, value in values.items() if isinstance(value, int | str)}
    tx.record(f"vendor_return.{state.value}", row["id"], at, before={"state": row["state"]}, after=after)
    return str(row["id"])
