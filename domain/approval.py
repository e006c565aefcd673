"""Approvals: their states, who may give a verdict, and when enough people have agreed. Pure.

An approval is asked of one *side*, or of several (each legal entity of an intercompany transfer); each needs so many
words of its own people. A person counts once, whatever roles they hold and in whoever's place they act.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from domain.errors import NotAllowed, OwnRequest
from domain.people import Person

APPROVAL_STATES = ("pending", "approved", "rejected", "expired", "superseded")
VERDICTS = ("approve", "reject", "ask")
Quorum = int | Literal["any", "all"]  # how many must agree: that many, one, or everybody who is asked

APPROVAL_TRANSITIONS: dict[str, frozenset[str]] = {
    "pending": frozenset({"approved", "rejected", "expired", "superseded"}),
    "approved": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
    "superseded": frozenset(),
}


class Side(NamedTuple):
    """Whose people must agree: those with the ladder's roles at this place. `name` is the place's code; the one side of
    an ordinary approval has an empty name. `need` is how many of them, 0 while that is not settled.
    """

    name: str
    entity: str
    region: str
    location: str
    roles: tuple[str, ...]
    need: int

    def asked(self, level: int) -> tuple[str, ...]:
        """The roles of the ladder up to the level that it has reached."""
        return self.roles[: max(level, 1)]

    def hears(self, person: Person, level: int) -> bool:
        """Whether the person holds one of the roles that were asked, at this side's place."""
        return bool(person.roles_at(self.entity, self.region, self.location) & set(self.asked(level)))


class Word(NamedTuple):
    """Somebody's agreement: who gave it, in whose place (their own, mostly), and for which sides it can count."""

    person: str
    voice: str
    sides: frozenset[str]


class Tally(NamedTuple):
    """Which words count for each side, and how many more it needs."""

    given: Mapping[str, Sequence[Word]]
    missing: Mapping[str, int]

    @property
    def is_complete(self) -> bool:
        return not any(self.missing.values())

    @property
    def short_of(self) -> int:
        return sum(self.missing.values())


def sides_heard(person: Person, sides: Sequence[Side], level: int) -> frozenset[str]:
    """The names of the sides that this person can speak for."""
    return frozenset(side.name for side in sides if side.hears(person, level))


def need_of(quorum: Quorum, asked: int) -> int:
    """How many must agree where `asked` people are asked at first. A number is never lowered to who is there."""
    if quorum == "all":
        return max(asked, 1)
    return 1 if quorum == "any" else quorum


def tally(sides: Sequence[Side], words: Sequence[Word]) -> Tally:
    """Give each word to a side that still needs it, so that as few as possible are missing.

    A word of somebody who could speak for two sides moves to the other one when that lets a later word count. Of two
    words in which the same person appears, acting or acted for, the later counts for nothing.
    """
    placed: dict[str, list[Word]] = {side.name: [] for side in sides}
    needs = {side.name: side.need for side in sides}

    def place(word: Word, tried: set[str]) -> bool:
        for name in sorted(word.sides & placed.keys() - tried):
            tried.add(name)
            if len(placed[name]) < needs[name]:
                placed[name].append(word)
                return True
            for other in placed[name]:
                if place(other, tried):
                    placed[name][placed[name].index(other)] = word
                    return True
        return False

    known: set[str] = set()
    for word in words:
        if known.isdisjoint({word.person, word.voice}):
            known |= {word.person, word.voice}
            place(word, set())
    return Tally(placed, {name: needs[name] - len(given) for name, given in placed.items()})


def check_may_approve(
    person_id: str, roles: Collection[str], *, asked_roles: Collection[str], barred: Collection[str]
) -> None:
    """Raise unless this person may decide this request.

    `barred` are the people who asked, counted or received: nobody approves what they began (`OwnRequest`).
    `asked_roles` are the roles of the ladder up to the level that it has reached (`NotAllowed`).
    """
    if person_id in barred:
        raise OwnRequest("Whoever asked for this cannot approve it; it needs somebody else.")
    if not set(roles) & set(asked_roles):
        wanted = " or ".join(sorted(role.replace("_", " ") for role in asked_roles))
        raise NotAllowed(f"This needs the role {wanted} at this place.")


def still_missing(count: int, people: Sequence[str], roles: Sequence[str]) -> str:
    """`Ben Oto's word is missing.` `people` are the names of those who could still give one."""
    if count == 1 and len(people) == 1:
        return f"{people[0]}'s word is missing."
    many = "one more word is" if count == 1 else f"{count} more words are"
    if people and len(people) <= 4:
        of = " or ".join(people) if count == 1 else ", ".join(people)
        return f"{many.capitalize()} missing, of {of}."
    of = " or ".join(role.replace("_", " ") for role in roles)
    return f"{many.capitalize()} missing, of the role {of}{'' if people else ', which nobody holds there'}."
