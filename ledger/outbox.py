"""Messages for Temporal: written last in the transaction that causes them; `ledger.deliveries` hands them to relays.

A target is a workflow's id. Its messages are numbered from a counter row; 1 starts it, every later one is a signal.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.messages import Message, Situation
from ledger import rows, situations, traces
from ledger.tables import outbox, outbox_counter

CHANNEL = "endcap_outbox"


class Start(NamedTuple):
    target: str
    workflow: str
    situation: Situation
    search: dict[str, str]


_COUNT_STARTS = text(
    "INSERT INTO outbox_counter (target, last_seq) SELECT target, 1 FROM unnest(CAST(:targets AS text[])) AS t(target)"
    " ORDER BY target"
)


async def write(conn: AsyncConnection, starts: Sequence[Start], tells: Sequence[tuple[str, Message]]) -> None:
    """Number and insert messages, targets in sorted order.

    A situation is read after its counter row is locked: of two transactions that concern one target, the later one sees
    what the earlier one did, and its number is higher.
    """
    traced = traces.beside()
    if starts:
        ordered = sorted(starts, key=lambda start: start.target)
        await conn.execute(_COUNT_STARTS, {"targets": [start.target for start in ordered]})
        await rows.write(
            conn,
            outbox,
            [
                {
                    "target": start.target,
                    "seq": 1,
                    "kind": "start",
                    "payload": {
                        "workflow": start.workflow,
                        "situation": start.situation.model_dump(mode="json"),
                        "search": start.search,
                        **traced,
                    },
                }
                for start in ordered
            ],
        )
    for target, message in sorted(tells):
        seq = await _next_seq(conn, target)
        found = await situations.of_target(conn, target, seq)
        await conn.execute(
            insert(outbox).values(
                target=target,
                seq=seq,
                kind="tell",
                payload={"message": message.value, "situation": found[1].model_dump(mode="json"), **traced},
            )
        )


async def _next_seq(conn: AsyncConnection, target: str) -> int:
    counted = await conn.execute(
        update(outbox_counter)
        .where(outbox_counter.c.target == target)
        .values(last_seq=outbox_counter.c.last_seq + 1)
        .returning(outbox_counter.c.last_seq)
    )
    return int(counted.scalar_one())


async def last_seq(conn: AsyncConnection, target: str) -> int:
    """The number of the target's last message, with its counter locked: nothing is told until this transaction ends."""
    found = await conn.execute(
        select(outbox_counter.c.last_seq).where(outbox_counter.c.target == target).with_for_update()
    )
    return int(found.scalar_one())


async def depth(conn: AsyncConnection) -> tuple[int, float]:
    """How many messages wait, and the age of the oldest in seconds."""
    row = (
        await conn.execute(
            text(
                "SELECT count(*), coalesce(extract(epoch FROM now() - min(recorded_at)), 0)"
                " FROM outbox WHERE done_at IS NULL"
            )
        )
    ).one()
    return int(row[0]), float(row[1])


def search_attributes(row: Mapping[Any, Any]) -> dict[str, str]:
    """What the Temporal UI can be searched by; never a source for a page or a decision."""
    return {name: str(row[name]) for name in ("kind", "location", "region")}
