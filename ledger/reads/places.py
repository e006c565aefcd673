"""Reads of places: names and time zones of locations and regions, as pages need them beside every row."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import ARRAY, ScalarSelect, Text, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.util import ClauseAdapter

from domain.people import Grant, Person
from ledger.marked import kept_list, mark_asked
from ledger.prepared import Ask, Prepared
from ledger.reads.access import Reach, location_within, reach_of, visible_location
from ledger.tables import item, location, person

GRANTS_KEPT = 256  # of different people


class Place(NamedTuple):
    code: str
    name: str
    kind: str
    region: str
    entity: str
    time_zone: str


class Visible:
    """The places that somebody sees, by code, with the regions and entities that they lie in. Never changed."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = tuple(places)
        self.regions = tuple(dict.fromkeys(one.region for one in self.places))
        self.entities = tuple(dict.fromkeys(one.entity for one in self.places))


class Atlas(dict[str, Place]):
    """Every location by code. A process keeps it for many readers, so nobody changes it."""

    def __init__(self, places: Iterable[Place]) -> None:
        super().__init__((one.code, one) for one in places)
        self._visible = lru_cache(maxsize=GRANTS_KEPT)(self._covered)

    def visible_to(self, viewer: Person) -> Visible:
        """The same object for everybody who has the same grants."""
        return self._visible(viewer.grants)

    def _covered(self, grants: tuple[Grant, ...]) -> Visible:
        return Visible(_covered(self, grants))


# As lists, one for each column: the driver makes five hundred rows of six words in twice the time.
_ALL = Prepared(
    select(
        *(func.array_agg(aggregate_order_by(location.c[name], location.c.code)).label(name) for name in Place._fields)
    ),
    once=True,
)
_NAMES = Prepared(
    select(item.c.sku, item.c.name).where(item.c.sku == any_(bindparam("skus", type_=ARRAY(Text)))), once=True
)


def all_asked() -> Ask:
    """What `all_places` asks where its process keeps them already."""
    return mark_asked(location.name)


async def all_places(conn: AsyncConnection) -> Atlas:
    """Every location by code, visible or not: a way out may name a store of another region."""
    return await kept_list(conn, location.name, _read_all)


async def _read_all(conn: AsyncConnection) -> Atlas:
    (columns,) = await _ALL.rows(conn)
    return Atlas(map(Place._make, zip(*(column or () for column in columns), strict=True)))


async def visible_places(conn: AsyncConnection, viewer: Person) -> list[Place]:
    """The locations of the viewer's grants, by code."""
    columns = (location.c[name] for name in Place._fields)
    rows = await conn.execute(select(*columns).where(visible_location(viewer)).order_by(location.c.code))
    return [Place(*row) for row in rows]


def visible_among(places: Mapping[str, Place], viewer: Person) -> list[Place]:
    """The same of places that were read already."""
    return _covered(places, viewer.grants)


def _covered(places: Mapping[str, Place], grants: Sequence[Grant]) -> list[Place]:
    narrow = [grant for grant in grants if grant.location]
    wide = [grant for grant in grants if not grant.location]
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
