"""Who owns what in a region: the people behind the owning role of each kind of case and each step of its ladder."""

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kind import CaseKind
from domain.case_kinds import KINDS
from domain.people import Person
from ledger.reads.access import visible_location
from ledger.tables import location, person, person_role, region


class Region(NamedTuple):
    code: str
    name: str
    entity: str


class Holder(NamedTuple):
    """A person with a role; `where` is the store they have it at, or an empty word for all of the region."""

    name: str
    where: str


class Owned(NamedTuple):
    """A kind of case in one region. `reached`: the first role of owner and ladder that somebody holds, None if none."""

    kind: CaseKind
    steps: list[tuple[str, list[Holder]]]
    reached: str | None


class Proof(NamedTuple):
    """One region: kinds whose owning role nobody holds there, and of these the ones of which nobody is told at all."""

    region: Region
    kinds: int
    unowned: list[CaseKind]
    unheard: list[CaseKind]


async def regions_of(conn: AsyncConnection, viewer: Person) -> list[Region]:
    """Regions in which the viewer sees at least one place."""
    seen = select(location.c.region).where(visible_location(viewer))
    rows = await conn.execute(
        select(region.c.code, region.c.name, region.c.entity).where(region.c.code.in_(seen)).order_by(region.c.code)
    )
    return [Region(*row) for row in rows]


async def owners(conn: AsyncConnection, here: Region) -> list[Owned]:
    """Every kind of case with the people of a region who are asked, in the order in which they are asked."""
    role = person_role.c
    of_stores = select(location.c.code).where(location.c.region == here.code)
    rows = await conn.execute(
        select(role.role, person.c.name, role.location)
        .join(person, person.c.id == role.person_id)
        .where(
            person.c.active,
            role.entity.in_(("", here.entity)),
            or_(
                and_(role.location == "", role.region.in_(("", here.code))),
                role.location.in_(of_stores),
            ),
        )
        .order_by(role.location, person.c.name)
    )
    holders: dict[str, list[Holder]] = defaultdict(list)
    for row in rows:
        holders[row.role].append(Holder(row.name, row.location))
    found = []
    for kind in KINDS.values():
        steps = [(name, holders[name]) for name in (kind.owner_role, *kind.ladder)]
        found.append(Owned(kind, steps, next((name for name, people in steps if people), None)))
    return found


async def proof(conn: AsyncConnection, regions: list[Region]) -> list[Proof]:
    """For each region whether every kind of case has somebody who owns it, and somebody who is asked at all."""
    found = []
    for here in regions:
        owned = await owners(conn, here)
        unowned = [one.kind for one in owned if not one.steps[0][1]]
        found.append(Proof(here, len(owned), unowned, [one.kind for one in owned if one.reached is None]))
    return found
