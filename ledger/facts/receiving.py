"""Receives the events of a request: what touches goods only is taken together, the rest one by one."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from domain.events import EventOutcome
from ledger.engine import Database
from ledger.facts.batch import parts, take_many, touches_goods_only
from ledger.facts.inbox import Arrived, mismatch, read
from ledger.facts.single import take_one
from ledger.people import Caller


async def receive(
    database: Database, caller: Caller, events: Sequence[Mapping[str, Any]], *, received_at: datetime
) -> list[EventOutcome]:
    """Take events in the order given; the outcome of one never depends on whether another could be taken.

    Consecutive ones about goods alone share a transaction, each other has its own, so the events of one order keep
    their order. accepted: took its effect. duplicate: was taken before. parked: waits for its order. quarantined: not
    understood, kept sealed, a case says why. refused: a request that the recorded state does not allow, or a malformed
    envelope.
    """
    arrived = [read(raw) for raw in events]
    outcomes: dict[str, EventOutcome] = {}
    firsts: dict[str, Arrived] = {}
    for one in arrived:
        if isinstance(one, Arrived):
            firsts.setdefault(one.event.id, one)
    for goods_only, group in groupby(firsts.values(), key=touches_goods_only):
        if goods_only:
            for part in parts(list(group)):
                outcomes |= await _take_together(database, caller, part, received_at)
        else:
            for one in group:
                outcomes[one.event.id] = await take_one(database, caller, one, received_at)
    return list(_in_the_order_given(arrived, firsts, outcomes))


async def _take_together(
    database: Database, caller: Caller, part: Sequence[Arrived], received_at: datetime
) -> dict[str, EventOutcome]:
    taken = await take_many(database, caller, part)
    for one in taken.left:
        taken.outcomes[one.event.id] = await take_one(database, caller, one, received_at)
    return taken.outcomes


def _in_the_order_given(
    arrived: Sequence[Arrived | EventOutcome], firsts: Mapping[str, Arrived], outcomes: Mapping[str, EventOutcome]
) -> Iterator[EventOutcome]:
    """One outcome for each event; one that stands in the request twice is told what became of the first."""
    for one in arrived:
        if isinstance(one, EventOutcome):
            yield one
            continue
        first, outcome = firsts[one.event.id], outcomes[one.event.id]
        if one is first:
            yield outcome
        elif one.digest != first.digest:
            yield mismatch(one)
        else:
            yield outcome.model_copy(update={"outcome": "duplicate"}) if outcome.outcome == "accepted" else outcome
