"""What a running Endcap can say about itself: its schema's version, what waits for delivery, and a few counts."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import approval, case_file, event_inbox, journey, mail, outbox, stock


class Outbox(NamedTuple):
    """Messages not delivered yet, and the age of the oldest in seconds (0 when there is none)."""

    waiting: int
    oldest_age_s: float


class Mails(NamedTuple):
    """Mails that should have gone out and have not, the age of the oldest in seconds, and how many were tried in vain
    three times or more.
    """

    due: int
    oldest_age_s: float
    refused: int


class Count(NamedTuple):
    """A figure with its labels."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


async def migration_of(conn: AsyncConnection) -> str | None:
    """The migration that the database is at; None before the first."""
    table = (await conn.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one()
    if table is None:
        return None
    found: str | None = (await conn.execute(text("SELECT version_num FROM alembic_version"))).scalar_one_or_none()
    return found


async def outbox_depth(conn: AsyncConnection) -> Outbox:
    """By the database's own clock."""
    age = func.coalesce(func.extract("epoch", func.now() - func.min(outbox.c.recorded_at)), 0)
    row = (await conn.execute(select(func.count(), age).where(outbox.c.done_at.is_(None)))).one()
    return Outbox(int(row[0]), max(float(row[1]), 0.0))


async def mails_waiting(conn: AsyncConnection) -> Mails:
    """By the database's own clock; mails that are meant for later do not count."""
    age = func.coalesce(func.extract("epoch", func.now() - func.min(mail.c.not_before)), 0)
    due, queued = mail.c.not_before <= func.now(), mail.c.state == "queued"
    row = (await conn.execute(select(func.count(), age).where(queued, due))).one()
    refused = await conn.execute(select(func.count()).where(queued, mail.c.attempts >= 3))
    return Mails(int(row[0]), max(float(row[1]), 0.0), refused.scalar_one())


async def counts(conn: AsyncConnection) -> list[Count]:
    """Open cases, journeys, approvals, mails, events and negative stock, each by what tells them apart."""
    found: list[Count] = []
    held = event_inbox.c.outcome.in_(("parked", "quarantined"))
    unsent = mail.c.state.in_(("queued", "failed"))
    queries: dict[str, Select[tuple[object, ...]]] = {
        "cases_open": _grouped(case_file.c.closed_at.is_(None), case_file.c.kind, case_file.c.severity),
        "journeys_open": _grouped(journey.c.closed_at.is_(None), journey.c.kind, journey.c.state),
        "approvals_pending": _grouped(approval.c.state == "pending", approval.c.kind),
        "mails": _grouped(unsent, mail.c.state),
        "events_held": _grouped(held, event_inbox.c.outcome),
    }
    for name, query in queries.items():
        result = await conn.execute(query)
        labels = list(result.keys())[:-1]
        found.extend(
            Count(name, tuple(zip(labels, map(str, row[:-1]), strict=True)), float(str(row[-1]))) for row in result
        )
    negative = await conn.execute(select(func.count()).select_from(stock).where(stock.c.available < 0))
    found.append(Count("stock_negative", (), float(negative.scalar_one())))
    return found


def _grouped(which: ColumnElement[bool], *columns: ColumnElement[str]) -> Select[tuple[object, ...]]:
    return select(*columns, func.count()).where(which).group_by(*columns).order_by(*columns)  # type: ignore[return-value]


async def forgets_in_a_crash(conn: AsyncConnection) -> bool:
    """Whether this database acknowledges commits that a crash of its server would take back."""
    found: str = (await conn.execute(select(func.current_setting("synchronous_commit")))).scalar_one()
    return found == "off"


async def database_time(conn: AsyncConnection) -> datetime:
    now: datetime = (await conn.execute(select(func.now()))).scalar_one()
    return now
