"""The figures by which a retailer judges its promises, with their definitions."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from domain.errors import NotAllowed
from domain.kpi import Dimension, Step
from domain.orders import Instant
from ledger.reads.kpis import KpiFigures, Period, kpis
from ledger.reads.places import zone_of
from web.keys import Reader, database_of

router = APIRouter(tags=["figures"])
USUAL = timedelta(days=7)


class KpiAnswer(BaseModel):
    """The period as it was understood, every figure over it, and the zone in which its days begin."""

    since: datetime
    until: datetime
    by: Dimension
    zone: str
    figures: list[KpiFigures]


@router.get("/kpis", summary="Figures over a period, by one dimension")
async def get_kpis(
    request: Request,
    caller: Reader,
    since: Annotated[Instant | None, Query(alias="from", description="Default: seven days before `until`.")] = None,
    until: Annotated[Instant | None, Query(description="Exclusive; default: now.")] = None,
    by: Dimension = Dimension.REGION,
    per: Annotated[Step | None, Query(description="Default: by day, over more than 31 days by week.")] = None,
) -> KpiAnswer:
    """Each figure with its definition, what was counted (`n`), its groups, largest first, and its course.

    A person's token sees what the person sees; a system's key has no region and is refused.
    """
    if caller.person is None:
        raise NotAllowed("Figures belong to people's regions. Use a personal token; a system's key has no region.")
    end = until or datetime.now(UTC)
    period = Period(since or end - USUAL, end)
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, caller.person)
        found = await kpis(conn, caller.person, period, by, zone=zone, per=per)
    return KpiAnswer(since=period.start, until=period.end, by=by, zone=zone, figures=found)
