"""What a customer says of a return by link, and what may come of it. No journey waits for the answer: whoever decides
has it carried out at once, and a refund that follows is looked at and approved as any other.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, func, select

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.errors import Malformed, NotFound, NothingOffered
from domain.messages import Message
from domain.refunds import LineRefund, Share
from domain.returns import ReturnState
from domain.words import money
from ledger import photos as pictures
from ledger import steps
from ledger.case import keep_note
from ledger.case.life import add_event, read_locked
from ledger.engine import Database
from ledger.photos import Stored
from ledger.returns import overriding, refunding, settling
from ledger.returns.document import Return
from ledger.returns.opening import await_goods, label
from ledger.returns.refunding import Refund
from ledger.tables import person_note
from ledger.transaction import Transaction

KIND = "return_disputed"
AUTHOR = "customer"
MOST_WORDS = 20
SENT_TWICE = timedelta(minutes=1)


async def say(
    database: Database, journey_id: str, customer_id: str, *, text: str, photos: Sequence[Stored], via: str
) -> None:
    """Record what the customer has written or sent of their return; somebody is asked to look at it.

    The same words within a minute are one message. Raises `NotFound` for somebody else's return, `Malformed` for
    nothing, and for more than anybody would read.
    """
    if not text.strip() and not photos:
        raise Malformed("Write something, or choose a photo; nothing came.", pointer="/words")

    async def work(tx: Transaction) -> None:
        row = await tx.lock_journey(journey_id)
        if row["customer_id"] != customer_id:
            raise NotFound("This return is not known.")
        it = await Return.load(tx, row)
        at = await tx.now(row["clock_offset_s"])
        added = await pictures.keep(tx, it.id, photos, customer_id=customer_id) if photos else 0
        note_id = None if await _said_before(tx, it.id, text) else await keep_note(tx, it.id, AUTHOR, text)
        if note_id is None and not added:
            return  # sent twice
        if (await _count(tx, it.id)) > MOST_WORDS:
            raise Malformed("You have written often about this return. Please call the store: it has all of it.")
        await it.lock_goods()
        await _ask(it, note_id, [one.key for one in photos] if added else [], at)

    await database.write(work, actor=f"customer:{customer_id}", via=via)


async def _said_before(tx: Transaction, journey_id: str, text: str) -> bool:
    """The same words a moment ago: a form that was sent twice."""
    found = await tx.conn.execute(
        select(person_note.c.id)
        .where(
            person_note.c.subject == journey_id,
            person_note.c.text == text.strip(),
            person_note.c.recorded_at > func.now() - SENT_TWICE,
        )
        .limit(1)
    )
    return found.scalar() is not None


async def _count(tx: Transaction, journey_id: str) -> int:
    counted = select(func.count()).select_from(person_note).where(person_note.c.subject == journey_id)
    return int((await tx.conn.execute(counted)).scalar_one())


async def _ask(it: Return, note_id: int | None, sent: list[str], at: datetime) -> None:
    """Somebody looks at it; what was written stands where personal data may, and on the case's timeline."""
    said = "The customer has written." if note_id is not None else "The customer has sent photos."
    offered = _options(it)
    ref = await it.open_case(
        KIND,
        at,
        facts={
            "order": it.order,
            "declined": sum(line["declined"] for line in it.lines.values()),
            "refused": sum(line["claimed"] for line in it.lines.values() if line["ruling"].get("refused")),
            "fee_minor": _fees(it),
            "refunded_minor": sum(line["refunded_minor"] - line["fee_minor"] for line in it.lines.values()),
        },
        options=offered,
        value_at_risk_minor=max((abs(one.amount_minor) for way in offered for one in way.consequence.money), default=0),
        text="",
    )
    row = await read_locked(it.tx, ref.id)
    await add_event(it.tx, row, "customer_said", said, at, note_id=note_id)
    await steps.note(it.tx, it.id, "customer_said", str(note_id or sent[0]), said, at)


# ---------------------------------------------------------------------- what may come of it
def _fees(it: Return) -> int:
    return sum(int(line["fee_minor"]) for line in it.lines.values())


def _conceded(it: Return) -> Refund:
    """What would go back if units that were declined were refunded after all."""
    return refunding.refund_due(it, all_units={key: _declined_unpaid(line) for key, line in it.lines.items()})


def _declined_unpaid(line: Mapping[str, Any]) -> int:
    """Units of a line that were declined and not refunded, before they were looked at or after all."""
    unpaid = int(max(line["claimed"], line["received"]) - line["refunded"])
    return max(min(settling.declined_for_good(line), unpaid), 0)


def _may_be_taken_back(it: Return) -> bool:
    return it.state is ReturnState.DECLINED and any(line["ruling"].get("refused") for line in it.lines.values())


def _options(it: Return) -> list[CaseOption]:
    """It stays as it is, and whatever else is possible as the return stands."""
    currency = it.row["currency"]
    found = [
        CaseOption(
            id="stand",
            label="It stays as it is",
            rank=1,
            because="policy was applied as it was written",
            consequence=Consequence(customer="Is told so by mail."),
        )
    ]
    owed = _conceded(it).total_minor
    if any(line["declined"] for line in it.lines.values()):
        gone = owed <= 0
        found.append(
            CaseOption(
                id="refund_declined",
                label="Refund what was declined",
                rank=2,
                allowed=not gone,
                why_not="It was refunded already." if gone else None,
                because="above the limit somebody else agrees, as with any refund",
                consequence=Consequence(
                    money=() if gone else (MoneyEffect(label="Refund", amount_minor=owed, currency=currency),),
                    customer="Gets the money where it came from, and keeps what was sent back.",
                ),
            )
        )
    if fee := _fees(it):
        found.append(_fee_back(it, fee))
    if _may_be_taken_back(it):
        found.append(
            CaseOption(
                id="take_back",
                label="Take it back after all",
                rank=4,
                because="what comes is looked at before it is refunded, unless policy says otherwise",
                consequence=Consequence(customer="Gets the reference, and may bring or send it."),
            )
        )
    found.append(
        CaseOption(
            id="customer_called",
            label="Settled with the customer by phone",
            rank=5,
            consequence=Consequence(customer="Hears nothing more of it."),
        )
    )
    return found


def _fee_back(it: Return, fee: int) -> CaseOption:
    limit = it.policy.bands.refund_approval_minor
    return CaseOption(
        id="refund_fee",
        label="Give the fee back",
        rank=3,
        allowed=fee < limit,
        why_not=None if fee < limit else f"{money(fee, it.row['currency'])} is above what one person gives back.",
        consequence=Consequence(
            money=(MoneyEffect(label="Fee given back", amount_minor=fee, currency=it.row["currency"]),),
            customer="Gets the fee where the money came from.",
        ),
    )


# ---------------------------------------------------------------------- carried out
async def _load(tx: Transaction, journey_row: RowMapping | None) -> Return:
    """The return of a case that is being decided: it is locked, with its order and its cases."""
    assert journey_row is not None
    it = await Return.load(tx, journey_row)
    await it.lock_goods()
    return it


async def stand(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """Nothing changes, and the customer hears so."""
    it = await _load(tx, journey_row)
    await it.mail_customer("return_stands", f"case:{case_row['id']}:{case_row['episode']}", at)
    return "It stays as it is; the customer is told."


async def refund_declined(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """What was declined is refunded after all, as any refund is: looked at or approved where that is due.

    Raises `NothingOffered` where nothing of it is left to refund.
    """
    it = await _load(tx, journey_row)
    if _conceded(it).total_minor <= 0:
        raise NothingOffered("Nothing that was declined is left to refund.")
    for line in it.lines.values():
        if units := _declined_unpaid(line):
            line["ruling"] = line["ruling"] | {"conceded": line["ruling"].get("conceded", 0) + units}
    told = await settling.settle(it, _cause(case_row), at)
    await _save(it, at)
    return told or "It is refunded when what is asked about this return is answered."


async def refund_fee(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """The fee goes back to where the money came from. Raises `NothingOffered` where none is left."""
    it = await _load(tx, journey_row)
    back = Refund()
    for line_id, line in it.lines.items():
        if line["fee_minor"]:
            back.lines[line_id] = LineRefund(0, Share(0, 0), -line["fee_minor"])
            back.method = it.row["detail"].get("credit_only") or line["ruling"].get("method") or back.method
    if not back.lines:
        raise NothingOffered("No fee of this return is left to give back.")
    told = await refunding.pay(it, back, _cause(case_row), at, why="fee given back")
    await it.mail_customer(
        "return_refunded", _cause(case_row), at,
        amount_minor=back.total_minor, fee_minor=0, clawed_minor=0, credit=back.method != "original_tender",
    )  # fmt: skip
    await _save(it, at)
    return told


async def take_back(tx: Transaction, case_row: RowMapping, journey_row: RowMapping | None, at: datetime) -> str:
    """What policy refused may come back. Raises `NothingOffered` where it has come, or was agreed, meanwhile."""
    it = await _load(tx, journey_row)
    if not _may_be_taken_back(it):
        raise NothingOffered(f"The return is {it.row['state'].replace('_', ' ')} by now; look at what it is.")
    await overriding.withdraw(it, at)
    for line in it.lines.values():
        line["ruling"] = line["ruling"] | {"refused": "", "asks": False, "because": "It is taken back after all."}
    it.go(ReturnState.AUTHORIZED)
    it.row["detail"]["label"] = it.row["detail"].get("label") or label()
    await_goods(it, at)
    await it.mail_customer(
        "return_authorized", _cause(case_row), at, label=it.row["detail"]["label"], method=it.row["detail"]["method"]
    )
    await _save(it, at)
    return f"It may come back after all; reference {it.row['detail']['label']}."


def _cause(case_row: RowMapping) -> str:
    return f"dispute:{case_row['id']}:{case_row['episode']}"


async def _save(it: Return, at: datetime) -> None:
    await it.save(at)
    it.tx.tell(it.id, Message.RETURN_RECORDED)
