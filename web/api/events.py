"""Facts and requests come in as events: each has its own outcome, and a bad one never stops the others."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from domain.events import EventOutcome
from ledger.facts import receive
from ledger.people import Caller
from web.api.responses import WRITES
from web.api.straight import Straight
from web.keys import database_of, require

router = APIRouter(tags=["events"])

EXAMPLE = {
    "events": [
        {
            "id": "evt-1",
            "type": "bopis.picked",
            "occurred_at": "2026-11-21T15:12:00-05:00",
            "sequence": None,
            "data": {"order_id": "W-1001", "picker": "crew-7", "lines": [{"line_id": "1", "quantity": 2}]},
        }
    ]
}


class EventBatch(BaseModel):
    """Events as they happened; the shape of `data` goes by `type`. An id that was seen before is a duplicate."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class EventAnswer(BaseModel):
    """Outcomes in the order of the events."""

    results: list[EventOutcome]


@router.post("/events", response_model=EventAnswer, summary="Report what happened", responses=WRITES)
async def post_events(
    request: Request,
    caller: Annotated[Caller, Depends(require("events:write"))],
    batch: Annotated[EventBatch, Body(openapi_examples={"a pick": {"value": EXAMPLE}})],
) -> Response:
    """A fact takes its whole effect now. It is `parked` when its order is not here yet, `quarantined` when it names
    what is not known, `refused` only when it is malformed or a request that the recorded state does not allow."""
    results = await receive(database_of(request), caller, batch.events, received_at=await database_of(request).now())
    return Response(EventAnswer(results=results).model_dump_json(), media_type="application/json")


STRAIGHT = (Straight("/api/v1/events", EventBatch, post_events, scope="events:write"),)
