"""The bodies that the demo's till, web shop and store crew send; each is what `domain` says an order or event is.

Every id is made from the basket's number, so sending a body again is recognised as the same one.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from demo import places
from demo.baskets import Basket, Line
from demo.plan import chance

Body = dict[str, Any]
PROMISE_H = 4
#: How many customers let the shop ask them for a substitute.
ASKED_SHARE = 0.4


def stamp(at: dt.datetime) -> str:
    """RFC 3339 with offset, to the millisecond."""
    return at.isoformat(timespec="milliseconds")


def order_id(basket: Basket) -> str:
    """The web shop's number for a basket: day and till number."""
    return f"W-{basket.day:03d}-{basket.id % 10**8:08d}"


def order(basket: Basket, placed_at: dt.datetime) -> Body:
    """A BOPIS order for a basket: paid by card when placed, ready in four hours, rounded up to a quarter of an hour."""
    return order_of(order_id(basket), basket.household, basket.location, basket.lines, placed_at)


def order_of(number: str, household: int, location: str, lines: tuple[Line, ...], placed_at: dt.datetime) -> Body:
    """An order of any lines; money as the lines have it."""
    customer = places.customer(household)
    return {
        "order_id": number,
        "channel": "web",
        "pickup_location": location,
        "currency": places.CURRENCY,
        "placed_at": stamp(placed_at),
        "promised_at": stamp(_next_quarter(placed_at + dt.timedelta(hours=PROMISE_H))),
        "prices_include_tax": False,
        "customer": {"name": customer.name, "email": customer.email},
        "lines": [_order_line(number, line) for line in lines],
        "payments": [
            {
                "reference": f"pay-{number}",
                "tender": "card",
                "amount_minor": sum(line.total_minor for line in lines),
                "state": "captured",
            }
        ],
    }


def _next_quarter(at: dt.datetime) -> dt.datetime:
    whole = at.replace(minute=0, second=0, microsecond=0)
    quarters = -(-int((at - whole).total_seconds()) // 900)
    return whole + dt.timedelta(minutes=15 * quarters)


def _order_line(number: str, line: Line) -> Body:
    body: Body = {
        "line_id": line.line_id,
        "sku": line.sku,
        "quantity": line.quantity,
        "unit_price_minor": line.unit_price_minor,
        "discount_minor": line.discount_minor,
        "tax_minor": line.tax_minor,
        "substitution": "ask" if chance(0, "substitution", number) < ASKED_SHARE else "never",
        "fallback": "refund_line",
    }
    if line.tax_minor:
        body["tax"] = [
            {"code": "sales", "jurisdiction": "US-OH", "rate_ppm": line.tax_rate_ppm, "amount_minor": line.tax_minor}
        ]
    return body


def event(number: str, kind: str, occurred_at: dt.datetime, data: Body) -> Body:
    """The canonical envelope."""
    return {"id": number, "type": kind, "occurred_at": stamp(occurred_at), "data": data}


def sale(basket: Basket, occurred_at: dt.datetime, *, unlisted: bool = False) -> Body:
    """A basket rung up at the till; with `unlisted` it holds an item that the item master does not know."""
    lines = basket.lines + (basket.unlisted[:1] if unlisted else ())
    return sale_of(f"sale-{basket.id}", basket.location, str(basket.id), lines, occurred_at)


def sale_of(number: str, location: str, receipt: str, lines: tuple[Line, ...], occurred_at: dt.datetime) -> Body:
    """A till receipt of any lines; the customer's card pays what manufacturers' coupons do not."""
    paid_minor = sum(line.total_minor - line.coupon_minor for line in lines)
    return event(
        number,
        "pos.sale",
        occurred_at,
        {
            "location": location,
            "receipt": receipt,
            "lines": [
                {
                    "line": line.line_id,
                    "sku": line.sku,
                    "quantity": line.quantity,
                    "unit_price_minor": line.unit_price_minor,
                    "regular_price_minor": line.unit_price_minor,
                    "discount_minor": line.discount_minor,
                    "coupon_minor": line.coupon_minor,
                    "tax_minor": line.tax_minor,
                }
                for line in lines
            ],
            "tenders": [{"tender": "card", "amount_minor": paid_minor}],
        },
    )


def picked(number: str, journey: str, picker: str, lines: list[Body], occurred_at: dt.datetime) -> Body:
    """A pick: lines of (line_id, quantity, reason)."""
    return event(number, "bopis.picked", occurred_at, {"journey_id": journey, "picker": picker, "lines": lines})


def handed_over(number: str, journey: str, actor: str, name: str, *, card: bool, at: dt.datetime) -> Body:
    """Everything staged goes to the customer, who shows a code, or a card when something in it has an age limit."""
    proof = {"kind": "id" if card else "code", "name": name}
    return event(
        number, "bopis.handed_over", at, {"journey_id": journey, "lines": None, "proof": proof, "actor": actor}
    )


def cancelled(number: str, journey: str, occurred_at: dt.datetime) -> Body:
    """The customer thinks better of it."""
    return event(number, "bopis.cancelled", occurred_at, {"journey_id": journey, "reason": "customer_request"})


def received(number: str, location: str, units: Mapping[str, int], costs: Mapping[str, int], at: dt.datetime) -> Body:
    """A delivery from the DC's supplier: units by SKU, each at its cost in cents."""
    lines = [{"sku": sku, "quantity": units[sku], "unit_cost_minor": costs[sku]} for sku in sorted(units)]
    return event(number, "stock.received", at, {"location": location, "document": number, "lines": lines})
