"""Which cases a queue wants: its filters, and the same as conditions that the indexes of `case_file` answer.

The conditions name their values, so that a query is prepared once for all filters that ask alike (`Asked`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import product
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CASE_STATES, OPEN_STATES
from ledger.prepared import Prepared
from ledger.reads.endings import Ending, ended
from ledger.reads.paging import contains
from ledger.tables import approval, case_file, customer, item, journey_line, mention
from ledger.tables.asking import BETWEEN_WORDS

Order = Literal["due", "priority", "opened", "closed"]
OPEN = frozenset(OPEN_STATES)
CLOSED = frozenset(CASE_STATES) - OPEN
SHORTEST_PART = 3  # letters; the index of parts of words knows nothing shorter
FEW = 2_000  # items, or customers, that a text names: up to so many, each is looked for by an index


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
    journey: str | None = None  # a kind of journey: cases about any of them
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


class Named(NamedTuple):
    """What a text names beside the words of a case itself: items and customers; None where it names very many."""

    skus: Sequence[str] | None = ()
    customers: Sequence[str] | None = ()


_IS_CALLED = or_(
    *(customer.c[name].ilike(bindparam("pattern", type_=Text), escape="\\") for name in ("name", "email", "phone"))
)
_MOST: Any = bindparam("most", type_=Integer)
_NAMED = Prepared(
    select(
        func.array(
            select(item.c.sku)
            .where(item.c.name.ilike(bindparam("pattern", type_=Text), escape="\\"))
            .order_by(item.c.sku)
            .limit(_MOST)
            .scalar_subquery()
        ),
        func.array(select(customer.c.id).where(customer.c.has_case, _IS_CALLED).limit(_MOST).scalar_subquery()),
    )
)


async def named(conn: AsyncConnection, filters: CaseFilter) -> Named:
    """Look up what the text of a filter names: few are a list that an index is asked for, and very many a condition on
    each case, which a list that is cut at fifty rows soon finds fulfilled.
    """
    if not filters.text or len(filters.text) < SHORTEST_PART:
        return Named()
    row = await _NAMED.row(conn, pattern=contains(filters.text), most=FEW + 1)
    assert row is not None  # it asks for no table
    return Named(*(found if len(found) <= FEW else None for found in row))


class Asked(NamedTuple):
    """What a filter asks for, without its values. `names` are the fields that have one, and the lists that go along;
    `single` are lists of one word, for which an index gives the rows in their order.
    """

    names: frozenset[str]
    single: frozenset[str]
    state: str | None
    nobody: bool  # claimed by nobody, which is no value
    waiting_for_approval: bool
    ended: Ending | None
    every_item: bool  # a text that names very many of them is looked for in each
    every_customer: bool


_EQUAL = ("region", "location", "entity", "channel", "journey_id", "sku", "root_cause", "claimed_by")
_ONE_OF = ("kind", "severity")
_INSTANTS = ("due_from", "due_before", "opened_from", "opened_until", "closed_from", "closed_until")
_VALUES = (*_EQUAL, *_ONE_OF, *_INSTANTS, "journey", "owner", "category", "mentions")


def asked(filters: CaseFilter, found: Named, mark: str = "") -> tuple[Asked, dict[str, Any]]:
    """A filter apart: what it asks for, and its values. `found` is what `named` has looked up for it; `mark` tells the
    values of several filters of one query from each other.
    """
    given = {name: value for name in _VALUES if (value := getattr(filters, name)) is not None}
    nobody = given.get("claimed_by") == "none"
    if nobody:
        del given["claimed_by"]
    for name in _ONE_OF:
        if name in given:
            given[name] = _words(given[name])
    if "journey" in given:
        given["journey"] += ":"
    if "owner" in given:
        given["owners"] = _words(given["owner"])
    if filters.text:
        is_part = len(filters.text) >= SHORTEST_PART and BETWEEN_WORDS not in filters.text
        given["part" if is_part else "whole"] = contains(filters.text) if is_part else _however_written(filters.text)
        given |= {name: list(listed) for name, listed in zip(("items", "customers"), found, strict=True) if listed}
    names = frozenset(given)
    every = [listed is None for listed in found]
    single = frozenset(name for name in (*_ONE_OF, "owners", "items") if name in given and len(given[name]) == 1)
    given |= {name: given[name][0] for name in single}
    shape = Asked(names, single, filters.state, nobody, filters.waiting_for_approval, filters.ended, *every)
    return shape, {f"{mark}{name}": value for name, value in given.items()}


def _however_written(text: str) -> list[str]:
    """A short text in capitals and in small letters, as an index of whole words has to be asked for it."""
    letters = [{letter, letter.lower(), letter.upper()} for letter in text]
    return sorted(map("".join, product(*letters))) if len(text) < SHORTEST_PART else [text]


def where(wanted: Asked, mark: str = "", *, counted: bool = False) -> list[ColumnElement[bool]]:
    """The conditions of a filter, their values by name with `mark` before it; none where it asks for every case. Those
    of a count that goes far beyond a page are said in other words, with the same meaning.
    """
    table = case_file.c

    def text(name: str) -> Any:
        return bindparam(f"{mark}{name}", type_=Text)

    def one_of(name: str) -> Any:
        is_one = name in wanted.single
        return text(name) if is_one else any_(bindparam(f"{mark}{name}", type_=ARRAY(Text)))

    clauses: list[ColumnElement[bool]] = [table[name] == one_of(name) for name in _ONE_OF if name in wanted.names]
    clauses += [table[name] == text(name) for name in _EQUAL if name in wanted.names]
    if "journey" in wanted.names:
        clauses.append(func.starts_with(table.journey_id, text("journey")))
    if "owner" in wanted.names:
        clauses.append(or_(table.owner_role == one_of("owners"), table.claimed_by == text("owner")))
    if wanted.nobody:
        clauses.append(table.claimed_by.is_(None))
    if "whole" in wanted.names:
        whole = any_(bindparam(f"{mark}whole", type_=ARRAY(Text)))
        clauses.append(or_(table.sku == whole, table.location == whole))
    if "part" in wanted.names:
        clauses.append(_mentions(wanted, text("part"), one_of, _is_among if counted else _looked_up))
    if wanted.ended is not None:
        clauses.append(ended(wanted.ended))
    if "category" in wanted.names:
        clauses.append(_of_category(text("category")))
    if wanted.waiting_for_approval:
        clauses += _waiting_for_approval()
    if "mentions" in wanted.names:
        told = select(mention.c.case_id).where(mention.c.person_id == text("mentions"), mention.c.seen_at.is_(None))
        clauses.append(table.id.in_(told))
    return clauses + _in_state(wanted.state) + _between(wanted.names, mark)


def _waiting_for_approval() -> list[ColumnElement[bool]]:
    """A case of which somebody is asked to approve is being decided (the audit sees to it), and few are: an index has
    them. For each the request is looked up: as `EXISTS` it would be joined, by a hash of all that wait anywhere.
    """
    is_pending = _looked_up(approval.c.case_id, approval.c.case_id == case_file.c.id, approval.c.state == "pending")
    return [case_file.c.state == "deciding", case_file.c.closed_at.is_(None), is_pending]


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
    words = sorted(states)
    is_one = len(words) == 1
    state = case_file.c.state
    return [state == words[0] if is_one else state == any_(bindparam(None, words, type_=ARRAY(Text))), *clauses]


def _of_category(category: Any) -> ColumnElement[bool]:
    """Cases about an item of the category, or about an order with a line of it."""
    wanted = select(item.c.sku).where(item.c.category == category)
    ordered = exists().where(journey_line.c.journey_id == case_file.c.journey_id, journey_line.c.sku.in_(wanted))
    return or_(case_file.c.sku.in_(wanted), ordered)


def _between(names: frozenset[str], mark: str) -> list[ColumnElement[bool]]:
    clauses: list[ColumnElement[bool]] = []
    for name in _INSTANTS:
        if name not in names:
            continue
        which, end = name.split("_")
        column = case_file.c["next_due_at" if which == "due" else f"{which}_at"]
        at = bindparam(f"{mark}{name}", type_=DateTime(timezone=True))
        within = column >= at if end == "from" else column < at
        clauses.append(and_(within, case_file.c.closed_at.is_(None)) if which == "due" else within)
    return clauses


_BETWEEN: Any = literal_column("chr(31)", Text)
_EMPTY: Any = literal_column("''", Text)
# As `CASE_WORDS` has it, without which no index answers.
_WORDS: ColumnElement[str] = (
    case_file.c.subject
    + _BETWEEN
    + func.coalesce(case_file.c.journey_id, _EMPTY)
    + _BETWEEN
    + case_file.c.sku
    + _BETWEEN
    + case_file.c.location
)


type ThereIs = Callable[..., ColumnElement[bool]]


def _looked_up(column: ColumnElement[Any], *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether there is such a row, looked up for each case: a page soon has its fifty."""
    return select(column).where(*where).limit(1).correlate(case_file).scalar_subquery().is_not(None)


def _is_among(_column: ColumnElement[Any], *where: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same by a hash of all such rows, which is worth it where very many cases are looked at."""
    return exists().where(*where)


def _mentions(wanted: Asked, pattern: Any, one_of: Any, there_is: ThereIs) -> ColumnElement[bool]:
    """Cases whose subject, order, SKU, item or place has these words, or whose customer has them as name or address."""
    table = case_file.c

    def has(column: ColumnElement[Any]) -> ColumnElement[bool]:
        return column.ilike(pattern, escape="\\")

    # Of what is open and of what is closed there is an index each: where both are wanted, both are asked for.
    states = set(_words(wanted.state or ""))
    is_one_kind = states and (states <= OPEN or states <= CLOSED)
    each = (table.closed_at.is_(None), table.closed_at.is_not(None))
    ways = [has(_WORDS)] if is_one_kind else [and_(kind, has(_WORDS)) for kind in each]
    if wanted.every_item:
        ways.append(there_is(item.c.name, item.c.sku == table.sku, has(item.c.name)))
    elif "items" in wanted.names:
        ways.append(table.sku == one_of("items"))
    if wanted.every_customer:
        called = or_(*(has(column) for column in (customer.c.name, customer.c.email, customer.c.phone)))
        ways.append(there_is(customer.c.id, customer.c.id == table.customer_id, customer.c.has_case, called))
    elif "customers" in wanted.names:
        ways.append(table.customer_id == one_of("customers"))
    return or_(*ways)
