"""Owners: for each kind of case of a region, whose it is and who is asked next when nobody acts."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.errors import NotFound
from ledger.reads.owners import owners, proof, regions_of
from ledger.reads.places import all_places
from web.pages import ConsoleRoute, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/console/owners")
async def show(request: Request, person: SignedIn, region: str = "") -> Response:
    """The matrix of one region; the first that the reader sees unless the address names one."""
    async with database_of(request).read() as conn:
        regions = await regions_of(conn, person)
        here = next((one for one in regions if one.code == region), None)
        if here is None and region:
            raise NotFound(f"There is no region {region} that you see.")
        here = here or (regions[0] if regions else None)
        found = await owners(conn, here) if here else []
        proven = await proof(conn, regions)
        places = await all_places(conn)
    context = {
        "person": person,
        "section": "more",
        "regions": regions,
        "region": here,
        "owned": found,
        "gaps": [one for one in found if not one.steps[0][1]],
        "proof": proven,
        "proven": all(not one.unowned for one in proven),
        "places": places,
    }
    return page(request, "owners.html", context)
