"""Reads of an approval's sides: who has agreed for each, and by name whose word is missing."""

from collections.abc import Collection
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Side, Word, still_missing, tally
from ledger.approval.levels import holders
from ledger.approval.sides import sides_of, words_of
from ledger.people import names
from ledger.tables import location


class SideView(BaseModel):
    """Whose word is asked: `location` is the place whose people must agree, `need` how many of them, `agreed` their
    names. `missing` says what is still missing, in a sentence; empty once nothing is.
    """

    location: str
    place: str  # its name
    need: int
    agreed: list[str]
    missing: str


class Heard(NamedTuple):
    """What is asked of whom, and the words that were given."""

    sides: tuple[Side, ...]
    words: list[Word]


async def heard_of(conn: AsyncConnection, rows: Collection[Any]) -> dict[int, Heard]:
    """By approval, for rows of `approval`."""
    sides = await sides_of(conn, rows)
    words = await words_of(conn, sides)
    return {number: Heard(some, words.get(number, [])) for number, some in sides.items()}


async def side_views(conn: AsyncConnection, row: Any, heard: Heard) -> list[SideView]:
    """Each side with whose word it has, and by name whose is missing."""
    counted = tally(heard.sides, heard.words)
    spoken = {one for word in heard.words for one in (word.person, word.voice)}
    known = await names(conn, spoken)
    codes = [side.location for side in heard.sides]
    places = await conn.execute(select(location.c.code, location.c.name).where(location.c.code.in_(codes)))
    named = {one.code: one.name for one in places}
    found = []
    for side in heard.sides:
        missing = counted.missing[side.name] if row["state"] == "pending" else 0
        could = [
            one.name
            for level in range(1, row["level"] + 1)
            for one in (await holders(conn, [side], level, row["barred"]) if missing else ())
            if one.id not in spoken
        ]
        given = [known.get(word.person, word.person) for word in counted.given[side.name]]
        said = still_missing(missing, list(dict.fromkeys(could)), side.asked(row["level"])) if missing else ""
        place = named.get(side.location, side.location)
        found.append(SideView(location=side.location, place=place, need=side.need, agreed=given, missing=said))
    return found
