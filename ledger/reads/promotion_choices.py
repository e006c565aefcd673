"""What a person may choose from when they define a promotion: companies, regions, categories, funding agreements."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import PROMOTING_ROLES, Person
from ledger.reads.access import visible_location
from ledger.tables import entity, funding_agreement, item, location, region

MOST_AGREEMENTS = 200
MOST_CATEGORIES = 1_000


class Company(NamedTuple):
    code: str
    name: str
    currency: str


class Region(NamedTuple):
    code: str
    name: str
    entity: str


class Payer(NamedTuple):
    """A funding agreement that may pay for a promotion."""

    number: str
    entity: str
    vendor: str
    document: str


class Choices(NamedTuple):
    """`companies` are all there are; `whole` those, and `regions` those, for which the person defines promotions."""

    companies: dict[str, Company]
    whole: list[Company]
    regions: list[Region]
    categories: list[str]
    payers: list[Payer]


async def choices_of(conn: AsyncConnection, person: Person) -> Choices:
    """Agreements are those of offices that the person sees, which have not ended."""
    companies = {
        row.code: Company(*row)
        for row in await conn.execute(select(entity.c.code, entity.c.name, entity.c.currency).order_by(entity.c.code))
    }
    regions = [
        Region(*row)
        for row in await conn.execute(select(region.c.code, region.c.name, region.c.entity).order_by(region.c.code))
    ]
    categories = await conn.execute(
        select(item.c.category).where(item.c.category != "").distinct().order_by(item.c.category).limit(MOST_CATEGORIES)
    )
    own = funding_agreement.c
    payers = await conn.execute(
        select(own.number, own.entity, own.vendor_name, own.vendor, own.document)
        .join(location, location.c.code == own.office)
        .where(visible_location(person), own.final_claim_at.is_(None))
        .order_by(own.number, own.id)
        .limit(MOST_AGREEMENTS)
    )
    return Choices(
        companies,
        [one for one in companies.values() if person.roles_at(one.code, "", "") & PROMOTING_ROLES],
        [one for one in regions if person.roles_at(one.entity, one.code, "") & PROMOTING_ROLES],
        list(categories.scalars()),
        [Payer(row.number, row.entity, row.vendor_name or row.vendor, row.document) for row in payers],
    )
