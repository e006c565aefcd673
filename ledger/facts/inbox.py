"""The inbox: one row for each event of a source, so that the same event takes its effect once.

Bodies are not kept; their hash is, so that another body under the same id is refused. Only what is set aside is kept,
sealed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy import RowMapping, text

from domain.errors import DomainError, Malformed
from domain.events import EVENT_TYPES, Event, EventOutcome
from ledger.transaction import Rank, Transaction

REPLAY = "replay"  # the door through which an event that was set aside comes back


@dataclass(frozen=True, slots=True)
class Arrived:
    """An event as it came in. `data` has the shape of its type, or is the refusal of what has not."""

    event: Event
    body: str
    digest: bytes = field(repr=False)
    data: Any

    def cause(self, source: str) -> str:
        """What movements and journals name as their cause."""
        return f"event:{source}:{self.event.id}"

    def outcome(
        self, outcome: Any, *, problem: dict[str, Any] | None = None, case_id: int | None = None
    ) -> EventOutcome:
        return EventOutcome(id=self.event.id, outcome=outcome, problem=problem, case_id=case_id)


def read(raw: Mapping[str, Any]) -> Arrived | EventOutcome:
    """The event, or its refusal when the envelope is malformed: such a one has no id to be remembered by."""
    try:
        event = Event.model_validate(raw)
    except ValidationError as error:
        return EventOutcome(id=str(raw.get("id", ""))[:80], outcome="refused", problem=problem(_malformed(error, "")))
    body = json.dumps(event.model_dump(mode="json"), sort_keys=True)
    return Arrived(event, body, hashlib.sha256(body.encode()).digest(), _data(event))


def _data(event: Event) -> Any:
    shape = EVENT_TYPES.get(event.type)
    if shape is None:
        return Malformed(
            f"There is no event type {event.type}; the types are {', '.join(sorted(EVENT_TYPES))}.", pointer="/type"
        )
    try:
        return shape.model_validate(event.data)
    except ValidationError as error:
        return _malformed(error, "/data")


def _malformed(error: ValidationError, base: str) -> Malformed:
    first = error.errors()[0]
    pointer = base + "/" + "/".join(str(part) for part in first["loc"])
    return Malformed(f"{pointer}: {first['msg']}", pointer=pointer)


def problem(refusal: DomainError) -> dict[str, Any]:
    """A refusal as the problem of an event."""
    found = {"code": refusal.code, "detail": refusal.detail}
    return found | ({"pointer": refusal.pointer} if refusal.pointer else {})


_CLAIM = text(
    "INSERT INTO event_inbox (source, event_id, type, body_hash, sequence, occurred_at, outcome)"
    " SELECT :source, w.*, 'accepted' FROM unnest(CAST(:ids AS text[]), CAST(:types AS text[]),"
    " CAST(:digests AS bytea[]), CAST(:sequences AS bigint[]), CAST(:ats AS timestamptz[])) AS w(id)"
    " ORDER BY w.id ON CONFLICT DO NOTHING RETURNING event_id"
)
_BEFORE = text(
    "SELECT * FROM event_inbox WHERE source = :source AND event_id = ANY(CAST(:ids AS text[]))"
    " ORDER BY event_id FOR UPDATE"
)
_GIVE_UP = text("DELETE FROM event_inbox WHERE source = :source AND event_id = ANY(CAST(:ids AS text[]))")


async def claim(tx: Transaction, source: str, arrived: Sequence[Arrived]) -> list[EventOutcome | None]:
    """Take the places of events (each id once) in the inbox, as accepted; None for each that is ours to take.

    A concurrent one with the same id waits here. One that came before has the outcome it had: `duplicate` once it was
    taken, `refused` when its body is another. What is replayed was set aside before, and is ours unless it was taken
    meanwhile.
    """
    tx.enter(Rank.KEYS)
    ordered = sorted(arrived, key=lambda one: one.event.id)
    taken = await tx.conn.execute(
        _CLAIM,
        {
            "source": source,
            "ids": [one.event.id for one in ordered],
            "types": [one.event.type for one in ordered],
            "digests": [one.digest for one in ordered],
            "sequences": [one.event.sequence for one in ordered],
            "ats": [one.event.occurred_at for one in ordered],
        },
    )
    ours = set(taken.scalars())
    left = [one.event.id for one in ordered if one.event.id not in ours]
    if not left:
        return [None] * len(arrived)
    rows = (await tx.conn.execute(_BEFORE, {"source": source, "ids": left})).mappings()
    before = {row["event_id"]: row for row in rows}
    return [
        None if one.event.id in ours else _what_became_of(one, before[one.event.id], is_replay=tx.via == REPLAY)
        for one in arrived
    ]


def _what_became_of(one: Arrived, row: RowMapping, *, is_replay: bool) -> EventOutcome | None:
    if row["body_hash"] != one.digest:
        return mismatch(one)
    if row["outcome"] in ("parked", "quarantined") and is_replay:
        return None
    if row["outcome"] == "accepted":
        return one.outcome("duplicate")
    return one.outcome(row["outcome"], problem=row["problem"], case_id=row["case_id"])


def mismatch(one: Arrived) -> EventOutcome:
    """The refusal of another body under an id that was used before."""
    return one.outcome(
        "refused",
        problem={
            "code": "idempotency_mismatch",
            "detail": f"Event {one.event.id} was sent before with another body; give a correction an id of its own.",
        },
    )


async def give_up(tx: Transaction, source: str, arrived: Sequence[Arrived]) -> None:
    """Free the places of events that this transaction claimed and does not take."""
    if arrived:
        await tx.conn.execute(_GIVE_UP, {"source": source, "ids": [one.event.id for one in arrived]})
