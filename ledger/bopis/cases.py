"""The cases that an order can open: what people are told of it, and what they may choose."""

from collections.abc import Sequence
from datetime import datetime

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.words import money, units
from ledger import case
from ledger.bopis import offering
from ledger.bopis.order import Order
from ledger.bopis.ways_out import case_facts, ways_out


def value_of(order: Order) -> int:
    """What the customer ordered, after discounts, in minor units."""
    return sum(row["gross_minor"] - row["discount_minor"] - row["appeasement_minor"] for row in order.sales.values())


async def ask_for_way_out(order: Order, at: datetime) -> case.CaseRef:
    """The order cannot be kept as it is: somebody chooses among the ranked and priced ways out."""
    await order.read_money()
    missing = order.shorts()
    lacking = sum(order.missing(line) for line in missing)
    asked = await offering.history(order)
    declined = " The customer would rather have something else." if asked and asked[-1]["answer"] != "none" else ""
    ref = await order.open_case(
        order.row["detail"].get("failure") or "reservation_failure",
        at,
        text=f"Order {order.row['key']} lacks {units(lacking)} at {order.place.name}.{declined}",
        options=await ways_out(order),
        facts=await case_facts(order, at) | ({"customer_was_asked": asked} if asked else {}),
        sku=missing[0]["sku"] if missing else "",
        value_at_risk_minor=value_of(order),
        promised_at=order.row["promised_at"],
    )
    order.row["asks"] = {"case_id": ref.id}
    return ref


async def pick_overdue(order: Order, at: datetime) -> case.CaseRef:
    """Nobody has picked in time."""
    return await order.open_case(
        "pick_overdue",
        at,
        text=f"Order {order.row['key']} is not picked at {order.place.name}.",
        options=(
            CaseOption(
                id="more_time",
                label="Give the store another hour",
                rank=1,
                because="the units are reserved and nobody has looked yet",
                consequence=Consequence(customer="Hears nothing yet."),
            ),
            CaseOption(id="acknowledge", label="The store was called", rank=2),
        ),
        facts={"units": sum(line["reserved"] for line in order.lines.values())},
        value_at_risk_minor=value_of(order),
        promised_at=order.row["promised_at"],
    )


async def put_away_overdue(order: Order, at: datetime) -> case.CaseRef:
    """Goods that nobody will collect still stand on the hold shelf."""
    return await order.open_case(
        "put_away_overdue",
        at,
        text=f"Goods of order {order.row['key']} still stand on the hold shelf.",
        options=(CaseOption(id="acknowledge", label="The store was called", rank=1),),
        facts={"units": order.row["detail"].get("unclaimed", {})},
    )


async def at_closed_place(order: Order, at: datetime) -> case.CaseRef:
    """The order's place is closed: somebody asks the customer whether it goes to another store."""
    await order.read_money()
    ref = await order.open_case(
        "order_at_closed_place",
        at,
        text=f"Order {order.row['key']} waits at {order.place.name}, which is closed.",
        options=await ways_out(order),
        facts={"units": sum(line["reserved"] for line in order.lines.values())},
        value_at_risk_minor=value_of(order),
        promised_at=order.row["promised_at"],
    )
    order.row["asks"] = {"case_id": ref.id}
    return ref


async def customer_waiting(order: Order, at: datetime) -> case.CaseRef:
    """The customer is outside, and nobody has brought the goods."""
    arrived = order.row["detail"].get("arrived", {})
    return await order.open_case(
        "customer_waiting",
        at,
        text=f"The customer of order {order.row['key']} waits outside {order.place.name}.",
        options=(CaseOption(id="acknowledge", label="The store was called", rank=1, because="somebody is waiting"),),
        facts={"bay": arrived.get("bay"), "arrived_at": arrived.get("at"), "state": order.row["state"]},
        value_at_risk_minor=value_of(order),
    )


async def handed_over_unpaid(order: Order, at: datetime) -> case.CaseRef:
    """Goods have left although the provider had declined to take the money."""
    return await order.open_case(
        "handed_over_unpaid",
        at,
        text=f"Order {order.row['key']} was handed over; its payment had been declined.",
        options=(
            CaseOption(id="paid_otherwise", label="The customer has paid otherwise", rank=1, confirms=("paid",)),
            CaseOption(id="accept_loss", label="Accept the loss", rank=2),
        ),
        facts={"units": sum(line["collected"] for line in order.lines.values())},
        value_at_risk_minor=value_of(order),
    )


async def shipment_overdue(order: Order, at: datetime) -> case.CaseRef:
    """An order that was to be sent has not left."""
    return await order.open_case(
        "shipment_overdue",
        at,
        text=f"Order {order.row['key']} has not left, or has not come to {order.place.name}.",
        options=(CaseOption(id="acknowledge", label="The warehouse was called", rank=1),),
        facts={
            "units": sum(map(order.coming, order.lines.values()))
            or sum(line["reserved"] + line["staged"] for line in order.lines.values())
        },
        value_at_risk_minor=value_of(order),
    )


async def age_not_checked(order: Order, names: Sequence[str], cause: str, at: datetime) -> case.CaseRef:
    """Goods with an age limit were handed over, and nobody says that they looked at the customer's age."""
    return await order.open_case(
        "age_not_checked",
        at,
        text=f"{', '.join(names)} of order {order.row['key']}: no check of the customer's age is recorded.",
        subject=f"{order.id}|{cause}",
        options=(
            CaseOption(id="checked", label="It was checked; only the record was missing", rank=1),
            CaseOption(id="not_checked", label="It was not checked; the store was told", rank=2),
        ),
        facts={"goods": list(names)},
    )


async def fact_after_close(order: Order, detail: str, cause: str, at: datetime) -> case.CaseRef:
    """Goods moved on an order that had ended."""
    value = sum(
        row["gross_minor"] - row["discount_minor"] - row["appeasement_minor"]
        for row in order.sales.values()
        if row["line_id"] in order.lines
    )
    loss = MoneyEffect(label="Goods at selling price", amount_minor=-value, currency=order.row["currency"])
    return await order.open_case(
        "fact_after_close",
        at,
        text=f"{detail} The order was {order.row['state']} by then.",
        subject=f"{order.id}|{cause}",
        options=(
            CaseOption(
                id="accept_loss",
                label="Accept the loss",
                rank=1,
                because="the goods are gone and the customer was refunded",
                consequence=Consequence(money=(loss,), customer="Hears nothing."),
            ),
            CaseOption(
                id="charged_again",
                label="Charged again, with the customer's word",
                confirms=("agreed_with_customer",),
                rank=2,
            ),
            CaseOption(
                id="report_was_wrong",
                label="The report was wrong; goods are there",
                rank=3,
                because="its movements and its loss are taken back",
            ),
        ),
        facts={"state": order.row["state"], "what": detail},
        value_at_risk_minor=value,
    )


async def refund_review(order: Order, owed_minor: int, cause: str, at: datetime) -> case.CaseRef:
    """A refund above the limit was owed and paid; somebody looks at it afterwards."""
    return await order.open_case(
        "refund_review",
        at,
        text=f"{money(owed_minor, order.row['currency'])} went back on order {order.row['key']}.",
        subject=f"{order.id}|{cause}",
        options=(CaseOption(id="seen", label="Seen", rank=1, because="the refund was owed"),),
        facts={"refund_minor": owed_minor},
        value_at_risk_minor=owed_minor,
    )
