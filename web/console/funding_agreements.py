"""Funding agreements: their list with what they have accrued, the form by which one is recorded, and the page of each,
where its claim is made ahead of time and the agreement is ended.
"""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import DomainError, IdempotencyMismatch, Malformed, NotAllowed, NotFound
from domain.funding import AgreementView, EndAgreement, NewAgreement
from domain.funding_form import BASES, KINDS, field_of, read, read_count, read_terms
from domain.people import FUNDING_ROLES, Person
from domain.promotion_form import Said
from domain.words import read_local
from ledger.claim import preparing
from ledger.funding import agreements
from ledger.reads.claim_list import ClaimFilter, list_claims
from ledger.reads.funding import agreement_view, by_promotion, list_agreements
from ledger.reads.places import Place, all_places, zone_of
from ledger.reads.promotion_choices import choices_of
from web.console.defining_promotions import caller_of, instant_of
from web.console.list_address import read_address
from web.journeys.claim import DUES
from web.kept import typed_again
from web.pages import ConsoleRoute, address, page, path, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
LIST = "/console/funding"
SAYS = {"vendor": bool, "entity": bool}
WORDS = (
    "number", "entity", "office", "vendor", "vendor_name", "claims_email", "signed_on", "document", "starts_at",
    "ends_at", "zone", "kind", "rate", "base", "tiers", "cap", "expected_units", "promotions", "skus",
    "claim_every_days", "claim_window_days",
)  # fmt: skip
PLAIN = ("number", "entity", "vendor", "vendor_name", "claims_email", "signed_on", "document")
MOST_CLAIMS = 100


def funds_somewhere(person: Person) -> bool:
    return any(grant.role in FUNDING_ROLES for grant in person.grants)


def _check_may(person: Person, entity: str, office: Place | None) -> None:
    """Raises `NotAllowed`. Without an office it is for the whole company."""
    region, code = (office.region, office.code) if office else ("", "")
    if not person.roles_at(entity, region, code) & FUNDING_ROLES:
        raise NotAllowed("Your role may look at agreements, not record or end them there; that is for vendor managers.")


# ---------------------------------------------------------------------------------------------------- all of them
@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Agreements whose office the person sees."""
    given, unknown = read_address(request.query_params, SAYS)
    cursor = request.query_params.get("cursor") or None
    return await _list(request, person, given, unknown, cursor)


async def _list(
    request: Request,
    person: Person,
    given: dict[str, str],
    unknown: list[str],
    cursor: str | None,
    refused: DomainError | None = None,
) -> Response:
    async with database_of(request).read() as conn:
        found = await list_agreements(
            conn, person, vendor=given.get("vendor"), entity=given.get("entity"), cursor=cursor
        )
        places = await all_places(conn)
        zone = await zone_of(conn, person)
    context: dict[str, Any] = {
        "person": person,
        "section": "more",
        "agreements": found.items,
        "may_ask": {
            one.id for one in found.items
            if one.office in places and person.may_decide(one.entity, places[one.office].region, one.office)
        },
        "may_record": funds_somewhere(person),
        "zone": zone,
        "given": given,
        "unknown": unknown,
        "cursor": cursor,
        "refusal": refused,
        "first_page": address(LIST, given),
        "next_page": address(LIST, {**given, "cursor": found.next}) if found.next else None,
    }  # fmt: skip
    return page(request, "funding/list.html", context, status=409 if refused else 200)


# ---------------------------------------------------------------------------------------------------- recording one
def _read(typed: dict[str, str], currencies: dict[str, str]) -> tuple[NewAgreement | None, list[Said]]:
    said: list[Said] = []
    body: dict[str, Any] = {name: typed[name] for name in PLAIN}
    currency = currencies.get(typed["entity"])
    if currency is None:
        return None, [Said("entity", "Choose whose agreement it is.")]
    body["currency"] = currency
    if typed["office"]:
        body["office"] = typed["office"]
    for name, called in (("starts_at", "begins"), ("ends_at", "ends")):
        try:
            body[name] = instant_of(typed[name], typed["zone"], called, name)
        except Malformed as refused:
            said.append(Said(name, refused.detail))
    body["terms"], wrong = read_terms(typed, currency)
    said += wrong
    for name in ("promotions", "skus"):
        body[name] = typed[name].replace(",", " ").split()
    for name, what in (("claim_every_days", "the days"), ("claim_window_days", "the days")):
        if typed[name]:
            try:
                body[name] = read_count(typed[name], what) if typed[name] != "0" else 0
            except Malformed as refused:
                said.append(Said(name, refused.detail))
    for name, says in (
        ("number", "Give it a number."), ("vendor", "Write the vendor's code."), ("document", "Name the document."),
        ("signed_on", "Say when it was signed."),
    ):  # fmt: skip
        if not typed[name]:
            said.append(Said(name, says))
    return (None, said) if said else read(body)


async def _form(
    request: Request, person: Person, typed: dict[str, str], said: list[Said] | None = None, status: int = 200
) -> Response:
    async with database_of(request).read() as conn:
        places = await all_places(conn)
        choices = await choices_of(conn, person)
        zone = await zone_of(conn, person)
    said = said or []
    context = {
        "person": person,
        "section": "more",
        "draft": {**dict.fromkeys(WORDS, ""), "zone": zone, "kind": KINDS[0], "claim_window_days": "30", **typed},
        "said": said,
        "wrong": {one.field for one in said},
        "companies": choices.companies.values(),
        "offices": [
            one for one in places.values() if person.roles_at(one.entity, one.region, one.code) & FUNDING_ROLES
        ],
        "zones": sorted({one.time_zone for one in places.values()} | {zone}),
        "kinds": KINDS,
        "bases": BASES,
        "may_record": funds_somewhere(person),
    }
    return page(request, "funding/new.html", context, status=status)


@router.get(f"{LIST}/new")
async def show_form(request: Request, person: SignedIn) -> Response:
    return await _form(request, person, {})


@router.post(f"{LIST}/new")
async def record(request: Request, person: SignedIn) -> Response:
    """Record it; a refusal keeps what was typed, and the same form sent twice records one."""
    form = await request.form(max_fields=60)
    typed = {name: str(form.get(name) or "").strip() for name in WORDS}
    async with database_of(request).read() as conn:
        places = await all_places(conn)
        choices = await choices_of(conn, person)
    wanted, said = _read(typed, {code: one.currency for code, one in choices.companies.items()})
    if wanted is None:
        return await _form(request, person, typed, said, 422)
    try:
        _check_may(person, wanted.entity, places.get(wanted.office or ""))
        (result,) = await agreements.record(database_of(request), caller_of(person), [wanted], via="console")
        if isinstance(result, DomainError):
            raise result
    except IdempotencyMismatch:
        return await _form(request, person, typed, [Said("number", "Another agreement has this number already.")], 422)
    except DomainError as refused:
        status = 422 if refused.family == "missing" else STATUS_OF_FAMILY[refused.family]
        return await _form(request, person, typed, [Said(field_of(refused.pointer), refused.detail)], status)
    return see(request, f"{LIST}/{path(result[1])}")


# ---------------------------------------------------------------------------------------------------- one of them
async def _shown(
    request: Request, person: Person, agreement: AgreementView, refused: DomainError | None = None
) -> Response:
    async with database_of(request).read() as conn:
        places = await all_places(conn)
        claims = await list_claims(conn, person, ClaimFilter(agreement=agreement.id), limit=MOST_CLAIMS)
        paid = await by_promotion(conn, agreement.id)
        zone = await zone_of(conn, person)
    office, now = places[agreement.office], datetime.now(UTC)
    context = {
        "person": person,
        "section": "more",
        "agreement": agreement,
        "office": office,
        "paid": paid,
        "claims": claims.items,
        "more_claims": claims.next is not None,
        "zone": zone,
        "now": now,
        "dues": DUES,
        "has_ended": agreement.ends_at <= now,
        "may_end": bool(person.roles_at(agreement.entity, office.region, office.code) & FUNDING_ROLES),
        "may_claim": person.may_decide(agreement.entity, office.region, office.code),
        "refusal": refused,
    }
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, "funding/agreement.html", context, status=status)


@router.get(f"{LIST}/{{agreement_id}}")
async def show(request: Request, person: SignedIn, agreement_id: str) -> Response:
    """What it pays, what it has come to promotion by promotion, its claims, and what comes next."""
    async with database_of(request).read() as conn:
        agreement = await agreement_view(conn, person, agreement_id)
    return await _shown(request, person, agreement)


@router.post(f"{LIST}/{{agreement_id}}/end")
async def end(
    request: Request,
    person: SignedIn,
    agreement_id: str,
    ends_at: Annotated[str, Form(max_length=40)] = "",
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """End it now, or at an earlier time of its office."""
    async with database_of(request).read() as conn:
        agreement = await agreement_view(conn, person, agreement_id)
        office = (await all_places(conn))[agreement.office]
    try:
        _check_may(person, agreement.entity, office)
        if not reason.strip():
            raise Malformed("Say why it ends.")
        at = read_local(ends_at.strip(), office.time_zone) if ends_at.strip() else None
        wanted = EndAgreement(ends_at=at, reason=reason.strip())
        await agreements.end(database_of(request), agreement.id, wanted, caller_of(person), via="console")
    except NotFound:
        raise
    except DomainError as refused:
        return await typed_again(request, await _shown(request, person, agreement, refused))
    return see(request, f"{LIST}/{path(agreement.id)}")


@router.post(f"{LIST}/{{agreement_id}}/claim")
async def claim_now(request: Request, person: SignedIn, agreement_id: str) -> Response:
    """What has accrued and is in no claim is claimed now."""
    database = database_of(request)
    async with database.read() as conn:
        agreement = await agreement_view(conn, person, agreement_id)
    try:
        made = await preparing.prepare_now(
            database, agreement.id, caller_of(person), at=await database.now(), via="console"
        )
    except DomainError as refused:
        return await _list(request, person, {}, [], None, refused)
    return see(request, f"/console/journeys/{path(made)}")
