"""Regular prices, and what the shelf is to show at an instant with all promotions that run then. Reads only.

A price is asked for by channel, and by (place, item, instant); nothing is remembered between two questions, so what is
published is right as of the moment at which it goes out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.promotion import RUNS, Running, ShelfPrice, offer_of, price_of
from ledger.tables import promotion, promotion_item, promotion_place


class PriceKey(NamedTuple):
    """A price of a channel: of an item at a place from an instant on."""

    location: str
    sku: str
    valid_from: datetime


# The narrowest that holds at the instant: of the place and channel, of the place, of the item.
_REGULAR = text(
    """
    SELECT c.number, coalesce(own.price_minor, i.price_minor) AS price_minor
    FROM unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:instants AS timestamptz[]))
        WITH ORDINALITY AS c (location, sku, at, number)
    JOIN item i ON i.sku = c.sku
    LEFT JOIN LATERAL (
        SELECT p.price_minor FROM item_price p
        WHERE p.sku = c.sku AND p.location = c.location AND p.channel IN ('', :channel) AND p.effective_from <= c.at
        ORDER BY p.channel DESC, p.effective_from DESC LIMIT 1
    ) own ON true
    """
)


async def regular_prices(conn: AsyncConnection, channel: str, keys: Sequence[PriceKey]) -> dict[PriceKey, int]:
    """The regular price of each, in minor units; what is not in the master data is left out."""
    rows = await conn.execute(
        _REGULAR,
        {
            "locations": [key.location for key in keys],
            "skus": [key.sku for key in keys],
            "instants": [key.valid_from for key in keys],
            "channel": channel,
        },
    )
    return {keys[row.number - 1]: row.price_minor for row in rows}


async def wanted_prices(
    conn: AsyncConnection, entity: str, channel: str, keys: Sequence[PriceKey]
) -> dict[PriceKey, ShelfPrice]:
    """What the channel is to show for each of these, by what is recorded now."""
    if not keys:
        return {}
    regular = await regular_prices(conn, channel, keys)
    running = await _running(conn, entity, channel, keys)
    return {key: price_of(minor, running.get(key, ())) for key, minor in regular.items()}


async def prices_of_it(
    conn: AsyncConnection, about: str, entity: str, channel: str, keys: Sequence[PriceKey]
) -> dict[PriceKey, frozenset[ShelfPrice]]:
    """What the channel would show of these if a promotion that is over still ran: beside those that run, and alone."""
    if not keys:
        return {}
    row = (await conn.execute(select(promotion).where(promotion.c.journey_id == about))).mappings().one()
    it = Running(about, row["stacking"], offer_of(row["offer"]), row["starts_at"])
    regular = await regular_prices(conn, channel, keys)
    running = await _running(conn, entity, channel, keys)
    return {
        key: frozenset({price_of(minor, [*running.get(key, ()), it]), price_of(minor, [it])})
        for key, minor in regular.items()
    }


async def _running(
    conn: AsyncConnection, entity: str, channel: str, keys: Sequence[PriceKey]
) -> Mapping[PriceKey, list[Running]]:
    instants = [key.valid_from for key in keys]
    heads = (
        await conn.execute(
            select(promotion).where(
                promotion.c.entity == entity,
                promotion.c.state.in_(sorted(RUNS)),
                promotion.c.starts_at <= max(instants),
                promotion.c.ends_at > min(instants),
            )
        )
    ).mappings()
    known = {row["journey_id"]: row for row in heads}
    if not known:
        return {}
    items = await conn.execute(
        select(promotion_item.c.journey_id, promotion_item.c.sku).where(
            promotion_item.c.journey_id.in_(list(known)), promotion_item.c.sku.in_({key.sku for key in keys})
        )
    )
    places = await conn.execute(
        select(promotion_place.c.journey_id, promotion_place.c.location).where(
            promotion_place.c.journey_id.in_(list(known)),
            promotion_place.c.channel == channel,
            promotion_place.c.location.in_({key.location for key in keys}),
        )
    )
    of_item: dict[str, set[str]] = {}
    for row in items:
        of_item.setdefault(row.sku, set()).add(row.journey_id)
    of_place: dict[str, set[str]] = {}
    for row in places:
        of_place.setdefault(row.location, set()).add(row.journey_id)
    ready = {
        name: Running(name, row["stacking"], offer_of(row["offer"]), row["starts_at"]) for name, row in known.items()
    }
    found: dict[PriceKey, list[Running]] = {}
    for key in keys:
        for name in of_item.get(key.sku, set()) & of_place.get(key.location, set()):
            if known[name]["starts_at"] <= key.valid_from < known[name]["ends_at"]:
                found.setdefault(key, []).append(ready[name])
    return found


_SPECIAL = text(
    """
    SELECT sku, price_minor, count(*) AS places FROM (
        SELECT DISTINCT ON (p.sku, p.location, c.channel) p.sku, p.price_minor
        FROM unnest(CAST(:channels AS text[])) AS c (channel)
        CROSS JOIN unnest(CAST(:locations AS text[])) AS l (code)
        JOIN item_price p ON p.location = l.code AND p.channel IN ('', c.channel)
        WHERE p.sku = ANY(CAST(:skus AS text[])) AND p.effective_from <= :at
        ORDER BY p.sku, p.location, c.channel, p.channel DESC, p.effective_from DESC
    ) own GROUP BY sku, price_minor
    """
)


async def spread_of(
    conn: AsyncConnection,
    base: Mapping[str, int],
    channels: Sequence[str],
    locations: Sequence[str],
    at: datetime,
) -> dict[str, dict[int, int]]:
    """By item: at how many of the places (channel × location) each regular price holds. `base` is the items' own."""
    rows = await conn.execute(
        _SPECIAL, {"channels": list(channels), "locations": list(locations), "skus": sorted(base), "at": at}
    )
    special: dict[str, dict[int, int]] = {}
    for row in rows:
        special.setdefault(row.sku, {})[row.price_minor] = row.places
    found: dict[str, dict[int, int]] = {}
    for sku, minor in base.items():
        spread = dict(special.get(sku, {}))
        rest = len(channels) * len(locations) - sum(spread.values())
        if rest:
            spread[minor] = spread.get(minor, 0) + rest
        found[sku] = spread
    return found
