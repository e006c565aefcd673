"""A journey as a document: its row and the rows that belong to it, loaded under the row's lock, changed together and
saved together.

A kind of journey adds its own rows and rules (`ledger/<noun>/`). What it says here about state, due instants, questions
and closing is said once for all kinds.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Protocol, Self

from sqlalchemy import Table, Text, bindparam, select, update

from domain.bands import Level
from domain.case import CaseOption
from domain.policy import Policy
from ledger import approval, case, found, mails, policies, reference
from ledger.changes import Changes, Row
from ledger.doubt import Taken, doubt
from ledger.prepared import Ask, Prepared, as_dict
from ledger.shelf import Cause
from ledger.tables import journey
from ledger.transaction import Transaction
from ledger.webhooks.announcing import announce

type Shelf = tuple[str, str]  # (location, SKU)

_OWN = ("dues", "asks", "detail")  # the JSON documents of the row, which a document changes in place
_SAVED = (
    "state", "location", "region", *_OWN, "promised_at", "closed_at", "version", "suspended_from",
)  # fmt: skip


@cache
def _rows_of(table: Table, by: str) -> Prepared:
    rows = select(table).where(table.c[by] == bindparam("id", type_=Text)).order_by(*table.primary_key)
    return Prepared(rows, once=True)


def rows_asked(table: Table, journey_id: str, *, by: str = "journey_id") -> Ask:
    """What a document asks for its rows of a table."""
    return _rows_of(table, by).of(id=journey_id)


class Rules(Protocol):
    """What a kind's module in `domain/` says of its states: in which it is over, and which may follow which."""

    FINAL: frozenset[Any]

    def check_transition(self, current: str, wanted: str) -> None:
        """Raise `StateConflict` where the transition table has no such way."""


@dataclass(kw_only=True)
class Document(ABC):
    """The whole journey. Rows are plain dicts; `save` writes those that changed, and passes on what it let go.

    A kind gives its `rules`, `load` and `rows`; `about` where its cases say more; `rests` and `is_over` where more than
    its state and an open question keep it from its end.
    """

    tx: Transaction
    row: Row
    policy: Policy
    place: reference.Place
    freed: set[Shelf] = field(default_factory=set)  # units are available there again
    taken: set[Shelf] = field(default_factory=set)  # units were moved there that nobody had promised to it
    _changes: Changes = field(default_factory=Changes)

    rules: ClassVar[Rules]

    # ------------------------------------------------------------------ loading
    @classmethod
    @abstractmethod
    async def load(cls, tx: Transaction, row: Mapping[Any, Any]) -> Self:
        """From the journey's row, which the caller has locked (or reads in a reader's transaction)."""

    @classmethod
    async def load_with_cases(cls, tx: Transaction, row: Mapping[Any, Any]) -> Self:
        """The same, with the cases about it locked, so that it may answer or ask."""
        it = await cls.load(tx, row)
        await it.lock_cases()
        return it

    @classmethod
    async def begin(cls, tx: Transaction, row: Mapping[Any, Any], **more: Any) -> Self:
        """The journey alone; `load` adds its rows, by `read` where `save` shall write them."""
        own = {name: dict(row[name]) for name in _OWN}
        more.setdefault("place", None)
        place = more.pop("place") or await reference.place(tx.conn, row["location"])
        return cls(tx=tx, row={**row, **own}, policy=await policies.of_journey(tx.conn, row), place=place, **more)

    async def read(self, table: Table, *, by: str = "journey_id") -> list[Row]:
        """Its rows of a table, in the order of their keys; from here on what changes in them is known.

        `by` is the column that holds the journey's id.
        """
        rows = [as_dict(row) for row in await rows_asked(table, self.id, by=by).rows(self.tx.conn)]
        self.remember(table, rows)
        return rows

    def remember(self, table: Table, rows: Iterable[Row]) -> None:
        """These rows were read, or written, by other means: they are in the database as they are now."""
        self._changes.remember(table, rows)

    async def lock_cases(self) -> None:
        await self.tx.lock_asks(self.row)

    # ------------------------------------------------------------------ what is true
    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def location(self) -> str:
        return str(self.row["location"])

    @property
    def is_final(self) -> bool:
        """Whether its state is one in which it is over."""
        return self.row["state"] in self.rules.FINAL

    @property
    def asked_at(self) -> reference.Place:
        """The place whose people are asked about it."""
        return self.place

    def clock(self, at: datetime) -> datetime:
        """An instant on this journey's clock, which a demo may have moved on."""
        return at + timedelta(seconds=self.row["clock_offset_s"])

    def cause(self, cause: str, at: datetime, *, actor: str = "", entity: str = "") -> Cause:
        """Why a movement of this journey happens; by the transaction's actor and for the row's entity unless said."""
        return Cause(cause, actor or self.tx.actor, at, entity or self.row["entity"], self.id)

    # ------------------------------------------------------------------ changing it
    def go(self, state: str) -> None:
        """Change state. Raises `StateConflict` where the transition table has no such way."""
        self.rules.check_transition(self.row["state"], state)
        self.row["state"] = str(state)

    def due(self, name: str, at: datetime) -> None:
        """Something happens by itself at that instant, unless it is dropped before."""
        self.row["dues"][name] = at.isoformat()

    def drop_dues(self, *names: str) -> None:
        """Forget these due instants and what leads up to them: `window`, and with it `window_reminder_1`."""
        self.row["dues"] = {
            name: at
            for name, at in self.row["dues"].items()
            if not any(name == dropped or name.startswith(f"{dropped}_") for dropped in names)
        }

    # ------------------------------------------------------------------ asking
    def about(self, kind: str) -> dict[str, Any]:  # noqa: ARG002  some kinds tell different things
        """What every case of this kind about the journey says of it."""
        return {}

    async def open_case(
        self,
        kind: str,
        at: datetime,
        *,
        text: str,
        facts: Mapping[str, Any],
        options: Sequence[CaseOption],
        subject: str | None = None,
        place: reference.Place | None = None,
        sku: str = "",
        channel: str | None = None,
        value_at_risk_minor: int = 0,
        promised_at: datetime | None = None,
    ) -> case.CaseRef:
        """Open the case of this kind about it, on its own clock, or say anew what is true of it now.

        There is one for each kind and subject (the journey, when left out), at `asked_at` and in its channel unless
        others are given.
        """
        return await case.open_case(
            self.tx,
            case.Opening(
                kind=kind,
                subject=subject or self.id,
                place=place or self.asked_at,
                policy=self.policy,
                at=at,
                journey_id=self.id,
                channel=self.row["channel"] if channel is None else channel,
                sku=sku,
                facts={**self.about(kind), **facts},
                options=options,
                value_at_risk_minor=value_at_risk_minor,
                promised_at=promised_at,
                clock_offset_s=self.row["clock_offset_s"],
                text=text,
            ),
        )

    async def open_approval(
        self,
        kind: str,
        at: datetime,
        *,
        subject: str,
        requester: str,
        amount_minor: int,
        facts: Mapping[str, Any],
        barred: Sequence[str] = (),
        level: Level = Level.MANAGER,
        case_id: int | None = None,
        decision_id: int | None = None,
    ) -> int:
        """Ask for an approval about it, at its own place and on its own clock; returns the approval's number."""
        return await approval.open_approval(
            self.tx,
            approval.Request(
                kind=kind,
                subject=subject,
                place=self.place,
                policy=self.policy,
                at=at,
                requester=requester,
                barred=barred,
                amount_minor=amount_minor,
                facts=dict(facts),
                journey_id=self.id,
                case_id=case_id,
                decision_id=decision_id,
                clock_offset_s=self.row["clock_offset_s"],
                level=level,
            ),
        )

    async def answer_asks(self, because: str, at: datetime) -> None:
        """What it waits for has answered itself: the case heals, an approval is superseded."""
        asks = self.row["asks"]
        if asks.get("approval_id"):
            await approval.supersede(self.tx, asks["approval_id"], at)
        if asks.get("case_id"):
            await case.heal(self.tx, asks["case_id"], because, at)
        self.row["asks"] = {}

    async def mail_customer(self, template: str, dedupe: str, at: datetime, **context: Any) -> None:
        """Queue a mail to its customer; the sender drops it when the customer gave no address.

        Where policy leaves notices to the source, a webhook asks it to write to its customer itself.
        """
        if self.policy.authority.notice == "source":
            data = {"notice": template, "notice_id": f"{self.id}:{template}:{dedupe}", "journey_id": self.id}
            data |= {"key": self.row["key"], "state": self.row["state"], "seq": self.row["version"] + 1, **context}
            await announce(self.tx, "notice.requested", about=self.row["source"], subject=self.id, at=at, data=data)
            return
        await mails.queue(
            self.tx,
            template=template,
            dedupe_key=f"{self.id}:{template}:{dedupe}",
            not_before=at,
            customer_id=self.row["customer_id"],
            journey_id=self.id,
            context=context,
            offset_s=self.row["clock_offset_s"],
        )

    # ------------------------------------------------------------------ saving
    @abstractmethod
    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        """Its rows by table, in the order in which they are written."""

    @property
    def rests(self) -> bool:
        """Whether nothing happens by itself any more: then no due instant is kept."""
        return self.is_final

    async def is_over(self) -> bool:
        """Whether the journey ends here: its state is final, and nobody is asked."""
        return self.is_final and not self.row["asks"]

    async def save(self, at: datetime) -> None:
        """Write what changed; close what is over, open again what is not.

        Last, what it let go is given to those who wait for it, which may be this journey itself, and promises are
        doubted where it took more than the book had.
        """
        for table, rows in self.rows():
            await self._changes.write(self.tx.conn, table, rows)
        if self.rests:
            self.row["dues"] = {}
        await self.close_or_reopen(at)
        self.row["version"] += 1
        await self.tx.conn.execute(
            update(journey).where(journey.c.id == self.id).values(**{name: self.row[name] for name in _SAVED})
        )
        await self._pass_on(at)

    async def close_or_reopen(self, at: datetime) -> None:
        """Set when it was closed, as far as it is."""
        self.row["closed_at"] = (self.row["closed_at"] or at) if await self.is_over() else None

    async def _pass_on(self, at: datetime) -> None:
        version = self.row["version"]
        await found.assign(self.tx, self.freed, self.cause(f"freed:{self.id}:{version}", at))
        why = Taken(self.cause(f"overdrawn:{self.id}:{version}", at), self.policy.stock.doubt_first)
        await doubt(self.tx, dict.fromkeys(sorted(self.taken), why))
        self.freed.clear()
        self.taken.clear()
