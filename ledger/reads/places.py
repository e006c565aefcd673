"""Reads of places: names and time zones of locations and regions, as pages need them beside every row."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import ARRAY, ScalarSelect, Text, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.util import ClauseAdapter

from domain.people import Person
from ledger.prepared import Ask, Prepared
from ledger.reads.access import Reach, location_within, reach_of, visible_location
from ledger.tables import item, location, person


class Place(NamedTuple):
    code: str
    name: str
    kind: str
    region: str
    entity: str
    time_zone: str


_PLACES = select(*(location.c[name] for name in Place._fields)).order_by(location.c.code)
# As lists, one for each column: the driver makes five hundred rows of six words in twice the time.
_ALL = Prepared(
    select(
        *(func.array_agg(aggregate_order_by(location.c[name], location.c.code)).label(name) for name in Place._fields)
    ),
    once=True,
)
_SOME = Prepared(_PLACES.where(location.c.code == any_(bindparam("codes", type_=ARRAY(Text)))), once=True)
_NAMES = Prepared(
    select(item.c.sku, item.c.name).where(item.c.sku == any_(bindparam("skus", type_=ARRAY(Text)))), once=True
)


def all_asked() -> Ask:
    """What `all_places` asks."""
    return _ALL.of()


async def all_places(conn: AsyncConnection) -> dict[str, Place]:
    """Every location by code, visible or not: a way out may name a store of another region."""
    (columns,) = await all_asked().rows(conn)
    return {each[0]: Place._make(each) for each in zip(*(column or () for column in columns), strict=True)}


def places_asked(codes: Collection[str]) -> Ask:
    """What `places_at` asks."""
    return _SOME.of(codes=sorted(codes))


async def places_at(conn: AsyncConnection, codes: Collection[str]) -> dict[str, Place]:
    """These locations by code, visible or not; one that is not in the master data is left out."""
    return {row[0]: Place(*row) for row in await places_asked(codes).rows(conn)} if codes else {}


async def visible_places(conn: AsyncConnection, viewer: Person) -> list[Place]:
    """The locations of the viewer's grants, by code."""
    columns = (location.c[name] for name in Place._fields)
    rows = await conn.execute(select(*columns).where(visible_location(viewer)).order_by(location.c.code))
    return [Place(*row) for row in rows]


def visible_among(places: Mapping[str, Place], viewer: Person) -> list[Place]:
    """The same of places that were read already."""
    narrow = [grant for grant in viewer.grants if grant.location]
    wide = [grant for grant in viewer.grants if not grant.location]
    areas = {(one.entity, one.region) for one in places.values()}
    seen = {area for area in areas if any(grant.covers(*area, "") for grant in wide)}
    if not narrow:
        return [one for one in places.values() if (one.entity, one.region) in seen]
    return [
        one
        for one in places.values()
        if (one.entity, one.region) in seen or any(g.covers(one.entity, one.region, one.code) for g in narrow)
    ]


async def zone_of(conn: AsyncConnection, viewer: Person) -> str:
    """The zone in which a person reads lists: of the home location, else of most places the person sees, else UTC."""
    return (await zones_of(conn, [viewer])).get(viewer.id, "UTC")


def zones_asked(viewers: Sequence[Person]) -> Ask:
    """What `zones_of` asks."""
    reach, words = reach_of(viewers[0])
    return _zones(reach).of(words, viewers=[one.id for one in viewers])


async def zones_of(conn: AsyncConnection, viewers: Sequence[Person]) -> dict[str, str]:
    """The same for several who have the same grants, by the id of each."""
    return {row[0]: row[1] for row in await zones_asked(viewers).rows(conn)}


@lru_cache(maxsize=64)
def _zones(reach: Reach) -> Prepared:
    homes = select(person.c.id, func.coalesce(location.c.time_zone, _usual(reach), "UTC").label("zone"))
    at_home = homes.join(location, location.c.code == person.c.home_location, isouter=True)
    return Prepared(at_home.where(person.c.id == any_(bindparam("viewers", type_=ARRAY(Text)))), once=True)


def _usual(reach: Reach) -> ScalarSelect[str]:
    """The zone of most of the places that are seen."""
    place = location.alias()  # the one beside it is a home
    seen = ClauseAdapter(place).traverse(location_within(reach))
    count = select(place.c.time_zone).where(seen).group_by(place.c.time_zone)
    return count.order_by(func.count().desc(), place.c.time_zone).limit(1).scalar_subquery()


def names_asked(skus: Collection[str]) -> Ask:
    """What `item_names` asks."""
    return _NAMES.of(skus=sorted(skus))


async def item_names(conn: AsyncConnection, skus: Collection[str]) -> Mapping[str, str]:
    """Names of items by SKU; an unknown SKU is left out."""
    return {row[0]: row[1] for row in await names_asked(skus).rows(conn)} if skus else {}
