"""Who approves what at a place: each kind and band with its amount, its quorum, its ladder, and the people of today."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Quorum, Side
from domain.bands import Level, ladder_of
from domain.people import Person
from domain.policy import ApprovalPolicy, BandPolicy, Policy
from ledger import delegations, people
from ledger.approval.levels import first_levels
from ledger.reads.places import Place


class Seat(NamedTuple):
    """One level of a ladder: its role, who holds it at the place, and who stands in for one of them today."""

    role: str
    holders: list[str]
    stand_ins: list[tuple[str, str]]  # (who acts, for whom)


class Asked(NamedTuple):
    """A kind of approval in one band. `from_minor` is the amount from which it is asked; None: whatever it is worth.

    `reached` counts the levels that are asked at once, because one alone has too few; with `is_answerable` False even
    all of them have.
    """

    kind: str
    level: Level
    from_minor: int | None
    quorum: Quorum
    seats: list[Seat]
    reached: int
    is_answerable: bool


def bands_of(policy: Policy, kind: str) -> list[tuple[Level, int | None]]:
    """(who must approve, from which amount) of a kind, the lower band first; one that is switched off is left out."""
    alone = {
        "refund": policy.bands.refund_approval_minor,
        "appeasement": policy.bands.appeasement_minor,
        "write_off": policy.bands.write_off_minor,
    }
    if kind in alone:
        return [(Level.MANAGER, alone[kind])]
    own = getattr(policy.bands, kind, None)
    if not isinstance(own, BandPolicy):
        return [(Level.MANAGER, None)]
    both = [(Level.MANAGER, own.manager_minor), (Level.FINANCE, own.finance_minor)]
    return [(level, amount) for level, amount in both if amount is not None]


async def approvers(conn: AsyncConnection, policy: Policy, place: Place, now: datetime) -> list[Asked]:
    """Every kind of approval that policy has a ladder for, as it would be asked at this place now."""
    held: dict[str, list[Person]] = {}
    found = []
    for kind in sorted({**ApprovalPolicy().ladders, **policy.approvals.ladders}):
        for level, amount in bands_of(policy, kind):
            ladder = ladder_of(level, policy.approvals.ladder(kind))
            for role in ladder:
                if role not in held:
                    where = {"entity": place.entity, "region": place.region, "location": place.code}
                    held[role] = list(await people.holders_of_role(conn, role, **where))
            quorum = policy.approvals.quorum_of(kind, level)
            side = Side("", place.entity, place.region, place.code, ladder, 0)
            asked = await first_levels(conn, [side], quorum, ())
            seats = [await _seat(conn, role, held[role], now) for role in ladder]
            found.append(Asked(kind, level, amount, quorum, seats, asked.level, asked.is_enough))
    return found


async def _seat(conn: AsyncConnection, role: str, holders: list[Person], now: datetime) -> Seat:
    acting = await delegations.delegates(conn, [one.id for one in holders], now)
    stand_ins = [(taker.name, one.name) for one in holders for taker in acting.get(one.id, [])]
    return Seat(role, [one.name for one in holders], stand_ins)
