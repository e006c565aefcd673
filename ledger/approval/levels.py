"""Who is asked at which level of a ladder, and whether those who are asked could bring it to an end.

A level that has nobody, or too few for the quorum, is asked together with the next one; what is needed is never
lowered, and nobody at all never means "approved".
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Quorum, Side, Word, need_of, sides_heard, tally
from domain.people import Person
from ledger import people


class Asked(NamedTuple):
    """The level reached, the sides with what they need, the people of the new levels, and whether everybody who was
    asked so far is enough.
    """

    level: int
    sides: tuple[Side, ...]
    people: tuple[Person, ...]
    is_enough: bool


async def holders(conn: AsyncConnection, sides: Sequence[Side], level: int, barred: Collection[str]) -> list[Person]:
    """The people of one level (1 is the first), of any side, who may approve, by id."""
    found: dict[str, Person] = {}
    for side in sides:
        for one in await people.holders_of_role(
            conn, side.roles[level - 1], entity=side.entity, region=side.region, location=side.location
        ):
            if one.id not in barred:
                found[one.id] = one
    return [found[one] for one in sorted(found)]


def _words(persons: Collection[Person], sides: Sequence[Side], level: int) -> list[Word]:
    return [Word(one.id, one.id, sides_heard(one, sides, level)) for one in persons]


def could_complete(sides: Sequence[Side], given: Sequence[Word], persons: Collection[Person], level: int) -> bool:
    """Whether it would be approved if all of these people agreed beside those who have."""
    return tally(sides, [*given, *_words(persons, sides, level)]).is_complete


async def first_levels(conn: AsyncConnection, sides: Sequence[Side], quorum: Quorum, barred: Collection[str]) -> Asked:
    """Where a new request begins. What each side needs is settled here, once: `all` is everybody who is asked first."""
    settled = {side.name: side for side in sides}
    everybody: dict[str, Person] = {}
    depth = len(sides[0].roles)
    level = 0
    while level < depth:
        level += 1
        everybody |= {one.id: one for one in await holders(conn, sides, level, barred)}
        for name, side in settled.items():
            asked = sum(side.hears(one, level) for one in everybody.values())
            if not side.need and (asked or quorum != "all"):
                settled[name] = side._replace(need=need_of(quorum, asked))
        ready = tuple(settled.values())
        if all(side.need for side in ready) and could_complete(ready, (), everybody.values(), level):
            return Asked(level, ready, tuple(everybody.values()), is_enough=True)
    ready = tuple(side if side.need else side._replace(need=1) for side in settled.values())
    return Asked(level, ready, tuple(everybody.values()), is_enough=False)


async def next_levels(
    conn: AsyncConnection, sides: Sequence[Side], given: Sequence[Word], level: int, barred: Collection[str]
) -> Asked:
    """The next level that has anybody new in it, and further ones until there are enough people."""
    everybody: dict[str, Person] = {}
    for earlier in range(1, level + 1):
        everybody |= {one.id: one for one in await holders(conn, sides, earlier, barred)}
    spoken = {one for word in given for one in (word.person, word.voice)}
    before = everybody.keys() | spoken
    is_enough = False
    while level < len(sides[0].roles) and not is_enough:
        level += 1
        everybody |= {one.id: one for one in await holders(conn, sides, level, barred)}
        is_enough = bool(everybody.keys() - before) and could_complete(sides, given, everybody.values(), level)
    new = tuple(one for one in everybody.values() if one.id not in before)
    return Asked(level, tuple(sides), new, is_enough)


async def still_asked(
    conn: AsyncConnection, sides: Sequence[Side], given: Sequence[Word], level: int, barred: Collection[str]
) -> list[Person]:
    """Whom a reminder goes to: the people of the latest level, and of earlier ones where those are too few."""
    spoken = {one for word in given for one in (word.person, word.voice)}
    found: dict[str, Person] = {}
    for one_level in range(level, 0, -1):
        found |= {one.id: one for one in await holders(conn, sides, one_level, barred) if one.id not in spoken}
        if could_complete(sides, given, found.values(), level):
            break
    return [found[one] for one in sorted(found)]
