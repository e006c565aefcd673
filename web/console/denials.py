"""Who was refused what, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from domain.errors import NotAllowed
from ledger import denials, people
from ledger.reads.places import zone_of
from web.pages import ConsoleRoute, address, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.get("/console/denials")
async def show(
    request: Request,
    person: SignedIn,
    who: str = "",
    remote: str = "",
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> Response:
    """The newest first; of one person or key, or of one address of the network, where it is named."""
    if not person.has_role("admin"):
        raise NotAllowed("Denials are for administrators: they say who was refused what, and from where.")
    who, remote = who.strip(), remote.strip()
    async with database_of(request).read() as conn:
        rows = await denials.latest(conn, who=who, remote=remote, before=before)
        named = {row.denied.who.removeprefix("person:") for row in rows if row.denied.who.startswith("person:")}
        names, zone = await people.names(conn, named), await zone_of(conn, person)
    more = {"who": who, "remote": remote, "before": rows[-1].id} if len(rows) == denials.PAGE else None
    context = {
        "person": person,
        "section": "more",
        "rows": rows,
        "names": names,
        "zone": zone,
        "chosen": {"who": who, "remote": remote},
        "kept_days": denials.KEPT.days,
        "next_page": address("/console/denials", more) if more else None,
    }
    return page(request, "denials.html", context)
