"""Which cases a queue wants: its filters, and the same as conditions that the indexes of `case_file` answer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CASE_STATES, OPEN_STATES
from ledger.reads.endings import Ending, ended
from ledger.reads.paging import contains
from ledger.tables import approval, case_file, customer, item, journey_line, mention

Order = Literal["due", "priority", "opened", "closed"]
OPEN = frozenset(OPEN_STATES)
CLOSED = frozenset(CASE_STATES) - OPEN
SHORTEST_PART = 3  # letters; the index of parts of words knows nothing shorter
FEW = 200  # items, or customers, that a text names


class CaseFilter(BaseModel):
    """Every field narrows the list. `kind`, `state`, `severity` take several words with commas.

    `owner` is the owning role (or several) or the id of whoever claimed it; `claimed_by` an id, or `none`. `order`
    defaults to `due` (the next clock first) when only open cases are asked for, else to `opened` (newest first).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    kind: str | None = None
    severity: str | None = None
    region: str | None = None
    location: str | None = None
    entity: str | None = None
    channel: str | None = None
    owner: str | None = None
    claimed_by: str | None = None
    journey_id: str | None = None
    sku: str | None = None
    text: str | None = None
    category: str | None = None
    due_from: datetime | None = None
    due_before: datetime | None = None
    opened_from: datetime | None = None
    opened_until: datetime | None = None
    closed_from: datetime | None = None
    closed_until: datetime | None = None
    waiting_for_approval: bool = False
    ended: Ending | None = None
    root_cause: str | None = None
    mentions: str | None = None  # a person's id: cases on which they are mentioned and have not answered
    order: Order | None = None
    rolled_up: bool = False  # of open cases of one cause, the one whose clock ends first

    @property
    def sorted_by(self) -> Order:
        if self.order is not None:
            return self.order
        return "due" if self.state is not None and set(_words(self.state)) <= set(OPEN_STATES) else "opened"


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def where(filters: CaseFilter, found: "Named") -> list[ColumnElement[bool]]:
    """The conditions of a filter; none where it asks for every case. `found` is what `named` has looked up for it."""
    table = case_file.c
    clauses: list[ColumnElement[bool]] = []
    for name in ("kind", "severity"):
        wanted = getattr(filters, name)
        if wanted is not None:
            clauses.append(table[name].in_(_words(wanted)))
    for name in ("region", "location", "entity", "channel", "journey_id", "sku", "root_cause"):
        wanted = getattr(filters, name)
        if wanted is not None:
            clauses.append(table[name] == wanted)
    if filters.owner is not None:
        clauses.append(or_(table.owner_role.in_(_words(filters.owner)), table.claimed_by == filters.owner))
    if filters.claimed_by is not None:
        nobody = filters.claimed_by == "none"
        clauses.append(table.claimed_by.is_(None) if nobody else table.claimed_by == filters.claimed_by)
    if filters.text:
        clauses.append(_mentions(filters.text, found))
    if filters.ended is not None:
        clauses.append(ended(filters.ended))
    if filters.category is not None:
        clauses.append(_of_category(filters.category))
    if filters.waiting_for_approval:
        pending = and_(approval.c.case_id == table.id, approval.c.state == "pending")
        clauses.append(exists().where(pending))
    if filters.mentions is not None:
        told = select(mention.c.case_id).where(mention.c.person_id == filters.mentions, mention.c.seen_at.is_(None))
        clauses.append(table.id.in_(told))
    return clauses + _in_state(filters.state) + _between(filters)


def _in_state(wanted: str | None) -> list[ColumnElement[bool]]:
    """Open cases have no `closed_at`, by a constraint; said in these words, they are found by the small indexes of what
    is open.
    """
    if wanted is None:
        return []
    states = set(_words(wanted))
    clauses: list[ColumnElement[bool]] = []
    for group, are_these in ((OPEN, case_file.c.closed_at.is_(None)), (CLOSED, case_file.c.closed_at.is_not(None))):
        if states <= group:
            clauses.append(are_these)
        if states == group:
            return clauses
    return [case_file.c.state.in_(sorted(states)), *clauses]


def _of_category(category: str) -> ColumnElement[bool]:
    """Cases about an item of the category, or about an order with a line of it."""
    wanted = select(item.c.sku).where(item.c.category == category)
    ordered = exists().where(journey_line.c.journey_id == case_file.c.journey_id, journey_line.c.sku.in_(wanted))
    return or_(case_file.c.sku.in_(wanted), ordered)


def _between(filters: CaseFilter) -> list[ColumnElement[bool]]:
    table = case_file.c
    clauses: list[ColumnElement[bool]] = []
    if filters.opened_from is not None:
        clauses.append(table.opened_at >= filters.opened_from)
    if filters.opened_until is not None:
        clauses.append(table.opened_at < filters.opened_until)
    if filters.closed_from is not None:
        clauses.append(table.closed_at >= filters.closed_from)
    if filters.closed_until is not None:
        clauses.append(table.closed_at < filters.closed_until)
    if filters.due_from is not None:
        clauses.append(and_(table.next_due_at >= filters.due_from, table.closed_at.is_(None)))
    if filters.due_before is not None:
        clauses.append(and_(table.next_due_at < filters.due_before, table.closed_at.is_(None)))
    return clauses


class Named(NamedTuple):
    """What a text names beside the words of a case itself: items and customers; None where it names very many."""

    skus: Sequence[str] | None = ()
    customers: Sequence[str] | None = ()


async def named(conn: AsyncConnection, filters: CaseFilter) -> Named:
    """Look up what the text of a filter names. `where` takes it, so that few are a list that an index is asked for,
    and very many a condition on each case, which a list that is cut at fifty rows soon finds fulfilled.
    """
    if not filters.text or len(filters.text) < SHORTEST_PART:
        return Named()
    pattern = contains(filters.text)
    items = await conn.execute(
        select(item.c.sku).where(item.c.name.ilike(pattern, escape="\\")).order_by(item.c.sku).limit(FEW + 1)
    )
    people = await conn.execute(select(customer.c.id).where(customer.c.has_case, _is_called(pattern)).limit(FEW + 1))
    skus, customers = items.scalars().all(), people.scalars().all()
    return Named(skus if len(skus) <= FEW else None, customers if len(customers) <= FEW else None)


def _is_called(pattern: str) -> ColumnElement[bool]:
    columns = (customer.c.name, customer.c.email, customer.c.phone)
    return or_(*(column.ilike(pattern, escape="\\") for column in columns))


def _mentions(text: str, found: Named) -> ColumnElement[bool]:
    """Cases whose subject, order, SKU, item or place has these words, or whose customer has them as name or address.

    What is shorter than three letters is a whole SKU or place.
    """
    table = case_file.c
    if len(text) < SHORTEST_PART:
        whole = contains(text)[1:-1]
        return or_(table.sku.ilike(whole, escape="\\"), table.location.ilike(whole, escape="\\"))
    pattern = contains(text)
    ways: list[ColumnElement[bool]] = [
        column.ilike(pattern, escape="\\") for column in (table.subject, table.journey_id, table.sku, table.location)
    ]
    if found.skus is None:
        ways.append(exists().where(item.c.sku == table.sku, item.c.name.ilike(pattern, escape="\\")))
    elif found.skus:
        ways.append(table.sku.in_(found.skus))
    if found.customers is None:
        ways.append(exists().where(customer.c.id == table.customer_id, customer.c.has_case, _is_called(pattern)))
    elif found.customers:
        ways.append(table.customer_id.in_(found.customers))
    return or_(*ways)
