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


class Named(NamedTuple):
    """A transfer that a label names. `is_at`: it is to come to the place where somebody looks."""

    journey_id: str
    key: str
    source: str
    destination: str
    is_at: bool


_NAMED = text(
    "SELECT j.id, j.key, s.name AS source, d.name AS destination, t.to_location = :location AS is_at"
    " FROM transfer t JOIN journey j ON j.id = t.journey_id"
    " JOIN location s ON s.code = t.from_location JOIN location d ON d.code = t.to_location"
    " WHERE j.id IN (SELECT id FROM journey WHERE kind = 'transfer' AND (key = :number OR id = :number)"
    " UNION SELECT journey_id FROM transfer_parcel WHERE tracking = :number)"
    " ORDER BY j.opened_at DESC, j.id LIMIT :most"
)


async def named_on_label(conn: AsyncConnection, location: str, number: str) -> list[Named]:
    """Transfers with exactly this number or tracking number, wherever they go: whoever has the label has the goods."""
    rows = await conn.execute(_NAMED, {"location": location, "number": number, "most": 20})
    return [Named(row.id, row.key, row.source, row.destination, row.is_at) for row in rows]
