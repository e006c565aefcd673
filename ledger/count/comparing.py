"""Compares a count with the book, and says what follows: post it, have it counted again, or ask somebody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bands import Level, gross
from domain.case import CaseOption, Consequence, MoneyEffect, StockEffect
from domain.count import ROOT_CAUSES, CountState, Difference, is_tolerated
from domain.words import money, units
from ledger import bands, case
from ledger.count.sheet import LineKey, Sheet
from ledger.tables import item
from ledger.transaction import Transaction

ASKED_LEVEL = {Level.MANAGER: "a manager", Level.FINANCE: "finance"}


class Compared(NamedTuple):
    """What the present round says beside the round before; `level` is who must agree to posting all that is settled."""

    now: dict[LineKey, Difference]
    before: dict[LineKey, Difference]
    settled: dict[LineKey, Difference]

    @property
    def agrees(self) -> bool:
        """Whether both counts of every line say the same, the book of their instants considered."""
        return all(key in self.before and self.before[key].units == one.units for key, one in self.now.items())


async def compared(sheet: Sheet) -> Compared:
    """The differences as of now. Reads only."""
    keys = sheet.lines_of_round()
    settled = {key: line["round"] for key, line in sheet.lines.items() if line["state"] == "agreed" and key not in keys}
    now = await sheet.differences(dict.fromkeys(keys, sheet.round))
    before = await sheet.differences(dict.fromkeys(now, sheet.round - 1)) if sheet.round > 1 else {}
    return Compared(now, before, await sheet.differences(settled))


def actor_of(sheet: Sheet) -> str:
    """Whose rolling band the present round counts against."""
    return str(sheet.row["detail"]["rounds"].get(str(sheet.round), {}).get("actor", bands.EVERYONE))


async def level_of(sheet: Sheet, *documents: Mapping[LineKey, Difference], at: datetime) -> Level:
    """Who must agree to post these differences together; nothing is recorded."""
    worth = gross([one.value_minor for document in documents for one in document.values()])
    return await bands.would_be(
        sheet.tx.conn,
        kind="count",
        actor=actor_of(sheet),
        location=sheet.location,
        gross_minor=worth,
        limits=sheet.policy.bands.count.limits,
        at=at,
    )


def settle(sheet: Sheet, differences: Mapping[LineKey, Difference], round_: int, root_cause: str | None) -> None:
    """These lines are posted as counted in a round."""
    for key, one in differences.items():
        entry = sheet.entries[round_][key]
        sheet.lines[key] |= {
            "state": "agreed",
            "round": round_,
            "book": one.book,
            "counted": one.counted,
            "value_minor": one.value_minor,
            "root_cause": root_cause if one.units else None,
            "counted_at": entry.counted_at,
        }


def count_again(sheet: Sheet, keys: Mapping[LineKey, Any], at: datetime, now: datetime) -> None:
    """A new round for these lines, by somebody else, on any device. `now` is the true time, `at` the count's own."""
    sheet.go(CountState.RECOUNT)
    round_ = sheet.round + 1
    sheet.row["detail"] |= {"round": round_, "round_opened_at": now.isoformat(), "session": None, "granted": 0}
    for key in keys:
        sheet.lines[key] |= {"state": "recount", "round": round_}
    sheet.drop_dues("search", "feed")
    sheet.due("count", at + timedelta(seconds=sheet.policy.count.window_s))


async def compare(sheet: Sheet, at: datetime) -> str:
    """After it was handed in: agree, have what is off counted again, or open the case that asks. Returns the sentence
    for the timeline. The count's cases are locked.
    """
    found = await compared(sheet)
    for key, line in sheet.lines_of_round().items():
        if key not in found.now:
            line["state"] = "not_counted"  # never zero
    off = {key: one for key, one in found.now.items() if not is_tolerated(one, sheet.policy.count)}
    level = await level_of(sheet, found.now, found.settled, at=at)
    if sheet.round == 1:
        for key, one in found.now.items():
            sheet.lines[key]["first_book"] = one.book
        if level > Level.NONE:
            off = {key: one for key, one in found.now.items() if one.units}
        fine = {key: one for key, one in found.now.items() if key not in off}
        settle(sheet, fine, 1, None)
        if not off:
            return await agree(sheet, "Book and shelf agree as far as policy asks.", at)
        count_again(sheet, off, at, await sheet.tx.now())
        return f"{_lines(off)} differ from the book; somebody else counts again."
    if found.agrees and level is Level.NONE:
        settle(sheet, found.now, sheet.round, None)
        return await agree(sheet, "The second count says the same as the first.", at)
    ref = await ask(sheet, found, level, at)
    return f"Case {ref.id} asks which count is right."


async def agree(sheet: Sheet, because: str, at: datetime) -> str:
    """Ready to be posted, when the store's feed has come that far."""
    sheet.go(CountState.APPROVED)
    sheet.drop_dues("search")
    await sheet.answer_asks("the difference explained itself", at)
    return because


def _lines(keys: Mapping[LineKey, Any]) -> str:
    return "1 line" if len(keys) == 1 else f"{len(keys)} lines"


async def ask(sheet: Sheet, found: Compared, level: Level, at: datetime) -> case.CaseRef:
    """Open the case `count_variance`, or ask again with what is true now."""
    options = await options_of(sheet, found, at)
    worth = gross([one.value_minor for one in found.now.values()])
    skus = [sku for sku, _ in found.now]
    ref = await sheet.open_case(
        "count_variance",
        at,
        sku=skus[0] if len(skus) == 1 else "",
        facts=await facts_of(sheet, found, level),
        options=options,
        value_at_risk_minor=worth,
        text=f"{_lines(found.now)} of count {sheet.row['key']} differ by {money(worth, sheet.place.currency)}.",
    )
    sheet.row["asks"] = {"case_id": ref.id}
    return ref


async def options_of(sheet: Sheet, found: Compared, at: datetime) -> list[CaseOption]:
    """What may be done about differences that remain, each with what it would move and post."""
    level_now = await level_of(sheet, found.now, found.settled, at=at)
    causes: dict[str, tuple[str, ...]] = {"root_cause": ROOT_CAUSES}
    second = CaseOption(
        id="post_second",
        label="Post the count" if found.agrees else "Post the last count",
        consequence=_consequence(sheet, found.now),
        because="two people have counted the same" if found.agrees else "it is the later one",
        needs_approval=level_now > Level.NONE,
        choices=causes,
        rank=1,
    )
    options = [second]
    if not found.agrees and found.before:
        level_before = await level_of(sheet, found.before, found.settled, at=at)
        options.append(
            CaseOption(
                id="post_first",
                label="Post the count before it",
                consequence=_consequence(sheet, found.before),
                because="whoever counted first knows the shelf",
                needs_approval=level_before > Level.NONE,
                choices=causes,
            )
        )
    options.append(
        CaseOption(
            id="count_again",
            label="Have it counted again",
            consequence=Consequence(customer="Whoever waits for these units goes on waiting."),
            because="the two counts disagree" if not found.agrees else "a third look costs little",
            reversible=True,
        )
    )
    options.append(
        CaseOption(
            id="search",
            label="Search first",
            consequence=Consequence(customer="Whoever waits for these units goes on waiting."),
            because="a delivery or a sale that nobody booked may explain it; yesterday's movements are listed",
            reversible=True,
        )
    )
    if not found.agrees:  # the recommended one says why
        options.sort(key=lambda option: option.id != "count_again")
    return [option.model_copy(update={"rank": rank}) for rank, option in enumerate(options, start=1)]


def _consequence(sheet: Sheet, differences: Mapping[LineKey, Difference]) -> Consequence:
    off = {key: one for key, one in differences.items() if one.units}
    total = sum(one.signed_minor for one in off.values())
    label = "Inventory found" if total > 0 else "Inventory shrinkage"
    effects = (MoneyEffect(label=label, amount_minor=total, currency=sheet.place.currency),) if total else ()
    return Consequence(
        stock=tuple(
            StockEffect(
                location=sheet.location, sku=sku, quantity=abs(one.units), effect="found" if one.units > 0 else "lost"
            )
            for (sku, _), one in off.items()
        ),
        money=effects,
        customer="Orders that wait get what is found; promises that the shelf cannot keep are verified.",
    )


_YESTERDAY = text(
    "SELECT kind, reason, sku, quantity, from_account, to_account, cause, at FROM movement"
    " WHERE sku = ANY(CAST(:skus AS text[])) AND (from_location = :location OR to_location = :location)"
    " AND recorded_at > CAST(:since AS timestamptz) - interval '1 day' ORDER BY at DESC LIMIT 40"
)


async def facts_of(sheet: Sheet, found: Compared, level: Level) -> dict[str, Any]:
    """The snapshot for whoever decides: book, both counts and who took them, and the movements of the day before."""
    skus = sorted({sku for sku, _ in found.now})
    names = {
        row.sku: row.name
        for row in await sheet.tx.conn.execute(select(item.c.sku, item.c.name).where(item.c.sku.in_(skus)))
    }
    first_at = min(sheet.entries[sheet.round][key].counted_at for key in found.now)
    moved = await sheet.tx.conn.execute(_YESTERDAY, {"skus": skus, "location": sheet.location, "since": first_at})
    chronic = await chronic_of(sheet, skus)
    return {
        "count": sheet.row["key"],
        "reason": sheet.row["detail"]["reason"],
        "needs": ASKED_LEVEL.get(level, "nobody"),
        "chronic": [
            f"{sku}: off in {times} counts of {sheet.policy.count.chronic_days} days" for sku, times in chronic.items()
        ],
        "lines": [
            {
                "sku": key[0],
                "name": names.get(key[0], key[0]) + (f" ({key[1]})" if key[1] else ""),
                "book": one.book,
                "counted": one.counted,
                "difference": one.units,
                "first_count": found.before[key].counted if key in found.before else None,
                "value_minor": one.value_minor,
            }
            for key, one in found.now.items()
        ],
        "movements": [
            {
                "at": row.at.isoformat(),
                "sku": row.sku,
                "what": f"{row.kind.replace('_', ' ')} {units(row.quantity)}: {row.from_account} → {row.to_account}",
                "because": row.reason.replace("_", " "),
            }
            for row in moved
        ],
    }


_CHRONIC = text(
    "SELECT sku, count(*)::int AS times FROM count_line WHERE location = :location AND state = 'posted'"
    " AND sku = ANY(CAST(:skus AS text[])) AND counted <> book"
    " AND counted_at > now() - make_interval(days => :days) GROUP BY sku HAVING count(*) >= :counts"
)


async def chronic_of(sheet: Sheet, skus: list[str]) -> dict[str, int]:
    """Items that were off in so many counts lately that something else is wrong with them; how many counts."""
    policy = sheet.policy.count
    rows = await sheet.tx.conn.execute(
        _CHRONIC,
        {"location": sheet.location, "skus": skus, "days": policy.chronic_days, "counts": policy.chronic_counts},
    )
    return {row.sku: row.times for row in rows}


async def options_now(conn: AsyncConnection, row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options of a count's case as they are now, for reading alone."""
    looking = Transaction(conn, actor="reader", via="read")
    sheet = await Sheet.load(looking, await looking.look_at_journey(row["journey_id"]))
    if sheet.state is not CountState.SUBMITTED:
        return []
    return await options_of(sheet, await compared(sheet), await looking.now(sheet.row["clock_offset_s"]))
