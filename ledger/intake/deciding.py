"""Decides what of each order is promised, from stock rows that are locked: in the order of arrival, one after the
other, so a batch promises exactly what its orders would have been promised singly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from domain.bopis import BopisState
from domain.errors import HoldEnded, Malformed
from domain.ids import api_link, checkout_id
from domain.orders import OrderLine, PlacedLine, PlacedOrder
from domain.stock import atp
from ledger.intake.checking import Checked

type Spot = tuple[str, str]  # (location, sku)


@dataclass(slots=True)
class Shelf:
    """A locked stock row, as far as a promise needs it. `available` goes down with each promise."""

    available: int
    safety_stock: int
    confidence_permille: int


@dataclass(slots=True)
class HeldLine:
    """An open line of a checkout hold, locked. `open` goes down as orders take from it; `taken` counts that."""

    id: str
    checkout: str
    location: str
    sku: str
    open: int
    expires_at: datetime | None
    ended: str = ""  # what became of it, where nothing is open
    taken: int = 0


class Granted(NamedTuple):
    """What of one line is promised, and what is not. `from_hold` of the reserved units were held before."""

    line: OrderLine
    reserved: int
    from_hold: int = 0

    @property
    def short(self) -> int:
        return self.line.quantity - self.reserved


@dataclass(slots=True)
class Decided:
    """An order with its promise."""

    checked: Checked
    state: BopisState
    lines: list[Granted]
    dues: dict[str, datetime]

    @property
    def failure(self) -> str | None:
        return "reservation_failure" if self.state is BopisState.RESERVATION_FAILED else None

    def answer(self) -> PlacedOrder:
        """What the caller is told."""
        return PlacedOrder(
            journey_id=self.checked.journey,
            state=self.state.value,
            promised_at=self.checked.promised_at,
            lines=tuple(
                PlacedLine(
                    line_id=got.line.line_id,
                    sku=got.line.sku,
                    quantity=got.line.quantity,
                    reserved=got.reserved,
                    short=got.short,
                )
                for got in self.lines
            ),
            links={"self": api_link("journeys", self.checked.journey)},
        )

    def told(self) -> str:
        """The order's first line of the timeline."""
        wanted = reserved = 0
        for got in self.lines:
            wanted += got.line.quantity
            reserved += got.reserved
        return (
            f"Order placed on {self.checked.order.channel}; {reserved} of {wanted} units reserved at"
            f" {self.checked.where.name}" + (f", {wanted - reserved} not there." if reserved < wanted else ".")
        )


def decide(checked: Checked, stock: Mapping[Spot, Shelf], held: Mapping[str, list[HeldLine]], now: datetime) -> Decided:
    """Promise what a checkout hold and ATP cover: line by line, or the whole order or nothing, as policy says.

    Takes it off `stock` and `held`; an order that is promised nothing takes nothing. Raises `Malformed`, `HoldEnded`
    for a hold that is not there (any more); then nothing was taken.
    """
    order, policy = checked.order, checked.policy.policy
    own = _open_lines(checked, held, now) if order.hold_id is not None else []
    threshold = policy.stock.channel_threshold.get(order.channel, 0)
    left: dict[str, int] = {}
    kept = {line.id: line.open for line in own}
    granted = []
    is_short = False
    for line in order.lines:
        from_hold = 0
        for part in own:
            if part.sku == line.sku and from_hold < line.quantity:
                units = min(kept[part.id], line.quantity - from_hold)
                kept[part.id] -= units
                from_hold += units
        if line.sku not in left:
            row = stock[order.pickup_location, line.sku]
            left[line.sku] = atp(
                row.available,
                safety_stock=row.safety_stock,
                channel_threshold=threshold,
                confidence_permille=row.confidence_permille,
            )
        grant = min(line.quantity - from_hold, left[line.sku])
        left[line.sku] -= grant
        is_short |= from_hold + grant < line.quantity
        granted.append(Granted(line, from_hold + grant, from_hold))
    if is_short and policy.bopis.allocation == "whole_order":
        granted = [Granted(got.line, 0) for got in granted]
        kept = {line.id: line.open for line in own}
    for got in granted:
        stock[order.pickup_location, got.line.sku].available -= got.reserved - got.from_hold
    for part in own:
        part.taken += part.open - kept[part.id]
        part.open = kept[part.id]
        part.ended = part.ended or ("" if part.open else "committed")
    if order.hold is not None:
        state = BopisState.PLACED
    elif is_short:
        state = BopisState.RESERVATION_FAILED
    else:
        state = BopisState.RESERVED
    dues = {}
    if state is BopisState.RESERVED:
        # By instant; by name where two fall together.
        dues = {name: at for at, name in sorted([(at, name) for name, at in checked.nags().items()])}
    return Decided(checked, state, granted, dues)


def _open_lines(checked: Checked, held: Mapping[str, list[HeldLine]], now: datetime) -> list[HeldLine]:
    """The open lines of the order's hold at its place. Raises `Malformed` where there is none, `HoldEnded`."""
    name = checked.order.hold_id
    lines = held.get(checkout_id(checked.source, name or ""), [])
    if not lines:
        raise Malformed(
            "hold_id is given, but there is no such checkout hold; send the order without it.", pointer="/hold_id"
        )
    usable = [line for line in lines if line.open > 0 and (line.expires_at is None or line.expires_at > now)]
    if not usable:
        what = next((line.ended for line in lines if line.ended), "") or "expired"
        raise HoldEnded(
            f"Hold {name} is {what} already; send the order without hold_id to reserve anew.", pointer="/hold_id"
        )
    here = [line for line in usable if line.location == checked.where.code]
    if not here:
        places = ", ".join(sorted({line.location for line in usable}))
        raise Malformed(f"Hold {name} holds goods at {places}, not at {checked.where.code}.", pointer="/hold_id")
    return here
