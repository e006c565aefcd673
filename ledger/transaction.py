"""One transaction's work: it owns the one lock order, and what is written last (stock, journal, audit, messages).

Rows are locked in the order of `Rank` and never backwards, so two transactions can wait for each other only in one
direction. Stock changes, postings and messages are gathered and written set-based at its end (`ledger.closing`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.messages import Message, Situation
from ledger import journal, outbox, parents, rows
from ledger.funding.change import Funded
from ledger.prepared import Ask, Prepared, as_dict
from ledger.sealing import Seal
from ledger.shelf import Shelf
from ledger.tables import approval, audit, case_file, hold, journey

_JOURNEY = select(journey, func.now().label("began_at")).where(journey.c.id == bindparam("journey_id"))
_AS_IT_IS = Prepared(_JOURNEY, once=True)
_LOCKED = _JOURNEY.with_for_update()


def journey_asked(journey_id: str) -> Ask:
    """What `journey_as_it_is` asks."""
    return _AS_IT_IS.of(journey_id=journey_id)


async def journey_as_it_is(conn: AsyncConnection, journey_id: str | None) -> dict[str, Any] | None:
    """A journey's row without a lock, and the database's time as `began_at`; nothing for None."""
    row = None if journey_id is None else await journey_asked(journey_id).row(conn)
    return None if row is None else as_dict(row)


class Rank(IntEnum):
    """The lock order of every transaction of Endcap."""

    KEYS = 1
    JOURNEY = 2
    CASE = 3
    APPROVAL = 4
    STOCK = 5
    HOLD = 6
    MONEY = 7
    FUNDING = 8
    PARENT = 9
    OUTBOX = 10


class LockOrderBroken(RuntimeError):
    """Code locked a row of a lower rank after one of a higher: a programming error that would deadlock under load."""


@dataclass
class Transaction:
    """What a unit of work is given. `actor` and `via` say on whose behalf and through which door."""

    conn: AsyncConnection
    actor: str
    via: str
    seal: Seal = field(default_factory=Seal)
    shelf: Shelf = field(init=False)
    entries: list[journal.Entry] = field(default_factory=list)
    has_messages: bool = False  # set by `flush`: there is something for the relays
    _causes: dict[str, parents.Cause] = field(default_factory=dict)  # of cases that were opened or closed, by key
    _open_kinds: dict[str, set[str]] = field(default_factory=dict)  # of cases, by journey: see `lock_asks`
    _began_at: datetime | None = None
    _rank: Rank = Rank.KEYS
    _audit: list[dict[str, Any]] = field(default_factory=list)
    _funded: list[Funded] = field(default_factory=list)
    _starts: list[outbox.Start] = field(default_factory=list)
    _tells: list[tuple[str, Message]] = field(default_factory=list)
    _journeys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.shelf = Shelf(self.conn)

    def enter(self, rank: Rank) -> None:
        """Declare that rows of `rank` are locked next. Raises `LockOrderBroken` when that would go backwards."""
        if rank < self._rank:
            raise LockOrderBroken(f"{rank.name} is locked before {self._rank.name}, never after it")
        self._rank = rank

    async def now(self, offset_s: int = 0) -> datetime:
        """The database's time, moved by a journey's clock offset: one instant throughout the transaction."""
        if self._began_at is None:
            self._began_at = (await self.conn.execute(select(func.now()))).scalar_one()
        return self._began_at + timedelta(seconds=offset_s)

    async def lock_journey(self, journey_id: str) -> RowMapping:
        """The journey's row, locked. One that this transaction has locked already may be asked for at any later point.

        Raises `NotFound`.
        """
        if journey_id not in self._journeys:
            self.enter(Rank.JOURNEY)
        found = (await self.conn.execute(_LOCKED, {"journey_id": journey_id})).mappings().first()
        if found is None:
            raise NotFound(f"There is no journey {journey_id}.")
        self._began_at = found["began_at"]
        self._journeys.add(journey_id)
        return found

    async def look_at_journey(self, journey_id: str) -> dict[str, Any]:
        """The journey's row without a lock, for a transaction that only reads. Raises `NotFound`."""
        found = await journey_as_it_is(self.conn, journey_id)
        if found is None:
            raise NotFound(f"There is no journey {journey_id}.")
        self._began_at = found["began_at"]
        return found

    async def lock_journey_and_order(self, journey_id: str) -> RowMapping:
        """The journey's row, locked together with the order that it takes back, before any case is."""
        found = await self.lock_journey(journey_id)
        if found["kind"] == "returns" and found["detail"].get("order"):
            await self.lock_journey(found["detail"]["order"])
        return found

    def opens(self, journey_id: str | None, kind: str) -> None:
        """Say that this transaction opens a case of this kind."""
        if journey_id in self._open_kinds:
            self._open_kinds[journey_id].add(kind)

    def has_no_case(self, journey_id: str, kind: str) -> bool:
        """Whether it is known that the journey has no open case of this kind, so that nobody need look."""
        return journey_id in self._open_kinds and kind not in self._open_kinds[journey_id]

    def shares_cause(self, case_row: Mapping[Any, Any]) -> None:
        """Say that this case was opened or closed: its end keeps the parent of the cases of its cause."""
        cause = parents.cause_of(case_row)
        if cause is not None:
            self._causes[cause.key] = cause

    async def lock_case(self, case_id: int) -> RowMapping:
        """The case's row, locked. Raises `NotFound`."""
        self.enter(Rank.CASE)
        row = await self.conn.execute(select(case_file).where(case_file.c.id == case_id).with_for_update())
        found = row.mappings().first()
        if found is None:
            raise NotFound(f"There is no case {case_id}.")
        return found

    async def lock_approval(self, approval_id: int) -> RowMapping:
        """The approval's row, locked. Raises `NotFound`."""
        self.enter(Rank.APPROVAL)
        row = await self.conn.execute(select(approval).where(approval.c.id == approval_id).with_for_update())
        found = row.mappings().first()
        if found is None:
            raise NotFound(f"There is no approval {approval_id}.")
        return found

    async def lock_asks(self, about: Mapping[str, Any]) -> None:
        """Lock what people are asked about a journey (its row), so that a fact may answer it.

        From here on it is known which kinds of cases it has.
        """
        self.enter(Rank.CASE)
        rows = await self.conn.execute(
            select(case_file.c.id, case_file.c.kind)
            .where(case_file.c.journey_id == about["id"], case_file.c.closed_at.is_(None))
            .order_by(case_file.c.id)
            .with_for_update()
        )
        self._open_kinds[about["id"]] = {row.kind for row in rows}
        if about["asks"].get("approval_id"):
            await self.lock_approval(about["asks"]["approval_id"])

    async def lock_stock(self, places: Iterable[tuple[str, str]]) -> Shelf:
        """Lock (location, sku) rows, making missing ones; returns the shelf with their quantities in it.

        Rows that this transaction has locked already may be asked for at any later point.
        """
        wanted = set(places) - self.shelf.rows.keys()
        if wanted:
            self.enter(Rank.STOCK)
            await self.shelf.lock(wanted)
        return self.shelf

    async def lock_holds(self, journey_id: str) -> Sequence[RowMapping]:
        """All holds of a journey, locked, in the order of their ids."""
        self.enter(Rank.HOLD)
        rows = await self.conn.execute(
            select(hold).where(hold.c.journey_id == journey_id).order_by(hold.c.id).with_for_update()
        )
        return rows.mappings().all()

    def post(self, entry: journal.Entry) -> None:
        """Add a balanced journal entry; an empty one (nothing to post) is dropped."""
        if entry.lines:
            self.entries.append(entry)

    def fund(self, change: Funded) -> None:
        """Say that units of a promotion were sold, or came back: `flush` accrues what the vendor pays of them."""
        self._funded.append(change)

    def record(
        self,
        what: str,
        on_what: str,
        at: datetime,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str = "",
        who: str | None = None,
    ) -> None:
        """Add an audit row. It holds no personal data: people and customers appear by id."""
        self._audit.append(
            {
                "who": who or self.actor,
                "what": what,
                "on_what": on_what,
                "via": self.via,
                "before": before,
                "after": after,
                "reason": reason,
                "at": at,
            }
        )

    def start(self, target: str, workflow: str, situation: Situation, search: Mapping[str, str]) -> None:
        """Have the relay start the workflow `target`; message 1 of that target."""
        self._starts.append(outbox.Start(target, workflow, situation, dict(search)))

    def tell(self, target: str, message: Message) -> None:
        """Have the relay tell the workflow `target`; what it is told is read when this transaction is about to
        commit.
        """
        if (target, message) not in self._tells:
            self._tells.append((target, message))

    def take_funded(self) -> list[Funded]:
        """What vendors may owe a share of, gathered so far; the next call has what came since."""
        funded, self._funded = self._funded, []
        return funded

    async def write(self) -> None:
        """Write what was gathered, outbox counters last. `ledger.closing.flush` calls it."""
        if self.entries:
            await journal.write(self.conn, self.entries)
        await self._keep_parents()
        if self._audit:
            await rows.write(self.conn, audit, self._audit)
        if self._starts or self._tells:
            self.enter(Rank.OUTBOX)
            self.has_messages = True
            await outbox.write(self.conn, self._starts, self._tells)
        self.entries, self._audit, self._starts, self._tells = [], [], [], []

    async def _keep_parents(self) -> None:
        """Whether the causes that this transaction touched stand under a parent now."""
        if not self._causes:
            return
        self.enter(Rank.PARENT)
        for number, became in await parents.keep(self.conn, self._causes):
            self.record(f"parent.{became}", f"parent:{number}", await self.now())
        self._causes = {}
