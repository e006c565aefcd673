"""Reads of claims against vendors: one with its lines, and what its lines were frozen from."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.claims import ClaimLineView, ClaimView, Proof
from domain.errors import NotFound
from domain.ids import OWN_SOURCE, api_link, journey_id
from domain.people import Person
from ledger import reference
from ledger.claim.document import given_up
from ledger.reads.access import of_sources, visible
from ledger.tables import claim, claim_line, entity, funding_agreement, journey


class Papers(NamedTuple):
    """What a claim's documents say beside the claim: the names of its items, and who claims."""

    names: dict[str, str]
    sender: str


_FROM_JOURNEY = ("source", "state", "currency", "entity", "closed_at")
_FROM_AGREEMENT = ("vendor_name", "claims_email")
_FROM_CLAIM = (
    "kind", "agreement_id", "vendor", "amount_minor", "accepted_minor", "settled_minor", "released_minor",
    "written_off_minor", "reclaimed_minor", "settlement", "reference", "disputes", "frozen_at", "sent_at",
    "answered_at", "settled_at",
)  # fmt: skip


async def claim_view(
    conn: AsyncConnection, viewer: Person | None, claim_id: str, *, sources: Collection[str] | None = None
) -> ClaimView:
    """A claim by its number or its journey's id. Raises `NotFound` for one that the viewer may not see."""
    named = [claim_id, *(journey_id("claim", one, claim_id) for one in sorted({*(sources or ()), OWN_SOURCE}))]
    query = (
        select(
            journey,
            *(claim.c[name] for name in _FROM_CLAIM if name != "kind"),
            claim.c.kind.label("occasion"),
            *(funding_agreement.c[name] for name in _FROM_AGREEMENT),
            funding_agreement.c.number.label("agreement_number"),
            funding_agreement.c.document.label("agreement_document"),
            claim.c.is_billed,
        )
        .join(claim, claim.c.journey_id == journey.c.id)
        .join(funding_agreement, funding_agreement.c.id == claim.c.agreement_id)
        .where(journey.c.id.in_(named), visible(journey.c, viewer), of_sources(journey.c.source, sources))
    )
    found = sorted((await conn.execute(query)).mappings(), key=lambda row: named.index(row["id"]))
    if not found:
        raise NotFound(f"There is no claim {claim_id} that you may see.")
    row: dict[str, Any] = dict(found[0])
    lines = await _lines(conn, row["id"])
    open_minor = row["amount_minor"] - row["settled_minor"] - given_up(row) if row["is_billed"] else 0
    return ClaimView(
        journey_id=row["id"],
        claim_id=row["key"],
        open_minor=open_minor,
        dues={name: datetime.fromisoformat(at) for name, at in row["dues"].items() if at},
        case_id=row["asks"].get("case_id"),
        approval_id=row["asks"].get("approval_id"),
        lines=lines,
        agreement_number=row["agreement_number"],
        agreement_document=row["agreement_document"],
        links={"self": api_link("claims", row["id"]), "journey": api_link("journeys", row["id"])},
        **{name: row[name] for name in (*_FROM_JOURNEY, *_FROM_AGREEMENT)},
        **{name: row[name] for name in _FROM_CLAIM if name != "kind"},
        kind=row["occasion"],
    )


async def _lines(conn: AsyncConnection, claim_id: str) -> list[ClaimLineView]:
    rows = await conn.execute(select(claim_line).where(claim_line.c.journey_id == claim_id))
    made = []
    for row in sorted(rows.mappings(), key=lambda one: int(one["line_id"])):
        accepted = row["accepted_minor"]
        short = None if accepted is None else row["amount_minor"] - accepted - given_up(dict(row))
        made.append(ClaimLineView.model_validate({**row, "short_minor": short}))
    return made


async def papers(conn: AsyncConnection, view: ClaimView) -> Papers:
    skus = sorted({line.sku for line in view.lines if line.sku})
    names = {sku: str(row["name"]) for sku, row in (await reference.items(conn, skus)).items()} if skus else {}
    sender = await conn.execute(select(entity.c.name).where(entity.c.code == view.entity))
    return Papers(names, str(sender.scalar_one()))


_FROZEN = text(
    "SELECT l.line_id, a.at, coalesce(a.location, '') AS location, coalesce(a.document, '') AS document,"
    " coalesce(a.sku, '') AS sku, a.kind, a.quantity, a.amount_minor"
    " FROM funding_accrual a JOIN claim_line l ON l.journey_id = a.claim_id AND l.promotion_id = a.promotion_id"
    " AND l.sku IS NOT DISTINCT FROM a.sku WHERE a.claim_id = :claim ORDER BY a.id"
)


async def frozen_from(conn: AsyncConnection, claim_id: str) -> AsyncIterator[Proof]:
    """The sales and returns of a claim, in the order in which they became known."""
    async with conn.stream(_FROZEN, {"claim": claim_id}) as rows:
        async for row in rows:
            yield Proof(*row)
