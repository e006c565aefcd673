"""What stands beside a case on its page: its conversation, other cases of its cause, the item here and near by.

One question to the database for all of it; the policies by which stock is promised there are asked along with another.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, Text, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from domain.stock import PHYSICAL_BUCKETS, atp
from ledger import replies
from ledger.distance import distance_km
from ledger.prepared import Ask, Several, along
from ledger.reads import comments
from ledger.reads.access import Reach, location_within, reach_of, within
from ledger.reads.comments import Colleague, Comment
from ledger.reads.stock import DEFAULT_CHANNEL
from ledger.reference import Scope, policies_asked, policies_at
from ledger.replies import Reply
from ledger.tables import case_file, location, stock

MOST_SHELVES = 7
MOST_ALIKE = 100


class Shelf(NamedTuple):
    """The item of a case at a place that the viewer sees. Units are on hand, and to promise to an order of the web;
    `confidence` is a share between 0 and 1. A place of unknown distance has no `distance_km`.
    """

    location: str
    name: str
    distance_km: float | None
    on_hand: int
    promise: int
    confidence: float


class BesideCase(NamedTuple):
    """`told` is by the number of the comment's event; `unanswered` are comments that mention the viewer; `same_cause`
    the open cases of the same kind about the same item at the same place; `stock` the rows of where the item is, the
    case's own place first, then the nearest, out of which `shelves_of` makes shelves.
    """

    told: dict[int, list[Colleague]]
    unanswered: list[Comment]
    colleagues: list[Colleague]
    replies: list[Reply]
    same_cause: list[int]
    stock: list[dict[str, Any]]


_OF_THE_CASE = ("kind", "sku", "location", "region", "entity")


def beside_asked(viewer: Person, case: Mapping[str, Any]) -> Ask:
    """What `beside_case` asks, for the row of a case."""
    reach, words = reach_of(viewer)
    return _beside(reach).of(_about(viewer, case, words))


def _about(viewer: Person, case: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    return {**words, **{name: case[name] for name in _OF_THE_CASE}, "case_id": case["id"], "viewer": viewer.id}


async def beside_case(conn: AsyncConnection, viewer: Person, case: Mapping[str, Any]) -> BesideCase:
    """What the viewer sees beside a case (its row) that they see. What `shelves_of` asks will go along with the next
    question.
    """
    reach, words = reach_of(viewer)
    found = await _beside(reach).lists(conn, _about(viewer, case, words))
    if found["shelves"]:
        along(conn, policies_asked(_where(found["shelves"])))
    return BesideCase(
        told=comments.by_event(found["told"]),
        unanswered=[Comment(*row.values()) for row in found["unanswered"]],
        colleagues=comments.by_person(found["colleagues"]),
        replies=[Reply(**row) for row in found["replies"]],
        same_cause=[row["id"] for row in found["same_cause"]],
        stock=found["shelves"],
    )


def _where(rows: Iterable[Mapping[str, Any]]) -> list[Scope]:
    return [Scope(row["location"], row["region"], row["entity"]) for row in rows]


async def shelves_of(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> list[Shelf]:
    """The shelves of `BesideCase.stock`, by the policies in force at each place."""
    if not rows:
        return []
    policies = await policies_at(conn, _where(rows))

    def shelf(row: Mapping[str, Any]) -> Shelf:
        promise = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=policies[row["location"]].stock.channel_threshold.get(DEFAULT_CHANNEL, 0),
            confidence_permille=row["confidence_permille"],
        )
        return Shelf(
            location=row["location"],
            name=row["name"],
            distance_km=row["distance_km"],
            on_hand=row["on_hand"],
            promise=promise,
            confidence=row["confidence_permille"] / 1000,
        )

    return [shelf(row) for row in rows]


@lru_cache(maxsize=64)
def _beside(reach: Reach) -> Several:
    return Several(
        {
            "told": comments.TOLD,
            "unanswered": comments.UNANSWERED,
            "colleagues": comments.COLLEAGUES,
            "replies": replies.OF_A_KIND,
            "same_cause": _same_cause(reach),
            "shelves": _shelves(reach),
        },
        once=True,
    )


def _same_cause(reach: Reach) -> Select[Any]:
    table = case_file.c
    alike = [table[name] == bindparam(name, type_=Text) for name in ("kind", "sku", "location")]
    others = (table.id != bindparam("case_id", type_=BigInteger), table.closed_at.is_(None), table.sku != "")
    return select(table.id).where(*alike, *others, within(table, reach)).order_by(table.id).limit(MOST_ALIKE)


def _shelves(reach: Reach) -> Select[Any]:
    """The stock of the item `sku` at places that the viewer sees: at `location` itself, then the nearest to it."""
    here = location.alias("here")
    distance: ColumnElement[float | None] = distance_km(here, location)
    names = ("location", "available", "safety_stock", "confidence_permille")
    on_hand = sum((stock.c[bucket] for bucket in PHYSICAL_BUCKETS[1:]), stock.c[PHYSICAL_BUCKETS[0]])
    return (
        select(
            *(stock.c[name] for name in names),
            *(location.c[name] for name in ("name", "region", "entity")),
            on_hand.label("on_hand"),
            distance.label("distance_km"),
        )
        .join(location, location.c.code == stock.c.location)
        .join(here, here.c.code == bindparam("location", type_=Text))
        .where(stock.c.sku == bindparam("sku", type_=Text), location_within(reach))
        .order_by((stock.c.location == here.c.code).desc(), distance.asc().nulls_last(), stock.c.location)
        .limit(MOST_SHELVES)
    )
