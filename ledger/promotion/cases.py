"""What people are asked when a channel does not show the prices that it should, and what they may answer."""

from datetime import datetime

from sqlalchemy import RowMapping, func, select

from domain.case import CaseOption, Consequence
from domain.errors import StateConflict
from domain.messages import Message
from ledger import case, reference
from ledger.promotion import publishing
from ledger.promotion.document import Promotion
from ledger.tables import case_file, location, price_publication
from ledger.transaction import Transaction

KIND = "promo_price_conflict"
_PLACES = 40  # named in a case; the rest is counted
_OWN = price_publication.c


def about(row: RowMapping) -> str:
    """What one incident is about: a phase and a channel of a promotion."""
    return f"{row['phase']}:{row['channel']}"


async def open_or_refresh(it: Promotion, row: RowMapping, wrong: int, error: str, at: datetime) -> case.CaseRef:
    """The case of a channel's incident, with the places at which its prices are not right."""
    conn = it.tx.conn
    told = await conn.execute(
        select(
            _OWN.location,
            func.coalesce(location.c.name, _OWN.location).label("name"),
            func.count().label("prices"),
            func.min(_OWN.sku).label("sku"),
            func.min(_OWN.error).label("error"),
        )
        .select_from(price_publication.outerjoin(location, location.c.code == _OWN.location))
        .where(_OWN.publication_id == row["id"], _OWN.state == "pending")
        .group_by(_OWN.location, location.c.name)
        .order_by(func.count().desc(), _OWN.location)
    )
    found = told.mappings().all()
    place = await reference.place(conn, found[0]["location"]) if found else it.place
    back = row["phase"] == "revert"
    what = "still shows prices of it" if back else "does not show its prices"
    return await it.open_case(
        KIND,
        at,
        subject=f"{it.id}|{about(row)}",
        channel=row["channel"],
        place=place,
        text=f"{row['channel']} {what} at {len(found)} {'place' if len(found) == 1 else 'places'}:"
        f" {wrong:,} of {row['prices']:,} are not right after {row['run']} runs.",
        facts={
            "name": it.head["name"],
            "channel": row["channel"],
            "phase": row["phase"],
            "prices": row["prices"],
            "wrong": wrong,
            "runs": row["run"],
            "error": error or None,
            "starts_at": it.head["starts_at"].isoformat(),
            "ends_at": it.head["ends_at"].isoformat(),
            "places": [
                {
                    "location": one["location"],
                    "name": one["name"],
                    "prices": one["prices"],
                    "sku": one["sku"],
                    "error": one["error"],
                }
                for one in found[:_PLACES]
            ],
            "more_places": max(len(found) - _PLACES, 0),
        },
        options=options(row, wrong),
    )


def options(row: RowMapping, wrong: int) -> tuple[CaseOption, ...]:
    """Try again now, or give up what is not right."""
    channel, back = row["channel"], row["phase"] == "revert"
    given_up = (
        f"Customers of {channel} may go on seeing prices of a promotion that is over, until somebody puts them right."
        if back
        else f"Customers of {channel} do not see the promotion there; it goes on everywhere else."
    )
    return (
        CaseOption(
            id="retry",
            label="Have the prices looked at and sent again now",
            rank=1,
            because="it is tried again by itself in any case, and the case closes when the channel comes right",
            consequence=Consequence(customer=f"{wrong:,} prices are sent to {channel} once more."),
        ),
        CaseOption(
            id="waive",
            label="Give these prices up" if back else "Leave these places without it",
            rank=2,
            consequence=Consequence(customer=given_up),
            confirms=("put_right_by_hand",) if back else (),
        ),
    )


async def healed(it: Promotion, row: RowMapping, because: str, at: datetime) -> None:
    """The channel has come right, or is not wanted to any more."""
    key = f"{KIND}|{it.id}|{about(row)}"
    found = await it.tx.conn.execute(
        select(case_file.c.id).where(case_file.c.dedupe_key == key, case_file.c.closed_at.is_(None))
    )
    for number in found.scalars().all():
        await case.heal(it.tx, number, because, at)


async def incident(tx: Transaction, case_row: RowMapping, journey_row: RowMapping) -> tuple[Promotion, RowMapping]:
    """The promotion and the publication that a case is about. Raises `StateConflict` where that is over."""
    it = await Promotion.load(tx, journey_row)
    for row in await publishing.open_publications(tx.conn, it.id):
        if about(row) == case_row["subject"].rpartition("|")[2]:
            return it, row
    raise StateConflict("These prices are not wanted any more; nothing is left to do.")


async def retry(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """Try again at once. A new case opens when it fails for as many runs again."""
    it, row = await incident(tx, case_row, journey_row)
    publishing.at_once(it, row["channel"], at)
    await it.save(at)
    tx.tell(it.id, Message.PROMOTION_CHANGED)
    return f"{row['channel']} is told again now; the case comes back when it does not come right."
