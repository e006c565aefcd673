"""Who may give a verdict on a request, in whose name and by which way, while it is open. It writes nothing."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import Side, Word, check_may_approve, sides_heard, tally
from domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    ApprovalSuperseded,
    NotFound,
    ProofTooOld,
    SignInNeeded,
    StaleVersion,
)
from domain.people import Person
from domain.words import local
from ledger import people, reference
from ledger.approval.sides import words_of
from ledger.transaction import Transaction


class Way(NamedTuple):
    """How somebody gives a verdict: by the link in a mail, by a token of their own, or signed in to the console.

    `proven_at`: when somebody who is signed in last gave their password or proved themselves to a provider; None where
    that is not known.
    """

    by: Literal["link", "token", "session"]
    proven_at: datetime | None = None


def check_sees(row: RowMapping, sides: Sequence[Side], voices: Sequence[Person]) -> None:
    """Raises `NotFound` unless one of these people sees the request: its own place, or one of its sides."""
    seen = [(row["entity"], row["region"], row["location"]), *((one.entity, one.region, one.location) for one in sides)]
    if not any(voice.may_see(*where) for voice in voices for where in seen):
        raise NotFound(f"There is no approval {row['id']}.")


async def check_pending(tx: Transaction, row: RowMapping, version: int | None) -> None:
    """Raise unless the approval is still to be decided, saying what became of it."""
    if row["state"] in ("approved", "rejected"):
        raise AlreadyDecided(await decided_sentence(tx.conn, row))
    if row["state"] == "expired":
        raise ApprovalExpired("Nobody decided in time; the request has ended and the case is with its owner again.")
    if row["state"] == "superseded":
        raise ApprovalSuperseded("The facts have changed since this was asked; it is no longer to be decided.")
    if version is not None and version != row["version"]:
        raise StaleVersion("This request has changed since you opened it; look at it again before you decide.")


async def decided_sentence(conn: AsyncConnection, row: RowMapping) -> str:
    """`Approved by Ana Ruiz and Ben Oto for Max Weber, Tue 3 Mar, 14:02 CET.`"""
    given = (await words_of(conn, [row["id"]])).get(row["id"], []) if row["state"] == "approved" else []
    ways = [(word.person, word.voice) for word in given]
    if (row["decided_by"], row["decided_for"] or row["decided_by"]) not in ways:
        ways.append((row["decided_by"], row["decided_for"] or row["decided_by"]))
    known = await people.names(conn, [one for way in ways for one in way])
    said = [known.get(who, who) + (f" for {known.get(voice, voice)}" if voice != who else "") for who, voice in ways]
    at = local(row["decided_at"], await reference.time_zone(conn, row["location"]))
    return f"{row['state'].capitalize()} by {' and '.join(said)}, {at}."


async def word_of(
    tx: Transaction,
    row: RowMapping,
    voices: Sequence[Person],
    sides: Sequence[Side],
    words: Sequence[Word],
    *,
    agrees: bool,
) -> Word:
    """Whose word this would be: the person's own, or that of the first who has delegated to them and is still needed.

    Raises `OwnRequest`, `NotAllowed`, and `AlreadyDecided` for an agreement that would count for nothing.
    """
    person = voices[0]
    if agrees:
        await _check_not_said(tx, person, words)
    heard = [(voice, sides_heard(voice, sides, row["level"])) for voice in voices]
    if person.id in row["barred"] or not any(names for voice, names in heard if voice.id not in row["barred"]):
        asked = sides[0].asked(row["level"])
        roles = {role for one in sides for role in person.roles_at(one.entity, one.region, one.location)}
        check_may_approve(person.id, roles, asked_roles=asked, barred=row["barred"])
    mine = [Word(person.id, voice.id, names) for voice, names in heard if names and voice.id not in row["barred"]]
    if not agrees:
        return mine[0]
    short = tally(sides, words).short_of
    for word in mine:
        if tally(sides, [*words, word]).short_of < short:
            return word
    given = {word.person for word in words} | {word.voice for word in words}
    for voice in voices[1:]:
        if voice.id in given:
            raise AlreadyDecided(f"{voice.name} has agreed already; it waits for somebody else's word.")
    raise AlreadyDecided("This side has said all that it was asked for; what is missing is somebody of the other one.")


async def _check_not_said(tx: Transaction, person: Person, words: Sequence[Word]) -> None:
    for word in words:
        if word.person == person.id:
            raise AlreadyDecided("You have agreed already; it waits for somebody else's word.")
        if word.voice == person.id:
            known = await people.names(tx.conn, [word.person])
            raise AlreadyDecided(f"{known.get(word.person, word.person)} has agreed for you already.")


async def check_way(tx: Transaction, row: RowMapping, verdict: str, at: datetime, way: Way) -> None:
    """Raise where the way by which the verdict comes does not suffice for the amount: `SignInNeeded`, `ProofTooOld`."""
    place = await reference.place(tx.conn, row["location"])
    bands = (await reference.policy_at(tx.conn, place, at)).bands
    if row["amount_minor"] < bands.sign_in_minor:
        return
    if way.by == "link":
        raise SignInNeeded("This amount is above what a link alone may decide: sign in as yourself, then decide.")
    if verdict != "approve":
        return
    if way.by == "token" and not bands.a_token_agrees_to(row["amount_minor"]):
        raise SignInNeeded(
            "This amount is above what a token alone may agree to. Sign in to the console as yourself, and agree on "
            f"/console/approvals/{row['id']}; to reject or ask, the token is enough."
        )
    if way.by == "session" and bands.proven_within_s is not None:
        oldest = await tx.now() - timedelta(seconds=bands.proven_within_s)
        if way.proven_at is None or way.proven_at < oldest:
            minutes = bands.proven_within_s // 60
            raise ProofTooOld(
                f"For this amount whoever agrees confirms who they are, at most {minutes} minutes before."
            )
