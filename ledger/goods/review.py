"""An adjustment worth more than the band: the quantity waits as count pending, and somebody looks at it."""

from domain.case import CaseOption
from domain.events import StockAdjusted
from ledger import case, reference
from ledger.goods.fact import Costs, GoodsFact
from ledger.shelf import Cause
from ledger.transaction import Transaction


async def review(tx: Transaction, fact: GoodsFact, costs: Costs) -> int:
    """Open the case, and take missing units out of what may be promised; returns the case."""
    data = fact.data
    assert isinstance(data, StockAdjusted)
    where = await reference.place(tx.conn, data.location, pointer="/data/location")
    units = abs(data.quantity)
    cost_minor = reference.cost_of(costs[where.entity, data.sku].average_e4, units)
    ref = await case.open_case(
        tx,
        case.Opening(
            kind="adjustment_review",
            subject=fact.cause,
            place=where,
            policy=fact.policy,
            at=fact.at,
            sku=data.sku,
            facts={
                "sku": data.sku,
                "quantity": data.quantity,
                "reason": data.reason,
                "actor": data.actor,
                "cost_minor": cost_minor,
            },
            options=(CaseOption(id="acknowledge", label="Have it counted", rank=1, because="the value is high"),),
            value_at_risk_minor=cost_minor,
            text=f"{data.quantity:+d} of {data.sku} at {where.name} ({data.reason}) waits for a review.",
        ),
    )
    if data.quantity < 0:
        await tx.lock_stock([(where.code, data.sku)])
        parked = min(units, max(tx.shelf.quantity(where.code, data.sku, "available"), 0))
        if parked:
            tx.shelf.move(
                "adjusted",
                data.sku,
                parked,
                (where.code, "available"),
                (where.code, "count_pending"),
                Cause(fact.cause, data.actor, fact.at, where.entity),
                reason=data.reason,
            )
    return ref.id
