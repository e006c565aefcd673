"""Where a replay stands, in `$ENDCAP_HOME/demo.json`, so that a stop and a start go on with the same ids.

It is written before and after each sending: what was under way when a process ended is sent again word for word,
and the API recognises it.
"""

import datetime as dt
import os
from pathlib import Path

from pydantic import AwareDatetime, BaseModel


class OpenOrder(BaseModel):
    """An order that crew or customer still have to do with. A time is None when that will not happen (any more)."""

    order: str
    journey: str
    customer: str
    picker: int
    missing: dict[str, int] = {}  # line id → units that the crew will find of it, where that is less than reserved
    card: bool = False
    reports: int = 0  # of the crew about this order; tells one report from the next
    pick_at: AwareDatetime | None = None
    collect_at: AwareDatetime | None = None
    cancel_at: AwareDatetime | None = None
    look_at: AwareDatetime | None = None


class Sending(BaseModel):
    """Acts from `first` up to and without `end` that may have been sent; their times were reckoned from `anchor`."""

    first: int
    end: int
    anchor: AwareDatetime


class Found(BaseModel):
    """When somebody counts an item and finds it all: the second half of the story of an empty shelf."""

    at: AwareDatetime
    location: str
    sku: str


class ToDecide(BaseModel):
    """A decision that Sam will make as soon as the journey's case is open."""

    journey: str
    option: str
    note: str


class Parcel(BaseModel):
    """A transfer that is sent, or received, by itself. A time is None when that is done, or will not happen; `comes` is
    what arrives of its only line where that is less than was sent.
    """

    number: str
    journey: str
    target: str
    carrier: str
    comes: int | None = None
    sent_at: AwareDatetime | None = None
    came_at: AwareDatetime | None = None


class Pinned(BaseModel):
    """A case of the first page, by the journey it belongs to."""

    journey_id: str
    order_id: str
    story: str
    title: str


class Memory(BaseModel):
    """The whole state of a replay. `position` counts the acts of `day` that were answered."""

    first_day: int
    seed: int
    day: int
    position: int = 0
    anchor: AwareDatetime
    sending: Sending | None = None
    stories_told: int = 0
    backlog_sent: int = 0
    opened_at: AwareDatetime
    pinned: list[Pinned] = []
    found: list[Found] = []
    to_decide: list[ToDecide] = []
    orders: list[OpenOrder] = []
    transfers_asked: bool = False
    returns_brought: bool = False
    parcels: list[Parcel] = []


def load(path: Path, *, day: int, seed: int, now: dt.datetime) -> Memory:
    """What `path` remembers of this day and seed, else a fresh start."""
    if path.exists():
        memory = Memory.model_validate_json(path.read_text(encoding="utf-8"))
        if (memory.first_day, memory.seed) == (day, seed):
            return memory
    return Memory(first_day=day, seed=seed, day=day, anchor=now, opened_at=now)


def save(path: Path, memory: Memory) -> None:
    """Replaces the file in one step: a process that ends meanwhile leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_text(memory.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(path)
