"""What a kind of journey brings to the pages that all kinds share: the types of its parts."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.prepared import Ask
from ledger.reads.journeys import JourneyDetail
from ledger.reads.store import StorePlace


class Urgency(IntEnum):
    """In which order a store's work is done. A new kind of work takes a free number between those it stands between."""

    SOMEBODY_WAITS = 0
    VERIFY = 10
    PICK = 20
    HAND_OVER = 30
    RECEIVE = 33
    TAKE_BACK = 34
    SEND = 36
    COUNT = 40
    INSPECT = 45
    PUT_AWAY = 50


class Tile(NamedTuple):
    """A kind of work of a store: how much of it there is, and the way to it."""

    urgency: int
    label: str
    waiting: int
    href: str
    says: str


class NextTask(NamedTuple):
    """One thing to do at a store now. `due_word` ("Pick") stands before `due_at`; `now` is the journey's own clock;
    `since` says how long somebody has been waiting instead.
    """

    urgency: int
    title: str
    says: str
    href: str
    now: datetime
    due_word: str | None = None
    due_at: datetime | None = None
    since: datetime | None = None

    @property
    def is_urgent(self) -> bool:
        return self.urgency <= Urgency.VERIFY


class Beside(NamedTuple):
    """What a case page shows of its journey: the values that `journeys/<kind>/beside.html` needs, and the items whose
    names the page must know.
    """

    values: Mapping[str, Any]
    skus: frozenset[str] = frozenset()


class Due(NamedTuple):
    """A due instant in words: what it is called, and what happens by itself when it comes."""

    name: str
    causes: str


class JourneyParts(NamedTuple):
    """The parts of one kind of journey. Its templates are `page.html` and `beside.html` in `journeys/<kind>/`.

    `beside` answers None for a journey that the person does not see. `details` are more values for its page, where it
    is shown by the page that all kinds share. `dues` are its due instants by name, without their numbers.
    `beside_asked` is what `beside` asks, where it is worth asking together with what else a case asks.
    """

    kind: str
    beside: Callable[[AsyncConnection, Person, str], Awaitable[Beside | None]]
    tiles: Callable[[AsyncConnection, StorePlace], Awaitable[Sequence[Tile]]]
    next_tasks: Callable[[AsyncConnection, StorePlace], Awaitable[Sequence[NextTask]]]
    dues: Mapping[str, Due]
    details: Callable[[AsyncConnection, Person, JourneyDetail], Awaitable[Mapping[str, Any]]]
    beside_asked: Callable[[Person, str], Sequence[Ask]] = lambda _person, _journey_id: ()
