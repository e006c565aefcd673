"""What a case offers now: ways out are worked out when it opens, when it is shown, and when it is decided."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, PassedOver
from ledger import reference
from ledger.tables import case_file

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
ROOT_CAUSE = "root_cause"
STILL_CHOOSING = frozenset({"open", "claimed", "waiting"})


def as_stored(row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options as they were last written down."""
    return [CaseOption.model_validate(option) for option in row["options"]]


class Offered(NamedTuple):
    """What can be chosen, and the places that were looked at and are not offered."""

    options: list[CaseOption]
    passed_over: list[PassedOver]


async def options_now(conn: AsyncConnection, row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options of a case as they are now; those of a case that is being applied or closed stay as they were."""
    return (await offered_now(conn, row)).options


async def offered_now(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    """The same, with the places that are passed over now; none for a case that nobody is choosing in."""
    stored = as_stored(row)
    if row["state"] not in STILL_CHOOSING:
        return Offered(stored, [])
    causes = await _root_causes(conn, row)
    work_out = WORKED_OUT.get(row["kind"])
    if work_out is None or row["journey_id"] is None:
        return Offered(asking_why(stored, causes), [])
    found = await work_out(conn, row)
    return Offered(asking_why(refused_stay_refused(stored, found.options) or stored, causes), found.passed_over)


async def _root_causes(conn: AsyncConnection, row: Mapping[Any, Any]) -> tuple[str, ...]:
    """The root causes of which policy wants one named when a case of this kind is decided; none for most kinds."""
    place = await reference.place(conn, row["location"])
    policy = await reference.policy_at(conn, place, datetime.now(UTC))
    return policy.cases.root_causes.get(row["kind"], ())


def asking_why(options: Sequence[CaseOption], causes: tuple[str, ...]) -> list[CaseOption]:
    """The options, each with the root cause to choose along with it; one that asks for it by itself keeps its own."""
    if not causes:
        return list(options)
    return [
        option.model_copy(update={"choices": {**option.choices, ROOT_CAUSE: option.choices.get(ROOT_CAUSE, causes)}})
        for option in options
    ]


async def _of_order(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    # Not imported above: an order needs cases, so cases cannot need orders while they are loaded.
    from ledger.bopis.ways_out import ways_out_now

    found = await ways_out_now(conn, row["journey_id"])
    return Offered(found.options, found.passed_over)


async def _of_count(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    from ledger.count.comparing import options_now as of_count  # a count needs cases

    return Offered(await of_count(conn, row), [])


async def _of_transfer(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    from ledger.transfer.asking import read_options  # a transfer needs cases

    return Offered(await read_options(conn, row), [])


async def _of_claim(conn: AsyncConnection, row: Mapping[Any, Any]) -> Offered:
    from ledger.claim.asking import read_options  # a claim needs cases

    return Offered(await read_options(conn, row), [])


# Kinds of cases whose ways out are worked out anew whenever they are shown; all others keep those they opened with.
WORKED_OUT: dict[str, Callable[[AsyncConnection, Mapping[Any, Any]], Awaitable[Offered]]] = {
    **dict.fromkeys(ABOUT_WAYS_OUT, _of_order),
    "count_variance": _of_count,
    **dict.fromkeys(ABOUT_TRANSFERS, _of_transfer),
    **dict.fromkeys(ABOUT_CLAIMS, _of_claim),
}


def refused_stay_refused(before: Sequence[CaseOption], now: Sequence[CaseOption]) -> list[CaseOption]:
    """What an approver rejected is not offered again in this episode, with the reason why."""
    why = {option.id: option.why_not for option in before if not option.allowed}
    return [
        option.model_copy(update={"allowed": False, "why_not": why[option.id]}) if option.id in why else option
        for option in now
    ]


async def write_down(conn: AsyncConnection, row: Mapping[Any, Any], options: Sequence[CaseOption]) -> None:
    """Keep the options that a decision was made among."""
    await conn.execute(
        update(case_file)
        .where(case_file.c.id == row["id"])
        .values(options=[option.model_dump(mode="json") for option in options])
    )
