"""What a place has to send to others, and what is to come to it: transfers as its people see them."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.transfer import ON_THE_WAY, TO_BE_SHIPPED

AT_MOST = 200


class Waiting(NamedTuple):
    """A transfer that waits at a place. `units` are still to be sent from it, or on their way to it; `other` is the
    place at the other end. `due_at` is on the transfer's own clock, `now` is that clock's.
    """

    journey_id: str
    key: str
    units: int
    other: str
    due_at: datetime | None
    now: datetime


# The parts are fixed words of this module; only `location` and `states` come from outside, as parameters.
_WAITING = (
    "SELECT j.id, j.key, o.name AS other, now() + make_interval(secs => j.clock_offset_s) AS now,"
    " sum({units})::int AS units, j.dues ->> '{due}' AS due_at"
    " FROM journey j JOIN transfer t ON t.journey_id = j.id JOIN transfer_line l ON l.journey_id = j.id"
    " JOIN location o ON o.code = t.{other}"
    " WHERE t.{here} = :location AND j.closed_at IS NULL AND j.state = ANY(:states)"
    " GROUP BY j.id, o.name HAVING sum({units}) > 0 ORDER BY j.dues ->> '{due}' NULLS LAST, j.id LIMIT :most"
)
_LEFT_TO_SEND = "greatest(l.ordered - l.cancelled - l.shipped, 0)"
_TO_SEND = text(_WAITING.format(units=_LEFT_TO_SEND, due="ship", other="to_location", here="from_location"))
_TO_RECEIVE = text(_WAITING.format(units="l.in_transit", due="receipt", other="from_location", here="to_location"))
_ANNOUNCED = text(_WAITING.format(units=_LEFT_TO_SEND, due="ship", other="from_location", here="to_location"))
_COUNTED = text("SELECT detail -> 'counted' FROM journey WHERE id = :id")


async def to_send(conn: AsyncConnection, location: str) -> list[Waiting]:
    """Transfers with goods that are still to leave a place, the most urgent first."""
    return await _waiting(conn, _TO_SEND, location, TO_BE_SHIPPED | ON_THE_WAY)


async def to_receive(conn: AsyncConnection, location: str) -> list[Waiting]:
    """Transfers with goods on their way to a place, the most urgent first."""
    return await _waiting(conn, _TO_RECEIVE, location, ON_THE_WAY)


async def not_sent_yet(conn: AsyncConnection, location: str) -> list[Waiting]:
    """Transfers to a place of which nobody has said that anything has left; their goods may come all the same."""
    return await _waiting(conn, _ANNOUNCED, location, TO_BE_SHIPPED)


async def _waiting(conn: AsyncConnection, query: TextClause, location: str, states: frozenset[str]) -> list[Waiting]:
    values = {"location": location, "states": sorted(states), "most": AT_MOST}
    rows = await conn.execute(query, values)
    return [
        Waiting(
            row.id,
            row.key,
            row.units,
            row.other,
            datetime.fromisoformat(row.due_at) if row.due_at else None,
            row.now,
        )
        for row in rows
    ]


async def counted_lines(conn: AsyncConnection, journey_id: str) -> frozenset[str]:
    """The lines of a transfer for which its destination has given a number."""
    found = (await conn.execute(_COUNTED, {"id": journey_id})).scalar_one_or_none()
    return frozenset(found or ())
