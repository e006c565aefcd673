"""Vendor returns: gathered, authorised, shipped, credited; what is not credited is given up with somebody's word."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from domain.ids import api_link
from domain.vendor_returns import Authorization, NewVendorReturn, Reason, VendorCredit, VendorReturnView, VendorShipment
from ledger import vendor_return
from ledger.people import Caller
from ledger.reads.vendor_returns import vendor_return_view
from web.api.responses import MISSING, WRITES, located
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["vendor returns"])
Claimant = Annotated[Caller, Depends(require("claims:write"))]
DocumentKey = Annotated[str, Path(min_length=1, max_length=200, description="The caller's id, or the whole one.")]

EXAMPLE = {
    "vendor_return_id": "VR-1001",
    "vendor": "ACME",
    "location": "S0330",
    "lines": [{"line_id": "1", "sku": "1082185", "quantity": 3}],
}


@router.post(
    "/vendor-returns",
    status_code=201,
    response_model=VendorReturnView,
    summary="Gather goods for their vendor",
    responses={200: {"model": VendorReturnView, "description": "Gathered before; as it stands."}, **WRITES},
)
async def post_vendor_return(
    request: Request,
    caller: Claimant,
    wanted: Annotated[NewVendorReturn, Body(openapi_examples={"three of one item": {"value": EXAMPLE}})],
) -> Response:
    """Units that wait at a place to go back (`vendor_return_pending`), and that no other document has gathered."""
    status, made = await vendor_return.open_document(database_of(request), caller, wanted, via="api")
    shown = await _shown(request, caller, made)
    headers = located(api_link("vendor-returns", made))
    return Response(shown.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.get("/vendor-returns/{vendor_return_id}", summary="One vendor return", responses=MISSING)
async def get_vendor_return(request: Request, caller: Reader, vendor_return_id: DocumentKey) -> VendorReturnView:
    """Its lines with what was shipped at which cost, the vendor's credit notes, and what is open."""
    return await _shown(request, caller, vendor_return_id)


@router.post(
    "/vendor-returns/{vendor_return_id}:authorize", summary="The vendor's number", responses={**MISSING, **WRITES}
)
async def authorize_vendor_return(
    request: Request, caller: Claimant, vendor_return_id: DocumentKey, given: Authorization
) -> VendorReturnView:
    """The vendor takes the goods back under this number; a later one replaces it until they are shipped."""
    found = await vendor_return.authorize(
        database_of(request), caller, vendor_return_id, number=given.number, via="api"
    )
    return await _shown(request, caller, found)


@router.post("/vendor-returns/{vendor_return_id}:ship", summary="The goods have left", responses={**MISSING, **WRITES})
async def ship_vendor_return(
    request: Request, caller: Claimant, vendor_return_id: DocumentKey, sent: VendorShipment
) -> VendorReturnView:
    """From now on the vendor owes what they had cost. What was not sent may go by another document."""
    found = await vendor_return.ship(database_of(request), caller, vendor_return_id, sent, via="api")
    return await _shown(request, caller, found)


@router.post(
    "/vendor-returns/{vendor_return_id}:credit", summary="A credit note of the vendor", responses={**MISSING, **WRITES}
)
async def credit_vendor_return(
    request: Request, caller: Claimant, vendor_return_id: DocumentKey, given: VendorCredit
) -> VendorReturnView:
    """The same reference counts once. Less than the goods had cost leaves the document `short_credited`."""
    found = await vendor_return.credit(database_of(request), caller, vendor_return_id, given, via="api")
    return await _shown(request, caller, found)


@router.post(
    "/vendor-returns/{vendor_return_id}:write-off",
    summary="Give up what the vendor does not credit",
    responses={**MISSING, **WRITES},
)
async def write_off_vendor_return(
    request: Request, caller: Claimant, vendor_return_id: DocumentKey, wanted: Reason
) -> VendorReturnView:
    """At once below `bands.write_off_minor`; from there on somebody else must approve (`approval_id`)."""
    found = await vendor_return.write_off(
        database_of(request), caller, vendor_return_id, reason=wanted.reason, via="api"
    )
    return await _shown(request, caller, found)


@router.post("/vendor-returns/{vendor_return_id}:cancel", summary="Let the goods wait", responses={**MISSING, **WRITES})
async def cancel_vendor_return(
    request: Request, caller: Claimant, vendor_return_id: DocumentKey, wanted: Reason
) -> VendorReturnView:
    """Before they are shipped: they wait for another document."""
    found = await vendor_return.cancel(database_of(request), caller, vendor_return_id, reason=wanted.reason, via="api")
    return await _shown(request, caller, found)


async def _shown(request: Request, caller: Caller, named: str) -> VendorReturnView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await vendor_return_view(conn, viewer, named, sources=sources)
