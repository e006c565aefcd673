"""What stands beside a case on its page: its conversation, other cases of its cause, the item here and near by.

One question to the database for all of it, and one for the policies by which stock is promised there.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import BigInteger, Select, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger import replies
from ledger.prepared import Ask, Several, ahead
from ledger.reads import comments
from ledger.reads.access import Reach, reach_of, within
from ledger.reads.comments import Colleague, Comment
from ledger.reads.stock import NearbyStock, StockItem, at_a_place, items_asked, items_of, near_a_place
from ledger.replies import Reply
from ledger.tables import case_file

MOST_NEAR = 6
MOST_ALIKE = 100


class OnPage(Protocol):
    """A case that is shown."""

    id: int
    kind: str
    sku: str
    location: str
    region: str
    entity: str


class BesideCase(NamedTuple):
    """`told` is by the number of the comment's event; `unanswered` are comments that mention the viewer; `same_cause`
    the open cases of the same kind about the same item at the same place.
    """

    told: dict[int, list[Colleague]]
    unanswered: list[Comment]
    colleagues: list[Colleague]
    replies: list[Reply]
    same_cause: list[int]
    here: list[StockItem]
    near: list[NearbyStock]


_OF_THE_CASE = ("kind", "sku", "location", "region", "entity")


def beside_asked(viewer: Person, case: Mapping[str, Any]) -> Ask:
    """What `beside_case` asks at first, for the row of a case."""
    reach, words = reach_of(viewer)
    about = {name: case[name] for name in _OF_THE_CASE}
    return _beside(reach).of({**words, **about}, case_id=case["id"], viewer=viewer.id)


async def beside_case(conn: AsyncConnection, viewer: Person, case: OnPage, *along: Ask) -> BesideCase:
    """What the viewer sees beside a case that they see. `along` is what its caller asks next, asked with it."""
    reach, words = reach_of(viewer)
    about = {name: getattr(case, name) for name in _OF_THE_CASE}
    found = await _beside(reach).lists(conn, {**words, **about}, case_id=case.id, viewer=viewer.id)
    here, near = found["here"], found["near"]
    await ahead(conn, *along, *items_asked([*here, *near]))
    items = await items_of(conn, [*here, *near])
    return BesideCase(
        told=comments.by_event(found["told"]),
        unanswered=[Comment(*row.values()) for row in found["unanswered"]],
        colleagues=comments.by_person(found["colleagues"]),
        replies=[Reply(**row) for row in found["replies"]],
        same_cause=[row["id"] for row in found["same_cause"]],
        here=items[: len(here)],
        near=_with_distance(items[len(here) :], near),
    )


def _with_distance(items: Iterable[StockItem], rows: Iterable[dict[str, Any]]) -> list[NearbyStock]:
    return [NearbyStock(stock=item, distance_km=row["distance_km"]) for item, row in zip(items, rows, strict=True)]


@lru_cache(maxsize=64)
def _beside(reach: Reach) -> Several:
    return Several(
        {
            "told": comments.TOLD,
            "unanswered": comments.UNANSWERED,
            "colleagues": comments.COLLEAGUES,
            "replies": replies.OF_A_KIND,
            "same_cause": _same_cause(reach),
            "here": at_a_place(reach),
            "near": near_a_place(reach).limit(MOST_NEAR),
        },
        once=True,
    )


def _same_cause(reach: Reach) -> Select[Any]:
    table = case_file.c
    alike = [table[name] == bindparam(name, type_=Text) for name in ("kind", "sku", "location")]
    others = (table.id != bindparam("case_id", type_=BigInteger), table.closed_at.is_(None), table.sku != "")
    return select(table.id).where(*alike, *others, within(table, reach)).order_by(table.id).limit(MOST_ALIKE)
