"""Cases that share a cause have a parent: one kind of case about one item at one place, or several about one order.

A parent is a record of its own: it opens when a second case of the cause is open, and closes when none is. Its cases
are decided each by itself, or together by a decision for several cases. It is kept at the end of a transaction, after
all row locks: an advisory lock on the cause, then a count, so that of two transactions the later one sees what the
earlier one did.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import case_file, case_parent

_LOCK = text(
    "SELECT pg_advisory_xact_lock(number) FROM (SELECT DISTINCT hashtextextended('cause ' || name, 0) AS number"
    " FROM unnest(CAST(:names AS text[])) AS name ORDER BY number) sorted"
)


class Cause(NamedTuple):
    """What several cases may have in common: kind, place and item, or else the order. The rest is where it is."""

    kind: str
    location: str
    sku: str
    journey_id: str | None
    region: str
    entity: str

    @property
    def key(self) -> str:
        return f"{self.kind}|{self.location}|{self.sku}" if self.sku else f"order|{self.journey_id}"


def cause_of(row: Mapping[str, Any]) -> Cause | None:
    """The cause that a case may share with others; None where it concerns no order or other journey."""
    if row["journey_id"] is None:
        return None
    if row["sku"]:
        return Cause(row["kind"], row["location"], row["sku"], None, row["region"], row["entity"])
    return Cause("", row["location"], "", row["journey_id"], row["region"], row["entity"])


async def keep(conn: AsyncConnection, causes: Mapping[str, Cause]) -> list[tuple[int, str]]:
    """Open and close the parents of these causes, by key, as their cases now stand.

    Returns the parents that have changed, each with what it is now: `opened` or `closed`.
    """
    await conn.execute(_LOCK, {"names": sorted(causes)})
    changed = []
    for key in sorted(causes):
        open_ones = (
            select(func.count()).select_from(case_file).where(of_cause(causes[key]), case_file.c.closed_at.is_(None))
        )
        count = (await conn.execute(open_ones)).scalar_one()
        found = None
        if count > 1:
            found = (await conn.execute(_open(causes[key]))).scalar()
        elif count == 0:
            closed = (
                update(case_parent)
                .where(case_parent.c.key == key, case_parent.c.closed_at.is_(None))
                .values(closed_at=func.now())
            )
            found = (await conn.execute(closed.returning(case_parent.c.id))).scalar()
        if found is not None:
            changed.append((int(found), "opened" if count else "closed"))
    return changed


def of_cause(cause: Cause) -> ColumnElement[bool]:
    """The cases that share a cause, open and closed."""
    table = case_file.c
    if cause.sku:
        same = (table.kind == cause.kind, table.location == cause.location, table.sku == cause.sku)
        return and_(*same, table.journey_id.is_not(None))
    return and_(table.journey_id == cause.journey_id, table.sku == "")


def _open(cause: Cause) -> Any:
    """A parent that was closed is open again, as its next episode; one that is open stays as it is."""
    return (
        insert(case_parent)
        .values(**cause._asdict(), key=cause.key, opened_at=func.now())
        .on_conflict_do_update(
            index_elements=["key"],
            set_={"opened_at": func.now(), "closed_at": None, "episode": case_parent.c.episode + 1},
            where=case_parent.c.closed_at.is_not(None),
        )
        .returning(case_parent.c.id)
    )
