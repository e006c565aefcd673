"""Reads what a workflow needs to go on. The same reading serves its start, every message, every step and its
rebuild.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import RowMapping, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.messages import Due, Situation
from ledger.tables import approval, bulk, case_file, journey, outbox_counter

# A bulk decision may concern cases of many places; it is searched for by its kind alone.
BULK_SEARCH = {"kind": "bulk", "location": "", "region": ""}

_JOURNEY = text(
    """
    SELECT j.id, j.state, j.closed_at, j.dues, j.asks, j.clock_offset_s, j.suspended_from,
        (SELECT coalesce(array_agg(o.id ORDER BY o.id), '{}') FROM payment_operation o
          WHERE o.journey_id = j.id AND o.state IN ('requested', 'unknown')) AS operations,
        EXISTS (SELECT 1 FROM waiting_demand w WHERE w.journey_id = j.id AND w.found > 0)
            OR EXISTS (SELECT 1 FROM awaited a WHERE a.journey_id = j.id AND a.came + a.failed > 0) AS found,
        EXISTS (SELECT 1 FROM awaited a WHERE a.transfer_id = j.id AND a.given_up > 0) AS unneeded,
        EXISTS (SELECT 1 FROM hold h WHERE h.journey_id = j.id AND h.doubted_at IS NOT NULL AND h.reserved > 0) AS
        doubted,
        CASE WHEN j.dues ? 'recount' THEN NOT EXISTS (SELECT 1 FROM journey c WHERE c.closed_at IS NULL
            AND c.id IN (SELECT jsonb_array_elements_text(j.detail -> 'recounts'))) ELSE false END AS counted,
        j.kind = 'returns' AND (j.asks ? 'verdict' AND NOT j.asks ? 'case_id' OR j.detail ? 'override' AND EXISTS
            (SELECT 1 FROM approval p WHERE p.id = (j.detail -> 'override' ->> 'approval_id')::bigint
            AND p.state <> 'pending')) AS answered
    FROM journey j WHERE j.id = :id
    """
)


def due_list(dues: Mapping[str, str | None]) -> tuple[Due, ...]:
    """Due instants of a row's JSON, sorted; names without an instant are not waited for."""
    found = [Due(name=name, at=datetime.fromisoformat(at)) for name, at in dues.items() if at]
    return tuple(sorted(found, key=lambda due: (due.at, due.name)))


async def of_journey(conn: AsyncConnection, journey_id: str, seq: int) -> Situation:
    """The situation of a journey. Raises `NotFound`."""
    row = (await conn.execute(_JOURNEY, {"id": journey_id})).mappings().first()
    if row is None:
        raise NotFound(f"There is no journey {journey_id}.")
    asks = row["asks"]
    # A decision that can still be undone is none yet for the workflow.
    decided = {} if asks.get("applies_at") else asks
    attention = [name for name in ("found", "doubted", "counted", "unneeded", "answered") if row[name]]
    # A doubted unit is attended to once: from then on its verification has a due instant.
    if "verify" in row["dues"] and "doubted" in attention:
        attention.remove("doubted")
    return Situation(
        subject=row["id"],
        state=row["state"],
        ended=row["closed_at"] is not None,
        seq=seq,
        dues=due_list(row["dues"]),
        clock_offset_s=row["clock_offset_s"],
        operations=tuple(row["operations"]),
        case_id=asks.get("case_id"),
        decision_id=decided.get("decision_id"),
        decision_needs_approval=bool(decided.get("needs_approval")),
        approval_id=asks.get("approval_id"),
        verdict=asks.get("verdict"),
        offer_id=asks.get("offer_id"),
        attention=tuple(attention),
        suspended=row["suspended_from"] is not None,
    )


def of_case_row(row: RowMapping, seq: int) -> Situation:
    """The situation of a case: it waits for the ladder, for the end of a pause, or until a decision is applied."""
    dues = {}
    if row["closed_at"] is None:
        dues["level"] = row["next_level_at"].isoformat() if row["next_level_at"] else None
        dues["waiting"] = row["waiting_until"].isoformat() if row["waiting_until"] else None
        dues["decision"] = row["applies_at"].isoformat() if row["applies_at"] else None
    return Situation(
        subject=str(row["id"]),
        state=row["state"],
        ended=row["closed_at"] is not None,
        seq=seq,
        dues=due_list(dues),
        clock_offset_s=row["clock_offset_s"],
    )


def of_approval_row(row: RowMapping, seq: int) -> Situation:
    """The situation of an approval: it waits for its next reminder, level or end."""
    pending = row["state"] == "pending"
    dues = {"next": row["next_at"].isoformat() if pending and row["next_at"] else None}
    return Situation(
        subject=str(row["id"]),
        state=row["state"],
        ended=not pending,
        seq=seq,
        dues=due_list(dues),
        clock_offset_s=row["clock_offset_s"],
    )


async def of_case(conn: AsyncConnection, case_id: int, episode: int, seq: int) -> Situation:
    """The situation of one episode of a case; an episode that is over has ended. Raises `NotFound`."""
    row = (await conn.execute(select(case_file).where(case_file.c.id == case_id))).mappings().first()
    if row is None:
        raise NotFound(f"There is no case {case_id}.")
    situation = of_case_row(row, seq)
    return situation if row["episode"] == episode else situation.model_copy(update={"ended": True, "dues": ()})


async def of_approval(conn: AsyncConnection, approval_id: int, seq: int) -> Situation:
    """The situation of an approval. Raises `NotFound`."""
    row = (await conn.execute(select(approval).where(approval.c.id == approval_id))).mappings().first()
    if row is None:
        raise NotFound(f"There is no approval {approval_id}.")
    return of_approval_row(row, seq)


def of_bulk_row(row: RowMapping, seq: int) -> Situation:
    """The situation of a bulk decision: it waits for the instant of its next cases."""
    dues = {"next": row["next_at"].isoformat() if row["next_at"] else None}
    return Situation(
        subject=str(row["id"]), state=row["state"], ended=row["ended_at"] is not None, seq=seq, dues=due_list(dues)
    )


async def of_bulk(conn: AsyncConnection, bulk_id: int, seq: int) -> Situation:
    """The situation of a bulk decision. Raises `NotFound`."""
    row = (await conn.execute(select(bulk).where(bulk.c.id == bulk_id))).mappings().first()
    if row is None:
        raise NotFound(f"There is no bulk decision {bulk_id}.")
    return of_bulk_row(row, seq)


async def of_target(conn: AsyncConnection, target: str, seq: int) -> tuple[str, Situation]:
    """(workflow type, situation) of any target. Raises `NotFound` when PostgreSQL knows no such thing."""
    kind, *rest = target.split(":")
    if kind == "case":
        return kind, await of_case(conn, int(rest[0]), int(rest[1]), seq)
    if kind == "approval":
        return kind, await of_approval(conn, int(rest[0]), seq)
    if kind == "bulk":
        return kind, await of_bulk(conn, int(rest[0]), seq)
    return kind, await of_journey(conn, target, seq)


async def situation_of_target(conn: AsyncConnection, target: str) -> tuple[str, Situation] | None:
    """(workflow type, situation now) of a target for the relay, or None when it was never started."""
    seq = (await conn.execute(select(outbox_counter.c.last_seq).where(outbox_counter.c.target == target))).scalar()
    return None if seq is None else await of_target(conn, target, seq)


async def recorded(conn: AsyncConnection, target: str) -> Situation:
    """The situation now of a target that was started. Raises `NotFound`."""
    found = await situation_of_target(conn, target)
    if found is None:
        raise NotFound(f"Nothing was started under {target}.")
    return found[1]


async def search_of_target(conn: AsyncConnection, target: str) -> dict[str, str]:
    """The search attributes of a target, for a rebuild."""
    kind, *rest = target.split(":")
    if kind == "bulk":
        return BULK_SEARCH
    table, key = {"case": (case_file, int), "approval": (approval, int)}.get(kind, (journey, str))
    wanted = key(rest[0]) if key is int else target
    row = (
        (await conn.execute(select(table.c.kind, table.c.location, table.c.region).where(table.c.id == wanted)))
        .mappings()
        .one()
    )
    return dict(row)
