"""Cases: queues, one case, and the decisions that people make through the API."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.orders import Name
from ledger.case import comment as write_comment
from ledger.decisions import decide, undo
from ledger.people import Caller
from ledger.reads.case_filter import CaseFilter, Order
from ledger.reads.case_history import DecisionRow
from ledger.reads.case_lists import list_cases
from ledger.reads.case_shapes import CaseSummary
from ledger.reads.cases import CaseDetail, case_detail, decision_row
from ledger.reads.comments import told_on
from ledger.reads.paging import Page
from web.api.responses import DEFAULT_LIMIT, MISSING, WRITES, Cursor, IdempotencyKey, Limit, Number
from web.keys import OnBehalfOf, Reader, database_of, decider_of, require, view_of

router = APIRouter(tags=["cases"])
Word = Annotated[str | None, Query(max_length=200)]
State = Literal["applying", "applied", "refused", "undone"]


class DecisionIn(BaseModel):
    """An option of the case by its id. `version` is the case's as it was read; a later one is refused as stale.

    With `undoable`, nothing comes of it for as long as policy lets decisions of its kind be undone; `undo_until` of the
    answer says how long that is, and is null where it applies at once.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [
        {"option": "cancel_refund", "parameters": {}, "note": "Agreed with the customer by phone.", "version": 3}
    ]})  # fmt: skip

    option: Annotated[str, Field(min_length=1, max_length=200)]
    parameters: Annotated[dict[str, Any], Field(max_length=50)] = {}
    note: Annotated[Name, Field(max_length=4000)] = ""
    version: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None
    undoable: Annotated[bool, Field(strict=True)] = False


class NewComment(BaseModel):
    """What somebody says about a case. `tell` are ids of people, beside those that the text names after an `@`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [
        {"text": "The store has looked again, @max.weber.", "tell": []}
    ]})  # fmt: skip

    text: Annotated[str, Field(min_length=1, max_length=4000)]
    tell: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=20)] = []


class CommentOut(BaseModel):
    """A comment as it is recorded: its number among the case's events, and who was told of it."""

    event_id: int
    case_id: int
    by: str
    told: list[str]


class DecisionOut(BaseModel):
    """What became of a decision: `applying` until the journey has applied or refused it."""

    decision_id: int
    state: State
    reason: str | None
    case_id: int
    option: str
    decided_by: str
    awaiting_approval: bool
    approval_id: int | None
    undo_until: datetime | None


def _shown(case_id: int, row: DecisionRow, undo_until: datetime | None) -> DecisionOut:
    waiting = row.state == "awaiting_approval"
    return DecisionOut(
        decision_id=row.id,
        state="applying" if row.state == "awaiting_approval" else row.state,
        reason=row.reason or ("It waits for an approval." if waiting else None),
        case_id=case_id,
        option=row.option_id,
        decided_by=row.decided_by,
        awaiting_approval=waiting,
        approval_id=row.approval_id,
        undo_until=undo_until,
    )


@router.get("/cases", summary="Cases; open ones by the clock that ends first")
async def get_cases(
    request: Request,
    caller: Reader,
    state: Annotated[str | None, Query(max_length=200, description="States, with commas.")] = None,
    kind: Annotated[str | None, Query(max_length=400, description="Kinds, with commas.")] = None,
    severity: Annotated[str | None, Query(max_length=100, description="Severities, with commas.")] = None,
    region: Word = None,
    location: Word = None,
    entity: Word = None,
    owner: Annotated[str | None, Query(max_length=200, description="The owning role, or who claimed it.")] = None,
    journey_id: Word = None,
    sku: Word = None,
    opened_from: AwareDatetime | None = None,
    order: Order | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[CaseSummary]:
    filters = CaseFilter(
        state=state, kind=kind, severity=severity, region=region, location=location, entity=entity, owner=owner,
        journey_id=journey_id, sku=sku, opened_from=opened_from, order=order,
    )  # fmt: skip
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_cases(conn, viewer, filters, cursor=cursor, limit=limit, sources=sources)


@router.get("/cases/{case_id}", summary="One case", responses=MISSING)
async def get_case(request: Request, caller: Reader, case_id: Number) -> CaseDetail:
    viewer, sources = view_of(caller)
    async with database_of(request).read(by_key=True) as conn:
        return await case_detail(conn, viewer, case_id, sources=sources)


@router.post(
    "/cases/{case_id}/decisions",
    status_code=202,
    summary="Decide a case",
    responses={200: {"model": DecisionOut, "description": "Decided before; the first answer."}, **MISSING, **WRITES},
)
async def post_decision(
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(require("decide"))],
    case_id: Number,
    decision: DecisionIn,
    idempotency_key: IdempotencyKey = None,
    on_behalf_of: OnBehalfOf = None,
) -> DecisionOut:
    """Record the decision of the person behind the key. The journey applies it; ask `GET /decisions/{id}` for what
    became of it."""
    person, on_behalf = await decider_of(request, caller, on_behalf_of)
    database = database_of(request)
    made = await decide(
        database,
        case_id,
        person,
        option_id=decision.option,
        parameters=decision.parameters,
        note=decision.note,
        version=decision.version,
        via="api",
        on_behalf=on_behalf,
        key=(caller.source, idempotency_key) if idempotency_key else None,
        undoable=decision.undoable,
    )
    response.headers["Location"] = f"/api/v1/decisions/{made.decision_id}"
    if made.repeated:
        response.status_code = 200
    said = made._asdict() | {"case_id": case_id, "option": decision.option, "decided_by": person.id}
    async with database.read() as conn:
        until = (await decision_row(conn, person, made.decision_id)).undo_until if decision.undoable else None
    return DecisionOut.model_validate(said | {"awaiting_approval": False, "approval_id": None, "undo_until": until})


@router.post("/cases/{case_id}/comments", status_code=201, summary="Comment on a case", responses={**MISSING, **WRITES})
async def post_comment(
    request: Request,
    caller: Annotated[Caller, Depends(require("decide"))],
    case_id: Number,
    comment: NewComment,
    on_behalf_of: OnBehalfOf = None,
) -> CommentOut:
    """Add a comment of the person behind the key to the case's timeline, and tell those whom it mentions."""
    person, _ = await decider_of(request, caller, on_behalf_of)
    database = database_of(request)
    event_id = await write_comment(database, case_id, person, text=comment.text, tell=comment.tell, via="api")
    async with database.read() as conn:
        told = (await told_on(conn, case_id)).get(event_id, [])
    return CommentOut(event_id=event_id, case_id=case_id, by=person.id, told=[one.id for one in told])


@router.get("/decisions/{decision_id}", summary="What became of a decision", responses=MISSING)
async def get_decision(request: Request, caller: Reader, decision_id: Number) -> DecisionOut:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return _shown(*await decision_row(conn, viewer, decision_id, sources=sources))


@router.post("/decisions/{decision_id}:undo", summary="Undo a decision", responses={**MISSING, **WRITES})
async def post_undo(
    request: Request,
    caller: Annotated[Caller, Depends(require("decide"))],
    decision_id: Number,
    on_behalf_of: OnBehalfOf = None,
) -> DecisionOut:
    """Take back a decision of which nothing has come yet: one made at the console, or with `undoable`, until its
    `undo_until`. It is for whoever decided, or an administrator. The case is open again, with its ways out; too late,
    the refusal says what has become of it."""
    person, _ = await decider_of(request, caller, on_behalf_of)
    database = database_of(request)
    async with database.read() as conn:
        case_id = (await decision_row(conn, person, decision_id)).case_id
    await undo(database, case_id, person, decision_id=decision_id, via="api")
    async with database.read() as conn:
        return _shown(*await decision_row(conn, person, decision_id))
