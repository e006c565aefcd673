"""What a definition means in the master data: its items and places, what its forecast earns, and whom it would meet.

It refuses by name; it writes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed, PromotionOverlap, UnknownCategory, UnknownChannel
from domain.promotion import TAKES_ITS_PLACE, Expected, Margin, margin_of, split
from domain.promotions import Definition
from ledger import reference
from ledger.promotion.prices import spread_of
from ledger.tables import entity, item, location

MOST_PRICES = 5_000_000
SOLD_AT = ("store", "hub")


@dataclass(frozen=True)
class MeantLine:
    """The items of a line, what its forecast earns, and the regular prices of its items, from the least on."""

    items: Sequence[str]
    margin: Margin
    regular_minor: Sequence[int]


@dataclass(frozen=True)
class Meant:
    """A definition in the master data. `place` is the first of its places: whose people are asked, and whose policy
    holds. `lines` are those of the definition.
    """

    entity: str
    currency: str
    place: reference.Place
    items: Sequence[str]
    locations: Sequence[str]
    lines: Sequence[MeantLine]

    @property
    def margin(self) -> Margin:
        return Margin(*(sum(figures) for figures in zip(*(line.margin for line in self.lines), strict=True)))


async def meaning_of(conn: AsyncConnection, wanted: Definition, channels: Collection[str]) -> Meant:
    """`channels` are the existing ones.

    Raises `UnknownChannel`, `UnknownLocation`, `UnknownSku`, `UnknownCategory`, `Malformed`.
    """
    for number, channel in enumerate(wanted.channels):
        if channel not in channels:
            raise UnknownChannel(
                f"There is no channel {channel}; prices go to {', '.join(sorted(channels)) or 'none yet'}"
                " (ENDCAP_PRICE_CHANNELS).",
                pointer=f"/channels/{number}",
            )
    whose, locations = await _places(conn, wanted)
    by_line = await _items(conn, wanted)
    items = sorted({sku for skus in by_line for sku in skus})
    prices = len(items) * len(locations) * len(wanted.channels)
    if prices > MOST_PRICES:
        raise Malformed(
            f"It has {prices:,} prices, more than {MOST_PRICES:,}; split it into several promotions.", pointer="/lines"
        )
    place = await reference.place(conn, locations[0])
    lines = await _lines(conn, wanted, whose, by_line, locations)
    meant = Meant(whose, place.currency, place, items, locations, lines)
    if not meant.margin.discount_minor:
        raise Malformed("The offer lowers no price of its items; make it a better one.", pointer="/offer")
    return meant


async def _places(conn: AsyncConnection, wanted: Definition) -> tuple[str, list[str]]:
    """(entity, locations by code)."""
    if wanted.locations == "all":
        whose = wanted.entity or await _only_entity(conn)
        rows = await conn.execute(
            select(location.c.code)
            .where(location.c.entity == whose, location.c.kind.in_(SOLD_AT))
            .order_by(location.c.code)
        )
        found = list(rows.scalars())
        if not found:
            raise Malformed(
                f"Entity {whose} has no store and no hub; name its locations, or another entity.", pointer="/entity"
            )
        return whose, found
    entities = await reference.entities_of(conn, wanted.locations)
    for number, code in enumerate(wanted.locations):
        if code not in entities:
            raise reference.unknown_location(code, f"/locations/{number}")
    owners = set(entities.values())
    if len(owners) > 1:
        raise Malformed(
            f"Its places belong to {' and '.join(sorted(owners))}; define one promotion for each entity.",
            pointer="/locations",
        )
    (whose,) = owners
    if wanted.entity not in (None, whose):
        raise Malformed(f"Its places belong to {whose}, not to {wanted.entity}.", pointer="/entity")
    return whose, sorted(wanted.locations)


async def _only_entity(conn: AsyncConnection) -> str:
    codes = list((await conn.execute(select(entity.c.code).order_by(entity.c.code))).scalars())
    if len(codes) != 1:
        raise Malformed(f"Say whose locations: entity is one of {', '.join(codes) or 'none yet'}.", pointer="/entity")
    return str(codes[0])


async def _items(conn: AsyncConnection, wanted: Definition) -> list[list[str]]:
    """The items of each line."""
    known = await reference.items(conn, [line.sku for line in wanted.lines if line.sku is not None])
    categories = sorted({line.category for line in wanted.lines if line.category is not None})
    rows = await conn.execute(
        select(item.c.category, item.c.sku).where(item.c.category.in_(categories)).order_by(item.c.sku)
    )
    members: dict[str, list[str]] = {}
    for row in rows:
        members.setdefault(row.category, []).append(row.sku)
    found: list[list[str]] = []
    named: dict[str, int] = {}
    unknown = {line.sku: number for number, line in enumerate(wanted.lines) if line.sku and line.sku not in known}
    if unknown:
        raise reference.unknown_skus(list(unknown), f"/lines/{min(unknown.values())}/sku")
    for number, line in enumerate(wanted.lines):
        if line.category is not None and line.category not in members:
            raise UnknownCategory(
                f"No item has the category {line.category}; correct it, or load the items first.",
                pointer=f"/lines/{number}/category",
            )
        skus = [line.sku] if line.sku is not None else members[str(line.category)]
        for sku in skus:
            if sku in named:
                raise Malformed(
                    f"SKU {sku} is meant by line {named[sku] + 1} and by line {number + 1} ({line.meant}); name it"
                    " once.",
                    pointer=f"/lines/{number}",
                )
            named[sku] = number
        found.append(skus)
    return found


async def _lines(
    conn: AsyncConnection,
    wanted: Definition,
    whose: str,
    by_line: Sequence[Sequence[str]],
    locations: Sequence[str],
) -> list[MeantLine]:
    """What the forecast earns: a line's units are spread evenly over its items, an item's over its places."""
    skus = [sku for some in by_line for sku in some]
    base = {row["sku"]: row["price_minor"] for row in (await reference.items(conn, skus)).values()}
    costs = await reference.unit_costs(conn, whose, skus)
    spread = await spread_of(conn, base, wanted.channels, locations, wanted.starts_at)
    lines: list[MeantLine] = []
    for line, some in zip(wanted.lines, by_line, strict=True):
        expected: list[Expected] = []
        for sku, units in zip(some, split(line.forecast_units, len(some)), strict=True):
            places = sum(spread[sku].values())
            before = taken = 0
            for regular, count in sorted(spread[sku].items()):
                before += count
                here = units * before // places - taken
                taken += here
                expected.append(Expected(regular, costs.get(sku, 0), here))
        prices = sorted({one.regular_minor for one in expected})
        lines.append(MeantLine(some, margin_of(wanted.offer, expected), prices))
    return lines


# Items and places of a promotion are a product, so two meet where both have something in common: one of each is enough.
_OVERLAP = text(
    """
    SELECT p.promotion_id, p.name, p.stacking, p.starts_at, p.ends_at, i.sku, l.channel, l.location
    FROM promotion p
    CROSS JOIN LATERAL (
        SELECT sku FROM promotion_item WHERE journey_id = p.journey_id AND sku = ANY(CAST(:skus AS text[]))
        ORDER BY sku LIMIT 1
    ) i
    CROSS JOIN LATERAL (
        SELECT channel, location FROM promotion_place
        WHERE journey_id = p.journey_id AND channel = ANY(CAST(:channels AS text[]))
          AND location = ANY(CAST(:locations AS text[]))
        ORDER BY channel, location LIMIT 1
    ) l
    WHERE p.entity = :entity AND p.state = ANY(CAST(:states AS text[])) AND p.journey_id <> :me
      AND p.starts_at < :ends_at AND p.ends_at > :starts_at AND 'exclusive' IN (p.stacking, :stacking)
    ORDER BY p.starts_at, p.journey_id LIMIT 1
    """
)


@dataclass(frozen=True)
class Ground:
    """What a promotion takes up: items at places in a time."""

    me: str
    entity: str
    stacking: str
    starts_at: datetime
    ends_at: datetime
    items: Sequence[str]
    channels: Sequence[str]
    locations: Sequence[str]


async def check_overlap(conn: AsyncConnection, ground: Ground) -> None:
    """Raises `PromotionOverlap` where an exclusive promotion would share an item, a channel, a place and a time with
    another one. The lock of the entity's promotions is held.
    """
    row = (
        await conn.execute(
            _OVERLAP,
            {
                "me": ground.me, "entity": ground.entity, "stacking": ground.stacking, "starts_at": ground.starts_at,
                "ends_at": ground.ends_at, "skus": list(ground.items), "channels": list(ground.channels),
                "locations": list(ground.locations), "states": sorted(TAKES_ITS_PLACE),
            },
        )
    ).first()  # fmt: skip
    if row is None:
        return
    which = "it is exclusive" if row.stacking == "exclusive" else "this one is exclusive"
    raise PromotionOverlap(
        f"Promotion {row.promotion_id} ({row.name}) runs {row.starts_at:%Y-%m-%d %H:%M} to {row.ends_at:%Y-%m-%d %H:%M}"
        f" UTC with SKU {row.sku} at {row.location} in {row.channel}, and {which}: move one of them, leave the item or"
        " the place out, or let both stack.",
        pointer="/stacking" if row.stacking != "exclusive" else "/lines",
    )
