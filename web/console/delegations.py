"""Delegations: who stands in for whom, made and ended by the people themselves, or by an admin for others."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import DomainError, Malformed
from domain.people import Person
from ledger import delegations
from ledger.reads.places import zone_of
from web.pages import ConsoleRoute, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
Short = Annotated[str, Form(max_length=320)]


async def show_all(
    request: Request, person: Person, typed: dict[str, str], *, everybody: bool, refused: DomainError | None = None
) -> Response:
    """The person's own, or (for an admin) those of everybody they look after, with the form as it was typed."""
    is_admin = person.has_role("admin")
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        own = await delegations.of_person(conn, person.id)
        found = await delegations.everybodys(conn, person) if everybody and is_admin else own
        colleagues = await delegations.colleagues(conn, person)
    context = {
        "person": person,
        "section": "approvals",
        "delegations": found,
        "everybody": everybody and is_admin,
        "is_admin": is_admin,
        "colleagues": colleagues,
        "zone": zone,
        "today": datetime.now(UTC).astimezone(ZoneInfo(zone)).date().isoformat(),
        "typed": typed,
        "refusal": refused,
    }
    return page(request, "delegations.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


@router.get("/console/delegations")
async def show(request: Request, person: SignedIn, to: str = "", view: str = "mine") -> Response:
    return await show_all(request, person, {"to": to[:320]}, everybody=view == "all")


@router.post("/console/delegations")
async def give(
    request: Request,
    person: SignedIn,
    to: Short = "",
    start: Short = "",
    until: Short = "",
    for_: Annotated[str, Form(alias="for", max_length=320)] = "",
) -> Response:
    """Have somebody stand in from the first day, or now when that is today, through the last one."""
    database = database_of(request)
    everybody = bool(for_.strip())
    try:
        async with database.read() as conn:
            zone = ZoneInfo(await zone_of(conn, person))
        now = await database.now()
        first, last = _day(start, "first", "/start"), _day(until, "last", "/until")
        await delegations.give(
            database,
            person,
            giver=for_ if everybody else person.email,
            taker=to,
            starts_at=None if first == now.astimezone(zone).date() else _midnight(first, zone),
            ends_at=_midnight(last + timedelta(days=1), zone),
            via="console",
        )
    except DomainError as refused:
        typed = {"to": to, "start": start, "until": until, "for": for_}
        return await show_all(request, person, typed, everybody=everybody, refused=refused)
    return see(request, f"/console/delegations?view={'all' if everybody else 'mine'}")


@router.post("/console/delegations/{delegation_id}/end")
async def end(request: Request, person: SignedIn, delegation_id: int, view: Short = "mine") -> Response:
    """End one at once."""
    await delegations.end(database_of(request), person, delegation_id, via="console")
    return see(request, f"/console/delegations?view={'all' if view == 'all' else 'mine'}")


def _day(typed: str, which: str, pointer: str) -> date:
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        raise Malformed(f"Write the {which} day as year-month-day, such as 2030-12-24.", pointer=pointer) from None
    if not 2000 <= day.year < 9000:
        raise Malformed(f"Write the {which} day with its full year.", pointer=pointer)
    return day


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
