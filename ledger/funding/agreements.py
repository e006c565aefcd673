"""Funding agreements as they come in: checked by name, written once, and the promotions that each pays for."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, text, update

from domain.errors import DomainError, Malformed, NotFound, StateConflict, WrongCurrency
from domain.funding import EndAgreement, NewAgreement
from ledger import reference
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.people import Caller
from ledger.tables import entity, funded_promotion, funding_accrual, funding_agreement
from ledger.transaction import Rank, Transaction

type Result = tuple[int, str] | DomainError  # 201 or 200, and the agreement's id

_OFFICES = text("SELECT code FROM location WHERE entity = :entity ORDER BY (kind NOT IN ('dc', 'hub')), code LIMIT 1")


def agreement_id(source: str, number: str) -> str:
    """`erp:A-17`; the number may hold colons, a source never does."""
    return f"{source}:{number}"


async def record(database: Database, caller: Caller, wanted: Sequence[NewAgreement], *, via: str) -> list[Result]:
    """Take agreements, each by itself; the answers stand in the order given."""
    results: list[Result] = []
    for one in wanted:
        try:
            results.append(
                await database.write(
                    lambda tx, one=one: _record(tx, caller, one),  # type: ignore[misc]
                    actor=_actor(caller),
                    via=via,
                )
            )
        except DomainError as refusal:
            results.append(refusal)
    return results


def _actor(caller: Caller) -> str:
    return caller.person.id if caller.person else f"key:{caller.key_id}"


async def _record(tx: Transaction, caller: Caller, one: NewAgreement) -> tuple[int, str]:
    """Raises `IdempotencyMismatch`, `Malformed`, `WrongCurrency`, `UnknownSku`, `UnknownLocation`, `StateConflict`."""
    key, names = agreement_id(caller.source, one.number), [f"funding:{one.number}"]
    before = await claim_keys(tx, caller.source, names, body_hash(one.model_dump_json()))
    if before is not None:
        return 200, str(before.body["id"])
    now = await tx.now()
    await _check(tx, one)
    await tx.conn.execute(
        insert(funding_agreement).values(
            id=key,
            source=caller.source,
            office=await _office(tx, one),
            next_claim_at=first_claim(one),
            terms=one.terms.model_dump(mode="json"),
            skus=list(one.skus),
            opened_by=_actor(caller),
            at=now,
            **one.model_dump(exclude={"office", "terms", "skus", "promotions"}),
        )
    )
    for number, promotion_id in enumerate(one.promotions):
        await cover(tx, one.entity, promotion_id, key, pointer=f"/promotions/{number}")
    tx.record("funding.agreed", f"agreement:{key}", now, after={"terms": json.loads(one.terms.model_dump_json())})
    await keep_answer(tx, caller.source, names, Answer(201, {"id": key}))
    return 201, key


def first_claim(one: NewAgreement) -> datetime:
    """When the first claim is prepared by itself: after its interval, or when the window after the end is over."""
    last = one.ends_at + timedelta(days=one.claim_window_days)
    if one.claim_every_days is None:
        return last
    return min(one.starts_at + timedelta(days=one.claim_every_days), last)


async def end(database: Database, key: str, wanted: EndAgreement, caller: Caller, *, via: str) -> None:
    """From then on nothing that is sold earns by it; what has accrued is claimed as before, its last claim after its
    window. Raises `NotFound`, `StateConflict` for one that has ended, `Malformed` for what is no earlier end.
    """

    async def work(tx: Transaction) -> None:
        tx.enter(Rank.FUNDING)
        found = await tx.conn.execute(select(funding_agreement).where(funding_agreement.c.id == key).with_for_update())
        row = found.mappings().first()
        if row is None:
            raise NotFound(f"There is no funding agreement {key}.")
        now = await tx.now()
        if row["ends_at"] <= now or row["final_claim_at"] is not None:
            raise StateConflict(f"Agreement {row['number']} has ended already.")
        ends_at = max(wanted.ends_at or now, now)
        if ends_at >= row["ends_at"]:
            raise Malformed("That is no earlier end; a longer one is an agreement of its own.", pointer="/ends_at")
        if ends_at <= row["starts_at"]:
            raise Malformed("It would end before it begins; choose an instant after its start.", pointer="/ends_at")
        last = ends_at + timedelta(days=row["claim_window_days"])
        await tx.conn.execute(
            update(funding_agreement)
            .where(funding_agreement.c.id == key)
            .values(ends_at=ends_at, next_claim_at=min(row["next_claim_at"] or last, last))
        )
        before, after = {"ends_at": row["ends_at"].isoformat()}, {"ends_at": ends_at.isoformat()}
        tx.record("funding.ended", f"agreement:{key}", now, reason=wanted.reason, before=before, after=after)

    await database.write(work, actor=_actor(caller), via=via)


async def _check(tx: Transaction, one: NewAgreement) -> None:
    found = await tx.conn.execute(select(entity.c.currency).where(entity.c.code == one.entity))
    currency = found.scalar()
    if currency is None:
        raise Malformed(f"There is no entity {one.entity} in the master data; correct it.", pointer="/entity")
    if currency != one.currency:
        raise WrongCurrency(
            f"{one.entity} keeps its books in {currency}; an agreement in {one.currency} cannot be accrued there.",
            pointer="/currency",
        )
    known = await reference.items(tx.conn, set(one.skus)) if one.skus else {}
    unknown = [sku for sku in one.skus if sku not in known]
    if unknown:
        raise reference.unknown_skus(unknown, f"/skus/{one.skus.index(unknown[0])}")


async def _office(tx: Transaction, one: NewAgreement) -> str:
    if one.office is None:
        found = (await tx.conn.execute(_OFFICES, {"entity": one.entity})).scalar()
        if found is None:
            raise Malformed(f"{one.entity} has no location yet; load locations.csv first.", pointer="/entity")
        return str(found)
    place = await reference.place(tx.conn, one.office, pointer="/office")
    if place.entity != one.entity:
        raise Malformed(f"{one.office} belongs to {place.entity}, not to {one.entity}.", pointer="/office")
    return one.office


async def cover(tx: Transaction, entity_code: str, promotion_id: str, agreement: str, *, pointer: str) -> None:
    """Have an agreement pay for a promotion from now on. Raises `NotFound`, `StateConflict` where another one does.

    Whoever opens a promotion that names its agreement calls this in the same transaction.
    """
    row = (await tx.conn.execute(select(funding_agreement.c.entity).where(funding_agreement.c.id == agreement))).first()
    if row is None or row.entity != entity_code:
        raise NotFound(f"There is no funding agreement {agreement} of {entity_code}; record it first.", pointer=pointer)
    before = await tx.conn.execute(
        select(funded_promotion.c.agreement_id).where(
            funded_promotion.c.entity == entity_code, funded_promotion.c.promotion_id == promotion_id
        )
    )
    other = before.scalar()
    if other is not None and other != agreement:
        raise StateConflict(
            f"Promotion {promotion_id} is paid for by agreement {other} already; a promotion has one agreement.",
            pointer=pointer,
        )
    if other is None:
        await tx.conn.execute(
            insert(funded_promotion).values(entity=entity_code, promotion_id=promotion_id, agreement_id=agreement)
        )


async def pay_for(tx: Transaction, source: str, entity_code: str, promotion_id: str, number: str | None) -> None:
    """Have the agreement that a promotion names pay for it, or none; called whenever the promotion is defined anew.

    Raises `NotFound`, `Malformed` for a number that does not say which, `StateConflict` once sales have accrued by
    another agreement.
    """
    wanted = None if number is None else await meant(tx, source, number, entity_code)
    row = (funded_promotion.c.entity == entity_code) & (funded_promotion.c.promotion_id == promotion_id)
    before = (await tx.conn.execute(select(funded_promotion.c.agreement_id).where(row))).scalar()
    if before == wanted or (number is None and before is None):
        return
    if before is not None:
        accrued = select(funding_accrual.c.id).where(
            funding_accrual.c.agreement_id == before, funding_accrual.c.promotion_id == promotion_id
        )
        if (await tx.conn.execute(accrued.limit(1))).first() is not None:
            raise StateConflict(
                f"Sales of promotion {promotion_id} have accrued by agreement {before}; it stays with it.",
                pointer="/agreement_id",
            )
        if wanted is None:
            return  # an agreement that names the promotion by itself goes on paying for it
        await tx.conn.execute(delete(funded_promotion).where(row))
    if wanted is not None:
        await cover(tx, entity_code, promotion_id, wanted, pointer="/agreement_id")


async def meant(tx: Transaction, source: str, number: str, entity_code: str) -> str:
    """The agreement that a source means by a number: its own, else the only one of that number in the entity.

    Raises `NotFound`, and `Malformed` where several sources have used the number.
    """
    rows = await tx.conn.execute(
        select(funding_agreement.c.id, funding_agreement.c.source)
        .where(funding_agreement.c.number == number, funding_agreement.c.entity == entity_code)
        .order_by(funding_agreement.c.id)
    )
    found = {row.source: str(row.id) for row in rows}
    if source in found:
        return found[source]
    if len(found) > 1:
        raise Malformed(
            f"Several sources have an agreement {number}: {', '.join(sorted(found))}; use a number of your own.",
            pointer="/agreement_id",
        )
    if not found:
        raise NotFound(
            f"There is no funding agreement {number} of {entity_code}; record it first.", pointer="/agreement_id"
        )
    return next(iter(found.values()))
