"""What the store's pages share: whose store it is, forms that are safe to send twice, what was saved or refused.

A form carries an id; every fact that it reports is an event whose id follows from that. What somebody else has changed
since the form was rendered is noticed under the order's lock.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from domain.errors import DomainError, IdempotencyMismatch, Malformed, NotAllowed, StaleVersion, StateConflict
from domain.people import Person
from ledger.bopis.order import Order
from ledger.facts.by_hand import Saved, report
from ledger.reads.store import FloorOrder, StorePlace, order_at, store_of
from web.pages import page
from web.sessions import database_of
from web.status import STATUS_OF_FAMILY

MAX_FIELDS = 3_000  # five hundred lines, each with a few fields
MAX_UNITS = 1_000_000


def new_form() -> str:
    return uuid.uuid4().hex


def clock_time(at: datetime, zone: str) -> str:
    """`14:02 CET`: the zone is always written."""
    return f"{at.astimezone(ZoneInfo(zone)):%H:%M %Z}"


@dataclass
class Sent:
    """A form as it came in, and what became of it. `problems` are by field, `saved` by line."""

    fields: Mapping[str, str] = field(default_factory=dict)
    form_id: str = field(default_factory=new_form)
    problems: dict[str, str] = field(default_factory=dict)
    saved: dict[str, Saved] = field(default_factory=dict)
    refusal: DomainError | None = None
    lines: frozenset[str] = frozenset()  # that were ticked

    def text(self, name: str) -> str:
        return self.fields.get(name, "").strip()

    def typed(self, name: str, usual: object = "") -> object:
        """What was typed into a field, to be shown there again; the usual value where the field was not sent."""
        return self.fields.get(name, usual)

    def units(self, name: str) -> int | None:
        """A quantity; what is none is noted as the field's problem."""
        typed = self.text(name)
        if not (typed.isascii() and typed.isdigit()) or int(typed) > MAX_UNITS:
            self.problems[name] = "Enter a whole number, 0 or more."
            return None
        return int(typed)

    def event_id(self, what: str) -> str:
        """The id of the event that this form reports about something; the same however often it is sent."""
        return uuid.uuid5(uuid.UUID(self.form_id), what).hex

    def took(self, *lines: str) -> None:
        """These lines are saved: their fields show what is recorded from here on."""
        gone = {f"{name}:{line}" for line in lines for name in ("quantity", "reason", "seen", "refused", "damaged")}
        self.fields = {name: value for name, value in self.fields.items() if name not in gone}

    @property
    def status(self) -> int:
        if self.refusal is not None:
            return STATUS_OF_FAMILY[self.refusal.family]
        return 422 if self.problems else 200


async def sent_form(request: Request) -> Sent:
    """The form of a request. Raises `Malformed` for one without the id that the page gave it."""
    form: FormData = await request.form(max_fields=MAX_FIELDS)
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    try:
        form_id = uuid.UUID(fields.get("form_id", "")).hex
    except ValueError as error:
        raise Malformed("This form is not one of ours. Open the page again and send it from there.") from error
    return Sent(fields, form_id)


@dataclass
class Floor:
    """A person at a store, with one order where a page is about one."""

    request: Request
    person: Person
    place: StorePlace

    @property
    def may_report(self) -> bool:
        return self.person.may_handle(self.place.entity, self.place.region, self.place.code)

    def must_report(self) -> None:
        """Raises `NotAllowed` for who may only look."""
        if not self.may_report:
            raise NotAllowed("Your role may look at this store's work, not report it. Its staff do.")

    def context(self, more: Mapping[str, Any]) -> dict[str, Any]:
        zone = self.place.time_zone
        return {
            "person": self.person,
            "section": "store",
            "place": self.place,
            "zone": zone,
            "may_report": self.may_report,
            "clock_time": lambda at: clock_time(at, zone),
            **more,
        }

    def show(self, template: str, more: Mapping[str, Any], status: int = 200) -> Response:
        return page(self.request, template, self.context(more), block="work", status=status)

    async def order(self, journey_id: str) -> FloorOrder:
        """The order as it is recorded now. Raises `NotFound`."""
        async with database_of(self.request).read() as conn:
            return await order_at(conn, self.place, journey_id)

    async def report(
        self,
        sent: Sent,
        what: str,
        journey_id: str,
        kind: str,
        data: Mapping[str, Any],
        check: Callable[[Any], None],
        *,
        named: str = "journey_id",
    ) -> Saved:
        """Report a fact of a form; `what` tells it from other facts of the same form, `named` is the field by which
        the fact names its journey.
        """
        return await report(
            database_of(self.request),
            self.person,
            journey_id,
            kind,
            data,
            form_id=sent.event_id(what),
            at=await database_of(self.request).now(),
            check=check,
            named=named,
        )


async def floor_of(request: Request, person: Person, code: str) -> Floor:
    """Raises `NotFound` for a store that the person may not see."""
    async with database_of(request).read() as conn:
        return Floor(request, person, await store_of(conn, person, code))


async def reading[T](request: Request, read: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async with database_of(request).read() as conn:
        return await read(conn)


async def attempt(sent: Sent, work: Callable[[], Awaitable[None]]) -> None:
    """Do it; a refusal is kept for the page. A form whose id has said something else gets a new one."""
    try:
        await work()
    except DomainError as refused:
        sent.refusal = refused
        if isinstance(refused, IdempotencyMismatch):
            sent.form_id = new_form()


def unchanged(seen: Mapping[str, str], mark: Callable[[Mapping[str, Any]], str], *, may_be_over: bool) -> Any:
    """A check under the order's lock: the lines are still what the form showed, and the order is not over meanwhile.

    `seen` are the marks of the lines as they were rendered.
    """

    def check(order: Order) -> None:
        if order.is_final and not may_be_over:
            raise StateConflict(f"Order {order.row['key']} is {order.row['state'].replace('_', ' ')} by now.")
        if order.is_final:
            return
        for line_id, before in seen.items():
            if line_id in order.lines and mark(order.lines[line_id]) != before:
                raise StaleVersion("Somebody has reported or changed this line since you opened the page. Look again.")

    return check
