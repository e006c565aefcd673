"""Claims against carriers: opened by a decision, sent, answered, paid. Each is a document with a state and postings of
its own; the transfer need not wait for it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain import transfer_postings as postings
from domain.errors import Malformed, NotFound
from domain.postings import Line
from domain.transfer import Discrepancy, check_claim
from domain.words import money
from ledger import policies, steps
from ledger.engine import Database
from ledger.journal import Entry
from ledger.people import Caller
from ledger.tables import carrier_claim, journey, location
from ledger.transaction import Transaction
from ledger.transfer import goods
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment


def open_claim(it: Transfer, one: Discrepancy, root_cause: str, moment: Moment) -> int:
    """Hold the carrier liable for what did not come, or came damaged; returns the amount."""
    line = it.lines[one.line_id]
    if one.kind == "short":
        worth = goods.hand_to_carrier(it, line, one.units, root_cause, moment)
    else:
        worth = goods.settle_damage(line, root_cause)
        lines = postings.claimed(worth, "damage_expense", location=one.location, sku=one.sku)
        it.post(goods.SETTLED, moment.cause, {it.target.entity: lines})
    it.claims.append(
        {
            "journey_id": it.id,
            "line_id": one.line_id,
            "sku": one.sku,
            "quantity": one.units,
            "location": one.location,
            "entity": it.target.entity,
            "carrier": it.row["detail"].get("carrier") or "",
            "tracking": it.row["detail"].get("tracking") or "",
            "state": "opened",
            "currency": it.target.currency,
            "amount_minor": worth,
            "opened_at": moment.at,
        }
    )
    return worth


async def mark_sent(database: Database, claim_id: int, caller: Caller, *, via: str) -> None:
    """The claim has gone to the carrier. Raises `StateConflict`, `NotFound`."""

    async def work(tx: Transaction) -> None:
        row, at = await _locked(tx, claim_id, caller)
        await _change(tx, row, "sent", at, "The claim was sent.", sent_at=at)

    await database.write(work, actor=_actor(caller), via=via)


async def record_answer(
    database: Database, claim_id: int, caller: Caller, *, accepted_minor: int, reference: str, via: str
) -> None:
    """The carrier accepts some of it, or nothing; what it does not accept is a loss after all. Raises `Malformed` for
    more than was claimed, `StateConflict`, `NotFound`.
    """

    async def work(tx: Transaction) -> None:
        row, at = await _locked(tx, claim_id, caller)
        if accepted_minor > row["amount_minor"]:
            asked = money(row["amount_minor"], row["currency"])
            raise Malformed(f"Only {asked} were claimed; the carrier cannot accept more.", pointer="/accepted_minor")
        rest = row["amount_minor"] - accepted_minor
        lines = postings.claim_given_up(rest, location=row["location"], sku=row["sku"])
        await _post(tx, row, "transfer.claim_answered", lines, at)
        state = "accepted" if accepted_minor else "declined"
        told = f"The carrier accepts {money(accepted_minor, row['currency'])}." if accepted_minor else "Declined."
        await _change(tx, row, state, at, told, answered_at=at, accepted_minor=accepted_minor, reference=reference)

    await database.write(work, actor=_actor(caller), via=via)


async def record_payment(database: Database, claim_id: int, caller: Caller, *, via: str) -> None:
    """The carrier has paid what it accepted. Raises `StateConflict`, `NotFound`."""

    async def work(tx: Transaction) -> None:
        row, at = await _locked(tx, claim_id, caller)
        check_claim(row["state"], "paid")
        lines = postings.claim_paid(row["accepted_minor"], location=row["location"], sku=row["sku"])
        await _post(tx, row, "transfer.claim_paid", lines, at)
        await _change(tx, row, "paid", at, f"Paid: {money(row['accepted_minor'], row['currency'])}.", paid_at=at)

    await database.write(work, actor=_actor(caller), via=via)


def _actor(caller: Caller) -> str:
    return caller.person.id if caller.person else f"key:{caller.key_id}"


async def _locked(tx: Transaction, claim_id: int, caller: Caller) -> tuple[RowMapping, datetime]:
    about = await tx.conn.execute(
        select(carrier_claim.c.journey_id, journey.c.source, location.c.region)
        .join(journey, journey.c.id == carrier_claim.c.journey_id)
        .join(location, location.c.code == carrier_claim.c.location)
        .where(carrier_claim.c.id == claim_id)
    )
    found = about.first()
    person = caller.person
    if found is None or (person is None and found.source not in {caller.source, *caller.sources}):
        raise NotFound(f"There is no claim {claim_id}.")
    transfer = await tx.lock_journey(found.journey_id)
    row = (
        (await tx.conn.execute(select(carrier_claim).where(carrier_claim.c.id == claim_id).with_for_update()))
        .mappings()
        .one()
    )
    if person is not None and not person.may_decide(row["entity"], found.region, row["location"]):
        raise NotFound(f"There is no claim {claim_id}.")
    return row, await tx.now(transfer["clock_offset_s"])


async def _post(tx: Transaction, row: RowMapping, event: str, lines: list[Line], at: datetime) -> None:
    about = (await tx.conn.execute(select(journey).where(journey.c.id == row["journey_id"]))).mappings().one()
    authority = (await policies.of_journey(tx.conn, about)).authority.of_posting(event)
    cause = f"claim:{row['id']}:{event}"
    tx.post(Entry(row["entity"], event, row["currency"], cause, lines, at, row["journey_id"], authority))


async def _change(tx: Transaction, row: RowMapping, state: str, at: datetime, told: str, **values: Any) -> None:
    check_claim(row["state"], state)
    await tx.conn.execute(update(carrier_claim).where(carrier_claim.c.id == row["id"]).values(state=state, **values))
    await steps.note(tx, row["journey_id"], "claim", f"{row['id']}:{state}", told, at)
    after = {"state": state, **_plain(values)}
    tx.record(f"claim.{state}", f"claim:{row['id']}", at, before={"state": row["state"]}, after=after)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if not isinstance(value, datetime)}
