"""Cycle counts: opened, entered line by line from one device at a time, handed in, called off."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from domain.counts import CountAnswer, CountCancel, CountView, EntriesAnswer, NewCount
from domain.errors import Malformed
from domain.events import CountEntered, Figures
from ledger.count import requests
from ledger.people import Caller
from ledger.reads.counts import count_view
from ledger.transaction import Transaction
from web.api.responses import MISSING, WRITES, IdempotencyKey, located
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["counts"])
Writer = Annotated[Caller, Depends(require("events:write"))]
CountKey = Annotated[str, Path(min_length=1, max_length=200, description="The caller's id, or the journey's.")]

EXAMPLE = {"count_id": "C-9", "location": "S0330", "skus": ["1082185"], "reason": "manual", "due_at": None}
FIGURES = {
    "session": "tablet-4",
    "counter": "crew-7",
    "lines": [{"sku": "1082185", "quantity": 12, "counted_at": "2026-11-21T15:12:00-05:00", "bucket": None}],
    "submit": True,
}


@router.post(
    "/counts",
    status_code=201,
    response_model=CountAnswer,
    summary="Have something counted",
    responses={200: {"model": CountAnswer, "description": "Asked for before; the same answer."}, **WRITES},
)
async def post_count(
    request: Request,
    caller: Writer,
    wanted: Annotated[NewCount, Body(openapi_examples={"one item": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open a sheet. `skus: null` is everything that the book has at the place. Nothing here tells a book quantity."""
    actor = f"key:{caller.key_id}"
    status, made = await requests.start(
        database_of(request), caller.source, wanted, actor=actor, via="api", idempotency_key=idempotency_key
    )
    headers = located(made.links["self"])
    return Response(made.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.get("/counts/{count_id}", summary="One count", responses=MISSING)
async def get_count(request: Request, caller: Reader, count_id: CountKey) -> CountView:
    """A line tells its book and its difference once it was compared and agreed; until then a count is blind."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await count_view(conn, viewer, count_id, sources=sources)


@router.post("/counts/{count_id}/entries", summary="Enter figures", responses={**MISSING, **WRITES})
async def post_entries(
    request: Request,
    caller: Writer,
    count_id: CountKey,
    figures: Annotated[Figures, Body(openapi_examples={"one line": {"value": FIGURES}})],
) -> EntriesAnswer:
    """Keep figures, each as of its `counted_at`; the same again changes nothing, another figure corrects it until the
    count is handed in. One device at a time: a second `session` is refused with who counts, until it sends
    `take_over`."""
    if not figures.lines and not figures.submit and not figures.take_over:
        raise Malformed("There is nothing in it: send lines, or submit.", pointer="/lines")
    data = CountEntered(count_id=count_id, **dict(figures))
    return await requests.record(
        database_of(request), _find(caller, count_id), caller.source, data, actor=f"key:{caller.key_id}", via="api"
    )


@router.post("/counts/{count_id}:submit", summary="Hand a count in", responses={**MISSING, **WRITES})
async def submit_count(request: Request, caller: Writer, count_id: CountKey, figures: Figures) -> EntriesAnswer:
    """The same as entries with `submit`. A line without a figure is not counted, never zero."""
    data = CountEntered(count_id=count_id, **{**dict(figures), "submit": True})
    return await requests.record(
        database_of(request), _find(caller, count_id), caller.source, data, actor=f"key:{caller.key_id}", via="api"
    )


@router.post("/counts/{count_id}:cancel", summary="Call a count off", responses={**MISSING, **WRITES})
async def cancel_count(request: Request, caller: Writer, count_id: CountKey, wanted: CountCancel) -> CountView:
    """Refused while units wait for this count, and once it is agreed."""
    database = database_of(request)
    found = await requests.cancel(
        database, _find(caller, count_id), reason=wanted.reason, actor=f"key:{caller.key_id}", via="api"
    )
    viewer, sources = view_of(caller)
    async with database.read() as conn:
        return await count_view(conn, viewer, found, sources=sources)


def _find(caller: Caller, count_id: str) -> requests.Find:
    async def found(tx: Transaction) -> str:
        return await requests.find(tx, caller, count_id)

    return found
