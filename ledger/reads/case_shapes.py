"""What lists show of a case: the whole of it, as systems read it, or a row of a queue."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel

from domain.case import PriorityTerm
from domain.case_kinds import KINDS
from ledger.prepared import Record


class Priority(BaseModel):
    score: int
    terms: list[PriorityTerm]


class Clock(BaseModel):
    """A clock that is running; `paused` while the case waits."""

    name: Literal["unclaimed", "unstarted", "unresolved"]
    due_at: datetime
    paused: bool


class CaseSummary(BaseModel):
    """A case in a queue. Money in minor units of `currency`."""

    id: int
    kind: str
    title: str
    state: str
    severity: str
    level: int
    episode: int
    subject: str
    journey_id: str | None
    location: str
    region: str
    entity: str
    channel: str
    sku: str
    owner: str
    claimed_by: str | None
    claimed_by_name: str | None
    claimed_at: datetime | None
    waiting_reason: str | None
    waiting_until: datetime | None
    value_at_risk_minor: int
    currency: str
    promised_at: datetime | None
    priority: Priority
    clocks: list[Clock]
    next_due_at: datetime | None
    repeat_count: int
    version: int
    opened_at: datetime
    closed_at: datetime | None
    resolution: str | None
    clock_offset_s: int


class QueueClock(NamedTuple):
    """As `Clock`, in a row of a queue."""

    name: str
    due_at: datetime
    paused: bool


class QueueCase(NamedTuple):
    """What a queue shows of a case, and its place there; money as in `CaseSummary`. Fifty of them are made for a page,
    out of rows that nobody else has written, so nothing is checked again.
    """

    id: int
    kind: str
    state: str
    severity: str
    level: int
    episode: int
    subject: str
    journey_id: str | None
    location: str
    region: str
    entity: str
    sku: str
    owner: str
    claimed_by: str | None
    waiting_until: datetime | None
    value_at_risk_minor: int
    currency: str
    promised_at: datetime | None
    priority_score: int
    next_due_at: datetime | None
    repeat_count: int
    version: int
    opened_at: datetime
    closed_at: datetime | None
    resolution: str | None
    clock_offset_s: int
    claimed_by_name: str | None
    title: str
    clocks: list[QueueClock]


_MADE_HERE = {"title", "owner", "priority", "clocks", "claimed_by_name"}
_PLAIN = tuple(name for name in CaseSummary.model_fields if name not in _MADE_HERE)
_CLOCKS = ("unclaimed", "unstarted", "unresolved")
DUE = tuple(f"{name}_due_at" for name in _CLOCKS)
# Columns of `case_file` for each; the name of whoever has claimed it comes behind.
READ = (*_PLAIN, "owner_role", "priority_score", "priority_terms", *DUE)
OF_A_QUEUE = tuple("owner_role" if name == "owner" else name for name in QueueCase._fields[:-3])


def _title(kind: str) -> str:
    known = KINDS.get(kind)
    return known.title if known else kind.replace("_", " ").capitalize()


def queued(row: Record) -> QueueCase:
    """Out of the columns `OF_A_QUEUE`, the name of whoever has claimed it, and its clocks."""
    own = len(OF_A_QUEUE) + 1
    clocks = []
    if row["closed_at"] is None:
        paused = row["state"] == "waiting"
        dues = zip(_CLOCKS, row[own : own + len(_CLOCKS)], strict=True)
        clocks = [QueueClock(name, due_at, paused) for name, due_at in dues if due_at is not None]
    return QueueCase._make((*row[:own], _title(row["kind"]), clocks))


def summary(row: Any) -> dict[str, Any]:
    """The fields of a `CaseSummary` out of a row of `case_file` with `claimed_by_name`."""
    paused = row["state"] == "waiting"
    made: dict[str, Any] = {name: row[name] for name in _PLAIN}
    made["claimed_by_name"] = row["claimed_by_name"]
    made["title"] = _title(row["kind"])
    made["owner"] = row["owner_role"]
    made["priority"] = {"score": row["priority_score"], "terms": row["priority_terms"]}
    made["clocks"] = [
        {"name": name, "due_at": due_at, "paused": paused}
        for name in _CLOCKS
        if row["closed_at"] is None and (due_at := row[f"{name}_due_at"]) is not None
    ]
    return made
