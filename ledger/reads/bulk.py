"""Reads of decisions for several cases: what each way out would do for a selection, and how far one has come."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bulk import BEGINS_AFTER, MOST_CASES
from domain.case import CaseOption, mark
from domain.errors import Malformed, NotFound
from domain.people import Person
from ledger.decisions.offered import options_now
from ledger.decisions.undoing import longest_window
from ledger.reads.access import visible
from ledger.tables import bulk, bulk_item, case_file, person


class Chosen(NamedTuple):
    """A case of a selection, as it stands now."""

    id: int
    kind: str
    subject: str
    sku: str
    location: str
    journey_id: str | None
    version: int
    value_at_risk_minor: int
    currency: str


@dataclass
class WayForSeveral:
    """A way out that at least one case of the selection offers. `money` sums what it would cost or refund."""

    option_id: str
    label: str
    fits: list[Chosen] = field(default_factory=list)
    fits_not: list[tuple[Chosen, str]] = field(default_factory=list)
    need_approval: int = 0
    marks: dict[int, str] = field(default_factory=dict)  # of what it would do, by case
    money: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def shown(self) -> str:
        """One mark of all that it would do, carried by the page."""
        what = json.dumps(sorted(self.marks.items()))
        return f"{self.option_id}#{hashlib.sha256(what.encode()).hexdigest()[:16]}"


class Preview(NamedTuple):
    """`unfit` cases can be decided by none of the ways; each with its reason."""

    cases: list[Chosen]
    ways: list[WayForSeveral]
    unfit: list[tuple[Chosen, str]]
    begins_after_s: int  # how long it could be called off


async def preview(conn: AsyncConnection, viewer: Person, ids: Sequence[int]) -> Preview:
    """What could be decided for these cases at once, by the ways out that each has now.

    Raises `Malformed` for none or too many. A case that the viewer does not see is left out, as if it were not there.
    """
    wanted = list(dict.fromkeys(ids))
    if not 1 <= len(wanted) <= MOST_CASES:
        raise Malformed(f"Tick between 1 and {MOST_CASES} cases in the queue first; these are {len(wanted)}.")
    query = (
        select(case_file, person.c.name.label("claimer"))
        .join(person, person.c.id == case_file.c.claimed_by, isouter=True)
        .where(case_file.c.id.in_(wanted), visible(case_file.c, viewer))
        .order_by(case_file.c.id)
    )
    cases: list[Chosen] = []
    unfit: list[tuple[Chosen, str]] = []
    open_ones: list[tuple[Chosen, list[CaseOption]]] = []
    rows = (await conn.execute(query)).mappings().all()
    begins_after = max(BEGINS_AFTER, await longest_window(conn, rows, datetime.now(UTC)))
    for row in rows:
        one = Chosen(*(row[name] for name in Chosen._fields))
        cases.append(one)
        why_not = _why_not(row, viewer)
        if why_not:
            unfit.append((one, why_not))
        else:
            open_ones.append((one, await options_now(conn, row)))
    return Preview(cases, _ways(open_ones), unfit, int(begins_after.total_seconds()))


def _why_not(row: Any, viewer: Person) -> str | None:
    if row["closed_at"] is not None:
        return "It is closed."
    if row["state"] == "deciding":
        return "A decision is being applied."
    if not viewer.may_decide(row["entity"], row["region"], row["location"]):
        return "Your role may look at it, not decide it."
    if row["claimed_by"] not in (None, viewer.id):
        return f"{row['claimer']} has claimed it."
    return None if row["options"] else "It offers no way out here."


def _ways(open_ones: Sequence[tuple[Chosen, list[CaseOption]]]) -> list[WayForSeveral]:
    """Every way that is offered, the one that fits most cases first."""
    ways: dict[str, WayForSeveral] = {}
    for _, options in open_ones:
        for option in options:
            ways.setdefault(option.id, WayForSeveral(option.id, option.label))
    for way in ways.values():
        for one, options in open_ones:
            offered = next((option for option in options if option.id == way.option_id), None)
            why_not = _not_for_several(offered)
            if offered is None or why_not is not None:
                way.fits_not.append((one, why_not or "It does not offer this."))
                continue
            way.fits.append(one)
            way.marks[one.id] = mark(offered)
            way.need_approval += offered.needs_approval
            for effect in offered.consequence.money:
                way.money[effect.label, effect.currency] += effect.amount_minor
    return sorted((way for way in ways.values() if way.fits), key=lambda way: (-len(way.fits), way.option_id))


def _not_for_several(option: CaseOption | None) -> str | None:
    if option is None:
        return None
    if not option.allowed:
        return option.why_not or "Not possible here."
    if option.confirms or option.choices:
        return "It needs your word for this one customer; decide it by itself."
    return None


class BulkItem(NamedTuple):
    case_id: int
    kind: str
    subject: str
    location: str
    state: str
    reason: str | None
    case_state: str


class BulkView(NamedTuple):
    """A decision for several cases. `counts` by the state of its items."""

    id: int
    label: str
    state: str
    at: datetime
    begins_at: datetime | None
    ended_at: datetime | None
    counts: dict[str, int]
    items: list[BulkItem]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


async def bulk_view(conn: AsyncConnection, viewer: Person, bulk_id: int) -> BulkView:
    """A decision of the viewer's own. Raises `NotFound` for anybody else's."""
    row = None
    if -(2**63) <= bulk_id < 2**63:
        query = select(bulk).where(bulk.c.id == bulk_id, bulk.c.requested_by == viewer.id)
        row = (await conn.execute(query)).mappings().first()
    if row is None:
        raise NotFound(f"There is no decision {bulk_id} of yours.")
    rows = await conn.execute(
        select(
            bulk_item.c.case_id, case_file.c.kind, case_file.c.subject, case_file.c.location, bulk_item.c.state,
            bulk_item.c.reason, case_file.c.state.label("case_state"),
        )
        .join(case_file, case_file.c.id == bulk_item.c.case_id)
        .where(bulk_item.c.bulk_id == bulk_id)
        .order_by(bulk_item.c.case_id)
    )  # fmt: skip
    items = [BulkItem(*one) for one in rows]
    counts: dict[str, int] = defaultdict(int)
    for item in items:
        counts[item.state] += 1
    return BulkView(
        row["id"], row["label"], row["state"], row["at"], row["next_at"], row["ended_at"], dict(counts), items
    )
