"""What is entered for a count: line by line, from one device at a time, safe to send twice; then handed in."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.dialects.postgresql import insert as upsert

from domain.count import BEING_COUNTED, CountState
from domain.errors import CountedElsewhere, Malformed, SameCounter, StateConflict, UnknownLine
from domain.events import CountEntered, CountEntry
from domain.messages import Message
from domain.words import local
from ledger import bands, reference, steps
from ledger.case import heal_kind
from ledger.count.opening import add_lines
from ledger.count.sheet import Entered, LineKey, Sheet
from ledger.tables import count_entry, count_line

# Clocks of devices differ: so much is put right, more is refused.
CLOCK_TOLERANCE = timedelta(minutes=5)


class Counter(NamedTuple):
    """Who counts. `people` may not approve what comes of it: everybody at the place where nobody knows the counter."""

    key: str  # a person's id, or <source>:<alias>
    actor: str  # whose rolling band it counts against
    people: tuple[str, ...]


async def counter_of(sheet: Sheet, source: str, alias: str) -> Counter:
    """The counter that a device names."""
    actor, barred = await bands.actor_at(sheet.tx, source, alias, sheet.location)
    return Counter(f"{source}:{alias}" if actor == bands.EVERYONE else actor, actor, barred)


async def entered(sheet: Sheet, source: str, data: CountEntered, cause: str, at: datetime) -> str:
    """Keep what was counted; with `submit`, hand the count in. What comes when nobody counts any more changes nothing,
    and is told in the timeline.

    Raises `CountedElsewhere` for another device, `SameCounter` in a recount, `UnknownSku`, `UnknownLine` for what is
    not counted again, `Malformed` for an instant before the count was asked for or in the future.
    """
    if sheet.state not in BEING_COUNTED:
        told = f"{len(data.lines)} figures came when the count was {sheet.row['state'].replace('_', ' ')} already."
        await steps.note(sheet.tx, sheet.id, "entered_late", cause, told, at, actor=data.counter)
        return told
    counter = await counter_of(sheet, source, data.counter)
    _hold_session(sheet, data, counter, at)
    await _check_lines(sheet, data.lines)
    _check_counter(sheet, counter, data.lines)
    for entry in data.lines:
        await _keep(sheet, entry, counter, data.session, at)
    rounds = sheet.row["detail"]["rounds"]
    rounds.setdefault(str(sheet.round), {})["actor"] = counter.actor
    barred = set(sheet.row["detail"].get("barred", ())) | set(counter.people)
    sheet.row["detail"]["barred"] = sorted(barred)
    begun = sheet.state is CountState.SCHEDULED
    if begun:
        sheet.go(CountState.IN_PROGRESS)
    if data.submit:
        told = await _submit(sheet, at)
        await steps.note(sheet.tx, sheet.id, "submitted", f"{cause}:{sheet.round}", told, at, actor=counter.key)
        sheet.tx.tell(sheet.id, Message.COUNT_SUBMITTED)
    else:
        told = f"{len(data.lines)} figures saved."
        if begun:
            await steps.note(sheet.tx, sheet.id, "begun", cause, "Somebody has begun to count.", at, actor=counter.key)
            sheet.tx.tell(sheet.id, Message.COUNT_BEGUN)
    await sheet.save(at)
    return told


def _token(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _hold_session(sheet: Sheet, data: CountEntered, counter: Counter, at: datetime) -> None:
    """One device at a time: the first to enter something, until another one takes over."""
    detail, mine = sheet.row["detail"], _token(data.session)
    held = detail.get("session")
    if held is not None and held["token"] != mine:
        if not data.take_over:
            since = local(datetime.fromisoformat(held["since"]), sheet.place.hours.time_zone)
            raise CountedElsewhere(
                f"{held['counter'].rpartition(':')[2]} counts this on another device since {since}; take it over, or"
                " leave it.",
                pointer="/session",
            )
        sheet.tx.record(
            "count.taken_over", sheet.id, at, before={"counter": held["counter"]}, after={"counter": counter.key}
        )
    if held is None or held["token"] != mine:
        detail["session"] = {"token": mine, "counter": counter.key, "since": at.isoformat()}


async def _check_lines(sheet: Sheet, lines: Sequence[CountEntry]) -> None:
    """What is not on the sheet is added when it is counted first, and refused when certain lines are counted again."""
    new = [(line.sku, line.bucket or "") for line in lines if (line.sku, line.bucket or "") not in sheet.lines]
    if not new:
        return
    if sheet.round > 1:
        raise UnknownLine(
            f"{new[0][0]} is not counted again; only {', '.join(sku for sku, _ in sheet.lines_of_round())} are.",
            pointer="/lines",
        )
    await reference.known_items(sheet.tx.conn, [sku for sku, _ in new])
    for sku, bucket in new:
        await add_lines(sheet.tx, sheet.id, sheet.location, [sku], bucket=bucket)
        sheet.lines[sku, bucket] = line = {
            "journey_id": sheet.id, "sku": sku, "bucket": bucket, "location": sheet.location, "round": 1,
            "state": "open", "first_book": None, "book": None, "counted": None, "value_minor": 0, "root_cause": None,
            "counted_at": None, "posted_at": None,
        }  # fmt: skip
        sheet.remember(count_line, (line,))


def _check_counter(sheet: Sheet, counter: Counter, lines: Sequence[CountEntry]) -> None:
    """A line is counted again by somebody who did not count it the time before."""
    before = sheet.entries.get(sheet.round - 1, {})
    for number, line in enumerate(lines):
        if sheet.lines[line.sku, line.bucket or ""]["round"] != sheet.round:
            raise UnknownLine(
                f"{line.sku} is not counted again; its first figure stands.", pointer=f"/lines/{number}/sku"
            )
        earlier = before.get((line.sku, line.bucket or ""))
        if earlier is not None and earlier.counter == counter.key:
            raise SameCounter(
                f"{counter.key.rpartition(':')[2]} counted {line.sku} the time before; somebody else counts it again.",
                pointer="/counter",
            )


async def _keep(sheet: Sheet, entry: CountEntry, counter: Counter, session: str, at: datetime) -> None:
    key: LineKey = (entry.sku, entry.bucket or "")
    counted_at = await _when(sheet, entry)
    before = sheet.entries.get(sheet.round, {}).get(key)
    if before is not None and before.quantity == entry.quantity and before.counter == counter.key:
        return  # sent twice: the first one stands, with its instant
    values = {
        "quantity": entry.quantity,
        "counted_at": counted_at,
        "counter": counter.key,
        "session": _token(session)[:16],
    }
    await sheet.tx.conn.execute(
        upsert(count_entry)
        .values(journey_id=sheet.id, round=sheet.round, sku=key[0], bucket=key[1], **values)
        .on_conflict_do_update(index_elements=["journey_id", "round", "sku", "bucket"], set_=values)
    )
    if before is not None:
        sheet.tx.record(
            "count.corrected",
            sheet.id,
            at,
            before={"sku": key[0], "quantity": before.quantity},
            after={"sku": key[0], "quantity": entry.quantity},
        )
    sheet.entries.setdefault(sheet.round, {})[key] = Entered(entry.quantity, counted_at, counter.key)
    sheet.lines[key]["state"] = "counted"


async def _when(sheet: Sheet, entry: CountEntry) -> datetime:
    """When the line was counted, by a clock that cannot have counted before it was asked, or tomorrow."""
    now, asked = await sheet.tx.now(), datetime.fromisoformat(sheet.row["detail"]["round_opened_at"])
    if entry.counted_at > now + CLOCK_TOLERANCE:
        raise Malformed("It was counted in the future; put the device's clock right.", pointer="/lines")
    if entry.counted_at < asked - CLOCK_TOLERANCE:
        raise Malformed(
            f"{entry.sku} was counted before this count was asked for; count it now, the shelf has changed since.",
            pointer="/lines",
        )
    return max(min(entry.counted_at, now), min(asked, now))


async def _submit(sheet: Sheet, at: datetime) -> str:
    """Raises `StateConflict` when nothing was counted: a sheet without figures says nothing."""
    wanted, given = sheet.lines_of_round(), sheet.entries.get(sheet.round, {})
    if not given:
        raise StateConflict("Nothing was counted yet; enter at least one figure, or call the count off.")
    sheet.go(CountState.SUBMITTED)
    sheet.row["detail"]["session"] = None
    sheet.drop_dues("count")
    await heal_kind(sheet.tx, sheet.id, "count_overdue", "the count was handed in", at)
    missing = len(wanted) - len(given)
    return f"Counted: {len(given)} of {len(wanted)}" + (f"; {missing} not counted." if missing else ".")
