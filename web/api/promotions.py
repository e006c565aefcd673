"""Promotions: defined, changed, submitted, called off, ended earlier or later, and read."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from domain.errors import NotFound
from domain.promotions import (
    CancelPromotion,
    ChangedPromotion,
    EndPromotion,
    ExtendPromotion,
    NewPromotion,
    PromotionAnswer,
    PromotionView,
)
from ledger.people import Caller
from ledger.promotion import intake, requests
from ledger.reads.looks import LatestLook, LookView, latest_look, list_looks
from ledger.reads.paging import DEFAULT_LIMIT, Page
from ledger.reads.promotions import PromotionFilter, PromotionSummary, list_promotions, promotion_view
from web.api.responses import MISSING, WRITES, IdempotencyKey, located
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["promotions"])
Writer = Annotated[Caller, Depends(require("promotions:write"))]
PromotionKey = Annotated[str, Path(min_length=1, max_length=200, description="The caller's id, or the journey's.")]

EXAMPLE = {
    "promotion_id": "P-2026-48",
    "name": "Coffee week",
    "offer": {"kind": "percent", "off_permille": 200},
    "lines": [{"sku": "1082185", "forecast_units": 400}, {"category": "COFFEE", "forecast_units": 900}],
    "channels": ["web", "pos"],
    "locations": "all",
    "starts_at": "2026-11-23T05:00:00Z",
    "ends_at": "2026-11-30T05:00:00Z",
    "stacking": "exclusive",
    "margin_floor_permille": 100,
    "agreement_id": None,
}


def channels_of(request: Request) -> frozenset[str]:
    """The channels to which prices can go."""
    return frozenset(request.app.state.settings.price_channels)


@router.post(
    "/promotions",
    status_code=201,
    response_model=PromotionAnswer,
    summary="Define a promotion",
    responses={200: {"model": PromotionAnswer, "description": "Defined before; the same answer."}, **WRITES},
)
async def post_promotion(
    request: Request,
    caller: Writer,
    wanted: Annotated[NewPromotion, Body(openapi_examples={"a fifth off": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """It is agreed to at once where its margin at forecast keeps the floor; below it, merchandising and finance are
    asked. Its prices go out to each channel a day before it begins. An exclusive promotion that would share an item, a
    channel, a place and a time with another one is refused as `promotion_overlap`."""
    status, made = await intake.define(
        database_of(request),
        caller,
        wanted,
        channels=channels_of(request),
        via="api",
        idempotency_key=idempotency_key,
    )
    headers = located(made.links["self"])
    return Response(made.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.get("/promotions", summary="Promotions, those that begin last first")
async def get_promotions(
    request: Request,
    caller: Reader,
    wanted: Annotated[PromotionFilter, Depends()],
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = DEFAULT_LIMIT,
) -> Page[PromotionSummary]:
    """`state` is a state, several with commas, or `open` / `closed`."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_promotions(conn, viewer, wanted, cursor=cursor, limit=limit, sources=sources)


@router.get("/promotions/{promotion_id}", summary="One promotion", responses=MISSING)
async def get_promotion(request: Request, caller: Reader, promotion_id: PromotionKey) -> PromotionView:
    """Its lines and places, what its forecast earns, and how far each channel shows its prices."""
    return await _shown(request, caller, promotion_id)


@router.get("/promotions/{promotion_id}/looks", summary="Looks at a promotion, the latest first", responses=MISSING)
async def get_looks(
    request: Request,
    caller: Reader,
    promotion_id: PromotionKey,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = DEFAULT_LIMIT,
) -> Page[LookView]:
    """Each hour while it runs: sold against forecast, uplift, margin so far, places that surge or will be short."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_looks(conn, viewer, promotion_id, cursor=cursor, limit=limit, sources=sources)


@router.get("/promotions/{promotion_id}/looks/latest", summary="The latest look with its places", responses=MISSING)
async def get_latest_look(request: Request, caller: Reader, promotion_id: PromotionKey) -> LatestLook:
    """Every place with its cover, the course of units sold beside the forecast, and the transfers that were proposed
    with the reason for each. 404 for one that was not looked at yet."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        about = (await promotion_view(conn, viewer, promotion_id, sources=sources)).journey_id
        found = await latest_look(conn, viewer, about)
    if found is None:
        raise NotFound(f"Promotion {promotion_id} was not looked at yet; it is, every hour, from its start on.")
    return found


@router.post("/promotions/{promotion_id}:amend", summary="Define it anew", responses={**MISSING, **WRITES})
async def amend_promotion(
    request: Request, caller: Writer, promotion_id: PromotionKey, wanted: ChangedPromotion
) -> PromotionView:
    """Until its prices go out: who was asked is not asked any more, but whoever must agree to the new one. Refused as
    `already_published` once a channel was told."""
    database = database_of(request)
    about = await requests.found_by(database, caller, promotion_id)
    actor = f"key:{caller.key_id}"
    await intake.amend(database, about, wanted, channels=channels_of(request), actor=actor, via="api")
    return await _shown(request, caller, about)


@router.post("/promotions/{promotion_id}:submit", summary="Submit a draft", responses={**MISSING, **WRITES})
async def submit_promotion(request: Request, caller: Writer, promotion_id: PromotionKey) -> PromotionView:
    database = database_of(request)
    about = await requests.found_by(database, caller, promotion_id)
    await intake.submit(database, about, actor=f"key:{caller.key_id}", via="api")
    return await _shown(request, caller, about)


@router.post("/promotions/{promotion_id}:cancel", summary="Call it off", responses={**MISSING, **WRITES})
async def cancel_promotion(
    request: Request, caller: Writer, promotion_id: PromotionKey, wanted: CancelPromotion
) -> PromotionView:
    """Before it begins. What channels were told of it is taken back, and seen to be, before it counts as cancelled."""
    database = database_of(request)
    about = await requests.found_by(database, caller, promotion_id)
    await requests.cancel(database, about, reason=wanted.reason, actor=f"key:{caller.key_id}", via="api")
    return await _shown(request, caller, about)


@router.post("/promotions/{promotion_id}:end", summary="End it earlier", responses={**MISSING, **WRITES})
async def end_promotion(
    request: Request, caller: Writer, promotion_id: PromotionKey, wanted: EndPromotion
) -> PromotionView:
    """Now, or at an instant before its end. The prices that are right by then are published in its stead."""
    database = database_of(request)
    about = await requests.found_by(database, caller, promotion_id)
    actor = f"key:{caller.key_id}"
    await requests.end(database, about, at=wanted.at, reason=wanted.reason, actor=actor, via="api")
    return await _shown(request, caller, about)


@router.post("/promotions/{promotion_id}:extend", summary="End it later", responses={**MISSING, **WRITES})
async def extend_promotion(
    request: Request, caller: Writer, promotion_id: PromotionKey, wanted: ExtendPromotion
) -> PromotionView:
    """Refused where it would meet an exclusive promotion, or one whose prices went out to begin when this one ends."""
    database = database_of(request)
    about = await requests.found_by(database, caller, promotion_id)
    actor = f"key:{caller.key_id}"
    await requests.extend(database, about, ends_at=wanted.ends_at, reason=wanted.reason, actor=actor, via="api")
    return await _shown(request, caller, about)


async def _shown(request: Request, caller: Caller, about: str) -> PromotionView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await promotion_view(conn, viewer, about, sources=sources)
