"""Stock that turns up goes to whoever waits for it, in the order of promise, in the transaction that finds it."""

from collections.abc import Iterable

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from domain.ids import hold_id
from domain.messages import Message
from ledger.shelf import Cause
from ledger.tables import hold, journey, waiting_demand
from ledger.transaction import Transaction


async def assign(tx: Transaction, places: Iterable[tuple[str, str]], cause: Cause) -> None:
    """Hold what is available at these (location, sku) for waiting journeys, the earliest promise first.

    Their lines are theirs to change: each is told, and takes the units up under its own lock.
    """
    wanted = sorted(place for place in set(places) if tx.shelf.quantity(*place, "available") > 0)
    if not wanted:
        return
    # Demand and holds are covered by the stock rows, so this may come after money has been locked.
    rows = await tx.conn.execute(
        select(waiting_demand, journey.c.channel, journey.c.source, journey.c.entity)
        .join(journey, journey.c.id == waiting_demand.c.journey_id)
        .where(
            waiting_demand.c.ended_at.is_(None),
            waiting_demand.c.quantity > 0,
            text(
                "(waiting_demand.location, waiting_demand.sku) IN"
                " (SELECT * FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[])))"
            ).bindparams(locations=[place[0] for place in wanted], skus=[place[1] for place in wanted]),
        )
        .order_by(waiting_demand.c.promised_at.nulls_last(), waiting_demand.c.id)
        .with_for_update(of=waiting_demand)
    )
    for row in rows.mappings().all():
        place = (row["location"], row["sku"])
        grant = min(row["quantity"], tx.shelf.quantity(*place, "available"))
        if grant <= 0:
            continue
        key = hold_id(row["journey_id"], row["line_id"], row["location"])
        tx.shelf.move(
            "reserved",
            row["sku"],
            grant,
            (row["location"], "available"),
            (row["location"], "reserved"),
            Cause(cause.cause, cause.actor, cause.at, row["entity"], row["journey_id"]),
            reason="found",
            hold_id=key,
        )
        await tx.conn.execute(
            insert(hold)
            .values(
                id=key,
                source=row["source"],
                channel=row["channel"],
                journey_id=row["journey_id"],
                line_id=row["line_id"],
                location=row["location"],
                sku=row["sku"],
                quantity=grant,
                reserved=grant,
                promised_at=row["promised_at"],
                at=cause.at,
            )
            .on_conflict_do_update(
                index_elements=["id"], set_={"quantity": hold.c.quantity + grant, "reserved": hold.c.reserved + grant}
            )
        )
        await tx.conn.execute(
            update(waiting_demand)
            .where(waiting_demand.c.id == row["id"])
            .values(quantity=waiting_demand.c.quantity - grant, found=waiting_demand.c.found + grant)
        )
        tx.tell(row["journey_id"], Message.STOCK_FOUND)
