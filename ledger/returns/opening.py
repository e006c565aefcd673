"""How a return begins: the sale that its lines came from is looked for, policy decides line by line, and the row is
written with what follows at once.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping, insert, select

from domain.errors import AlreadyReturned, Malformed, UnknownLine, WrongCurrency
from domain.ids import journey_id, receipt_document
from domain.orders import Customer
from domain.policy import Policy
from domain.refunds import fee_of, share_of
from domain.return_rules import Claimed, Ruling, rule_on
from domain.returns import ReturnState
from ledger import goods, policies, reference, situations
from ledger.outbox import search_attributes
from ledger.returns import settling
from ledger.returns.document import Return, bought, claimed_elsewhere, new_line
from ledger.tables import customer, journey, payment, return_line, sale_line
from ledger.transaction import Transaction

KIND = "returns"


class Sold(NamedTuple):
    """What was bought: the sale lines of an order or a receipt, when, and by which tender. Empty where nobody knows."""

    document: str | None = None
    order: RowMapping | None = None
    lines: tuple[Mapping[str, Any], ...] = ()
    at: datetime | None = None
    tender: str = ""


@dataclass(frozen=True)
class Wanted:
    """A line that is to come back, or has."""

    line_id: str
    sku: str
    quantity: int
    reason: str
    unit_price_minor: int | None = None
    serial: str | None = None
    sale_line_id: str | None = None


@dataclass(frozen=True)
class Opening:
    """What is known when a return begins."""

    source: str
    key: str
    place: reference.Place
    policy: Policy
    at: datetime
    method: str
    bought_at: str
    sold: Sold
    lines: Sequence[dict[str, Any]]
    state: ReturnState
    customer: Customer | None = None
    requested_by: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


async def sold_by_order(tx: Transaction, order_id: str) -> Sold:
    """The sale of an order, with its journey locked: its lock covers its sale lines."""
    row = await tx.lock_journey(order_id)
    lines = await tx.conn.execute(
        select(sale_line)
        .where(sale_line.c.document == order_id, ~sale_line.c.line_id.startswith("charge:"))
        .order_by(sale_line.c.line_id)
    )
    tender = await tx.conn.execute(
        select(payment.c.tender).where(payment.c.journey_id == order_id).order_by(payment.c.id).limit(1)
    )
    return Sold(
        order_id,
        row,
        tuple(dict(line) for line in lines.mappings()),
        row["closed_at"] or row["opened_at"],
        tender.scalar() or "",
    )


async def sold_by_receipt(tx: Transaction, source: str, location: str, number: str, tender: str | None) -> Sold:
    """The sale of a till receipt, whichever system reported it; empty where none did."""
    places = goods.places_of(tx.conn)
    await places.refresh(tx.conn, {location})
    documents = [receipt_document(one, location, number) for one in sorted({*places.sources, source})]
    found = await tx.conn.execute(
        select(sale_line).where(sale_line.c.document.in_(documents)).order_by(sale_line.c.document, sale_line.c.line_id)
    )
    rows = found.mappings().all()
    if not rows:
        return Sold(tender=tender or "")
    document = str(rows[0]["document"])
    lines = tuple(dict(row) for row in rows if row["document"] == document)
    return Sold(document, None, lines, lines[0]["recorded_at"], tender or "")


async def match(tx: Transaction, sold: Sold, wanted: Sequence[Wanted]) -> dict[str, str]:
    """The sale line of each line. Raises `UnknownLine` for one that the sale does not have, `AlreadyReturned` for more
    units than the customer has and no other return has announced.
    """
    if sold.document is None:
        return {}
    taken = await claimed_elsewhere(tx, sold.document)
    matched: dict[str, str] = {}
    for number, line in enumerate(wanted):
        fitting = [
            row
            for row in sold.lines
            if (row["line_id"] == line.sale_line_id if line.sale_line_id else row["sku"] == line.sku)
        ]
        if not fitting or fitting[0]["sku"] != line.sku:
            raise UnknownLine(f"Nothing of {line.sku} was bought there.", pointer=f"/lines/{number}/sku")
        chosen = max(fitting, key=lambda row: _left(row, taken))
        left = _left(chosen, taken)
        if left < line.quantity:
            raise AlreadyReturned(
                f"Line {line.line_id}: {max(left, 0)} of {line.sku} can come back; the others were returned, "
                "announced, or never handed over.",
                pointer=f"/lines/{number}/quantity",
            )
        taken[chosen["line_id"]] = taken.get(chosen["line_id"], 0) + line.quantity
        matched[line.line_id] = chosen["line_id"]
    return matched


def _left(row: Mapping[str, Any], taken: Mapping[str, int]) -> int:
    return int(row["handed_over"] - row["returned"] - taken.get(row["line_id"], 0))


async def judged(
    tx: Transaction,
    policy: Policy,
    place: reference.Place,
    sold: Sold,
    wanted: Sequence[Wanted],
    at: datetime,
    method: str,
) -> list[dict[str, Any]]:
    """The lines with what policy says of each. Raises `UnknownSku`, and as `match`."""
    items = await reference.known_items(tx.conn, [line.sku for line in wanted])
    matched = await match(tx, sold, wanted)
    by_id = {row["line_id"]: row for row in sold.lines}
    there = at.astimezone(ZoneInfo(place.hours.time_zone))
    lines = []
    for line in wanted:
        sale = by_id[matched[line.line_id]] if line.line_id in matched else None
        item = items[line.sku]
        price = min(item["price_minor"], line.unit_price_minor or item["price_minor"])
        if sale is not None:
            known = bought(sale)
            value = share_of(known, min(line.quantity, known.units - known.refunded)).paid_minor
        else:
            value = price * line.quantity
        ruling = rule_on(
            policy.returns,
            Claimed(line.sku, item["category"], line.reason, method, value, sold.at if sale else None, sold.tender),
            there,
        )
        lines.append(
            new_line(
                "",
                line.line_id,
                line.sku,
                claimed=line.quantity,
                reason=line.reason,
                serial=line.serial,
                unit_price_minor=None if sale is not None else price,
                document=sold.document if sale is not None else None,
                sale_line_id=sale["line_id"] if sale is not None else None,
                ruling=ruled(ruling, value),
            )
        )
    return lines


def ruled(ruling: Ruling, value_minor: int) -> dict[str, Any]:
    """A ruling as a line keeps it, with what is refunded by it."""
    fee = fee_of(value_minor, ruling.fee_permille)
    return {
        **ruling._asdict(),
        "until": ruling.until.isoformat() if ruling.until else None,
        "value_minor": 0 if ruling.refused else value_minor,
        "fee_minor": 0 if ruling.refused else fee,
    }


def check_place(place: reference.Place, sold: Sold, currency: str) -> None:
    """Raise unless the goods come back to the company that sold them, in its currency."""
    if currency != place.currency:
        raise WrongCurrency(f"{place.code} works in {place.currency}, not in {currency}.", pointer="/currency")
    entity = sold.lines[0]["entity"] if sold.lines else place.entity
    if entity != place.entity:
        raise Malformed(
            f"It was sold by {entity} and {place.code} belongs to {place.entity}; return it to a place of {entity}.",
            pointer="/returned_to",
        )


async def open_return(tx: Transaction, opening: Opening) -> Return:
    """Write the return; the caller goes on with it, saves it, and then begins its workflow by `begin`."""
    place, policy, at = opening.place, opening.policy, opening.at
    own = journey_id(KIND, opening.source, opening.key)
    sold = opening.sold
    days = [line["ruling"]["until"] for line in opening.lines if line["ruling"].get("until")]
    today = at.astimezone(ZoneInfo(place.hours.time_zone)).date()
    detail = {
        "method": opening.method,
        "bought_at": opening.bought_at,
        "order": sold.document if sold.order is not None else None,
        "value_minor": sum(line["ruling"].get("value_minor", 0) for line in opening.lines),
        "days_left": min((datetime.fromisoformat(day).date() - today).days for day in days) if days else None,
        **opening.detail,
    }
    row = {
        "id": own,
        "kind": KIND,
        "source": opening.source,
        "key": opening.key,
        "state": opening.state.value,
        "location": place.code,
        "region": place.region,
        "entity": place.entity,
        "channel": opening.bought_at,
        "currency": place.currency,
        "customer_id": await _customer(tx, opening),
        "requested_by": opening.requested_by,
        "opened_at": at,
        "closed_at": None,
        "dues": {},
        "asks": {},
        "detail": detail,
        "policy_copy": await policies.keep(tx.conn, policy),
        "policy_version": policy.version,
    }
    made = await tx.conn.execute(insert(journey).values(**row).returning(*journey.c))
    lines = [line | {"journey_id": own} for line in opening.lines]
    if lines:
        await tx.conn.execute(insert(return_line), lines)
    it = await Return.read_alone(tx, made.mappings().one())
    settling.score(it)
    return it


async def _customer(tx: Transaction, opening: Opening) -> str | None:
    """The customer as the return names them; the order's where it does not."""
    given = opening.customer.model_dump(exclude_none=True) if opening.customer is not None else {}
    if not given:
        return opening.sold.order["customer_id"] if opening.sold.order is not None else None
    made = uuid.uuid4().hex
    await tx.conn.execute(insert(customer).values(id=made, **given))
    return made


async def begin(it: Return) -> None:
    """Start the workflow of a return that was saved, from what is recorded by now."""
    situation = await situations.of_journey(it.tx.conn, it.id, 1)
    it.tx.start(it.id, KIND, situation, search_attributes(it.row))


def await_goods(it: Return, at: datetime) -> None:
    """From now on the goods are awaited, with a reminder."""
    rules = it.policy.returns
    it.due("goods", at + timedelta(seconds=rules.goods_s))
    if rules.goods_reminder_s < rules.goods_s:
        it.due("goods_reminder", at + timedelta(seconds=rules.goods_reminder_s))


def label() -> str:
    """The reference on a parcel, or at the counter."""
    return f"R{uuid.uuid4().hex[:10].upper()}"
