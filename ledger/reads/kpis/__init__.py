"""Reads of the figures that `domain/kpi.py` defines, over a period: whole, taken apart by one dimension, by day.

Instants are compared on each journey's own clock less what a demo moved it on, so a skipped hour belongs to the moment
at which somebody skipped it.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.kpi import KPIS, Dimension, Step
from domain.people import Person
from ledger.reads.kpis import claims, orders, people, refunds, returns, stock, transfers
from ledger.reads.kpis.measure import Figure, KpiFigures, Period, Source, figures

__all__ = ["Figure", "KpiFigures", "Period", "kpis"]

SOURCES: dict[str, Source] = {
    "order_fallout": orders.fallout,
    "pickup_readiness": orders.readiness,
    "inventory_accuracy": stock.accuracy,
    "manual_adjustments": stock.adjustments,
    "sync_latency": stock.latency,
    "refund_cycle": refunds.cycle,
    "return_overrides": returns.overridden,
    "approval_time": people.approval_time,
    "resolution_sla": people.in_time,
    "override_rate": people.overrides,
    "appeasement_cost": orders.appeasements,
    "transfer_lead_time": transfers.lead_time,
    "claim_cycle": claims.cycle,
    "claim_recovery": claims.recovery,
}
LONGEST_BY_DAY = 31


async def kpis(
    conn: AsyncConnection,
    viewer: Person | None,
    period: Period,
    by: Dimension,
    *,
    zone: str = "UTC",
    per: Step | None = None,
) -> list[KpiFigures]:
    """Every figure for what the viewer may see; its course by day, over more than 31 days by week, unless `per` says
    which. Raises `Malformed` for a period that is none.
    """
    period.checked()
    step = per or ("day" if len(period.steps(zone, "day")) <= LONGEST_BY_DAY else "week")
    return [await figures(conn, kpi, SOURCES[kpi.name](viewer, period), period, by, zone, step) for kpi in KPIS]
