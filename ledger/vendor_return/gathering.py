"""How goods go back to their vendor: gathered where they wait, authorised, shipped at the cost at which they stood in
the books. Shipping is a fact; from then on the vendor owes that cost.
"""

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import RowMapping, func, insert, select, text, update

from domain import return_postings
from domain.errors import Malformed, NotEnoughStock, NotFound, UnknownLine
from domain.postings import Line
from domain.vendor_returns import WITH_US, NewVendorReturn, VendorReturnState, VendorShipment, check_transition
from domain.words import units
from ledger import reference
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.people import Caller
from ledger.shelf import Cause
from ledger.tables import vendor_return, vendor_return_line
from ledger.transaction import Transaction
from ledger.vendor_return.document import actor_of, change, document_id, lines_of, locked, post

S = VendorReturnState


async def open_document(database: Database, caller: Caller, wanted: NewVendorReturn, *, via: str) -> tuple[int, str]:
    """Gather units for one vendor: (201, the document's id), or (200, the same) for a repeat.

    Raises `NotEnoughStock` for more than waits at the place and no other document has, `UnknownLocation`, `UnknownSku`,
    `NotFound` for a place out of a person's sight, `IdempotencyMismatch`.
    """
    keys, digest = [f"vendor_return:{wanted.vendor_return_id}"], body_hash(wanted.model_dump_json())

    async def work(tx: Transaction) -> tuple[int, str]:
        before = await claim_keys(tx, caller.source, keys, digest)
        if before is not None:
            return 200, str(before.body["id"])
        made = await _open(tx, caller, wanted)
        await keep_answer(tx, caller.source, keys, Answer(201, {"id": made}))
        return 201, made

    return await database.write(work, actor=actor_of(caller), via=via)


async def _open(tx: Transaction, caller: Caller, wanted: NewVendorReturn) -> str:
    place = await reference.place(tx.conn, wanted.location, pointer="/location")
    if caller.person is not None and not caller.person.may_decide(place.entity, place.region, place.code):
        raise NotFound(f"There is no location {place.code} that you may act for.")
    await reference.known_items(tx.conn, [line.sku for line in wanted.lines])
    await tx.lock_stock({(place.code, line.sku) for line in wanted.lines})
    spoken_for = await _spoken_for(tx, place.code)
    for number, line in enumerate(wanted.lines):
        left = tx.shelf.quantity(place.code, line.sku, "vendor_return_pending") - spoken_for.get(line.sku, 0)
        if line.quantity > left:
            raise NotEnoughStock(
                f"{units(max(left, 0))} of {line.sku} wait at {place.code} to go back to their vendor; "
                f"{line.quantity} are wanted.",
                pointer=f"/lines/{number}/quantity",
            )
    at, own = await tx.now(), document_id(caller.source, wanted.vendor_return_id)
    await tx.conn.execute(
        insert(vendor_return).values(
            id=own,
            source=caller.source,
            key=wanted.vendor_return_id,
            vendor=wanted.vendor,
            location=place.code,
            region=place.region,
            entity=place.entity,
            currency=place.currency,
            state=S.OPEN.value,
            requested_by=actor_of(caller),
            opened_at=at,
        )
    )
    await tx.conn.execute(
        insert(vendor_return_line), [line.model_dump() | {"vendor_return_id": own} for line in wanted.lines]
    )
    tx.record("vendor_return.opened", own, at, after={"vendor": wanted.vendor, "lines": len(wanted.lines)})
    return own


async def _spoken_for(tx: Transaction, location: str) -> dict[str, int]:
    """Units by SKU that documents have gathered at a place and that are still there. Its stock rows are locked."""
    rows = await tx.conn.execute(
        select(vendor_return_line.c.sku, func.sum(vendor_return_line.c.quantity).label("units"))
        .join(vendor_return, vendor_return.c.id == vendor_return_line.c.vendor_return_id)
        .where(vendor_return.c.location == location, vendor_return.c.state.in_([state.value for state in WITH_US]))
        .group_by(vendor_return_line.c.sku)
    )
    return {row.sku: int(row.units) for row in rows}


async def authorize(database: Database, caller: Caller, named: str, *, number: str, via: str) -> str:
    """The vendor has given its number; a later one replaces it. Raises `NotFound`, `StateConflict` once it has left."""

    async def work(tx: Transaction) -> str:
        row = await locked(tx, caller, named)
        return await change(tx, row, S.AUTHORIZED, await tx.now(), authorization=number)

    return await database.write(work, actor=actor_of(caller), via=via)


async def cancel(database: Database, caller: Caller, named: str, *, reason: str, via: str) -> str:
    """Its units wait for another document. Raises `NotFound`, `StateConflict` once it was shipped."""

    async def work(tx: Transaction) -> str:
        row = await locked(tx, caller, named)
        return await change(tx, row, S.CANCELLED, await tx.now(), reason=reason)

    return await database.write(work, actor=actor_of(caller), via=via)


async def ship(database: Database, caller: Caller, named: str, data: VendorShipment, *, via: str) -> str:
    """The goods have left: the vendor owes what they had cost. What was not sent waits for another document.

    Raises `NotFound`, `UnknownLine`, `StateConflict` for one that was shipped before, `Malformed` for nothing, or for
    more than was gathered.
    """

    async def work(tx: Transaction) -> str:
        row = await locked(tx, caller, named)
        check_transition(row["state"], S.SHIPPED)
        lines = await lines_of(tx, row["id"])
        sent = _sent(lines, data)
        at, cause = await tx.now(), f"{row['id']}:shipped"
        await tx.lock_stock({(row["location"], lines[line_id]["sku"]) for line_id in sent})
        why, posted, total = Cause(cause, tx.actor, at, row["entity"]), list[Line](), 0
        for line_id, quantity in sent.items():
            sku = str(lines[line_id]["sku"])
            cost = await _cost(tx, row, sku, quantity)
            tx.shelf.move(
                "sent_back", sku, quantity, (row["location"], "vendor_return_pending"), (row["location"], "supplier"),
                why, reason=row["vendor"], unit_cost_e4=cost * 10_000 // quantity, cost_minor=cost,
            )  # fmt: skip
            posted += return_postings.sent_to_vendor(cost, location=row["location"], sku=sku)
            total += cost
            await tx.conn.execute(
                update(vendor_return_line)
                .where(vendor_return_line.c.vendor_return_id == row["id"], vendor_return_line.c.line_id == line_id)
                .values(shipped=quantity, cost_minor=cost)
            )
        await post(tx, row, "vendor_return.shipped", cause, posted, at)
        place = await reference.place(tx.conn, row["location"])
        patience = (await reference.policy_at(tx.conn, place, at)).returns.vendor_credit_s
        values = {"carrier": data.carrier, "tracking": data.tracking, "shipped_at": at, "cost_minor": total}
        values["credit_due_at"] = at + timedelta(seconds=patience)
        return await change(tx, row, S.SHIPPED, at, **values)

    return await database.write(work, actor=actor_of(caller), via=via)


def _sent(lines: Mapping[str, RowMapping], data: VendorShipment) -> dict[str, int]:
    if data.lines is None:
        return {line_id: int(line["quantity"]) for line_id, line in lines.items()}
    sent = {}
    for number, one in enumerate(data.lines):
        pointer = f"/lines/{number}"
        if one.line_id not in lines:
            raise UnknownLine(f"The vendor return has no line {one.line_id}.", pointer=f"{pointer}/line_id")
        if one.quantity > lines[one.line_id]["quantity"]:
            gathered = units(lines[one.line_id]["quantity"])
            raise Malformed(f"Line {one.line_id} has {gathered}.", pointer=f"{pointer}/quantity")
        if one.quantity:
            sent[one.line_id] = one.quantity
    if not sent:
        raise Malformed("Nothing is said to be sent; cancel the document instead.", pointer="/lines")
    return sent


# By a partial index: a handful of rows for each item, whatever the size of the journal.
_VALUE = text(
    "SELECT coalesce(sum(l.debit_minor - l.credit_minor), 0)::bigint FROM journal_line l"
    " WHERE l.account = 'vendor_returns' AND l.location = :location AND l.sku = :sku"
)


async def _cost(tx: Transaction, row: RowMapping, sku: str, quantity: int) -> int:
    """What so many of the waiting units stand for in the books; the last ones take the rounding rest. The stock row is
    locked, and nothing of it is posted in this transaction before.
    """
    value = (await tx.conn.execute(_VALUE, {"location": row["location"], "sku": sku})).scalar_one()
    return int(value) * quantity // tx.shelf.quantity(row["location"], sku, "vendor_return_pending")
