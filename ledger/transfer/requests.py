"""What systems and people ask of a transfer: call it off, decline to send it, change its lines. Refused by name where
the recorded state does not allow it.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import RowMapping, delete, insert, select

from domain.bands import Level
from domain.errors import NotFound, StateConflict
from domain.ids import OWN_SOURCE, journey_id
from domain.messages import Message
from domain.transfer import BEFORE_APPROVAL, FINAL, ON_THE_WAY, TO_BE_SHIPPED, TransferState
from domain.transfers import Amendment, TransferCancelled, TransferDeclined
from domain.words import money, units
from ledger import bands, reference, steps
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import journey, transfer_line
from ledger.transaction import Rank, Transaction
from ledger.transfer import agreeing, asking, standing
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment
from ledger.transfer.opening import level_for
from ledger.transfer.wanted import Wanted

type Find = Callable[[Transaction], Awaitable[str]]  # the transfer that is meant; raises `NotFound`


async def find(tx: Transaction, caller: Caller, transfer_id: str, source: str | None = None) -> str:
    """The journey that a caller means by a transfer's id, or by the journey's own. Raises `NotFound`."""
    known = {caller.source, *caller.sources, OWN_SOURCE}
    sources = sorted(known & {source} if source else known)
    wanted = [transfer_id, *(journey_id("transfer", one, transfer_id) for one in sources)]
    rows = await tx.conn.execute(
        select(journey.c.id).where(
            journey.c.id.in_(wanted), journey.c.kind == "transfer", journey.c.source.in_(sources)
        )
    )
    found = sorted(rows.scalars(), key=wanted.index)
    if not found:
        raise NotFound(
            f"There is no transfer {transfer_id} that this key may speak about.", pointer="/data/transfer_id"
        )
    return str(found[0])


async def cancel(database: Database, find_it: Find, *, reason: str, actor: str, via: str) -> str:
    """Call a transfer off; returns its journey. Raises `StateConflict` once goods have come or it has ended."""

    async def work(tx: Transaction) -> str:
        row = await tx.lock_journey(await find_it(tx))
        it = await Transfer.load(tx, row)
        await called_off(it, reason, f"{via}:cancel:{row['version']}", await tx.now(row["clock_offset_s"]))
        return it.id

    return await database.write(work, actor=actor, via=via)


async def called_off(it: Transfer, reason: str, cause: str, at: datetime) -> str:
    """Before it is shipped everything reserved is released; on its way somebody decides what becomes of the goods.

    Raises `StateConflict` once goods have come, or it has ended. The transfer is locked.
    """
    state = it.state
    if state in FINAL:
        raise StateConflict(f"The transfer is {state.value} already.")
    if state not in BEFORE_APPROVAL | TO_BE_SHIPPED | ON_THE_WAY:
        raise StateConflict("The goods have come; send them back by a transfer of their own.")
    await it.lock_cases()
    await it.lock_goods()
    if state in ON_THE_WAY:
        if it.row["asks"].get("about") == "cancel":
            raise StateConflict("Somebody is asked already what becomes of the goods on their way.")
        await it.answer_asks("the transfer was called off", at)
        number = await asking.cancelled_on_the_way(it, reason, at)
        detail = f"Called off ({reason.replace('_', ' ')}) on its way; case {number} asks what becomes of the goods."
    else:
        await it.answer_asks("the transfer was called off", at)
        rest = standing.cut_what_is_left(it, Moment(cause, at), reason)
        it.go(TransferState.CANCELLED)
        it.tx.enter(Rank.MONEY)
        await bands.withdraw(it.tx, "transfer", it.id, at)
        detail = f"Called off ({reason.replace('_', ' ')}); {units(rest)} may be promised again."
    await steps.note(it.tx, it.id, "cancelled", cause, detail, at)
    it.tx.record("transfer.cancelled", it.id, at, reason=reason)
    await it.save(at)
    it.tx.tell(it.id, Message.TRANSFER_CANCELLED)
    return detail


async def cancelled_by_event(it: Transfer, data: TransferCancelled, cause: str, at: datetime) -> str:
    """A system calls it off. Raises as `called_off`."""
    return await called_off(it, data.reason, cause, at)


async def declined(it: Transfer, data: TransferDeclined, cause: str, at: datetime) -> str:
    """The source will not send it. Raises `StateConflict` once goods have left."""
    if it.state not in BEFORE_APPROVAL | TO_BE_SHIPPED:
        raise StateConflict(f"The transfer is {it.row['state'].replace('_', ' ')}; nothing can be declined any more.")
    return await called_off(it, data.reason, cause, at)


async def amend(database: Database, find_it: Find, wanted: Amendment, *, actor: str, via: str) -> str:
    """Other lines for a transfer that nobody has agreed to yet: who was asked is not asked any more, and whoever must
    agree to the new value is. Raises `StateConflict` once it is agreed, `UnknownSku`.
    """

    async def work(tx: Transaction) -> str:
        row = await tx.lock_journey(await find_it(tx))
        if row["state"] not in BEFORE_APPROVAL:
            raise StateConflict("Somebody has agreed to it as it is; call it off and ask for another one.")
        it = await Transfer.load(tx, row)
        await _amend(it, row, wanted, await tx.now(row["clock_offset_s"]))
        return it.id

    return await database.write(work, actor=actor, via=via)


async def _amend(it: Transfer, row: RowMapping, wanted: Amendment, at: datetime) -> None:
    tx, version = it.tx, row["version"]
    await reference.known_items(tx.conn, [line.sku for line in wanted.lines])
    await it.lock_cases()
    await it.answer_asks("its lines were changed", at)
    await tx.conn.execute(delete(transfer_line).where(transfer_line.c.journey_id == it.id))
    lines = [
        {"journey_id": it.id, "line_id": line.line_id, "sku": line.sku, "ordered": line.quantity}
        for line in wanted.lines
    ]
    await tx.conn.execute(insert(transfer_line), lines)
    it = await Transfer.load(tx, {**row, "asks": it.row["asks"]})  # the row as it is now
    await it.lock_goods()
    before = it.head["value_minor"]
    value = sum(it.cost_of(it.place.entity, str(line["sku"]), line["ordered"]) for line in it.lines.values())
    it.head["value_minor"] = value
    tx.enter(Rank.MONEY)
    await bands.withdraw(tx, "transfer", it.id, at)
    opening = Wanted(
        place=it.place, target=it.target, policy=it.policy, source=it.row["source"], key=it.row["key"],
        reason=it.head["reason"], lines=[(line.line_id, line.sku, line.quantity) for line in wanted.lines], at=at,
        requested_by=it.row["requested_by"], band_actor=it.row["detail"].get("band_actor"),
    )  # fmt: skip
    level = await level_for(tx, opening, value, subject=f"{it.id}#{version}")
    currency = it.place.currency
    detail = f"Changed: worth {money(value, currency)} instead of {money(before, currency)}."
    if level > Level.NONE:
        it.go(TransferState.PENDING_APPROVAL)
        offset = it.row["clock_offset_s"]
        approval_id = await agreeing.ask(tx, opening, it.row["detail"], value, level, clock_offset_s=offset)
        it.row["asks"] = {"approval_id": approval_id}
        detail += f" Approval {approval_id} is asked instead of the one before."
    else:
        detail += " " + await agreeing.agreed(it, Moment(f"amended:{it.id}:{version}", at))
    await steps.note(tx, it.id, "amended", str(version), detail, at)
    tx.record("transfer.amended", it.id, at, before={"value_minor": before}, after={"value_minor": value})
    await it.save(at)
    tx.tell(it.id, Message.TRANSFER_CHANGED)


async def abandon(tx: Transaction, journey_row: RowMapping, at: datetime) -> str:
    """End a suspended transfer of which nothing has left. The journey is locked, with the case that says so."""
    it = await Transfer.load(tx, journey_row)
    await it.lock_cases()
    await it.lock_goods()
    it.row["suspended_from"] = None
    if it.state not in BEFORE_APPROVAL | TO_BE_SHIPPED:
        raise StateConflict("Goods have moved; resume the transfer and settle what became of them.")
    await it.answer_asks("the transfer was ended", at)
    rest = standing.cut_what_is_left(it, Moment(f"abandoned:{it.id}:{journey_row['version']}", at), "abandoned")
    it.go(TransferState.CANCELLED)
    await it.save(at)
    tx.tell(it.id, Message.TRANSFER_CANCELLED)
    return f"The transfer was ended; {units(rest)} may be promised again."
