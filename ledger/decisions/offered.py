"""What a case offers now: ways out are worked out when it opens, when it is shown, and when it is decided."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, PassedOver
from ledger import reference
from ledger.bopis.order import Order
from ledger.bopis.ways_out import ways_out_now
from ledger.case.offers import as_stored, asking_why, refused_stay_refused
from ledger.claim import asking as claims
from ledger.count import comparing as counts
from ledger.prepared import Ask
from ledger.transfer import asking as transfers

ABOUT_WAYS_OUT = frozenset(
    {"reservation_failure", "reservation_lost", "pick_short", "sale_stopped", "order_at_closed_place"}
)
ABOUT_TRANSFERS = frozenset(
    {
        "transfer_short",
        "transfer_over",
        "transfer_misship",
        "transfer_damage",
        "transfer_shipment_overdue",
        "receipt_overdue",
        "transfer_cancelled",
    }
)
ABOUT_CLAIMS = frozenset({"claim_short_paid", "claim_rejected", "claim_overdue"})
STILL_CHOOSING = frozenset({"open", "claimed", "waiting"})


class Offered(NamedTuple):
    """What can be chosen, and the places that were looked at and are not offered."""

    options: list[CaseOption]
    passed_over: list[PassedOver]


async def options_now(conn: AsyncConnection, row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options of a case as they are now; those of a case that is being applied or closed stay as they were."""
    return (await offered_now(conn, row)).options


async def offered_now(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    """The same, with the places that are passed over now; none for a case that nobody is choosing in."""
    if row["state"] not in STILL_CHOOSING:
        return Offered(as_stored(row), [])
    causes = await _root_causes(conn, row)
    work_out = WORKED_OUT.get(row["kind"])
    if work_out is None or row["journey_id"] is None:
        return Offered(asking_why(as_stored(row), causes), [])
    found = await work_out(conn, row)
    return Offered(asking_why(_as_refused(row, found.options), causes), found.passed_over)


def _as_refused(row: Mapping[Any, Any], now: list[CaseOption]) -> list[CaseOption]:
    """What is offered now, less what was refused; what was written down where there is nothing else."""
    is_needed = not now or not all(option["allowed"] for option in row["options"])
    stored = as_stored(row) if is_needed else []  # to read them takes as long as to work out another
    return refused_stay_refused(stored, now) or stored


def offered_asked(row: Mapping[Any, Any]) -> list[Ask]:
    """What `offered_now` asks at first about a case, as far as its row tells."""
    if row["state"] not in STILL_CHOOSING:
        return []
    where = reference.Scope(row["location"], row["region"], row["entity"])
    order = Order.asked(row["journey_id"]) if row["journey_id"] and row["kind"] in ABOUT_WAYS_OUT else []
    return [reference.place_asked(row["location"]), reference.policies_asked([where]), *order]


async def _root_causes(conn: AsyncConnection, row: Mapping[Any, Any]) -> tuple[str, ...]:
    """The root causes of which policy wants one named when a case of this kind is decided; none for most kinds."""
    place = await reference.place(conn, row["location"])
    policy = await reference.policy_at(conn, place, None)
    return policy.cases.root_causes.get(row["kind"], ())


WorkOut = Callable[[AsyncConnection, Mapping[Any, Any]], Awaitable[Offered]]


async def _of_order(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    found = await ways_out_now(conn, row["journey_id"])
    return Offered(found.options, found.passed_over)


def _without_places(work: Callable[[AsyncConnection, Mapping[Any, Any]], Awaitable[list[CaseOption]]]) -> WorkOut:
    """Options of a kind of journey that looks at no other places."""

    async def work_out(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
        return Offered(await work(conn, row), [])

    return work_out


# Kinds of cases whose ways out are worked out anew whenever they are shown; all others keep those they opened with.
WORKED_OUT: dict[str, WorkOut] = {
    **dict.fromkeys(ABOUT_WAYS_OUT, _of_order),
    "count_variance": _without_places(counts.options_now),
    **dict.fromkeys(ABOUT_TRANSFERS, _without_places(transfers.read_options)),
    **dict.fromkeys(ABOUT_CLAIMS, _without_places(claims.read_options)),
}
