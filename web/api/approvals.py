"""Approvals: what waits for whom, and verdicts by a person's own token; never in somebody else's name."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import NotAllowed
from domain.orders import Name
from ledger.people import Caller
from ledger.reads.approvals import ApprovalDetail, ApprovalFilter, ApprovalSummary, approval_detail, list_approvals
from ledger.reads.paging import Page
from ledger.verdicts import Way, record_verdict
from web.api.responses import DEFAULT_LIMIT, MISSING, WRITES, Cursor, Limit, Number
from web.keys import OnBehalfOf, Reader, database_of, require, view_of

router = APIRouter(tags=["approvals"])
Word = Annotated[str | None, Query(max_length=200)]


class VerdictIn(BaseModel):
    """`reject` and `ask` need a note. `version` is the approval's as it was read; a later one is refused as stale."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"verdict": "approve", "note": "", "version": 1}]}
    )

    verdict: Literal["approve", "reject", "ask"]
    note: Annotated[Name, Field(max_length=4000)] = ""
    version: Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)] | None = None


@router.get("/approvals", summary="Approvals; pending ones by deadline")
async def get_approvals(
    request: Request,
    caller: Reader,
    state: Annotated[str | None, Query(max_length=100, description="States, with commas.")] = None,
    kind: Word = None,
    region: Word = None,
    location: Word = None,
    entity: Word = None,
    journey_id: Word = None,
    case_id: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    mine: Annotated[bool, Query(description="Only what waits for the token's person: a verdict or an answer.")] = False,  # noqa: FBT002
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ApprovalSummary]:
    filters = ApprovalFilter(
        state=state, kind=kind, region=region, location=location, entity=entity, journey_id=journey_id,
        case_id=case_id, mine=mine,
    )  # fmt: skip
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_approvals(conn, viewer, filters, cursor=cursor, limit=limit, sources=sources, by_token=True)


@router.get("/approvals/{approval_id}", summary="One approval", responses=MISSING)
async def get_approval(request: Request, caller: Reader, approval_id: Number) -> ApprovalDetail:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await approval_detail(conn, viewer, approval_id, sources=sources, by_token=True)


@router.post("/approvals/{approval_id}/decisions", summary="Give a verdict", responses={**MISSING, **WRITES})
async def post_verdict(
    request: Request,
    caller: Annotated[Caller, Depends(require("approve"))],
    approval_id: Number,
    given: VerdictIn,
    on_behalf_of: OnBehalfOf = None,
) -> ApprovalDetail:
    """Record the verdict of the person behind the token and answer with the approval as it then stands.

    Above `bands.sign_in_minor` of the policy a token may reject and ask; to agree, its person signs in to the console,
    unless `bands.token_agrees` says otherwise.
    """
    if on_behalf_of is not None:
        raise NotAllowed("Nobody approves in somebody else's name. Leave X-On-Behalf-Of out and use your own token.")
    person = caller.person
    if person is None:
        raise NotAllowed("A verdict needs a person's own token, and this key is a system's.")
    database = database_of(request)
    async with database.read() as conn:
        await approval_detail(conn, person, approval_id)
    await record_verdict(
        database,
        approval_id,
        person,
        verdict=given.verdict,
        note=given.note,
        version=given.version,
        via="api",
        way=Way("token"),
    )
    async with database.read() as conn:
        return await approval_detail(conn, person, approval_id, by_token=True)
