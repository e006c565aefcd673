"""Prepares claims: what has accrued and is in no claim yet is frozen, added up by promotion and item, and agreed to.

An agreement is locked while one of its claims is prepared. What is recorded meanwhile, or later, belongs to its next
claim.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, insert, select, text, update

from domain import funding_postings
from domain.bands import Level, Rolling, level_of
from domain.claim import ClaimState
from domain.errors import NotFound, StateConflict
from domain.funding import LumpSum
from domain.funding_postings import Spot
from domain.ids import journey_id
from domain.messages import Situation
from domain.policy import Policy
from domain.words import money
from ledger import policies, reference, situations, tables
from ledger.claim.document import Claim, Moment
from ledger.engine import Database
from ledger.funding.accrual import TERMS
from ledger.funding.change import ACCRUED
from ledger.journal import Entry
from ledger.outbox import search_attributes
from ledger.people import Caller
from ledger.steps import note
from ledger.tables import funding_accrual, funding_agreement, journey
from ledger.transaction import Rank, Transaction

S = ClaimState
CHANNEL = "funding"
AT_MOST = 200  # claims of one run


class Wanted(NamedTuple):
    """A claim that is to be prepared. `requested_by` is the person, or the key, that asks for it."""

    kind: str
    at: datetime
    requested_by: str
    barred: tuple[str, ...] = ()


_DUE = text(
    "SELECT id, next_claim_at >= ends_at + make_interval(days => claim_window_days) AS is_final FROM funding_agreement"
    " WHERE next_claim_at <= :at AND (CAST(:only AS text[]) IS NULL OR id = ANY(CAST(:only AS text[])))"
    " ORDER BY next_claim_at, id LIMIT :limit"
)
# Sales and returns that became known after the last claim, the oldest of each agreement.
_LATE = text(
    "SELECT g.id, g.office, late.since FROM funding_agreement g CROSS JOIN LATERAL ("
    " SELECT min(a.recorded_at) AS since FROM funding_accrual a WHERE a.agreement_id = g.id AND a.claim_id IS NULL"
    ") late WHERE g.final_claim_at IS NOT NULL AND g.next_claim_at IS NULL AND late.since IS NOT NULL"
    " AND (CAST(:only AS text[]) IS NULL OR g.id = ANY(CAST(:only AS text[])))"
    " ORDER BY late.since LIMIT :limit"
)
_FREEZE = text("UPDATE funding_accrual SET claim_id = :claim WHERE agreement_id = :agreement AND claim_id IS NULL")
_LINES = text(
    "INSERT INTO claim_line (journey_id, line_id, promotion_id, sku, units, amount_minor)"
    " SELECT :claim, (row_number() OVER (ORDER BY promotion_id, sku NULLS LAST))::text, promotion_id, sku,"
    " sum(quantity)::int, sum(amount_minor)::bigint FROM funding_accrual WHERE claim_id = :claim"
    " GROUP BY promotion_id, sku"
)


async def prepare_due(database: Database, at: datetime, *, only: Collection[str] | None = None) -> int:
    """Prepare every claim whose time has come, of all agreements or of `only` these; returns how many.

    Each is a transaction of its own.
    """
    whose = {"only": None if only is None else sorted(only), "limit": AT_MOST}
    async with database.read() as conn:
        due = [
            (row.id, "final" if row.is_final else "periodic") for row in await conn.execute(_DUE, {"at": at, **whose})
        ]
        for row in await conn.execute(_LATE, whose):
            policy = await reference.policy_at(conn, await reference.place(conn, row.office), at)
            if row.since + timedelta(seconds=policy.claim.late_s) <= at:
                due.append((row.id, "late"))
    made = 0
    for agreement_id, kind in due:

        async def work(tx: Transaction, agreement_id: str = agreement_id, kind: str = kind) -> str | None:
            return await _prepare(tx, agreement_id, Wanted(kind, at, "endcap"))

        made += await database.write(work, actor="endcap", via="schedule") is not None
    return made


async def prepare_now(database: Database, agreement_id: str, caller: Caller, *, at: datetime, via: str) -> str:
    """Prepare a claim because somebody asks for it. Raises `NotFound`, `StateConflict` where nothing has accrued."""
    person = caller.person
    by = person.id if person else f"key:{caller.key_id}"

    async def work(tx: Transaction) -> str:
        wanted = Wanted("asked", at, by, (person.id,) if person else ())
        made = await _prepare(tx, agreement_id, wanted, caller)
        if made is None:
            raise StateConflict("Nothing has accrued since the last claim; there is nothing to claim yet.")
        return made

    return await database.write(work, actor=by, via=via)


async def _prepare(tx: Transaction, agreement_id: str, wanted: Wanted, caller: Caller | None = None) -> str | None:
    """One claim of an agreement; None where there is nothing to claim, or somebody else was first."""
    tx.enter(Rank.FUNDING)
    query = select(funding_agreement).where(funding_agreement.c.id == agreement_id).with_for_update()
    row = (await tx.conn.execute(query)).mappings().first()
    place = await reference.place(tx.conn, row["office"]) if row is not None else None
    if row is None or place is None or (caller is not None and not _may_ask(caller, row, place)):
        raise NotFound(f"There is no funding agreement {agreement_id}.")
    is_due = row["next_claim_at"] is not None and row["next_claim_at"] <= wanted.at
    if wanted.kind in ("periodic", "final") and not is_due:
        return None
    policy = await reference.policy_at(tx.conn, place, wanted.at)
    key = f"{row['number']}-{row['claims'] + 1}"
    about = journey_id("claim", row["source"], key)
    values: dict[str, Any] = {}
    if wanted.kind in ("periodic", "final"):
        values |= {"next_claim_at": _next(row, wanted)}
    if wanted.kind == "final":
        values |= {"final_claim_at": wanted.at, **await _take_the_rest(tx, row, policy, about, wanted.at)}
    frozen = await tx.conn.execute(_FREEZE, {"claim": about, "agreement": agreement_id})
    if frozen.rowcount:
        values |= {"claims": row["claims"] + 1}
    if values:
        await tx.conn.execute(update(funding_agreement).where(funding_agreement.c.id == agreement_id).values(**values))
    if not frozen.rowcount:
        return None
    await _open(tx, row, key, place, policy, wanted)
    return about


def _may_ask(caller: Caller, row: RowMapping, place: reference.Place) -> bool:
    if caller.person is not None:
        return caller.person.may_decide(row["entity"], place.region, place.code)
    return row["source"] in {caller.source, *caller.sources}


def _next(row: RowMapping, wanted: Wanted) -> datetime | None:
    """When the claim after this one is due; None after the last."""
    if wanted.kind == "final":
        return None
    last: datetime = row["ends_at"] + timedelta(days=row["claim_window_days"])
    following: datetime = row["next_claim_at"]
    while following <= wanted.at:  # an installation that was away does not prepare an empty claim for each interval
        following += timedelta(days=row["claim_every_days"])
    return min(following, last)


async def _take_the_rest(tx: Transaction, row: RowMapping, policy: Policy, about: str, at: datetime) -> dict[str, int]:
    """What no unit has earned of a lump sum is accrued with the last claim; returns the agreement's counters."""
    terms = TERMS.validate_python(row["terms"])
    rest = terms.amount_minor - row["accrued_minor"] if isinstance(terms, LumpSum) else 0
    if not rest:
        return {}
    promotions = await tx.conn.execute(
        select(tables.funded_promotion.c.promotion_id)
        .where(tables.funded_promotion.c.agreement_id == row["id"])
        .order_by(tables.funded_promotion.c.promotion_id)
    )
    await tx.conn.execute(
        insert(funding_accrual).values(
            agreement_id=row["id"], promotion_id=promotions.scalars().first() or row["number"], entity=row["entity"],
            kind="rest", quantity=0, earned_minor=rest, amount_minor=rest, cause=f"final:{about}", at=at,
        )
    )  # fmt: skip
    tx.post(
        Entry(
            row["entity"], ACCRUED, row["currency"], f"final:{about}", funding_postings.accrued(rest, Spot()), at,
            None, policy.authority.of_posting(ACCRUED),
        )
    )  # fmt: skip
    return {"earned_minor": row["earned_minor"] + rest, "accrued_minor": row["accrued_minor"] + rest}


async def _open(
    tx: Transaction, row: RowMapping, key: str, place: reference.Place, policy: Policy, wanted: Wanted
) -> None:
    """The journey of a claim whose accruals are frozen under its id."""
    about, at = journey_id("claim", row["source"], key), wanted.at
    await tx.conn.execute(_LINES, {"claim": about})
    total = await tx.conn.execute(
        text("SELECT sum(amount_minor)::bigint FROM claim_line WHERE journey_id = :claim"), {"claim": about}
    )
    amount = int(total.scalar_one())
    await tx.conn.execute(
        insert(journey).values(
            id=about, kind="claim", source=row["source"], key=key, state=S.PREPARED.value, location=place.code,
            region=place.region, entity=row["entity"], channel=CHANNEL, currency=row["currency"],
            requested_by=wanted.requested_by, opened_at=at, dues={}, asks={},
            detail={"barred": list(wanted.barred)}, policy_copy=await policies.keep(tx.conn, policy),
            policy_version=policy.version,
        )
    )  # fmt: skip
    await tx.conn.execute(
        insert(tables.claim).values(
            journey_id=about, agreement_id=row["id"], entity=row["entity"], vendor=row["vendor"], kind=wanted.kind,
            currency=row["currency"], amount_minor=amount, frozen_at=at,
        )
    )  # fmt: skip
    found = (await tx.conn.execute(select(journey).where(journey.c.id == about))).mappings().one()
    it = await Claim.load(tx, found)
    told = await _begin(it, Moment(f"prepared:{about}", at))
    await note(tx, about, "prepared", key, f"{money(amount, row['currency'])} of {it.vendor} frozen. {told}", at)
    await it.save(at)
    tx.record("claim.prepared", about, at, after={"amount_minor": amount, "kind": wanted.kind})
    situation = Situation(
        subject=about,
        state=it.row["state"],
        ended=it.row["closed_at"] is not None,
        dues=situations.due_list(it.row["dues"]),
        approval_id=it.row["asks"].get("approval_id"),
    )
    tx.start(about, "claim", situation, search_attributes(it.row))


async def _begin(it: Claim, moment: Moment) -> str:
    """Too little is released, some needs somebody's word, the rest goes out at once."""
    amount, policy = it.head["amount_minor"], it.policy
    if not amount or (it.head["kind"] == "late" and abs(amount) < policy.claim.least_minor):
        for line in it.lines.values():
            line["released_minor"] = line["amount_minor"]
        it.head["released_minor"] = amount
        it.post("claim.released", moment, funding_postings.released(amount, billed=False))
        it.go(S.WRITTEN_OFF)
        return "It is too little to claim, and is released." if amount else "Sales and returns make up for each other."
    level = level_of(policy.bands.claim.limits, abs(amount), Rolling())
    if level is Level.NONE:
        return await agreed(it, moment)
    it.row["asks"] = {"approval_id": await _ask(it, level, moment.at)}
    return "Somebody has to agree."


async def _ask(it: Claim, level: Level, at: datetime) -> int:
    return await it.open_approval(
        "claim",
        at,
        subject=f"Claim {it.row['key']} against {it.vendor}",
        requester=it.row["requested_by"],
        barred=it.row["detail"].get("barred", ()),
        amount_minor=abs(it.head["amount_minor"]),
        facts={
            "claim": it.row["key"],
            "vendor": it.vendor,
            "agreement": it.agreement["number"],
            "document": it.agreement["document"],
            "items": len(it.lines),
        },
        level=level,
    )


async def settle_approval(it: Claim, moment: Moment) -> str:
    """A verdict was given, or nobody gave one in time: it goes out, or what it froze is free for the next claim."""
    verdict = it.row["asks"]["verdict"]
    it.row["asks"] = {}
    if verdict == "approved":
        return await agreed(it, moment)
    await withdraw(it)
    because = "Rejected" if verdict == "rejected" else "Nobody agreed in time"
    return f"{because}; what it claims belongs to the next claim."


async def withdraw(it: Claim) -> None:
    """A claim that has not gone out ends; what it froze is in no claim again."""
    it.go(S.CANCELLED)
    await it.tx.conn.execute(update(funding_accrual).where(funding_accrual.c.claim_id == it.id).values(claim_id=None))


async def agreed(it: Claim, moment: Moment) -> str:
    """Everybody who has to has agreed: it is sent, unless the vendor has no address for it."""
    it.go(S.APPROVED)
    if await it.mail_vendor("claim_sent", "1", moment.at):
        return f"Sent. {sent(it, moment)}".rstrip()
    it.due("unsent", moment.at + timedelta(seconds=it.policy.claim.unsent_s))
    return f"Agreed; {it.vendor} has no address for claims, somebody has to hand it over."


def sent(it: Claim, moment: Moment) -> str:
    """It is with the vendor, and in the books as owed by it. One that gives money back is settled by that."""
    it.go(S.SENT)
    it.drop_dues("unsent")
    amount = it.head["amount_minor"]
    it.head |= {"is_billed": True, "sent_at": moment.at}
    it.post("claim.sent", moment, funding_postings.claimed(amount))
    if amount > 0:
        it.due("answer", moment.at + timedelta(seconds=it.policy.claim.answer_s))
        return ""
    for line in it.lines.values():
        line["accepted_minor"] = line["amount_minor"]
    it.head["accepted_minor"] = amount
    it.settle(amount, "deduction", moment)
    it.stand(moment)
    return f"{it.vendor} gets {money(-amount, it.row['currency'])} back by what it is owed."
