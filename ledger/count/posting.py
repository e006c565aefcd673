"""Posts a count: quantities, shrinkage or gain, checkpoints, confidence; what is found goes to whoever waits for it.

The book is read again under the stock locks, so a pick or a sale that is recorded in the same moment is either in it,
or meets the checkpoint.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import text

from domain import postings
from domain.bands import Level, gross
from domain.count import CountState, Difference, confidence_after, is_tolerated, resolve
from domain.messages import Message
from domain.words import money
from ledger import bands, feed, found, reference
from ledger.checkpoint import KIND
from ledger.count.comparing import actor_of, chronic_of
from ledger.count.opening import Opening, not_yet_asked, open_count
from ledger.count.sheet import Book, LineKey, Sheet, books_at
from ledger.doubt import Taken, doubt
from ledger.journal import Entry
from ledger.shelf import Cause

EVENT = "count.posted"


def settled_rounds(sheet: Sheet) -> dict[LineKey, int]:
    return {key: line["round"] for key, line in sheet.lines.items() if line["state"] == "agreed"}


async def feed_has_passed(sheet: Sheet) -> bool:
    """Whether the store's till has told everything until the last line was counted."""
    last = max((sheet.lines[key]["counted_at"] for key in settled_rounds(sheet)), default=None)
    return last is None or await feed.has_passed(sheet.tx.conn, sheet.location, last)


async def post(sheet: Sheet, cause: str, at: datetime) -> str:
    """Post what is agreed, or go back to comparing when late facts have made it a larger matter than was agreed to.

    Returns the sentence for the timeline. The count and its cases are locked; the stock is locked here.
    """
    rounds = settled_rounds(sheet)
    await sheet.tx.lock_stock(sheet.places(sheet.lines))
    differences = await sheet.differences(rounds)
    superseded = {key for key in differences if _seen_later(sheet, key)}
    wanted = {key: one for key, one in differences.items() if key not in superseded}
    refused = await _more_than_was_agreed(sheet, wanted, cause, at)
    if refused:
        return refused
    books = await books_at(sheet.tx, sheet.location, {key: sheet.lines[key]["counted_at"] for key in wanted})
    lines: list[postings.Line] = []
    for key, one in wanted.items():
        lines += _move(sheet, key, one, books[key], cause)
        sheet.lines[key] |= {
            "state": "posted",
            "book": one.book,
            "counted": one.counted,
            "value_minor": one.value_minor,
            "posted_at": at,
        }
    for key in superseded:
        sheet.lines[key]["state"] = "superseded"
    authority = sheet.policy.authority.of_posting(EVENT)
    entity, currency = sheet.row["entity"], sheet.place.currency
    sheet.tx.post(Entry(entity, EVENT, currency, cause, lines, at, sheet.id, authority))
    await _check_off(sheet, wanted)
    shelf = [(sheet.location, sku) for sku, bucket in wanted if not bucket]
    await found.assign(sheet.tx, shelf, Cause(cause, sheet.tx.actor, at, entity))
    why = Taken(sheet.cause(cause, at), sheet.policy.stock.doubt_first)
    await doubt(sheet.tx, dict.fromkeys(sorted(shelf), why))
    sheet.go(CountState.POSTED)
    sheet.drop_dues("feed")
    return await _sentence(sheet, wanted, superseded)


def _seen_later(sheet: Sheet, key: LineKey) -> bool:
    """Whether a later count of the same shelf was posted before this one: then it knows better."""
    sku, bucket = key
    seen = sheet.tx.shelf.rows[sheet.location, sku]["counted_at"]
    return not bucket and seen is not None and seen >= sheet.lines[key]["counted_at"]


async def _more_than_was_agreed(
    sheet: Sheet, wanted: Mapping[LineKey, Difference], cause: str, at: datetime
) -> str | None:
    """Back to comparing when what was tolerated is not any more, or the band asks for somebody who was not asked."""
    worth = gross([one.value_minor for one in wanted.values()])
    decided = {key for key in wanted if sheet.lines[key]["root_cause"] or sheet.lines[key]["round"] > 1}
    grown = [key for key, one in wanted.items() if key not in decided and not is_tolerated(one, sheet.policy.count)]
    level = await bands.use(
        sheet.tx,
        kind="count",
        actor=actor_of(sheet),
        location=sheet.location,
        subject=cause,
        gross_minor=worth,
        limits=sheet.policy.bands.count.limits,
        at=at,
    )
    if level <= Level(sheet.row["detail"].get("granted", 0)) and not grown:
        return None
    await bands.withdraw(sheet.tx, "count", cause, at)
    sheet.go(CountState.SUBMITTED)
    sheet.drop_dues("feed")
    for key, line in sheet.lines.items():
        if key in wanted and key in sheet.entries.get(sheet.round, {}):
            line["round"] = sheet.round
    sheet.tx.tell(sheet.id, Message.COUNT_SUBMITTED)
    return f"Late reports changed the difference to {money(worth, sheet.place.currency)}; it is compared again."


def _move(sheet: Sheet, key: LineKey, one: Difference, book: Book, cause: str) -> list[postings.Line]:
    """The movements of one line, and its part of the journal."""
    sku, bucket = key
    place, shelf = sheet.location, sheet.tx.shelf
    # Dated when it was counted, so that the book of any later instant has it, whenever it was posted.
    why = sheet.cause(cause, sheet.lines[key]["counted_at"])
    if bucket:
        moves = [(("found", bucket) if one.units > 0 else (bucket, "shrink"), abs(one.units), "cycle_count")]
    else:
        # What began to wait for a count after this one was taken waits for the next.
        decided = max(shelf.quantity(place, sku, "count_pending") - book.suspected_since, 0)
        taken = resolve(one.units, decided)
        moves = [
            (("count_pending", "available"), taken.confirmed, "confirmed"),
            (("found", "available"), taken.gained, "cycle_count"),
            (("count_pending", "shrink"), taken.lost_pending, "cycle_count"),
            (("available", "shrink"), taken.lost_available, "cycle_count"),
        ]
    left = one.value_minor
    outside = [move for move in moves if move[1] and {"found", "shrink"} & set(move[0])]
    for sides, quantity, reason in moves:
        if not quantity:
            continue
        is_last = bool(outside) and (sides, quantity, reason) == outside[-1]
        crosses = bool({"found", "shrink"} & set(sides))
        cost = 0 if not crosses else left if is_last else min(reference.cost_of(one.unit_cost_e4, quantity), left)
        left -= cost
        shelf.move(
            KIND,
            sku,
            quantity,
            (place, sides[0]),
            (place, sides[1]),
            why,
            reason=reason,
            unit_cost_e4=one.unit_cost_e4 if crosses else 0,
            cost_minor=cost,
        )
    return postings.count_difference(one.signed_minor, location=place, sku=sku)


_CHECK_OFF = text(
    "UPDATE stock s SET counted_at = w.at, confidence_permille = w.confidence"
    " FROM unnest(CAST(:skus AS text[]), CAST(:ats AS timestamptz[]), CAST(:confidences AS int[]))"
    " AS w(sku, at, confidence) WHERE s.location = :location AND s.sku = w.sku"
)


async def _check_off(sheet: Sheet, wanted: Mapping[LineKey, Difference]) -> None:
    """Write the checkpoints and how sure we are now; the rows are locked, and a posted shelf is at its checkpoint."""
    weight = sheet.policy.count.confidence_weight_permille
    skus, ats, confidences = [], [], []
    for (sku, bucket), one in wanted.items():
        if bucket:
            continue
        row = sheet.tx.shelf.rows[sheet.location, sku]
        row["counted_at"] = sheet.lines[sku, bucket]["counted_at"]
        row["confidence_permille"] = confidence_after(row["confidence_permille"], one.book, one.counted, weight)
        skus.append(sku)
        ats.append(row["counted_at"])
        confidences.append(row["confidence_permille"])
    if skus:
        await sheet.tx.conn.execute(
            _CHECK_OFF, {"location": sheet.location, "skus": skus, "ats": ats, "confidences": confidences}
        )


async def _sentence(sheet: Sheet, wanted: Mapping[LineKey, Difference], superseded: set[LineKey]) -> str:
    lost = sum(one.value_minor for one in wanted.values() if one.units < 0)
    gained = sum(one.value_minor for one in wanted.values() if one.units > 0)
    told = [f"Posted: {len(wanted)} {'line' if len(wanted) == 1 else 'lines'}"]
    if lost:
        told.append(f"{money(lost, sheet.place.currency)} shrinkage")
    if gained:
        told.append(f"{money(gained, sheet.place.currency)} found")
    words = ", ".join(told) + "."
    if superseded:
        words += f" {len(superseded)} had been counted again later and posted nothing."
    chronic = await chronic_of(sheet, sorted({sku for (sku, _), one in wanted.items() if one.units}))
    for sku, times in chronic.items():
        words += f" {sku} was off in {times} counts before: chronic here."
    if chronic:
        sheet.row["detail"]["chronic"] = chronic
    again = await open_for_what_waits(sheet)
    return words + (f" {again} opens for what was not counted and waits for a count." if again else "")


async def open_for_what_waits(sheet: Sheet) -> str | None:
    """Units that wait for a count never stay behind: what this one did not decide about is counted next."""
    shelf = sheet.tx.shelf
    skus = [
        sku for sku, bucket in sheet.lines if not bucket and shelf.quantity(sheet.location, sku, "count_pending") > 0
    ]
    wanted = await not_yet_asked(sheet.tx, sheet.location, skus, beside=sheet.id)
    if not wanted:
        return None
    now = await sheet.tx.now()
    return await open_count(
        sheet.tx,
        Opening(
            place=sheet.place,
            policy=sheet.policy,
            reason="not_counted",
            skus=wanted,
            at=now,
            requested_by=sheet.id,
            due_at=now + timedelta(seconds=sheet.policy.count.window_s),
        ),
    )
