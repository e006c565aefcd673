"""Transfers that follow from another: goods turned back on their way, sent back, or sent on to where they belong.

What follows from a decision needs nobody's agreement again.
"""

from collections.abc import Sequence

from sqlalchemy import insert

from domain import transfer_postings as postings
from domain.ids import OWN_SOURCE
from domain.messages import Situation
from domain.transfer import Discrepancy, TransferState
from domain.transfer_postings import Side, Value
from domain.words import units
from ledger import reference, tables
from ledger.outbox import search_attributes
from ledger.shelf import Cause
from ledger.situations import due_list
from ledger.transfer import goods, standing
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment
from ledger.transfer.opening import open_all
from ledger.transfer.wanted import Wanted


def _key(it: Transfer, word: str, moment: Moment) -> str:
    return f"{it.row['key']}-{word}-{moment.cause.rsplit(':', 1)[-1]}"


async def _open(
    it: Transfer,
    word: str,
    where: reference.Place,
    target: reference.Place,
    about: Sequence[Discrepancy],
    moment: Moment,
) -> str:
    opening = Wanted(
        place=where,
        target=target,
        policy=it.policy,
        source=OWN_SOURCE,
        key=_key(it, word, moment),
        reason=word,
        lines=[(str(number), one.sku, one.units) for number, one in enumerate(about, start=1)],
        at=moment.at,
        requested_by=it.id,
        barred=it.row["detail"].get("barred", []),
        is_agreed=True,
        detail={"follows": it.id},
    )
    (answer,) = await open_all(it.tx, [opening], it.costs)
    held = sum(line.reserved for line in answer.lines)
    return f"Transfer {answer.journey_id} takes {units(held)} from {where.name} to {target.name}."


async def send_back(it: Transfer, about: Sequence[Discrepancy], moment: Moment) -> str:
    """What came unexpected goes back to the source, from wherever it came."""
    return await _from_each_place(it, "send_back", it.place, about, moment)


async def send_on(it: Transfer, about: Sequence[Discrepancy], moment: Moment) -> str:
    """What came to another store goes on to the destination."""
    return await _from_each_place(it, "send_on", it.target, about, moment)


async def _from_each_place(
    it: Transfer, word: str, target: reference.Place, about: Sequence[Discrepancy], moment: Moment
) -> str:
    """A transfer of its own from each place where goods are."""
    told = []
    for code in sorted({one.location for one in about}):
        where = await reference.place(it.tx.conn, code)
        here = [one for one in about if one.location == code]
        await it.know_costs(where.entity, {one.sku for one in here})
        told.append(await _open(it, word, where, target, here, Moment(f"{moment.cause}-{code}", moment.at)))
    return " ".join(told)


async def turn_back(it: Transfer, moment: Moment) -> str:
    """What is on its way goes back to the source: it travels on as a transfer of its own, whose goods are in transit
    to where they came from.
    """
    back = Wanted(
        place=it.target,
        target=it.place,
        policy=it.policy,
        source=OWN_SOURCE,
        key=_key(it, "back", moment),
        reason="send_back",
        lines=[(name, str(line["sku"]), line["in_transit"]) for name, line in it.lines.items() if line["in_transit"]],
        at=moment.at,
        requested_by=it.id,
        is_agreed=True,
    )
    number = sum(units_ for _, _, units_ in back.lines)
    rows, here, there = [], it.place, it.target
    for line_id, sku, part in back.lines:
        line = it.lines[line_id]
        value = Value(line["cost_minor"], line["transit_minor"])
        line["in_transit"] = line["transit_minor"] = line["cost_minor"] = 0
        line["shipped"] -= part
        line["cancelled"] += part
        ours = Cause(moment.cause, it.tx.actor, moment.at, here.entity, back.id)
        theirs = it.cause(*moment, entity=there.entity)
        away = (there.code, "in_transit"), (there.code, "carrier")
        home = (here.code, "carrier"), (here.code, "in_transit")
        it.tx.shelf.move("transfer_turned", sku, part, *away, theirs, cost_minor=value.taken_minor)
        it.tx.shelf.move("transfer_turned", sku, part, *home, ours, cost_minor=value.given_minor)
        giver = Side(here.entity, "goods_in_transit", here.code)
        taker = Side(there.entity, "goods_in_transit", there.code)
        it.post(goods.SETTLED, moment.cause, postings.passed(giver, taker, value, sku, back=True))
        rows.append(
            {
                "journey_id": back.id, "line_id": line_id, "sku": sku, "ordered": part, "shipped": part,
                "in_transit": part, "transit_minor": value.given_minor, "cost_minor": value.given_minor,
            }
        )  # fmt: skip
    await _write_turned(it, back, rows, moment)
    standing.cut_what_is_left(it, moment)
    if it.quantities().arrived:
        it.row["detail"]["complete"] = True
        standing.stand(it, moment)
    else:
        it.drop_dues("receipt", "await", "ship")
        it.go(TransferState.CANCELLED)
    return f"{units(number)} come back to {here.name} by transfer {back.id}."


async def _write_turned(it: Transfer, back: Wanted, rows: list[dict[str, object]], moment: Moment) -> None:
    """The transfer of the goods that come back begins in transit."""
    conn = it.tx.conn
    due = standing.default_receipt(back.policy, moment.at)
    row = {
        "id": back.id, "kind": "transfer", "source": back.source, "key": back.key,
        "state": TransferState.IN_TRANSIT.value, "location": back.place.code, "region": back.place.region,
        "entity": back.place.entity, "channel": "transfer", "currency": back.place.currency, "requested_by": it.id,
        "opened_at": moment.at, "dues": {"receipt": due.isoformat()}, "asks": {},
        "detail": {
            "turned_from": it.id, "barred": it.row["detail"].get("barred", []),
            "carrier": it.row["detail"].get("carrier"), "tracking": it.row["detail"].get("tracking"),
        },
        "policy_copy": it.row["policy_copy"], "policy_version": it.row["policy_version"],
        "clock_offset_s": it.row["clock_offset_s"],
    }  # fmt: skip
    await conn.execute(insert(tables.journey).values(**row))
    await conn.execute(
        insert(tables.transfer).values(
            journey_id=back.id, from_location=back.place.code, to_location=back.target.code,
            from_entity=back.place.entity, to_entity=back.target.entity, reason=back.reason, approved_at=moment.at,
            value_minor=sum(int(str(one["cost_minor"])) for one in rows),
        )
    )  # fmt: skip
    await conn.execute(insert(tables.transfer_line), rows)
    it.tx.record("transfer.opened", back.id, moment.at, after={"turned_from": it.id})
    situation = Situation(
        subject=back.id,
        state=TransferState.IN_TRANSIT.value,
        dues=due_list({"receipt": due.isoformat()}),
        clock_offset_s=it.row["clock_offset_s"],
    )
    it.tx.start(back.id, "transfer", situation, search_attributes(row))
