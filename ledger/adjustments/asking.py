"""How an adjustment begins: a person asks for it, or a system reports it."""

from datetime import datetime

from sqlalchemy import select, update

from domain.adjustments import ASKING_ROLES, Adjustment, AdjustmentIn
from domain.bands import Level
from domain.case import CaseOption, Consequence, MoneyEffect, StockEffect
from domain.errors import NotAllowed, NotFound
from domain.events import StockAdjusted
from domain.people import Person
from domain.policy import Policy
from ledger import approval, bands, case, reference
from ledger.adjustments import document as documents
from ledger.adjustments.document import Document, Judged, Wanted
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.reads.adjustments import adjustment_of
from ledger.tables import adjustment, item
from ledger.transaction import Transaction


async def ask(
    database: Database,
    person: Person,
    wanted: AdjustmentIn,
    *,
    source: str,
    via: str,
    idempotency_key: str | None = None,
) -> tuple[int, Adjustment]:
    """A person asks to adjust stock: below the band it is posted at once, above it an approval is asked for.

    Returns (201, the adjustment), or (200, the first answer) for a repeat. Raises `UnknownLocation`, `UnknownSku`,
    `NotAllowed`, `NotFound` for a place out of the person's sight, `IdempotencyMismatch`.
    """
    digest = body_hash(f"{person.id} {wanted.model_dump_json()}")
    keys = [f"adjustment:{wanted.adjustment_id}"] + ([f"key:{idempotency_key}"] if idempotency_key else [])

    async def work(tx: Transaction) -> tuple[int, Adjustment]:
        before = await claim_keys(tx, source, keys, digest)
        if before is not None:
            return 200, Adjustment.model_validate(before.body)
        made = await _ask(tx, person, wanted, source)
        await keep_answer(tx, source, keys, Answer(201, made.model_dump(mode="json")))
        return 201, made

    return await database.write(work, actor=person.id, via=via)


async def _ask(tx: Transaction, person: Person, wanted: AdjustmentIn, source: str) -> Adjustment:
    place = await reference.place(tx.conn, wanted.location, pointer="/location")
    _check_may_ask(person, place)
    await reference.known_items(tx.conn, (line.sku for line in wanted.lines))
    at = await tx.now()
    key = f"adjustment:{source}:{wanted.adjustment_id}"
    document = Document(
        id=key,
        source=source,
        key=wanted.adjustment_id,
        cause=key,
        place=place,
        policy=await reference.policy_at(tx.conn, place, at),
        requested_by=person.id,
        actor=person.id,
        barred=(person.id,),
        lines=[Wanted(line.sku, line.quantity, line.reason) for line in wanted.lines],
        at=at,
    )
    judged = await documents.judge(tx, document)
    if judged.level is Level.NONE:
        await documents.write(tx, document, judged, "posted", [0] * len(document.lines))
        await documents.post_at_once(tx, document)
    else:
        await documents.write(tx, document, judged, "awaiting_approval", documents.park(tx, document))
        await _seek_approval(tx, document, judged)
    tx.record("adjustment.asked", key, at, after={"level": int(judged.level), "gross_minor": judged.gross_minor})
    return await adjustment_of(tx.conn, key)


def _check_may_ask(person: Person, place: reference.Place) -> None:
    where = (place.entity, place.region, place.code)
    if not person.may_see(*where):
        raise NotFound(f"There is no location {place.code} that you may see.")
    if not person.roles_at(*where) & ASKING_ROLES:
        wanted = ", ".join(sorted(role.replace("_", " ") for role in ASKING_ROLES))
        raise NotAllowed(f"Adjusting stock at {place.name} needs one of the roles {wanted}.")


async def _seek_approval(tx: Transaction, document: Document, judged: Judged) -> None:
    names = await _names(tx, document)
    approval_id = await approval.open_approval(
        tx,
        approval.Request(
            kind=documents.KIND,
            subject=_sentence(document, names),
            place=document.place,
            policy=document.policy,
            at=document.at,
            requester=document.requested_by,
            barred=document.barred,
            amount_minor=judged.gross_minor,
            facts={
                "lines": [
                    {"item": names[line.sku], "sku": line.sku, "units": line.quantity, "reason": line.reason,
                     "cost_minor": cost}
                    for line, cost in zip(document.lines, judged.costs_minor, strict=True)
                ],
                "needs": judged.level.name.lower(),
            },
            journey_id=None,
            case_id=None,
            decision_id=None,
            level=judged.level,
        ),
    )  # fmt: skip
    await tx.conn.execute(update(adjustment).where(adjustment.c.id == document.id).values(approval_id=approval_id))


async def _names(tx: Transaction, document: Document) -> dict[str, str]:
    rows = await tx.conn.execute(
        select(item.c.sku, item.c.name).where(item.c.sku.in_({line.sku for line in document.lines}))
    )
    return {row.sku: row.name for row in rows}


def _sentence(document: Document, names: dict[str, str]) -> str:
    """`-5 × Green tea at Mainz (missing), and 2 more lines`."""
    first = document.lines[0]
    more = len(document.lines) - 1
    rest = f", and {more} more {'line' if more == 1 else 'lines'}" if more else ""
    reason = first.reason.replace("_", " ")
    return f"{first.quantity:+d} × {names[first.sku]} at {document.place.name} ({reason}){rest}"


async def report(
    tx: Transaction, source: str, data: StockAdjusted, cause: str, place: reference.Place, policy: Policy, at: datetime
) -> int | None:
    """A system reports an adjustment: below the band it is posted; above it the units are parked and a case opens.

    Returns the case, None when it was posted. The item is known by now.
    """
    actor, barred = await bands.actor_at(tx, source, data.actor, place.code)
    document = Document(
        id=cause,
        source=source,
        key=cause,
        cause=cause,
        place=place,
        policy=policy,
        requested_by=data.actor,
        actor=actor,
        barred=barred,
        lines=[Wanted(data.sku, data.quantity, data.reason)],
        at=at,
    )
    judged = await documents.judge(tx, document)
    if judged.level is Level.NONE:
        await documents.post_at_once(tx, document)
        return None
    await documents.write(tx, document, judged, "in_review", documents.park(tx, document))
    ref = await _open_review(tx, document, judged)
    await tx.conn.execute(update(adjustment).where(adjustment.c.id == document.id).values(case_id=ref.id))
    return ref.id


async def _open_review(tx: Transaction, document: Document, judged: Judged) -> case.CaseRef:
    line, place = document.lines[0], document.place
    who = "finance" if judged.level is Level.FINANCE else "a manager"
    return await case.open_case(
        tx,
        case.Opening(
            kind="adjustment_review",
            subject=document.cause,
            place=place,
            policy=document.policy,
            at=document.at,
            sku=line.sku,
            facts={
                "sku": line.sku,
                "quantity": line.quantity,
                "reason": line.reason,
                "actor": document.requested_by,
                "cost_minor": judged.gross_minor,
                "needs": who,
            },
            options=_options(document, judged, who),
            value_at_risk_minor=judged.gross_minor,
            text=f"{line.quantity:+d} of {line.sku} at {place.name} ({line.reason}) waits for {who}.",
        ),
    )


def _options(document: Document, judged: Judged, who: str) -> tuple[CaseOption, ...]:
    line, place = document.lines[0], document.place
    signed = judged.gross_minor if line.quantity > 0 else -judged.gross_minor
    lost_or_found = "found" if line.quantity > 0 else "lost"
    return (
        CaseOption(
            id="confirm",
            label="Confirm the report",
            rank=1,
            because=f"it needs {who}, by somebody other than who reported it",
            consequence=Consequence(
                stock=(
                    StockEffect(location=place.code, sku=line.sku, quantity=abs(line.quantity), effect=lost_or_found),
                ),
                money=(MoneyEffect(label="Inventory at cost", amount_minor=signed, currency=place.currency),),
            ),
        ),
        CaseOption(
            id="count",
            label="Have it counted",
            rank=2,
            because="the count decides; what is parked is not promised before",
        ),
        CaseOption(
            id="undo",
            label="The report was wrong; nothing is adjusted",
            rank=3,
            consequence=Consequence(
                stock=(
                    StockEffect(
                        location=place.code, sku=line.sku, quantity=abs(line.quantity), effect="available again"
                    ),
                )
                if line.quantity < 0
                else ()
            ),
        ),
    )
