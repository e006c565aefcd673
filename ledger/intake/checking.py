"""What can be said of an order before stock is looked at: whether the master data allows it, its policy, its due
instants.
"""

from dataclasses import dataclass
from datetime import datetime

from domain import bopis
from domain.errors import StateConflict, UnknownLocation, UnsupportedItem, WrongCurrency
from domain.ids import journey_id
from domain.orders import BopisOrder
from ledger.intake.catalogue import Catalogue, Resolved
from ledger.reference import Place


@dataclass(slots=True)
class Checked:
    """An order that may be promised. `at` is when it was placed; `due` when its pick must be done."""

    order: BopisOrder
    source: str
    actor: str
    journey: str
    where: Place
    policy: Resolved
    at: datetime
    due: datetime
    frozen: bool

    @property
    def promised_at(self) -> datetime:
        return self.order.promised_at or self.due

    def nags(self) -> dict[str, datetime]:
        """The reminders of a pick that is waited for."""
        return bopis.nag_dues(self.at, self.due, self.policy.policy.bopis)


def check(catalogue: Catalogue, order: BopisOrder, *, source: str, actor: str, received_at: datetime) -> Checked:
    """Judge an order by master data that `catalogue` has loaded.

    Raises `UnknownLocation`, `StateConflict`, `WrongCurrency`, `UnknownSku`, `UnsupportedItem`.
    """
    where = catalogue.place(order.pickup_location, pointer="/pickup_location")
    if not order.is_sent and (where.kind not in ("store", "hub") or not where.pickup):
        raise UnknownLocation(
            f"{where.name} ({where.code}) hands out no pickups; choose a store that does.", pointer="/pickup_location"
        )
    if where.status != "open":
        raise StateConflict(f"{where.name} takes no orders now: {where.status.replace('_', ' ')}.")
    if order.currency != where.currency:
        raise WrongCurrency(
            f"{where.name} sells in {where.currency}, the order is in {order.currency}.", pointer="/currency"
        )
    items = catalogue.items([line.sku for line in order.lines])
    frozen = False
    for number, line in enumerate(order.lines):
        one = items[line.sku]
        frozen |= one.frozen
        if one.is_stopped(where.code):
            raise UnsupportedItem(
                f"SKU {line.sku} is stopped from sale; take it off the order.", pointer=f"/lines/{number}/sku"
            )
    at = order.placed_at or received_at
    policy = catalogue.policy_at(where, at)
    return Checked(
        order=order,
        source=source,
        actor=actor,
        journey=journey_id("bopis", source, order.order_id),
        where=where,
        policy=policy,
        at=at,
        due=bopis.pick_due(at, order.promised_at, policy.policy.bopis, where.staff_hours),
        frozen=frozen,
    )
