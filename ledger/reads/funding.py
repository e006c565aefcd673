"""Reads of funding agreements: what each has accrued, claimed and left."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.funding import AgreementView
from domain.people import Person
from ledger.reads.access import of_sources, visible_location
from ledger.reads.paging import DEFAULT_LIMIT, Page, fingerprint, read_cursor, write_cursor
from ledger.tables import claim, funded_promotion, funding_accrual, funding_agreement, location

_PLAIN = (
    "id", "number", "source", "entity", "office", "vendor", "vendor_name", "claims_email", "signed_on", "document",
    "starts_at", "ends_at", "currency", "terms", "skus", "claim_every_days", "claim_window_days", "next_claim_at",
    "final_claim_at",
)  # fmt: skip


def _of(agreement: ColumnElement[str]) -> Any:
    """Sums of an agreement's accruals. What is claimed a second time was earned once."""
    own = funding_accrual.c.kind != "reclaim"
    return (
        select(
            func.coalesce(func.sum(funding_accrual.c.quantity), 0).label("units"),
            func.coalesce(func.sum(funding_accrual.c.earned_minor), 0).label("earned_minor"),
            func.coalesce(func.sum(funding_accrual.c.amount_minor).filter(own), 0).label("accrued_minor"),
            func.coalesce(
                func.sum(funding_accrual.c.amount_minor).filter(funding_accrual.c.claim_id.is_(None)), 0
            ).label("unclaimed_minor"),
        )
        .where(funding_accrual.c.agreement_id == agreement)
        .lateral()
    )


def _query(viewer: Person | None, sources: Collection[str] | None) -> Any:
    sums = _of(funding_agreement.c.id)
    promotions = select(func.coalesce(func.array_agg(funded_promotion.c.promotion_id), [])).where(
        funded_promotion.c.agreement_id == funding_agreement.c.id
    )
    claims = select(func.coalesce(func.array_agg(claim.c.journey_id), [])).where(
        claim.c.agreement_id == funding_agreement.c.id
    )
    return (
        select(
            *(funding_agreement.c[name] for name in _PLAIN),
            sums,
            promotions.scalar_subquery().label("promotions"),
            claims.scalar_subquery().label("claims"),
        )
        .join(location, location.c.code == funding_agreement.c.office)
        .join(sums, funding_agreement.c.id == funding_agreement.c.id)
        .where(visible_location(viewer), of_sources(funding_agreement.c.source, sources))
    )


def _view(row: Any) -> AgreementView:
    cap = row["terms"].get("cap_minor")
    return AgreementView.model_validate(
        {
            **row,
            "promotions": sorted(row["promotions"]),
            "claims": sorted(row["claims"]),
            "cap_left_minor": None if cap is None else cap - row["accrued_minor"],
        }
    )


async def agreement_view(
    conn: AsyncConnection, viewer: Person | None, agreement_id: str, *, sources: Collection[str] | None = None
) -> AgreementView:
    """An agreement by its id or by the number that a source gave it. Raises `NotFound` for one that nobody may see."""
    named = [agreement_id, *(f"{one}:{agreement_id}" for one in sorted(sources or ()))]
    rows = await conn.execute(_query(viewer, sources).where(funding_agreement.c.id.in_(named)))
    found = sorted(rows.mappings(), key=lambda row: named.index(row["id"]))
    if not found:
        raise NotFound(f"There is no funding agreement {agreement_id} that you may see.")
    return _view(found[0])


async def list_agreements(
    conn: AsyncConnection,
    viewer: Person | None,
    *,
    vendor: str | None = None,
    entity: str | None = None,
    sources: Collection[str] | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[AgreementView]:
    """Agreements by their ids. Raises `Malformed` for a cursor of another list."""
    mark = fingerprint("agreements", {"vendor": vendor, "entity": entity})
    after = read_cursor(mark, cursor, value_type=str, id_type=str)
    query = _query(viewer, sources).order_by(funding_agreement.c.id).limit(limit + 1)
    for column, wanted in ((funding_agreement.c.vendor, vendor), (funding_agreement.c.entity, entity)):
        if wanted is not None:
            query = query.where(column == wanted)
    if after is not None:
        query = query.where(funding_agreement.c.id > str(after.id))
    rows = list((await conn.execute(query)).mappings())
    items = [_view(row) for row in rows[:limit]]
    more = write_cursor(mark, items[-1].id, items[-1].id) if len(rows) > limit else None
    return Page(items=items, next=more)
