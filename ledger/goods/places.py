"""Places and policy as facts about goods need them: a copy in this process, read again when it is a second old.

A place or a policy that changes holds for facts that arrive a second later. What is missing is looked for in the
database before it is called unknown, so a place that was just loaded is known at once.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import any_, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.policy import Policy, merge
from ledger import reference
from ledger.tables import api_key, entity, location, policy_document

MAX_AGE_S = 1.0


class GoodsPlace(NamedTuple):
    """A location, as far as movements and postings need to know it."""

    code: str
    region: str
    entity: str
    currency: str


class Places:
    """Every location and policy document, as of `MAX_AGE_S` ago at most."""

    def __init__(self) -> None:
        self._read_at = float("-inf")
        self._places: dict[str, GoodsPlace] = {}
        self._documents: Sequence[Any] = ()
        self._merged: dict[tuple[int, ...], Policy] = {}
        self.sources: tuple[str, ...] = ()  # every system that has, or had, a key to report events with

    async def refresh(self, conn: AsyncConnection, codes: set[str]) -> None:
        """Read again when the copy is too old, or does not know one of `codes`."""
        now = time.monotonic()
        if now - self._read_at < MAX_AGE_S and codes <= self._places.keys():
            return
        rows = await conn.execute(
            select(location.c.code, location.c.region, location.c.entity, entity.c.currency).join(
                entity, entity.c.code == location.c.entity
            )
        )
        self._places = {row.code: GoodsPlace(*row) for row in rows}
        documents = await conn.execute(
            select(policy_document).order_by(
                policy_document.c.location != "",
                policy_document.c.region != "",
                policy_document.c.entity != "",
                policy_document.c.effective_from,
                policy_document.c.id,
            )
        )
        self._documents = documents.all()
        self._merged = {}
        keys = await conn.execute(
            select(api_key.c.source)
            .where(literal("events:write") == any_(api_key.c.scopes))
            .distinct()
            .order_by(api_key.c.source)
        )
        self.sources = tuple(keys.scalars())
        self._read_at = now

    def place(self, code: str, *, pointer: str | None = "/data/location") -> GoodsPlace:
        """A location by its code. Raises `UnknownLocation`."""
        found = self._places.get(code)
        if found is None:
            raise reference.unknown_location(code, pointer)
        return found

    def policy(self, where: GoodsPlace, at: datetime) -> Policy:
        """The policy in force at a place at an instant, least specific documents first."""
        fits = [
            row
            for row in self._documents
            if row.entity in ("", where.entity)
            and row.region in ("", where.region)
            and row.location in ("", where.code)
            and row.effective_from <= at
            and (row.effective_until is None or row.effective_until > at)
        ]
        key = tuple(row.id for row in fits)
        if key not in self._merged:
            self._merged[key] = merge([(row.version, row.body) for row in fits])
        return self._merged[key]


_OF_ENGINE: WeakKeyDictionary[AsyncEngine, Places] = WeakKeyDictionary()


def places_of(conn: AsyncConnection) -> Places:
    """The copy that belongs to the database of this connection."""
    return _OF_ENGINE.setdefault(conn.engine, Places())
