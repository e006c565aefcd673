"""Journeys: the list, and one with its lines, timeline, movements, postings and payments."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from ledger.reads.journeys import JourneyDetail, JourneyFilter, JourneySummary, journey_detail, list_journeys
from ledger.reads.paging import Page
from web.api.responses import DEFAULT_LIMIT, MISSING, Cursor, Limit
from web.keys import Reader, database_of, view_of

router = APIRouter(tags=["journeys"])
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/journeys", summary="Journeys, newest first")
async def get_journeys(
    request: Request,
    caller: Reader,
    kind: Word = None,
    state: Annotated[str | None, Query(max_length=200, description="States with commas, or `open` / `closed`.")] = None,
    location: Word = None,
    region: Word = None,
    entity: Word = None,
    channel: Word = None,
    key: Annotated[str | None, Query(max_length=200, description="The order's own id.")] = None,
    sku: Word = None,
    opened_from: AwareDatetime | None = None,
    opened_until: AwareDatetime | None = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[JourneySummary]:
    filters = JourneyFilter(
        kind=kind, state=state, location=location, region=region, entity=entity, channel=channel, key=key, sku=sku,
        opened_from=opened_from, opened_until=opened_until,
    )  # fmt: skip
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_journeys(conn, viewer, filters, cursor=cursor, limit=limit, sources=sources)


@router.get("/journeys/{journey_id}", summary="One journey", responses=MISSING)
async def get_journey(request: Request, caller: Reader, journey_id: str) -> JourneyDetail:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await journey_detail(conn, viewer, journey_id, sources=sources)
