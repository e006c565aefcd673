"""What policy or an inspection refused is allowed after all: asked for by staff or a system, agreed to by somebody else
by its band, and then the line goes on as if it had been allowed. Refused or not answered, the refusal stands.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update

from domain.bands import Level
from domain.errors import Malformed, NotFound, StateConflict, UnknownLine
from domain.messages import Message
from domain.overrides import Allowed, NewOverride, allowed_of
from domain.returns import ReturnState
from domain.words import money
from ledger import approval, bands, steps
from ledger.case import keep_note
from ledger.engine import Database
from ledger.returns import refunding, settling
from ledger.returns.document import Return
from ledger.returns.opening import await_goods, label
from ledger.returns.refunding import Refund
from ledger.tables import approval as approvals
from ledger.tables import return_disposition, return_override
from ledger.transaction import Transaction

KIND = "return_override"
Find = Callable[[Transaction], Awaitable[str | None]]


async def ask(database: Database, find: Find, wanted: NewOverride, *, actor: str, via: str) -> tuple[int, str, int]:
    """Ask to take back what was refused: (201, the return's journey, the override's number), or (200, the same) where
    just that is asked already.

    Raises `NotFound`, `UnknownLine`, `Malformed` for a reason that the policy does not know, `StateConflict` where
    nothing of a line was refused, it was called off, or something else is asked.
    """

    async def work(tx: Transaction) -> tuple[int, str, int]:
        own = await find(tx)
        if own is None:
            raise NotFound("There is no such return that you may speak about.")
        it = await Return.load(tx, await tx.lock_journey(own))
        at = await tx.now(it.row["clock_offset_s"])
        before = await _pending(it)
        if before is not None:
            if set(before["lines"]) == set(wanted.lines) and before["reason"] == wanted.reason:
                return 200, it.id, int(before["id"])
            raise StateConflict(
                f"Approval {before['approval_id']} is asked for other lines of this return; wait for its answer."
            )
        _check(it, wanted)
        await it.lock_goods()
        number = await _ask(it, wanted, actor, at)
        await it.save(at)
        tx.tell(it.id, Message.RETURN_RECORDED)
        return 201, it.id, number

    return await database.write(work, actor=actor, via=via)


def _check(it: Return, wanted: NewOverride) -> None:
    known = it.policy.returns.override_reasons
    if wanted.reason not in known:
        raise Malformed(f"{wanted.reason} is no reason of this policy; choose {', '.join(known)}.", pointer="/reason")
    for number, line_id in enumerate(wanted.lines):
        if line_id not in it.lines:
            raise UnknownLine(f"The return has no line {line_id}.", pointer=f"/lines/{number}")
    if it.state is ReturnState.CANCELLED:
        raise StateConflict("The return was called off; ask for it again, then for what is refused of it.")


async def _ask(it: Return, wanted: NewOverride, actor: str, at: datetime) -> int:
    allowed = await _allowed(it, wanted.lines)
    for line_id, units in allowed.items():
        if not units.total:
            raise StateConflict(
                f"Nothing of line {line_id} was refused by policy or declined by an inspection; there is nothing to "
                "override."
            )
    refund = _refund(it, allowed)
    if refund.total_minor <= 0:
        raise StateConflict("Nothing of these lines is left to refund; they came back by another return.")
    note_id = await keep_note(it.tx, it.id, actor, wanted.note)
    made = await it.tx.conn.execute(
        insert(return_override)
        .values(
            journey_id=it.id,
            lines=list(wanted.lines),
            reason=wanted.reason,
            amount_minor=refund.total_minor,
            state="pending",
            asked_by=actor,
            asked_at=at,
        )
        .returning(return_override.c.id)
    )
    number = int(made.scalar_one())
    level = await bands.use(
        it.tx,
        kind=KIND,
        actor=actor,
        location=it.location,
        subject=f"{KIND}:{number}",
        gross_minor=refund.total_minor,
        limits=it.policy.bands.return_override.limits,
        at=at,
    )
    asked = await it.open_approval(
        KIND,
        at,
        subject=f"Return {it.row['key']}: take back what was refused",
        requester=actor,
        barred=[it.row["requested_by"]],
        amount_minor=refund.total_minor,
        facts={
            "return": it.row["key"],
            "order": it.order,
            "store": it.place.name,
            "override_reason": wanted.reason,
            "score": it.row["detail"]["fraud"]["score"],
            "lines": _shown(it, allowed),
            "note_id": note_id,
        },
        level=max(level, Level.MANAGER),
    )
    await it.tx.conn.execute(update(return_override).where(return_override.c.id == number).values(approval_id=asked))
    it.row["detail"]["override"] = {"id": number, "approval_id": asked}
    said = f"Asked to take back what was refused ({wanted.reason.replace('_', ' ')}); approval {asked}."
    await steps.note(it.tx, it.id, "override_asked", str(number), said, at, actor=actor)
    it.tx.record(
        "return.override_asked", it.id, at, reason=wanted.reason,
        after={"lines": list(wanted.lines), "approval": asked, "amount_minor": refund.total_minor},
    )  # fmt: skip
    return number


def _shown(it: Return, allowed: Mapping[str, Allowed]) -> list[dict[str, Any]]:
    """The lines as the approver sees them, with what was refused of each and why."""
    return [
        {
            "sku": it.lines[line_id]["sku"],
            "units": units.total,
            "policy": it.lines[line_id]["ruling"]["because"] if units.units else "Declined when it was inspected.",
        }
        for line_id, units in allowed.items()
    ]


async def _allowed(it: Return, lines: tuple[str, ...] | list[str]) -> dict[str, Allowed]:
    table = return_disposition.c
    rows = await it.tx.conn.execute(
        select(table.line_id, func.sum(table.quantity))
        .where(table.journey_id == it.id, table.disposition == "missing", table.state == "applied")
        .group_by(table.line_id)
    )
    missing = {line_id: int(units) for line_id, units in rows}
    return {line_id: allowed_of(it.lines[line_id], missing.get(line_id, 0)) for line_id in lines}


def _refund(it: Return, allowed: Mapping[str, Allowed]) -> Refund:
    """What would go back of these units, less the fee that policy takes."""
    return refunding.refund_due(it, all_units={line_id: units.total for line_id, units in allowed.items()})


# ---------------------------------------------------------------------- answered
async def _pending(it: Return) -> RowMapping | None:
    asked = it.row["detail"].get("override")
    if asked is None:
        return None
    found = await it.tx.conn.execute(select(return_override).where(return_override.c.id == asked["id"]))
    return found.mappings().one()


async def heed(it: Return, cause: str, at: datetime) -> str:
    """Act on the verdict about an override, if there is one; returns the sentence for the timeline. Goods are
    locked.
    """
    row = await _pending(it)
    if row is None:
        return ""
    asked = (await it.tx.conn.execute(select(approvals).where(approvals.c.id == row["approval_id"]))).mappings().one()
    if asked["state"] == "pending":
        return ""
    if asked["state"] != "approved":
        await _end(it, row, asked["state"], at)
        await bands.withdraw(it.tx, KIND, f"{KIND}:{row['id']}", at)
        await it.mail_customer("return_declined", f"override:{row['id']}", at, again=True)
        return "What was refused stays refused: " + (
            "nobody agreed in time." if asked["state"] == "expired" else "it was rejected."
        )
    allowed = {line_id: units for line_id, units in (await _allowed(it, row["lines"])).items() if units.total}
    refund = _refund(it, allowed)
    if not allowed or refund.total_minor <= 0:
        await _end(it, row, "superseded", at)
        return "It was agreed to, and nothing of it is refused any more."
    await _end(it, row, "approved", at)
    return await _go_on(it, row, allowed, refund, cause, at)


async def _go_on(
    it: Return, row: RowMapping, allowed: Mapping[str, Allowed], refund: Refund, cause: str, at: datetime
) -> str:
    """The lines go on as if policy had allowed them."""
    why = row["reason"].replace("_", " ")
    to_come = False
    for line_id, units in allowed.items():
        line = it.lines[line_id]
        ruling: dict[str, Any] = line["ruling"]
        was = ruling.get("refused") or "declined"
        marks: dict[str, Any] = {"override": {"id": row["id"], "was": was}}
        if units.conceded:
            marks["conceded"] = ruling.get("conceded", 0) + units.conceded
        if units.units:
            one = refund.lines[line_id]
            marks |= {
                "refused": "",
                "asks": False,
                "because": f"Allowed by an override ({why}). Policy says: {ruling['because']}",
                "value_minor": one.share.paid_minor,
                "fee_minor": one.fee_minor,
            }
            it.row["detail"]["value_minor"] = it.row["detail"].get("value_minor", 0) + one.share.paid_minor
            to_come = to_come or line["received"] < line["claimed"]
        line["ruling"] = ruling | marks
    if it.state is ReturnState.DECLINED:
        it.go(ReturnState.AUTHORIZED)
        await_goods(it, at)
    if to_come:
        it.row["detail"]["label"] = it.row["detail"].get("label") or label()
        await it.mail_customer(
            "return_authorized", f"override:{row['id']}", at,
            label=it.row["detail"]["label"], method=it.row["detail"]["method"],
        )  # fmt: skip
    settling.score(it)
    it.tx.record("return.overridden", it.id, at, reason=row["reason"], after={"lines": sorted(allowed)})
    paid = await settling.settle(it, cause, at)
    said = f"What was refused is taken back ({why}), worth {money(refund.total_minor, it.row['currency'])}."
    return f"{said} {paid}".strip()


async def withdraw(it: Return, at: datetime) -> None:
    """What was refused is not the question any more; the approval is locked with the return's cases."""
    row = await _pending(it)
    if row is None:
        return
    await approval.supersede(it.tx, row["approval_id"], at)
    await _end(it, row, "superseded", at)


async def _end(it: Return, row: RowMapping, state: str, at: datetime) -> None:
    it.row["detail"].pop("override")
    await it.tx.conn.execute(
        update(return_override).where(return_override.c.id == row["id"]).values(state=state, settled_at=at)
    )
