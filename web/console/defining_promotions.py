"""The form by which a person defines a promotion, or changes one whose prices have not gone out: looked at first, with
what it means, earns and would meet, then sent or kept as a draft. The same form sent twice defines one.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import FormData

from domain.errors import DomainError, IdempotencyMismatch, Malformed, NotAllowed
from domain.journey_kinds import JOURNEY_KINDS, journey_page
from domain.people import PROMOTING_ROLES, Person
from domain.promotion import OPEN_TO_CHANGE, STACKINGS
from domain.promotion_form import (
    OFFERS,
    Said,
    field_of,
    read,
    read_lines,
    read_offer,
    read_permille,
    write_lines,
    write_offer,
)
from domain.promotions import ChangedPromotion, Definition, NewPromotion, PromotionView
from domain.words import read_local
from ledger.people import Caller
from ledger.promotion import intake
from ledger.promotion.defining import SOLD_AT
from ledger.promotion.preview import NOBODY, Preview, check_reach, preview
from ledger.reads.places import Place, all_places, zone_of
from ledger.reads.promotion_choices import Choices, choices_of
from ledger.reads.promotions import promotion_view
from web.pages import ConsoleRoute, page, path, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
KIND = JOURNEY_KINDS["promotion"]
SOURCE = "console"
WORDS = (
    "promotion_id", "name", "offer", "value", "lines", "locations", "zone", "starts_at", "ends_at", "stacking", "floor",
    "agreement_id",
)  # fmt: skip
LISTS = ("channel", "where")
MAX_FIELDS = 2_000


@dataclass(frozen=True)
class Typed:
    """What stands in the form: texts, and what is ticked."""

    words: dict[str, str]
    ticked: dict[str, list[str]]

    def __getitem__(self, name: str) -> str:
        return self.words[name]


class Ground(NamedTuple):
    """What a form is read against."""

    places: dict[str, Place]
    choices: Choices
    channels: frozenset[str]
    zone: str


def promotes_somewhere(person: Person) -> bool:
    return any(grant.role in PROMOTING_ROLES for grant in person.grants)


def check_promotes(person: Person, found: PromotionView, places: Mapping[str, Place]) -> None:
    """Raises `NotAllowed` unless the person defines promotions at every place of this one."""
    for code in sorted({one.location for one in found.places}):
        if not person.roles_at(found.entity, places[code].region, code) & PROMOTING_ROLES:
            where = f" at {places[code].name}" if promotes_somewhere(person) else ""
            raise NotAllowed(f"Your role may look at this promotion{where}, not change it; that is the merchandiser's.")


def caller_of(person: Person) -> Caller:
    return Caller.on_page(person, SOURCE)


def new_code() -> str:
    return f"P-{datetime.now(UTC):%m%d}-{secrets.token_hex(3)}"


async def ground_of(request: Request, conn: AsyncConnection, person: Person) -> Ground:
    return Ground(
        await all_places(conn),
        await choices_of(conn, person),
        frozenset(request.app.state.settings.price_channels),
        await zone_of(conn, person),
    )


def _typed(form: FormData) -> Typed:
    return Typed(
        {name: str(form.get(name) or "").strip() for name in WORDS},
        {name: [str(one) for one in form.getlist(name)] for name in LISTS},
    )


def _empty(ground: Ground) -> Typed:
    words = dict.fromkeys(WORDS, "")
    words |= {"promotion_id": new_code(), "offer": "percent", "stacking": STACKINGS[0], "zone": ground.zone}
    return Typed(words, {"channel": sorted(ground.channels), "where": []})


def _as_it_is(found: PromotionView, ground: Ground) -> Typed:
    """A promotion as somebody would type it."""
    zone = ground.places[found.places[0].location].time_zone
    codes = {one.location for one in found.places}
    everywhere = {one.code for one in ground.places.values() if one.entity == found.entity and one.kind in SOLD_AT}
    words = {
        "promotion_id": found.promotion_id,
        "name": found.name,
        "offer": found.offer.kind,
        "value": write_offer(found.offer, found.currency),
        "lines": write_lines(found.lines),
        "locations": "" if codes == everywhere else " ".join(sorted(codes)),
        "zone": zone,
        "starts_at": _local(found.starts_at, zone),
        "ends_at": _local(found.ends_at, zone),
        "stacking": found.stacking,
        "floor": f"{found.margin_floor_permille / 10:g}",
        "agreement_id": found.agreement_id or "",
    }
    where = [f"all:{found.entity}"] if codes == everywhere else []
    return Typed(words, {"channel": sorted({one.channel for one in found.places}), "where": where})


def _local(instant: datetime, zone: str) -> str:
    return f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}"


# ---------------------------------------------------------------------------------------------------- reading it
def _read[D: Definition](kind: type[D], typed: Typed, ground: Ground, **more: Any) -> tuple[D | None, list[Said]]:
    """The definition that was typed, or everything that is wrong with it."""
    body: dict[str, Any] = {"name": typed["name"], "channels": typed.ticked["channel"], "stacking": typed["stacking"]}
    where, said = _where(typed, ground)
    body |= where

    def take(name: str, field: str, work: Callable[[], Any]) -> None:
        try:
            body[name] = work()
        except Malformed as refused:
            said.append(Said(field, refused.detail))

    take("offer", "value", lambda: read_offer(typed["offer"], typed["value"], _currency(where, ground)))
    body["lines"], wrong = read_lines(typed["lines"])
    said += wrong
    take("starts_at", "starts_at", lambda: instant_of(typed["starts_at"], typed["zone"], "begins", "starts_at"))
    take("ends_at", "ends_at", lambda: instant_of(typed["ends_at"], typed["zone"], "ends", "ends_at"))
    if typed["floor"]:
        take(
            "margin_floor_permille", "floor", lambda: read_permille(typed["floor"].removesuffix("%").strip(), "/floor")
        )
    if typed["agreement_id"]:
        body["agreement_id"] = typed["agreement_id"]
    if not body["channels"]:
        said.append(Said("channel", "Tick at least one channel."))
    if not typed["name"]:
        said.append(Said("name", "Give it a name."))
    if said:
        return None, said
    return read(kind, body | more)


def _where(typed: Typed, ground: Ground) -> tuple[dict[str, Any], list[Said]]:
    """Whole companies, regions and codes that were named, as `locations` and `entity` of a definition."""
    codes = set(typed["locations"].replace(",", " ").replace(";", " ").split())
    unknown = sorted(codes - ground.places.keys())
    if unknown:
        named = ", ".join(unknown[:20]) + (" …" if len(unknown) > 20 else "")
        return {}, [Said("locations", f"There is no place {named}; write codes with a space between them.")]
    wholes = [one.removeprefix("all:") for one in typed.ticked["where"] if one.startswith("all:")]
    regions = {one.removeprefix("region:") for one in typed.ticked["where"] if one.startswith("region:")}
    if len(wholes) == 1 and all(ground.places[code].entity == wholes[0] for code in codes):
        return {"locations": "all", "entity": wholes[0]}, []
    for place in ground.places.values():
        if place.kind in SOLD_AT and (place.region in regions or place.entity in wholes):
            codes.add(place.code)
    if not codes:
        return {}, [Said("where", "Say where it runs: tick a company or a region, or write codes of places.")]
    return {"locations": sorted(codes)}, []


def _currency(where: Mapping[str, Any], ground: Ground) -> str:
    companies = ground.choices.companies
    named = where.get("entity") or next(
        (ground.places[code].entity for code in where.get("locations", ())), next(iter(companies), "")
    )
    return companies[named].currency if named in companies else "USD"


def instant_of(text: str, zone: str, called: str, field: str) -> datetime:
    """What was meant by a local time. Raises `Malformed`, also for one that a change of clocks leaves out; it says when
    what begins or ends (`called`).
    """
    try:
        there = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise Malformed("Choose the zone of its times from the list.", pointer="/zone") from None
    try:
        found = read_local(text, zone)
    except Malformed:
        raise Malformed(f"Say when it {called}, as a date and a time.", pointer=f"/{field}") from None
    written = datetime.fromisoformat(text)
    if written.tzinfo is None and found.astimezone(there).replace(tzinfo=None) != written:
        raise Malformed(
            f"Clocks in {zone} leave {written:%H:%M} out on that day; choose another time.", pointer=f"/{field}"
        )
    return found


def refused_as(refused: DomainError) -> Said:
    if isinstance(refused, IdempotencyMismatch):
        return Said("promotion_id", "Another promotion has this code already; choose another one.")
    return Said(field_of(refused.pointer), refused.detail)


# ---------------------------------------------------------------------------------------------------- showing it
def _shown(
    request: Request,
    person: Person,
    ground: Ground,
    typed: Typed,
    *,
    said: Sequence[Said] = (),
    looked: Preview | None = None,
    of: PromotionView | None = None,
    status: int = 200,
) -> Response:
    zones = {one.time_zone for one in ground.places.values()} | {ground.zone}
    context = {
        "person": person,
        "section": KIND.section,
        "places": ground.places,
        "zone": typed["zone"] if typed["zone"] in zones else ground.zone,
        "zones": sorted(zones),
        "draft": typed.words,
        "ticked": typed.ticked,
        "choices": ground.choices,
        "channels": sorted(ground.channels),
        "offers": OFFERS,
        "stackings": STACKINGS,
        "said": said,
        "wrong": {one.field for one in said},
        "preview": looked,
        "of": of,
        "may_define": promotes_somewhere(person),
    }
    return page(request, "promotions/new.html", context, status=status)


async def _look(
    request: Request, person: Person, ground: Ground, typed: Typed, of: PromotionView | None = None
) -> Response:
    """What would become of it."""
    wanted, said = _read(ChangedPromotion, typed, ground)
    looked = None
    if wanted is not None:
        try:
            async with database_of(request).read() as conn:
                me = of.journey_id if of else NOBODY
                looked = await preview(conn, wanted, channels=ground.channels, at=datetime.now(UTC), me=me)
            check_reach(person, looked.meant, ground.places)
        except DomainError as refused:
            looked, said = None, [refused_as(refused)]
    return _shown(request, person, ground, typed, said=said, looked=looked, of=of, status=422 if said else 200)


@router.get("/console/promotions/new")
async def show_form(request: Request, person: SignedIn) -> Response:
    """The form, empty."""
    async with database_of(request).read() as conn:
        ground = await ground_of(request, conn, person)
    return _shown(request, person, ground, _empty(ground))


@router.post("/console/promotions/new")
async def define(request: Request, person: SignedIn) -> Response:
    """`do=look` shows what would become of it, `draft` keeps it, `define` submits it; a refusal loses nothing."""
    form = await request.form(max_fields=MAX_FIELDS)
    typed = _typed(form)
    async with database_of(request).read() as conn:
        ground = await ground_of(request, conn, person)
    if form.get("do") not in ("define", "draft"):
        return await _look(request, person, ground, typed)
    submit = form.get("do") == "define"
    wanted, said = _read(NewPromotion, typed, ground, promotion_id=typed["promotion_id"], submit=submit)
    if wanted is None:
        return _shown(request, person, ground, typed, said=said, status=422)
    try:
        answer = await record(request, person, ground, wanted)
    except DomainError as refused:
        return _refused(request, person, ground, typed, refused)
    return see(request, journey_page(answer.journey_id))


def _refused(
    request: Request,
    person: Person,
    ground: Ground,
    typed: Typed,
    refused: DomainError,
    of: PromotionView | None = None,
) -> Response:
    # What a form names and is not there is a mistake in the form, no missing page.
    status = 422 if refused.family == "missing" else STATUS_OF_FAMILY[refused.family]
    return _shown(request, person, ground, typed, said=[refused_as(refused)], of=of, status=status)


async def check_may(request: Request, person: Person, ground: Ground, wanted: Definition, me: str = NOBODY) -> Preview:
    """What it would be. Raises `NotAllowed` for a role that defines none, and as `preview` and `check_reach` do."""
    if not promotes_somewhere(person):
        raise NotAllowed("Your role may look at promotions, not define them; that is the merchandiser's.")
    async with database_of(request).read() as conn:
        looked = await preview(conn, wanted, channels=ground.channels, at=datetime.now(UTC), me=me)
    check_reach(person, looked.meant, ground.places)
    return looked


async def record(request: Request, person: Person, ground: Ground, wanted: NewPromotion) -> Any:
    """Define it. Raises as `intake.define` does, and `NotAllowed`; returns the answer."""
    await check_may(request, person, ground, wanted)
    made = await intake.define(
        database_of(request), caller_of(person), wanted, channels=ground.channels, via="console", requested_by=person.id
    )
    return made[1]


# ---------------------------------------------------------------------------------------------------- changing one
async def _found(request: Request, person: Person, promotion_id: str) -> tuple[PromotionView, Ground]:
    async with database_of(request).read() as conn:
        return await promotion_view(conn, person, promotion_id), await ground_of(request, conn, person)


@router.get("/console/promotions/{promotion_id}/edit")
async def show_change(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """The form with the promotion as it is; one whose prices went out is shown by its page."""
    found, ground = await _found(request, person, promotion_id)
    if found.state not in OPEN_TO_CHANGE:
        return see(request, journey_page(found.journey_id))
    return _shown(request, person, ground, _as_it_is(found, ground), of=found)


@router.post("/console/promotions/{promotion_id}/edit")
async def change(request: Request, person: SignedIn, promotion_id: str) -> Response:
    """Define it anew: whoever was asked is asked no more, and whoever the new one needs is."""
    form = await request.form(max_fields=MAX_FIELDS)
    found, ground = await _found(request, person, promotion_id)
    typed = _typed(form)
    typed.words["promotion_id"] = found.promotion_id
    if form.get("do") not in ("define", "draft"):
        return await _look(request, person, ground, typed, found)
    wanted, said = _read(ChangedPromotion, typed, ground, submit=form.get("do") == "define")
    if wanted is None:
        return _shown(request, person, ground, typed, said=said, of=found, status=422)
    try:
        check_promotes(person, found, ground.places)
        await check_may(request, person, ground, wanted, found.journey_id)
        await intake.amend(
            database_of(request), found.journey_id, wanted, channels=ground.channels, actor=person.id, via="console"
        )
    except DomainError as refused:
        return _refused(request, person, ground, typed, refused, found)
    return see(request, f"/console/journeys/{path(found.journey_id)}")
