"""Accrues what vendors pay of what was sold: set-based, in the transaction of the fact, whichever fact it is.

Where a cap, tiers or a lump sum make it matter what was sold before, the agreement is locked and counted; all others
are only read. Sale lines are locked by whoever changes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy import text

from domain import funding_postings
from domain.funding import (
    Counter,
    Earned,
    LumpSum,
    Percent,
    ScanBack,
    Terms,
    cap_of,
    is_counted,
    sell,
    take_back,
)
from domain.funding_postings import Spot
from domain.postings import Line
from ledger import rows
from ledger.funding.change import ACCRUED, Funded
from ledger.journal import Entry
from ledger.transaction import Rank, Transaction

TERMS: TypeAdapter[ScanBack | Percent | LumpSum] = TypeAdapter(Terms)


@dataclass
class _Agreement:
    id: str
    starts_at: datetime
    ends_at: datetime
    terms: ScanBack | Percent | LumpSum
    skus: frozenset[str]
    is_over: bool  # its last claim was prepared
    counter: Counter = field(default_factory=Counter)

    def pays_for(self, change: Funded) -> bool:
        """Whether units that were sold earn something. A manufacturer's coupon has paid for its line already."""
        return (
            self.starts_at <= change.at < self.ends_at
            and (not self.skus or change.line["sku"] in self.skus)
            and not change.line["coupon_minor"]
        )


class _Line(NamedTuple):
    """What units of a sale line have earned so far, under which agreement."""

    agreement_id: str
    units: int
    earned_minor: int


_AGREEMENTS = text(
    "SELECT f.entity, f.promotion_id, a.id, a.starts_at, a.ends_at, a.terms, a.skus,"
    " a.final_claim_at IS NOT NULL AS is_over"
    " FROM unnest(CAST(:entities AS text[]), CAST(:promotions AS text[])) AS w(entity, promotion_id)"
    " JOIN funded_promotion f USING (entity, promotion_id) JOIN funding_agreement a ON a.id = f.agreement_id"
)
_COUNTERS = text(
    "SELECT id, final_claim_at IS NOT NULL AS is_over, units, earned_minor, accrued_minor FROM funding_agreement"
    " WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)
_LINES = text(
    "SELECT a.document, a.line_id, min(a.agreement_id) AS agreement_id, sum(a.quantity)::int AS units,"
    " sum(a.earned_minor)::bigint AS earned_minor"
    " FROM unnest(CAST(:documents AS text[]), CAST(:line_ids AS text[])) AS w(document, line_id)"
    " JOIN funding_accrual a USING (document, line_id) GROUP BY 1, 2"
)
_ACCRUALS = rows.Columns(
    "funding_accrual",
    {
        "agreement_id": "text", "promotion_id": "text", "entity": "text", "kind": "text", "location": "text",
        "sku": "text", "document": "text", "line_id": "text", "quantity": "int", "earned_minor": "bigint",
        "amount_minor": "bigint", "tier": "int", "cap_left_minor": "bigint", "cause": "text", "at": "timestamptz",
    },
)  # fmt: skip
_COUNT = text(
    "UPDATE funding_agreement a SET units = w.units, earned_minor = w.earned_minor, accrued_minor = w.accrued_minor"
    " FROM unnest(CAST(:ids AS text[]), CAST(:units AS int[]), CAST(:earned AS bigint[]), CAST(:accrued AS bigint[]))"
    " AS w(id, units, earned_minor, accrued_minor) WHERE a.id = w.id"
)


async def accrue(tx: Transaction, changes: Sequence[Funded]) -> None:
    """Write what the changes earn, in their order, and post it; what no agreement pays for is left out."""
    agreements = await _agreements(tx, changes)
    if not agreements:
        return
    lines = await _lines(tx, [one for one in changes if one.promotion in agreements and not one.is_new])
    await _lock_counters(tx, agreements.values())
    book = _Book(lines, {one.id: one for one in agreements.values()})
    for change in changes:
        book.take(agreements.get(change.promotion), change)
    await _ACCRUALS.write(tx.conn, book.rows)
    counted = [one for one in book.agreements.values() if is_counted(one.terms) and one.id in book.touched]
    if counted:
        await tx.conn.execute(
            _COUNT,
            {
                "ids": [one.id for one in counted],
                "units": [one.counter.units for one in counted],
                "earned": [one.counter.earned_minor for one in counted],
                "accrued": [one.counter.accrued_minor for one in counted],
            },
        )
    for entry in book.entries():
        tx.post(entry)


async def _agreements(tx: Transaction, changes: Sequence[Funded]) -> dict[tuple[str, str], _Agreement]:
    wanted = sorted({change.promotion for change in changes})
    found = await tx.conn.execute(
        _AGREEMENTS, {"entities": [one[0] for one in wanted], "promotions": [one[1] for one in wanted]}
    )
    known: dict[str, _Agreement] = {}  # several promotions of one agreement count together
    by_promotion = {}
    for row in found:
        if row.id not in known:
            known[row.id] = _Agreement(
                row.id, row.starts_at, row.ends_at, TERMS.validate_python(row.terms), frozenset(row.skus), row.is_over
            )
        by_promotion[row.entity, row.promotion_id] = known[row.id]
    return by_promotion


async def _lines(tx: Transaction, changes: Sequence[Funded]) -> dict[tuple[str, str], _Line]:
    keys = sorted({change.key for change in changes})
    if not keys:
        return {}
    found = await tx.conn.execute(_LINES, {"documents": [key[0] for key in keys], "line_ids": [key[1] for key in keys]})
    return {(row.document, row.line_id): _Line(row.agreement_id, row.units, row.earned_minor) for row in found}


async def _lock_counters(tx: Transaction, agreements: Iterable[_Agreement]) -> None:
    counted = {one.id: one for one in agreements if is_counted(one.terms)}
    if not counted:
        return
    tx.enter(Rank.FUNDING)
    for key, is_over, *figures in await tx.conn.execute(_COUNTERS, {"ids": sorted(counted)}):
        counted[key].is_over, counted[key].counter = is_over, Counter(*figures)


class _Book:
    """Decides what each change earns, on top of those before it."""

    def __init__(self, lines: dict[tuple[str, str], _Line], agreements: dict[str, _Agreement]) -> None:
        self.rows: list[dict[str, Any]] = []
        self.touched: set[str] = set()
        self.agreements = agreements
        self._lines = lines
        self._posted: dict[tuple[str, str], tuple[Funded, dict[Spot, int]]] = {}

    def take(self, agreement: _Agreement | None, change: Funded) -> None:
        before = self._lines.get(change.key)
        if before is not None:  # what a line has earned goes back to who pays it, whatever covers its promotion now
            agreement = self.agreements.get(before.agreement_id, agreement)
        if agreement is None or not change.units:
            return
        before = before or _Line(agreement.id, 0, 0)
        if change.units > 0:
            # Units that a customer has again were sold when they were sold first.
            if change.kind == "sale" and not agreement.pays_for(change):
                return
            if change.kind == "return" and change.key not in self._lines:
                return
            units, earned = change.units, _sold(agreement, change, before)
        else:
            units = -min(-change.units, before.units)
            if not units:
                return
            earned = _taken_back(agreement, -units, before)
        self._count(agreement, change, units, earned, before)

    def _count(self, agreement: _Agreement, change: Funded, units: int, earned: Earned, before: _Line) -> None:
        if is_counted(agreement.terms):
            agreement.counter = earned.after
            self.touched.add(agreement.id)
        self._lines[change.key] = _Line(agreement.id, before.units + units, before.earned_minor + earned.earned_minor)
        cap, line = cap_of(agreement.terms), change.line
        self.rows.append(
            {
                "agreement_id": agreement.id,
                "promotion_id": line["promotion_id"],
                "entity": line["entity"],
                "kind": change.kind,
                "location": line["location"],
                "sku": line["sku"],
                "document": line["document"],
                "line_id": line["line_id"],
                "quantity": units,
                "earned_minor": earned.earned_minor,
                "amount_minor": earned.amount_minor,
                "tier": earned.tier,
                "cap_left_minor": None if cap is None else cap - earned.after.accrued_minor,
                "cause": change.cause,
                "at": change.at,
            }
        )
        _, spots = self._posted.setdefault((change.cause, str(line["entity"])), (change, {}))
        spot = Spot(str(line["location"]), str(line["sku"]))
        spots[spot] = spots.get(spot, 0) + earned.amount_minor

    def entries(self) -> list[Entry]:
        """One for each cause and entity."""
        made = []
        for (cause, entity), (change, spots) in self._posted.items():
            posted: list[Line] = []
            for spot, amount in spots.items():
                posted += funding_postings.accrued(amount, spot)
            currency = str(change.line["currency"])
            made.append(Entry(entity, ACCRUED, currency, cause, posted, change.at, change.journey_id, change.authority))
        return made


def _sold(agreement: _Agreement, change: Funded, before: _Line) -> Earned:
    terms, counter, line = agreement.terms, agreement.counter, change.line
    if isinstance(terms, LumpSum) and agreement.is_over:  # the last claim has taken the whole sum
        return _nothing(counter, change.units)
    return sell(
        terms,
        counter,
        units=change.units,
        base_minor=change.base_minor(terms.base) if isinstance(terms, Percent) else 0,
        of_units=line["quantity"],
        taken=before.units,
    )


def _taken_back(agreement: _Agreement, units: int, before: _Line) -> Earned:
    if isinstance(agreement.terms, LumpSum) and agreement.is_over:
        return _nothing(agreement.counter, -units)
    return take_back(
        agreement.terms, agreement.counter, units=units, of_units=before.units, earned_minor=before.earned_minor
    )


def _nothing(counter: Counter, units: int) -> Earned:
    return Earned(0, 0, 0, counter._replace(units=counter.units + units))
