"""Proposes transfers to places that surge and will be short, from places that keep more than they can sell: with a
sentence that says why. They are transfers like any other: made where their value is below the band, asked about above.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from domain.ids import OWN_SOURCE
from domain.look_policy import LookPolicy
from domain.looks import span_words
from domain.rebalance import Leg, Need, Shelves, distance_km, need_of, propose, spare_of
from domain.transfers import TransferAnswer
from domain.velocity import Span
from ledger import reference, rows
from ledger.look.seeing import Seen, Times
from ledger.promotion.document import Promotion
from ledger.tables import promotion_proposal
from ledger.transfer.opening import open_all
from ledger.transfer.wanted import Wanted, places_of

REASON = "rebalance"
MOST_LINES = 200  # of one transfer

# What was proposed to a place is under way, or was over less than a while ago, whatever became of it.
_RESTING = text(
    """
    SELECT DISTINCT p.to_location, p.sku FROM promotion_proposal p JOIN journey j ON j.id = p.transfer_id
    WHERE p.journey_id = :id AND (j.closed_at IS NULL OR p.at > :since)
    """
)


class Proposed(NamedTuple):
    """What a look has proposed: units, and the transfers with what was answered."""

    units: int
    transfers: Sequence[TransferAnswer]


async def needs_of(it: Promotion, seen: Mapping[str, Seen], policy: LookPolicy, at: datetime) -> dict[Need, Span]:
    """What places lack that surge, each with the span that says so; of what is not under way to them already."""
    found: dict[Need, Span] = {}
    for one in seen.values():
        for sku, shelf in one.shelves.items():
            span = one.items.get(sku) or one.surge
            need = need_of(shelf) if span is not None else None
            if need is not None and span is not None:
                found[need] = span
    if not found:
        return found
    since = at - timedelta(seconds=policy.rest_s)
    resting = {(row.to_location, row.sku) for row in await it.tx.conn.execute(_RESTING, {"id": it.id, "since": since})}
    return {need: span for need, span in found.items() if (need.location, need.sku) not in resting}


def legs_of(
    needs: Mapping[Need, Span], seen: Mapping[str, Seen], places: Mapping[str, reference.Place], policy: LookPolicy
) -> list[Leg]:
    """From where to where. A place that surges gives nothing, nor does one that is short itself."""
    asked = {need.sku for need in needs}
    spares = [
        (_shelf(one, sku), spare_of(one.shelves[sku]))
        for one in seen.values()
        if one.loudest is None
        for sku in sorted(asked & one.shelves.keys())
    ]

    def distance(source: str, target: str) -> float | None:
        a, b = places[source], places[target]
        return distance_km((a.latitude, a.longitude), (b.latitude, b.longitude))

    return propose(needs, spares, distance, radius_km=policy.radius_km, least_units=policy.least_units)


def _shelf(one: Seen, sku: str) -> tuple[str, str]:
    return one.expected.location, sku


class Moment(NamedTuple):
    """Which look proposes, and what it reckons with."""

    number: int
    times: Times
    places: Mapping[str, reference.Place]
    seen: Mapping[str, Seen]


async def open_transfers(it: Promotion, legs: Sequence[Leg], needs: Mapping[Need, Span], moment: Moment) -> Proposed:
    """Ask for them as transfers, in this transaction, and keep why. The stock of their sources is locked here."""
    if not legs:
        return Proposed(0, ())
    tx, at, places = it.tx, moment.times.at, moment.places
    spans = {(need.location, need.sku): span for need, span in needs.items()}
    names = await reference.items(tx.conn, {leg.sku for leg in legs})
    between: dict[tuple[str, str], list[Leg]] = defaultdict(list)
    for leg in legs:
        between[leg.source, leg.target].append(leg)
    policies = await reference.policies_at(tx.conn, [places[source] for source, _ in between], at)
    openings, kept = [], []
    for number, ((source, target), parts) in enumerate(sorted(between.items()), start=1):
        told = [_because(leg, spans[leg.target, leg.sku], moment, names[leg.sku]["name"]) for leg in parts]
        openings.append(
            Wanted(
                place=places[source], target=places[target], policy=policies[source], source=OWN_SOURCE,
                key=f"{it.row['source']}-{it.row['key']}-{moment.number}-{number}", reason=REASON,
                lines=[(str(line), leg.sku, leg.units) for line, leg in enumerate(parts[:MOST_LINES], start=1)],
                at=at, requested_by="endcap", clock_offset_s=it.row["clock_offset_s"],
                detail={"promotion": it.id, "because": told},
            )
        )  # fmt: skip
        kept += [(openings[-1].id, leg, because) for leg, because in zip(parts[:MOST_LINES], told, strict=False)]
    await tx.lock_stock(places_of(openings))
    entity = it.row["entity"]
    costs = await reference.unit_costs(tx.conn, entity, {leg.sku for leg in legs})
    answers = await open_all(tx, openings, {(entity, sku): cost for sku, cost in costs.items()})
    await rows.write(tx.conn, promotion_proposal, [
        {
            "journey_id": it.id, "look": moment.number, "sku": leg.sku, "from_location": leg.source,
            "to_location": leg.target, "quantity": leg.units, "transfer_id": about, "because": because,
            "figures": _figures(leg, spans[leg.target, leg.sku], moment), "at": at,
        }
        for about, leg, because in kept
    ])  # fmt: skip
    return Proposed(sum(leg.units for _, leg, _ in kept), answers)


def _shelves(leg: Leg, moment: Moment) -> tuple[Shelves, Shelves]:
    return moment.seen[leg.source].shelves[leg.sku], moment.seen[leg.target].shelves[leg.sku]


def _because(leg: Leg, span: Span, moment: Moment, name: str) -> str:
    gives, takes = _shelves(leg, moment)
    places, times = moment.places, moment.times
    days = (times.filled_until - times.at) / timedelta(days=1)
    coming = f" and {takes.inbound} coming" if takes.inbound else ""
    way = "" if leg.km is None else f", {leg.km:.0f} km away,"
    return (
        f"{name}: {places[leg.target].name} had {span_words(span)} ({span.times:.1f} times). It has"
        f" {max(takes.available, 0)}"
        f"{coming}, and sells {takes.until_filled:.0f} within {days:.1f} days at this pace."
        f" {places[leg.source].name}{way} has {gives.free} beyond its safety stock, and sells {gives.until_end:.0f}"
        f" until the promotion ends: {leg.units} of them go."
    )


def _figures(leg: Leg, span: Span, moment: Moment) -> dict[str, Any]:
    gives, takes = _shelves(leg, moment)
    return {
        "km": None if leg.km is None else round(leg.km, 1),
        "hours": span.hours,
        "receipts": span.sold,
        "expected": round(span.expected, 2),
        "target_has": takes.available,
        "target_inbound": takes.inbound,
        "target_sells": round(takes.until_filled, 1),
        "source_free": gives.free,
        "source_sells": round(gives.until_end, 1),
    }
