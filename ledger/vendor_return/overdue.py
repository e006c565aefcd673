"""What a vendor has not credited by its time is asked about: wait again, or give it up. The case heals by itself once
nothing is open.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, exists, func, select, update

from domain.case import OPEN_STATES, CaseOption, Consequence, MoneyEffect
from domain.vendor_returns import VendorReturnState
from domain.words import money
from ledger import case, reference
from ledger.engine import Database
from ledger.tables import case_file, vendor_return
from ledger.transaction import Rank, Transaction
from ledger.vendor_return.crediting import balance_of, give_up_or_ask

KIND = "vendor_credit_overdue"
OWED = (VendorReturnState.SHIPPED.value, VendorReturnState.SHORT_CREDITED.value)
PAGE_ROWS = 200


def subject_of(row: Any) -> str:
    return f"{row['source']}|vendor_return|Return {row['key']} to {row['vendor']}"


def _case_key() -> ColumnElement[str]:
    """The key of the case about a document; the same as `KIND` with `subject_of`."""
    table = vendor_return.c
    return func.concat(f"{KIND}|", table.source, "|vendor_return|Return ", table.key, " to ", table.vendor)


async def sweep(database: Database, now: datetime) -> int:
    """Open a case for each document whose credit is overdue at `now`, and close those of which nothing is open any
    more. Returns how many cases were opened or closed.

    One that somebody is asked to give up waits for the answer; a refusal brings the case back.
    """
    return await _heal(database, now) + await _open(database, now)


async def _heal(database: Database, now: datetime) -> int:
    over = (
        select(case_file.c.id)
        .join(vendor_return, _case_key() == case_file.c.dedupe_key)
        .where(case_file.c.kind == KIND, case_file.c.state.in_(OPEN_STATES), vendor_return.c.closed_at.is_not(None))
        .order_by(case_file.c.id)
        .limit(PAGE_ROWS)
    )
    async with database.read() as conn:
        found = (await conn.execute(over)).scalars().all()
    healed = 0
    for number in found:
        healed += await database.write(lambda tx, one=number: _heal_one(tx, one, now), actor="endcap", via="system")  # type: ignore[misc]
    return healed


async def _heal_one(tx: Transaction, number: int, now: datetime) -> int:
    row = await tx.lock_case(number)
    if row["state"] not in OPEN_STATES:
        return 0
    await case.heal(tx, number, "the vendor owes nothing of it any more", now)
    return 1


async def _open(database: Database, now: datetime) -> int:
    has_case = exists().where(case_file.c.dedupe_key == _case_key(), case_file.c.closed_at.is_(None))
    due = (
        select(vendor_return.c.id)
        .where(
            vendor_return.c.credit_due_at <= now,
            vendor_return.c.closed_at.is_(None),
            vendor_return.c.approval_id.is_(None),
            vendor_return.c.state.in_(OWED),
            ~has_case,
        )
        .order_by(vendor_return.c.credit_due_at, vendor_return.c.id)
        .limit(PAGE_ROWS)
    )
    async with database.read() as conn:
        found = (await conn.execute(due)).scalars().all()
    opened = 0
    for own in found:
        opened += await database.write(lambda tx, one=own: _open_one(tx, one, now), actor="endcap", via="system")  # type: ignore[misc]
    return opened


async def _locked(tx: Transaction, own: str) -> RowMapping:
    wanted = select(vendor_return).where(vendor_return.c.id == own).with_for_update()
    return (await tx.conn.execute(wanted)).mappings().one()


async def _open_one(tx: Transaction, own: str, now: datetime) -> int:
    tx.enter(Rank.JOURNEY)
    row = await _locked(tx, own)
    if row["closed_at"] or row["approval_id"] or row["state"] not in OWED or row["credit_due_at"] > now:
        return 0  # credited, or asked about, a moment ago
    tx.enter(Rank.CASE)
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, now)
    left = balance_of(row).open_minor
    ref = await case.open_case(
        tx,
        case.Opening(
            kind=KIND,
            subject=subject_of(row),
            place=place,
            policy=policy,
            at=now,
            facts={
                "vendor_return": row["id"],
                "key": row["key"],
                "vendor": row["vendor"],
                "authorization": row["authorization"],
                "cost_minor": row["cost_minor"],
                "credited_minor": row["credited_minor"],
                "open_minor": left,
                "shipped_at": row["shipped_at"].isoformat(),
                "due_at": row["credit_due_at"].isoformat(),
            },
            options=_options(row, left, asks=left >= policy.bands.write_off_minor),
            value_at_risk_minor=left,
            text=f"{row['vendor']} has not credited {money(left, row['currency'])} of return {row['key']}.",
        ),
    )
    return int(ref.is_new)


def _options(row: RowMapping, left: int, *, asks: bool) -> tuple[CaseOption, ...]:
    return (
        CaseOption(
            id="more_time",
            label=f"{row['vendor']} was asked: wait again",
            rank=1,
            because="most credits come when somebody asks",
            consequence=Consequence(customer="Is not concerned."),
            reversible=True,
        ),
        CaseOption(
            id="write_off",
            label=f"Give up {money(left, row['currency'])}",
            rank=2,
            because="finance is asked first" if asks else "it is less than finance is asked about",
            consequence=Consequence(
                money=(MoneyEffect(label="Returned goods written off", amount_minor=-left, currency=row["currency"]),),
                customer="Is not concerned.",
            ),
        ),
    )


# ---------------------------------------------------------------------- what a decision does
async def more_time(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
    """The vendor was asked, and has its time again."""
    row = await _locked(tx, case_row["facts"]["vendor_return"])
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    due = at + timedelta(seconds=policy.returns.vendor_credit_again_s)
    await tx.conn.execute(update(vendor_return).where(vendor_return.c.id == row["id"]).values(credit_due_at=due))
    tx.record("vendor_return.vendor_asked", row["id"], at, after={"credit_due_at": due.isoformat()})
    return f"{row['vendor']} was asked; its credit is expected until {due:%d %b %Y}."


async def give_up(tx: Transaction, case_row: RowMapping, at: datetime) -> str:
    """What is open is given up, or somebody is asked whether it may be. Raises `StateConflict` where nothing is."""
    row = await _locked(tx, case_row["facts"]["vendor_return"])
    asked = await give_up_or_ask(tx, row, at, requester=tx.actor, reason=f"Case {case_row['id']}.")
    return f"Finance is asked first: approval {asked}." if asked else "It is given up."
