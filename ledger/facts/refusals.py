"""What becomes of an event that is not taken: a fact is kept sealed with a case that says why, a request is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from asyncpg import DataError
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError

from domain.case import CaseOption
from domain.errors import NotRecordable
from domain.events import EventOutcome
from ledger import case, reference
from ledger.facts.inbox import Arrived
from ledger.outages import sqlstate
from ledger.tables import event_inbox, location
from ledger.transaction import Transaction

# Classes of SQLSTATE by which PostgreSQL refuses what a row says: data beyond bounds, a constraint.
_OF_THE_DATA = ("22", "23")


def is_of_the_data(error: DBAPIError) -> bool:
    """Whether the database refuses the data; anything else (a lost connection, no space) is no fault of an event."""
    return sqlstate(error)[:2] in _OF_THE_DATA or isinstance(_of_the_driver(error), DataError)


def _of_the_driver(error: DBAPIError) -> BaseException | None:
    """What asyncpg itself raised: wrapped once more by SQLAlchemy, but for a COPY."""
    return getattr(error.orig, "__cause__", None) or error.orig


@contextmanager
def of_the_database() -> Iterator[None]:
    """Within, the database's refusal of data is `NotRecordable`."""
    try:
        yield
    except DBAPIError as error:
        if not is_of_the_data(error):
            raise
        rule = getattr(_of_the_driver(error), "constraint_name", None)
        why = f"it would break {rule}" if rule else "a figure is out of bounds"
        raise NotRecordable(f"The ledger cannot record this: {why}.", pointer="/data") from error


async def refuse(tx: Transaction, source: str, arrived: Arrived, said: dict[str, Any]) -> EventOutcome:
    """Remember a refusal, so that the same event gets the same answer; one that was set aside is kept no longer."""
    values = {"outcome": "refused", "problem": said, "body_sealed": None, "waits_for": None}
    await tx.conn.execute(
        upsert(event_inbox)
        .values(**_row(source, arrived), **values)
        .on_conflict_do_update(
            index_elements=["source", "event_id"],
            set_=values,
            where=event_inbox.c.outcome.in_(("parked", "quarantined")),
        )
    )
    return arrived.outcome("refused", problem=said)


def _row(source: str, arrived: Arrived) -> dict[str, Any]:
    return {
        "source": source,
        "event_id": arrived.event.id,
        "type": arrived.event.type,
        "body_hash": arrived.digest,
        "sequence": arrived.event.sequence,
        "occurred_at": arrived.event.occurred_at,
    }


async def quarantine(
    tx: Transaction, source: str, arrived: Arrived, said: dict[str, Any], received_at: datetime
) -> EventOutcome:
    """Keep what happened sealed until somebody mends the master data, and open a case that says what is wrong."""
    values = {"outcome": "quarantined", "problem": said, "body_sealed": tx.seal.close(arrived.body), "waits_for": None}
    await tx.conn.execute(
        upsert(event_inbox)
        .values(**_row(source, arrived), **values)
        .on_conflict_do_update(index_elements=["source", "event_id"], set_=values)
    )
    case_id = await _rejected_case(tx, source, arrived, said, received_at)
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == source, event_inbox.c.event_id == arrived.event.id)
        .values(case_id=case_id)
    )
    return arrived.outcome("quarantined", problem=said, case_id=case_id)


async def _rejected_case(
    tx: Transaction, source: str, arrived: Arrived, said: dict[str, Any], at: datetime
) -> int | None:
    """One case for one cause: the same unknown SKU in a hundred receipts is one thing to mend."""
    code = arrived.event.data.get("location")
    known = await tx.conn.execute(
        select(location.c.code)
        .order_by(location.c.code != (code if isinstance(code, str) else ""), location.c.code)
        .limit(1)
    )
    first = known.scalar()
    if first is None:
        return None
    place = await reference.place(tx.conn, first)
    ref = await case.open_case(
        tx,
        case.Opening(
            kind="event_rejected",
            subject=f"{source}|{said['code']}|{said['detail'][:120]}",
            place=place,
            policy=await reference.policy_at(tx.conn, place, at),
            at=at,
            facts={"source": source, "event_id": arrived.event.id, "type": arrived.event.type, "problem": said},
            options=(
                CaseOption(
                    id="replay",
                    label="The master data is mended; replay",
                    rank=1,
                    because="the report is right and what it names was missing",
                ),
                CaseOption(id="discard", label="The report is wrong; leave it out", rank=2),
            ),
            text=f"{arrived.event.type} {arrived.event.id} from {source}: {said['detail']}",
        ),
    )
    return ref.id
