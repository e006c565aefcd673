"""Root causes that policy wants named when a case is decided: one is added or ended for a region when somebody else has
agreed. The change is a policy document like any other; cases that were decided keep what they were given.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import RowMapping, func, insert, select

from domain.case_kinds import KINDS
from domain.codes import FIXED
from domain.errors import Malformed, NotAllowed, NotFound, StateConflict
from domain.people import Person
from domain.words import words
from ledger import approval, reference
from ledger.case import keep_note
from ledger.engine import Database
from ledger.reference import Scope
from ledger.tables import approval as approval_table
from ledger.tables import policy_document, region
from ledger.transaction import Transaction

KIND = "policy_change"
ACTS = ("add", "end")
MAY_ASK = frozenset({"regional_ops", "admin"})
MOST = 40  # causes of one kind: whoever decides reads them all
_CODE = re.compile(r"[a-z][a-z0-9_]{1,59}")


class Change(NamedTuple):
    """A root cause of one kind of case that is asked for from now on (`add`), or not any more (`end`)."""

    case_kind: str
    code: str
    act: str


def check(change: Change) -> None:
    """Raise `Malformed` for what no policy could say."""
    if change.case_kind not in KINDS:
        raise Malformed("Choose a kind of case.", pointer="/kind")
    if change.case_kind in FIXED:
        raise Malformed(
            f"The root causes of “{KINDS[change.case_kind].title}” are the same everywhere: the books go by them.",
            pointer="/kind",
        )
    if change.act not in ACTS:
        raise Malformed("Choose whether it is added or ended.", pointer="/act")
    if not _CODE.fullmatch(change.code):
        raise Malformed(
            "Write the code in small letters, digits and _, from 2 to 60 of them, beginning with a letter: "
            "shelf_label_missing.",
            pointer="/code",
        )


def may_ask(person: Person, entity: str, region_code: str) -> bool:
    """Whoever looks after a whole region."""
    return bool(person.roles_at(entity, region_code, "") & MAY_ASK)


async def ask(database: Database, person: Person, code_of_place: str, change: Change, *, why: str, via: str) -> int:
    """Ask for a change in the region of a place; returns the number of the approval.

    Raises `Malformed`, `NotFound` for a place out of sight, `NotAllowed`, and `StateConflict` where it is so already,
    is asked for already, or the place's own document says otherwise.
    """
    check(change)
    if not why.strip():
        raise Malformed("Say why: whoever agrees reads it.", pointer="/why")

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, code_of_place)
        if not person.may_see(place.entity, place.region, place.code):
            raise NotFound(f"There is no location {code_of_place} that you see.")
        if not may_ask(person, place.entity, place.region):
            raise NotAllowed("Root causes are changed by whoever looks after the whole region.")
        at = await tx.now()
        policy = await reference.policy_at(tx.conn, place, at)
        own = policy.cases.root_causes.get(change.case_kind, ())
        common = await _causes(tx, place.entity, place.region, change.case_kind, at)
        if tuple(own) != common:
            raise StateConflict(
                f"{place.name} has root causes of its own for this kind, by a policy document for it alone; a change "
                "of the region would not reach it. Choose another place of the region, or change that document."
            )
        applied(common, change)
        subject = _subject(change, place.region)
        waits = select(approval_table.c.id).where(
            approval_table.c.kind == KIND, approval_table.c.state == "pending", approval_table.c.subject == subject
        )
        if (before := (await tx.conn.execute(waits)).scalar()) is not None:
            raise StateConflict(f"That is asked for already: approval {before}.")
        note = await keep_note(tx, f"policy:{place.region}", person.id, why)
        facts = {"case_kind": change.case_kind, "root_cause": change.code, "act": change.act, "region": place.region}
        number = await approval.open_approval(
            tx,
            approval.Request(
                kind=KIND,
                subject=subject,
                place=place,
                policy=policy,
                at=at,
                requester=person.id,
                barred=[],
                amount_minor=0,
                facts={**facts, "note_id": note},
                journey_id=None,
                case_id=None,
                decision_id=None,
            ),
        )
        tx.record("policy.change_asked", f"approval:{number}", at, after=facts)
        return number

    return await database.write(work, actor=person.id, via=via)


def _subject(change: Change, region_code: str) -> str:
    what = f"root cause “{words(change.code)}”"
    title = KINDS[change.case_kind].title
    if change.act == "add":
        return f"New {what} for “{title}” in {region_code}"
    return f"No {what} any more for “{title}” in {region_code}"


def applied(causes: tuple[str, ...], change: Change) -> tuple[str, ...]:
    """The root causes after the change. Raises `StateConflict` where it changes nothing."""
    there = change.code in causes
    if change.act == "add" and there:
        raise StateConflict(f"{words(change.code)} is asked for already in cases of this kind.")
    if change.act == "end" and not there:
        raise StateConflict(f"{words(change.code)} is not asked for in cases of this kind; there is nothing to end.")
    if change.act == "add" and len(causes) >= MOST:
        raise StateConflict(f"This kind has {MOST} root causes, as many as somebody can read. End one first.")
    return (*causes, change.code) if change.act == "add" else tuple(one for one in causes if one != change.code)


async def _causes(tx: Transaction, entity: str, region_code: str, kind: str, at: datetime) -> tuple[str, ...]:
    """What the documents of a region, its company and everywhere say, without those of single places."""
    found = await reference.policies_at(tx.conn, [Scope("", region_code, entity)], at)
    return tuple(found[""].cases.root_causes.get(kind, ()))


async def on_verdict(tx: Transaction, row: RowMapping, outcome: str, at: datetime) -> None:
    """Agreed to, the change is a document of the region from now on. What is so by now needs none."""
    if outcome != "approved":
        return
    facts: Mapping[str, Any] = row["facts"]
    change = Change(facts["case_kind"], facts["root_cause"], facts["act"])
    # One change of a region after the other: each document says the whole list.
    await tx.conn.execute(select(region.c.code).where(region.c.code == facts["region"]).with_for_update(key_share=True))
    now: datetime = (await tx.conn.execute(select(func.clock_timestamp()))).scalar_one()
    causes = await _causes(tx, row["entity"], facts["region"], change.case_kind, now)
    try:
        causes = applied(causes, change)
    except StateConflict as same:
        tx.record("policy.change_needless", f"approval:{row['id']}", at, after={"because": same.detail})
        return
    version = f"root-causes-{row['id']}"
    await tx.conn.execute(
        insert(policy_document).values(
            version=version,
            entity=row["entity"],
            region=facts["region"],
            effective_from=now,
            body={"cases": {"root_causes": {change.case_kind: list(causes)}}},
            reason=f"approval {row['id']}",
        )
    )
    tx.record("policy.changed", version, at, after={"kind": change.case_kind, "root_causes": list(causes)})
