"""Opens counts: for a person, a system, the schedule, or because something on the shelf does not add up."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, text

from domain.count import CountState
from domain.errors import Malformed
from domain.ids import OWN_SOURCE, journey_id
from domain.messages import Situation
from domain.policy import Policy
from domain.words import words
from ledger import policies, reference, situations, steps
from ledger.outbox import search_attributes
from ledger.tables import count_line, journey, stock
from ledger.transaction import Transaction

MAX_LINES = 2_000


@dataclass(frozen=True)
class Opening:
    """What is to be counted, where and why. `risk` holds the terms by which a SKU was chosen."""

    place: reference.Place
    policy: Policy
    reason: str
    skus: Sequence[str]
    at: datetime
    source: str = OWN_SOURCE
    key: str = ""
    requested_by: str = ""
    due_at: datetime | None = None
    risk: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    why: str = ""


async def everything_at(tx: Transaction, location: str) -> list[str]:
    """Every SKU that the book has, or has had, at a place. Raises `Malformed` for more than fits on a sheet."""
    rows = await tx.conn.execute(select(stock.c.sku).where(stock.c.location == location).order_by(stock.c.sku))
    found = list(rows.scalars())
    if len(found) > MAX_LINES:
        raise Malformed(
            f"{location} has {len(found):,} items and a sheet takes {MAX_LINES:,}; name the SKUs of each part.",
            pointer="/skus",
        )
    if not found:
        raise Malformed(f"The book knows no item at {location}; name the SKUs to be counted.", pointer="/skus")
    return found


_BEING_COUNTED = text(
    "SELECT DISTINCT ON (l.sku) l.sku, l.journey_id FROM count_line l JOIN journey j ON j.id = l.journey_id"
    " WHERE l.location = :location AND l.sku = ANY(CAST(:skus AS text[])) AND l.bucket = ''"
    " AND l.state IN ('open', 'recount') AND j.closed_at IS NULL AND j.id <> :beside ORDER BY l.sku, j.opened_at"
)


async def being_counted(tx: Transaction, location: str, skus: Sequence[str], *, beside: str = "") -> dict[str, str]:
    """The open count, beside one, that is still to look at each of the SKUs, by SKU."""
    rows = await tx.conn.execute(_BEING_COUNTED, {"location": location, "skus": list(skus), "beside": beside})
    return {row.sku: row.journey_id for row in rows}


async def not_yet_asked(tx: Transaction, location: str, skus: Sequence[str], *, beside: str = "") -> list[str]:
    """Those of the SKUs that no open count, `beside` one, is still to look at. The caller holds their stock rows, so
    nobody else opens a count for them meanwhile.
    """
    asked = await being_counted(tx, location, skus, beside=beside)
    return [sku for sku in dict.fromkeys(skus) if sku not in asked]


async def open_count(tx: Transaction, opening: Opening) -> str:
    """Write the sheet and start its workflow; returns the journey's id. The SKUs are in the master data."""
    place, policy, at = opening.place, opening.policy, opening.at
    key = opening.key or f"{place.code}-{uuid.uuid4().hex[:8]}"
    count_id = journey_id("count", opening.source, key)
    due_at = opening.due_at or at + timedelta(seconds=policy.count.window_s)
    dues = {"count": due_at.isoformat()}
    row = {
        "id": count_id,
        "kind": "count",
        "source": opening.source,
        "key": key,
        "state": CountState.SCHEDULED.value,
        "location": place.code,
        "region": place.region,
        "entity": place.entity,
        "channel": "store",
        "currency": place.currency,
        "requested_by": opening.requested_by,
        "opened_at": at,
        "dues": dues,
        "asks": {},
        "detail": {"reason": opening.reason, "round": 1, "round_opened_at": at.isoformat(), "rounds": {}},
        "policy_copy": await policies.keep(tx.conn, policy),
        "policy_version": policy.version,
    }
    await tx.conn.execute(insert(journey).values(**row))
    await add_lines(tx, count_id, place.code, opening.skus, risk=opening.risk)
    lines = len(opening.skus)
    told = opening.why or f"{words(opening.reason)}: {lines} {'item' if lines == 1 else 'items'} to count."
    await steps.note(tx, count_id, "opened", key, told, at)
    tx.record("count.opened", count_id, at, after={"reason": opening.reason, "lines": lines})
    situation = Situation(subject=count_id, state=CountState.SCHEDULED.value, dues=situations.due_list(dues))
    tx.start(count_id, "count", situation, search_attributes(row))
    return count_id


async def add_lines(
    tx: Transaction,
    count_id: str,
    location: str,
    skus: Sequence[str],
    *,
    bucket: str = "",
    risk: Mapping[str, list[dict[str, Any]]] | None = None,
) -> None:
    """Lines to be counted; SKUs are told apart."""
    await tx.conn.execute(
        insert(count_line),
        [
            {
                "journey_id": count_id,
                "sku": sku,
                "bucket": bucket,
                "location": location,
                "risk": (risk or {}).get(sku, []),
            }
            for sku in sorted(set(skus))
        ],
    )
