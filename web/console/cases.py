"""The page of one case, and what a person may do there: claim, release, wait, comment, decide.

What the page says about a decision is read from the record, never from the click.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval_words import effect_words
from domain.case import CaseOption, mark
from domain.case_facts import facts_of
from domain.errors import DomainError, Malformed, NotFound, NothingOffered, StaleVersion
from domain.ids import case_target, parse_journey_id
from domain.people import Person
from domain.statements import statement
from domain.words import words
from ledger import case as cases
from ledger import decisions
from ledger.decisions.undoing import at_once, window_shown
from ledger.prepared import ahead, along
from ledger.reads.approvals import ApprovalDetail, approval_detail
from ledger.reads.beside_case import beside_asked, beside_case, shelves_of
from ledger.reads.cases import CaseDetail, case_detail, case_row, detail_asked, detail_of
from ledger.reads.places import all_asked, all_places, item_names, names_asked
from web.console.conversation import comments_of
from web.console.decided import decided_before
from web.console.live import live_of
from web.console.walking import next_address, tail, tail_of, view_of
from web.console.workflow import workflow_link
from web.journeys import beside, journey_beside_asked
from web.pages import MAX_FORM, ConsoleRoute, is_partial, page, see, written
from web.runbook import runbook
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
UNFINISHED = frozenset({"applying", "awaiting_approval"})
SPANS = {"1 hour": 1, "4 hours": 4, "1 day": 24, "3 days": 72, "1 week": 168}  # for which a case is put aside, in hours
FINAL = "final"  # the name of the tick that says that one knows it
DECIDED_HERE = frozenset({"open", "claimed", "waiting"})


async def context_of(conn: AsyncConnection, person: Person, case_id: int) -> dict[str, Any]:
    """Everything that the page shows of a case. Raises `NotFound`, also for a case of another region."""
    row = await case_row(conn, person, case_id)
    asks = (*detail_asked(person, row), beside_asked(person, row), *journey_beside_asked(person, row))
    await ahead(conn, *asks, all_asked())
    found = await beside_case(conn, person, row)
    shown = await beside(conn, person, row["journey_id"])
    skus = {row["sku"], *(shown.skus if shown else ())} - {""}
    along(conn, *([names_asked(skus)] if skus else []))
    case = await detail_of(conn, person, row)
    await ahead(conn)
    told = facts_of(case.kind, case.facts)
    changes = [change for option in case.options for change in option.consequence.stock]
    skus |= {change.sku for change in changes} - {""}
    places = await all_places(conn)
    zone = places[case.location].time_zone if case.location in places else "UTC"
    now = datetime.now(UTC)
    window = await window_shown(conn, vars(case), now)
    return {
        "person": person,
        "section": "queue",
        "case": case,
        "runbook": runbook(case.kind),
        **comments_of(person, case, found),
        "told": told,
        "beside": shown.values if shown else None,
        "kind_of_journey": parse_journey_id(case.journey_id).kind if case.journey_id else None,
        "shelves": await shelves_of(conn, found.stock),
        "names": await item_names(conn, skus),
        "places": places,
        "zone": zone,
        "now": now,
        "clock_now": now + timedelta(seconds=case.clock_offset_s),
        "decision": case.decisions[-1] if case.decisions else None,
        "asked": await _asked(conn, person, case),
        "same_cause": found.same_cause if case.closed_at is None else [],
        "seen": mark,
        "unfinished": bool(case.decisions) and case.decisions[-1].state in UNFINISHED,
        "decidable": case.may_decide and case.state in DECIDED_HERE and case.closed_at is None,
        "decision_mark": decision_mark(case),
        "spans": SPANS,
        "undo_s": int(window.total_seconds()),
        "finals": finals(case, window),
        "at_once": at_once(case.kind),
        "draft": {},
        "refusal": None,
    }


async def _asked(conn: AsyncConnection, person: Person, case: CaseDetail) -> ApprovalDetail | None:
    """The approval of the latest decision, with what was asked, answered and said about it."""
    approval_id = case.decisions[-1].approval_id if case.decisions else None
    if approval_id is None:
        return None
    try:
        return await approval_detail(conn, person, approval_id)
    except NotFound:
        return None


def decision_mark(case: CaseDetail) -> str:
    """What has become of the latest decision, for the page that watches it: until when it can be undone counts too."""
    latest = case.decisions[-1].state if case.decisions else ""
    return f"{latest}-undo" if case.applies_at is not None else latest


async def show_case(
    request: Request,
    person: Person,
    case_id: int,
    *,
    refused: DomainError | None = None,
    draft: Mapping[str, Any] | None = None,
) -> Response:
    """The page; with `refused`, the reason on top, its status, and what was typed still in the fields."""
    since = live_of(request).mark()
    async with database_of(request).read(by_key=True) as conn:
        context = await context_of(conn, person, case_id)
        context["live_since"] = since
        context["decided"] = await decided_before(conn, person, request)
    case: CaseDetail = context["case"]
    context["workflow"] = workflow_link(request, person, case_target(case.id, case.episode))
    view = view_of(request)
    context |= {
        "refusal": refused,
        "draft": dict(draft or {}),
        "view": view,
        "back": tail(view),
        "tail": tail_of(request),
    }
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, "case.html", context, block="case", status=status)


async def act(
    request: Request,
    person: Person,
    case_id: int,
    work: Callable[[], Awaitable[object]],
    *,
    draft: Mapping[str, Any] | None = None,
    go_on: bool = False,
) -> Response:
    """Do one thing to a case that the person may see, then show the case as it is recorded.

    With `go_on`, who works through a view is shown its next case instead.
    """
    view, onwards = view_of(request), None
    async with database_of(request).read() as conn:
        await case_row(conn, person, case_id)  # not found, unless the person may see it
        if view and go_on:
            # Before it is done: afterwards the case may stand elsewhere in the view.
            onwards = await next_address(conn, person, case_id, request, decided=True)
    try:
        await work()
    except DomainError as refused:
        return await show_case(request, person, case_id, refused=refused, draft=draft)
    if onwards is not None:
        return see(request, onwards)
    if is_partial(request):
        return await show_case(request, person, case_id)
    return see(request, f"/console/cases/{case_id}{tail_of(request)}")


@router.get("/console/cases/{case_id}")
async def show(request: Request, person: SignedIn, case_id: int) -> Response:
    return await show_case(request, person, case_id)


@router.get("/console/cases/{case_id}/decision")
async def watch(request: Request, person: SignedIn, case_id: int, decision: int, state: str) -> Response:
    """Asked every few seconds while a decision is applied: nothing new (204), or the page is to be read again."""
    async with database_of(request).read(by_key=True) as conn:
        case = await case_detail(conn, person, case_id)
    latest = case.decisions[-1] if case.decisions else None
    if latest is not None and latest.id == decision and decision_mark(case) == state:
        return Response(status_code=204)
    return Response(status_code=204, headers={"HX-Refresh": "true"})


@router.post("/console/cases/{case_id}/claim")
async def claim(
    request: Request,
    person: SignedIn,
    case_id: int,
    version: Annotated[int | None, Form()] = None,
    reason: Annotated[str, Form(max_length=500)] = "",
    take_over: Annotated[str, Form()] = "",
    from_: Annotated[str, Form(alias="from")] = "",
) -> Response:
    """Claim, or take over with a reason. A conflict says who has it and since when."""

    async def work() -> None:
        if take_over and not reason.strip():
            raise Malformed("Say why you take the case over; its owner reads it.")
        await cases.claim(
            database_of(request), case_id, person, version=version, via="console",
            take_over_reason=reason.strip() if take_over else None,
        )  # fmt: skip

    if from_ == "queue" and is_partial(request):
        return await _claim_from_queue(request, person, case_id, work)
    return await act(request, person, case_id, work, draft={"reason": reason})


async def _claim_from_queue(
    request: Request, person: Person, case_id: int, work: Callable[[], Awaitable[None]]
) -> Response:
    """A row has no room for the case: a claim opens it, a refusal is said above the queue."""
    async with database_of(request).read(by_key=True) as conn:
        await case_row(conn, person, case_id)
    try:
        await work()
    except DomainError as refused:
        context = {"case_id": case_id, "refusal": refused}
        return page(request, "conflict.html", context, block="conflict", status=STATUS_OF_FAMILY[refused.family])
    return see(request, f"/console/cases/{case_id}{tail_of(request)}")


@router.post("/console/cases/{case_id}/release")
async def release(request: Request, person: SignedIn, case_id: int) -> Response:
    database = database_of(request)
    return await act(request, person, case_id, lambda: cases.release(database, case_id, person, via="console"))


@router.post("/console/cases/{case_id}/decide")
async def decide(
    request: Request,
    person: SignedIn,
    case_id: int,
    option: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=MAX_FORM)] = "",
    version: Annotated[int | None, Form()] = None,
    confirmed: Annotated[list[str], Form()] = [],  # noqa: B006
    choice: Annotated[list[str], Form()] = [],  # noqa: B006
    shown: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:
    """Record a decision: the option, the statements it asks for, the version of the case that the person saw.

    `shown` are the marks of the ways out as they were on the page; one that has changed since is not taken.
    """
    database = database_of(request)

    async def work() -> None:
        async with database.read(by_key=True) as conn:
            case = await case_detail(conn, person, case_id)
            window = await window_shown(conn, vars(case), datetime.now(UTC))
        chosen = chosen_option(case, option)
        if shown and mark(chosen) not in shown:
            raise StaleVersion(f"“{chosen.label}” is not what it was when you opened this page; look at it again.")
        check_confirmed(chosen, confirmed, finals(case, window).get(chosen.id, ""))
        parameters = {**chosen.parameters, **dict.fromkeys(chosen.confirms, True), **chosen_words(chosen, choice)}
        await decisions.decide(
            database, case_id, person, option_id=chosen.id, parameters=parameters, note=written(note), version=version,
            via="console",
        )  # fmt: skip

    draft = {"option": option, "note": note, "confirmed": confirmed, "choice": choice}
    return await act(request, person, case_id, work, draft=draft, go_on=True)


def chosen_option(case: CaseDetail, option_id: str) -> CaseOption:
    """The option that was chosen. Raises `Malformed` when none was, `NothingOffered` when it is not there any more."""
    if not option_id:
        raise Malformed("Choose one of the ways out first; nothing is chosen for you.")
    for option in case.options:
        if option.id == option_id:
            return option
    raise NothingOffered("This way out is not offered any more; look at the others.")


def finals(case: CaseDetail, window: timedelta) -> dict[str, str]:
    """What is to be ticked, by way out, of those that move money and that nothing takes back: no time to undo them, and
    nobody else who has to agree. Says the amounts.
    """
    at_last = at_once(case.kind) if window else {option.id for option in case.options}
    return {
        option.id: f"I know that this cannot be undone: {', '.join(map(effect_words, option.consequence.money))}"
        for option in case.options
        if option.id in at_last and option.consequence.money and not (option.reversible or option.needs_approval)
    }


def check_confirmed(option: CaseOption, confirmed: list[str], final: str = "") -> None:
    """Raises `Malformed` unless every statement that the option asks for was ticked, `final` among them."""
    asked = {name: statement(name) for name in option.confirms} | ({FINAL: final} if final else {})
    missing = [f"“{words_of_it}”" for name, words_of_it in asked.items() if f"{option.id}#{name}" not in confirmed]
    if missing:
        raise Malformed(f"“{option.label}” needs your word first. Tick {' and '.join(missing)}, which stands with it.")


def chosen_words(option: CaseOption, choice: list[str]) -> dict[str, str]:
    """What was chosen along with an option, by parameter. Raises `Malformed` where something is still to be chosen."""
    found = {
        name: word for name, words_of_it in option.choices.items() for word in words_of_it
        if f"{option.id}#{name}#{word}" in choice
    }  # fmt: skip
    missing = [words(name).lower() for name in option.choices if name not in found]
    if missing:
        raise Malformed(f"“{option.label}” needs the {', '.join(missing)} as well; choose it below the way out.")
    return found
