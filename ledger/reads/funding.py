"""Reads of funding agreements: what each has accrued, claimed and left."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select, text
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


class Paid(NamedTuple):
    """What an agreement has come to by one promotion; `journey_id` and `state` where the promotion is defined here."""

    promotion_id: str
    journey_id: str | None
    name: str
    state: str
    units: int
    earned_minor: int
    accrued_minor: int
    unclaimed_minor: int


_BY_PROMOTION = text("""
    SELECT f.promotion_id, p.journey_id, coalesce(p.name, '') AS name, coalesce(p.state, '') AS state,
        coalesce(sum(a.quantity) FILTER (WHERE a.kind <> 'reclaim'), 0)::bigint AS units,
        coalesce(sum(a.earned_minor) FILTER (WHERE a.kind <> 'reclaim'), 0)::bigint AS earned_minor,
        coalesce(sum(a.amount_minor) FILTER (WHERE a.kind <> 'reclaim'), 0)::bigint AS accrued_minor,
        coalesce(sum(a.amount_minor) FILTER (WHERE a.claim_id IS NULL), 0)::bigint AS unclaimed_minor
    FROM funded_promotion f
    LEFT JOIN LATERAL (
        SELECT journey_id, name, state FROM promotion
        WHERE promotion_id = f.promotion_id AND entity = f.entity ORDER BY recorded_at DESC LIMIT 1
    ) p ON true
    LEFT JOIN funding_accrual a ON a.agreement_id = f.agreement_id AND a.promotion_id = f.promotion_id
    WHERE (CAST(:agreement AS text) IS NULL OR f.agreement_id = :agreement)
      AND (CAST(:promotion AS text) IS NULL OR f.promotion_id = :promotion AND f.entity = :entity)
    GROUP BY 1, 2, 3, 4 ORDER BY 1
""")


async def by_promotion(conn: AsyncConnection, agreement_id: str) -> list[Paid]:
    """What an agreement has come to, promotion by promotion, in the order of their codes."""
    rows = await conn.execute(_BY_PROMOTION, {"agreement": agreement_id, "promotion": None, "entity": None})
    return [Paid(*row) for row in rows]


class PaidFor(NamedTuple):
    """The agreement that pays for a promotion, and what has come of it."""

    agreement: AgreementView
    paid: Paid


async def paid_for(conn: AsyncConnection, viewer: Person | None, entity: str, promotion_id: str) -> PaidFor | None:
    """What pays for a promotion, and what has come of it; None for nothing, or for what the viewer may not see."""
    found = await conn.execute(
        select(funded_promotion.c.agreement_id).where(
            funded_promotion.c.entity == entity, funded_promotion.c.promotion_id == promotion_id
        )
    )
    key = found.scalar()
    if key is None:
        return None
    try:
        agreement = await agreement_view(conn, viewer, key)
    except NotFound:
        return None
    rows = await conn.execute(_BY_PROMOTION, {"agreement": key, "promotion": promotion_id, "entity": entity})
    return PaidFor(agreement, Paid(*rows.one()))


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
