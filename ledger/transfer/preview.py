"""What would become of a transfer if it were asked for now: shown before somebody sends the form. Reserves nothing."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bands import Level
from domain.errors import WrongCurrency
from domain.stock import atp
from domain.transfers import NewTransfer
from ledger import bands, reference
from ledger.tables import stock
from ledger.transfer.agreeing import needed
from ledger.transfer.promising import CHANNEL


class PreviewLine(NamedTuple):
    """`can_promise`: what the source can promise now, of the units wanted and beyond."""

    sku: str
    name: str
    wanted: int
    can_promise: int
    value_minor: int

    @property
    def lacks(self) -> int:
        return max(self.wanted - max(self.can_promise, 0), 0)


class Preview(NamedTuple):
    """`level`: who must agree, as far as can be said now; `crosses`: each entity by its own finance."""

    lines: list[PreviewLine]
    value_minor: int
    currency: str
    level: Level
    crosses: bool


async def preview(conn: AsyncConnection, wanted: NewTransfer, *, actor: str, at: datetime) -> Preview:
    """Raises `UnknownLocation`, `UnknownSku`, `WrongCurrency`."""
    place = await reference.place(conn, wanted.from_, pointer="/from")
    target = await reference.place(conn, wanted.to, pointer="/to")
    if place.currency != target.currency:
        raise WrongCurrency(
            f"{place.name} keeps its books in {place.currency}, {target.name} in {target.currency}; goods go between"
            " them by a sale, not by a transfer.",
            pointer="/to",
        )
    skus = [line.sku for line in wanted.lines]
    items = await reference.known_items(conn, skus)
    policy = await reference.policy_at(conn, place, at)
    costs = await reference.unit_costs(conn, place.entity, skus)
    rows = await conn.execute(select(stock).where(stock.c.location == place.code, stock.c.sku.in_(skus)))
    shelf = {row["sku"]: row for row in rows.mappings()}
    threshold, lines = policy.stock.channel_threshold.get(CHANNEL, 0), []
    for line in wanted.lines:
        row = shelf.get(line.sku)
        free = 0
        if row is not None:
            free = atp(
                row["available"],
                safety_stock=row["safety_stock"],
                channel_threshold=threshold,
                confidence_permille=row["confidence_permille"],
            )
        worth = reference.cost_of(costs.get(line.sku, 0), line.quantity)
        lines.append(PreviewLine(line.sku, items[line.sku]["name"], line.quantity, free, worth))
    value = sum(line.value_minor for line in lines)
    level = await bands.would_be(
        conn, kind="transfer", actor=actor, location=place.code, gross_minor=value, limits=policy.bands.transfer.limits,
        at=at,
    )  # fmt: skip
    return Preview(lines, value, place.currency, needed(place, target, level), place.entity != target.entity)
