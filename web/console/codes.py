"""Codes: the root causes and reasons by which people say why, where each is asked for, and how often it was given."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain import codes
from domain.case_kinds import KINDS
from domain.errors import DomainError, NotFound, UnknownLocation
from domain.people import Person
from domain.policy import Policy
from ledger import reference, root_causes
from ledger.reads.codes import Caused, Given, caused, changes_asked_for, given
from ledger.reads.places import visible_places, zone_of
from web.console.spans import days
from web.pages import MAX_FORM, ConsoleRoute, address, page, see, written
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
LOOK_BACK_DAYS = 30
ENDED = "resolved,cancelled"
Word = Annotated[str, Form(max_length=200)]


class OfKind(NamedTuple):
    """A root cause at one kind of case: how many were closed because of it, and the way to them."""

    kind: str
    title: str
    is_asked: bool
    cases: int
    href: str


class Cause(NamedTuple):
    """A root cause over all kinds of cases; `value` is what was at stake by currency, in minor units."""

    code: str
    cases: int
    value: list[tuple[str, int]]
    href: str
    kinds: list[OfKind]


@router.get("/console/codes")
async def show(request: Request, person: SignedIn, place: str = "") -> Response:
    """Every code, as the policy of one place has it; counted over all places that the reader sees."""
    return await _show(request, person, place)


@router.post("/console/codes")
async def ask_for(
    request: Request,
    person: SignedIn,
    place: Word = "",
    kind: Word = "",
    code: Word = "",
    act: Word = "",
    why: Annotated[str, Form(max_length=MAX_FORM)] = "",
) -> Response:
    """Ask to have a root cause added, or ended, in the region of a place. Somebody else has to agree."""
    draft = {"kind": kind, "code": code, "act": act, "why": why}
    try:
        change = root_causes.Change(kind, code.strip().lower(), act)
        number = await root_causes.ask(database_of(request), person, place, change, why=written(why), via="console")
    except (NotFound, UnknownLocation) as refused:
        raise NotFound(f"There is no location {place[:80]} that you see.") from refused
    except DomainError as refused:
        return await _show(request, person, place, refused=refused, draft=draft)
    return see(request, f"/console/approvals/{number}")


async def _show(
    request: Request,
    person: Person,
    place: str,
    *,
    refused: DomainError | None = None,
    draft: Mapping[str, str] = {},
) -> Response:
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        places = await visible_places(conn, person)
        here = next((one for one in places if one.code == place), None)
        if here is None and place:
            raise NotFound(f"There is no location {place} that you see.")
        here = here or (places[0] if places else None)
        zone = await zone_of(conn, person)
        today = now.astimezone(ZoneInfo(zone)).date()
        first = today - timedelta(days=LOOK_BACK_DAYS - 1)
        since = datetime.combine(first, datetime.min.time(), ZoneInfo(zone))
        until = datetime.combine(today + timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
        policy = Policy()
        if here is not None:
            policy = await reference.policy_at(conn, await reference.place(conn, here.code), now)
        closed = days(first, today)
        context = {
            "person": person,
            "section": "more",
            "places": places,
            "at": here,
            "causes": by_cause(codes.root_causes(policy), await caused(conn, person, since, until), closed),
            "reasons": by_document(codes.reasons_of(policy), await given(conn, person, since)),
            "days": LOOK_BACK_DAYS,
            "waiting": await changes_asked_for(conn, person),
            "may_ask": here is not None and root_causes.may_ask(person, here.entity, here.region),
            "kinds": sorted(
                ((name, one.title) for name, one in KINDS.items() if name not in codes.FIXED), key=lambda one: one[1]
            ),
            "refusal": refused,
            "draft": draft,
        }
    return page(request, "codes.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


def by_cause(asked: dict[str, tuple[str, ...]], found: list[Caused], closed: str) -> list[Cause]:
    """Every cause that is asked for or was given, most cases first; `closed` is the queue's word for the days."""
    times: dict[str, dict[str, int]] = defaultdict(dict)
    value: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for kind, causes in asked.items():
        for cause in causes:
            times[cause].setdefault(kind, 0)
    for one in found:
        times[one.root_cause][one.kind] = times[one.root_cause].get(one.kind, 0) + one.cases
        value[one.root_cause][one.currency] += one.value_minor

    def way(cause: str, **more: str) -> str:
        return address("/console/queue", {"root_cause": cause, "state": ENDED, "closed": closed, **more})

    rows = [
        Cause(
            cause,
            sum(kinds.values()),
            sorted((currency, amount) for currency, amount in value[cause].items() if amount),
            way(cause),
            [
                OfKind(kind, _title(kind), cause in asked.get(kind, ()), cases, way(cause, kind=kind))
                for kind, cases in sorted(kinds.items(), key=lambda pair: (-pair[1], _title(pair[0])))
            ],
        )
        for cause, kinds in times.items()
    ]
    return sorted(rows, key=lambda row: (-row.cases, row.code))


def _title(kind: str) -> str:
    return KINDS[kind].title if kind in KINDS else kind.replace("_", " ")


def by_document(asked: Iterable[codes.Reasons], found: dict[str, list[Given]]) -> list[dict[str, Any]]:
    """Each kind of document with all its reasons, given or not, most often first; others that were given as well."""
    rows = []
    for reasons in asked:
        times = dict.fromkeys(reasons.codes, 0) | {one.code: one.times for one in found.get(reasons.document, [])}
        ordered = sorted(times.items(), key=lambda pair: (-pair[1], pair[0]))
        most = max(times.values(), default=0)
        rows.append({"about": reasons, "codes": ordered, "most": most, "total": sum(times.values())})
    return rows
