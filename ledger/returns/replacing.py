"""The order that a return is exchanged for, as it is placed: where it is collected or from where it is sent, whose it
is, and who pays what of it.
"""

from sqlalchemy import select

from domain import exchanges
from domain.errors import Malformed, StateConflict
from domain.exchanges import Credit, Difference, Division, Means, NewExchange, Replacement
from domain.orders import Customer
from ledger import reference
from ledger.bopis import warehouses
from ledger.returns.document import Return
from ledger.tables import customer, journey


async def place_for(it: Return, wanted: NewExchange) -> str:
    """Where it is collected, or from where it is sent. Raises `UnknownLocation`, `Malformed` for another company's
    place, `StateConflict` where no warehouse has all of it.
    """
    order = wanted.order
    if order.ship_to_home and order.ship_from is None:
        return await _warehouse(it, wanted)
    code, pointer = order.pickup_location or it.location, "/order/pickup_location"
    if order.ship_from is not None:
        code, pointer = order.ship_from, "/order/ship_from"
    place = await reference.place(it.tx.conn, code, pointer=pointer)
    if place.entity != it.row["entity"]:
        raise Malformed(f"{code} belongs to {place.entity}, the return to {it.row['entity']}.", pointer=pointer)
    return code


async def _warehouse(it: Return, wanted: NewExchange) -> str:
    units: dict[str, int] = {}
    for line in wanted.order.lines:
        units[line.sku] = units.get(line.sku, 0) + line.quantity
    await reference.known_items(it.tx.conn, units)
    able = await warehouses.able(it, units, channel=wanted.order.channel)
    if not able:
        raise StateConflict(
            "No warehouse can send all of the replacement now; name a place in order.ship_from, or have it collected."
        )
    return next(iter(able))


async def customer_for(it: Return, wanted: NewExchange) -> Customer:
    """Whose it is; what the request leaves out is as on the return, or on the order that comes back. Raises `Malformed`
    where it is to be sent and nobody knows where to.
    """
    given = wanted.order.customer
    if given == Customer() or (wanted.order.ship_to_home and given.address is None):
        known = await _known(it)
        given = known if given == Customer() else given.model_copy(update={"address": known.address})
    if wanted.order.ship_to_home and not given.address:
        raise Malformed("It is to be sent, and no address is known; give one.", pointer="/order/customer/address")
    return given


async def _known(it: Return) -> Customer:
    """The customer of the return, with the address of their order where they gave no other."""
    rows = await it.tx.conn.execute(
        select(journey.c.id, customer.c.name, customer.c.email, customer.c.phone, customer.c.address)
        .join(customer, customer.c.id == journey.c.customer_id)
        .where(journey.c.id.in_([it.id, it.order or it.id]), customer.c.erased_at.is_(None))
    )
    found = {row.id: row for row in rows}
    own, bought = found.get(it.id), found.get(it.order or "")
    if own is None:
        return Customer()
    address = own.address or (bought.address if bought is not None else None)
    return Customer(name=own.name, email=own.email, phone=own.phone, address=address)


def as_order(
    it: Return, wanted: NewExchange, code: str, who: Customer, split: Division, means: Means | None
) -> Replacement:
    """The order as it is placed: kept back, and paid by the return for what its customer has not paid and will not be
    asked to.
    """
    order = wanted.order
    open_ones: list[Credit | Difference] = [
        Credit(reference=exchanges.credit_of(it.id), amount_minor=split.credit_minor)
    ]
    if means is not None:
        by = exchanges.difference_by(means.reference)
        open_ones.append(Difference(reference=by, tender=means.tender, amount_minor=split.open_minor))
    return Replacement(
        order_id=order.order_id,
        channel=order.channel or it.row["channel"],
        pickup_location=code,
        currency=it.row["currency"],
        promised_at=order.promised_at,
        prices_include_tax=order.prices_include_tax,
        customer=who,
        lines=order.lines,
        charges=order.charges,
        payments=(*open_ones, *order.payments),
        ship_to_home=order.ship_to_home,
    )
