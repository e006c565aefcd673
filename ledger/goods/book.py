"""Decides facts about goods in memory, one after the other, on locked rows: movements, sale lines, postings, costs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from domain import postings
from domain.events import PosSale, SaleLineIn, StockAdjusted, StockReceived
from domain.ids import receipt_document
from domain.stock import draw_for_sale
from ledger import reference
from ledger.found import Demand
from ledger.funding.change import ACCRUED, Funded
from ledger.goods.fact import Costs, GoodsFact, UnitCost
from ledger.journal import Entry
from ledger.shelf import Cause
from ledger.transaction import Transaction


@dataclass
class Book:
    """What a batch has decided so far. `on_hand` counts the units of (entity, SKU) that a receipt's average needs."""

    tx: Transaction
    costs: Costs
    demand: Demand
    on_hand: dict[tuple[str, str], int]
    sale_lines: list[dict[str, Any]] = field(default_factory=list)
    averages: dict[tuple[str, str], int] = field(default_factory=dict)  # new ones, in 1/10,000 minor units

    def take(self, fact: GoodsFact) -> None:
        """Take one fact on top of those before it; a sale is never refused, it may draw below zero."""
        data = fact.data
        if isinstance(data, PosSale):
            lines = self._sold(fact, data)
            event = "pos.sale"
        elif isinstance(data, StockReceived):
            lines = self._received(fact, data)
            event = "stock.received"
        else:
            lines = self._adjusted(fact, data)
            event = "stock.adjusted"
        place, authority = fact.place, fact.policy.authority.of_posting(event)
        self.tx.post(Entry(place.entity, event, place.currency, fact.cause, lines, fact.at, None, authority))

    def _why(self, fact: GoodsFact, actor: str | None = None) -> Cause:
        return Cause(fact.cause, actor or self.tx.actor, fact.at, fact.place.entity)

    def _count(self, fact: GoodsFact, sku: str, units: int) -> None:
        key = (fact.place.entity, sku)
        if key in self.on_hand:
            self.on_hand[key] += units

    def _sold(self, fact: GoodsFact, data: PosSale) -> list[postings.Line]:
        why, place = self._why(fact), fact.place
        document = receipt_document(fact.source, place.code, data.receipt)
        entry: list[postings.Line] = []
        for line in data.lines:
            unit_cost_e4 = self.costs[place.entity, line.sku].average_e4
            cost = reference.cost_of(unit_cost_e4, line.quantity)
            self._draw(place.code, line, unit_cost_e4, cost, why)
            self._count(fact, line.sku, -line.quantity)
            entry += postings.sale(
                _sale_of(line, cost), paid_from="payment_clearing", location=place.code, sku=line.sku
            )
            row = _sale_row(document, fact, line, cost)
            self.sale_lines.append(row)
            if line.promotion_id is not None:
                authority = fact.policy.authority.of_posting(ACCRUED)
                self.tx.fund(Funded.sold(row, line.quantity, fact.cause, fact.at, authority, is_new=True))
        return entry

    def _draw(self, location: str, line: SaleLineIn, unit_cost_e4: int, cost_minor: int, why: Cause) -> None:
        """Available first, then what waits for a count (it exists: it was sold), and only then below zero."""
        shelf = self.tx.shelf
        draw = draw_for_sale(
            line.quantity,
            shelf.quantity(location, line.sku, "available"),
            shelf.quantity(location, line.sku, "count_pending"),
        )
        of_pending = min(reference.cost_of(unit_cost_e4, draw.count_pending), cost_minor)
        if draw.count_pending == line.quantity:
            of_pending = cost_minor
        parts = (
            ("count_pending", draw.count_pending, of_pending),
            ("available", draw.available + draw.overdrawn, cost_minor - of_pending),
        )
        for bucket, units, cost in parts:
            if units:
                shelf.move(
                    "sold",
                    line.sku,
                    units,
                    (location, bucket),
                    (location, "customer"),
                    why,
                    unit_cost_e4=unit_cost_e4,
                    cost_minor=cost,
                )

    def _received(self, fact: GoodsFact, data: StockReceived) -> list[postings.Line]:
        """Goods from a supplier: available at once, at a new average cost; whoever waits for them is served first."""
        why, place = self._why(fact), fact.place
        entry: list[postings.Line] = []
        arrived: dict[str, tuple[int, int]] = {}
        for line in data.lines:
            standard = self.costs[place.entity, line.sku].standard_minor
            unit_cost = standard if line.unit_cost_minor is None else line.unit_cost_minor
            cost = line.quantity * unit_cost
            self.tx.shelf.move(
                "received",
                line.sku,
                line.quantity,
                (place.code, "supplier"),
                (place.code, "available"),
                why,
                unit_cost_e4=unit_cost * 10_000,
                cost_minor=cost,
            )
            entry += postings.receipt(cost, location=place.code, sku=line.sku)
            units, money = arrived.get(line.sku, (0, 0))
            arrived[line.sku] = (units + line.quantity, money + cost)
        for sku, (units, money) in arrived.items():
            self._average_in(place.entity, sku, units, money)
            self._count(fact, sku, units)
        self.demand.serve([(place.code, sku) for sku in arrived], why)
        return entry

    def _average_in(self, entity: str, sku: str, units: int, cost_minor: int) -> None:
        """Move the average cost by what arrived; with nothing on hand, the receipt's cost is the average."""
        key, before = (entity, sku), self.costs[entity, sku]
        had = max(self.on_hand[key], 0)
        average = (had * before.average_e4 + cost_minor * 10_000) // (had + units)
        self.averages[key] = average
        self.costs[key] = UnitCost(average, before.standard_minor)

    def _adjusted(self, fact: GoodsFact, data: StockAdjusted) -> list[postings.Line]:
        """A correction that needs nobody's word, or has it. Units lost leave where they were parked first."""
        why, place = self._why(fact, data.actor), fact.place
        unit_cost_e4 = self.costs[place.entity, data.sku].average_e4
        units = abs(data.quantity)
        cost = reference.cost_of(unit_cost_e4, units)
        of_parked = cost if fact.parked == units else min(reference.cost_of(unit_cost_e4, fact.parked), cost)
        sides = (
            [(units, "found", "available", cost)]
            if data.quantity > 0
            else [
                (fact.parked, "count_pending", "shrink", of_parked),
                (units - fact.parked, "available", "shrink", cost - of_parked),
            ]
        )
        for part, source, target, part_cost in sides:
            if part:
                self.tx.shelf.move(
                    "adjusted",
                    data.sku,
                    part,
                    (place.code, source),
                    (place.code, target),
                    why,
                    reason=data.reason,
                    unit_cost_e4=unit_cost_e4,
                    cost_minor=part_cost,
                )
        self._count(fact, data.sku, data.quantity)
        if data.quantity > 0:
            self.demand.serve([(place.code, data.sku)], why)
        signed = cost if data.quantity > 0 else -cost
        return postings.adjustment(signed, data.reason, location=place.code, sku=data.sku)


def _sale_of(line: SaleLineIn, cost_minor: int) -> postings.Sale:
    return postings.Sale(
        gross_minor=line.quantity * line.unit_price_minor,
        discount_minor=line.discount_minor,
        coupon_minor=line.coupon_minor,
        tax_minor=line.tax_minor,
        tax_included=False,
        cost_minor=cost_minor,
    )


def _sale_row(document: str, fact: GoodsFact, line: SaleLineIn, cost_minor: int) -> dict[str, Any]:
    return {
        "document": document,
        "line_id": line.line,
        "sku": line.sku,
        "entity": fact.place.entity,
        "location": fact.place.code,
        "currency": fact.place.currency,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "gross_minor": line.quantity * line.unit_price_minor,
        "discount_minor": line.discount_minor,
        "vendor_funded_minor": line.vendor_funded_minor,
        "coupon_minor": line.coupon_minor,
        "tax_minor": line.tax_minor,
        "promotion_id": line.promotion_id,
        "regular_price_minor": line.regular_price_minor,
        "override_reason": line.override.reason if line.override else None,
        "override_actor": line.override.actor if line.override else None,
        "handed_over": line.quantity,
        "cost_minor": cost_minor,
    }


def raised(facts: Sequence[GoodsFact]) -> set[tuple[str, str]]:
    """(location, SKU) where some of the facts put goods on the shelf."""
    return {
        (fact.place.code, sku)
        for fact in facts
        if isinstance(fact.data, StockReceived) or (isinstance(fact.data, StockAdjusted) and fact.data.quantity > 0)
        for sku in fact.skus
    }


def drawn(facts: Sequence[GoodsFact]) -> dict[tuple[str, str], int]:
    """How many units of each (location, SKU) the facts take from the shelf, whatever they put there."""
    taken: dict[tuple[str, str], int] = {}
    for fact in facts:
        data = fact.data
        if isinstance(data, PosSale):
            for line in data.lines:
                key = (fact.place.code, line.sku)
                taken[key] = taken.get(key, 0) + line.quantity
        elif isinstance(data, StockAdjusted) and data.quantity < 0:
            key = (fact.place.code, data.sku)
            taken[key] = taken.get(key, 0) - data.quantity
    return taken
