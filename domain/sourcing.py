"""Which other place could fulfil an order: what rules a candidate out, and in which order the others are offered.

Pure arithmetic on candidates that somebody has looked up; limits and the order of the signals are policy. Every
candidate comes back with a sentence: why it has its rank, or why it is not asked. The order in which they come in
makes no difference.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from domain.bopis import pick_due
from domain.calendars import OpeningHours, add_open_time
from domain.policy import BopisPolicy, Signal, SourcingPolicy
from domain.words import span, units

Method = Literal["pickup", "ship"]
CONFIDENCE_STEP_PERMILLE = 100  # a finer difference is chance, not knowledge


class Shelf(NamedTuple):
    """What a candidate has of one item that the order wants; `promise` is what it could promise now."""

    sku: str
    name: str
    wanted: int
    available: int
    promise: int
    confidence_permille: int = 1000
    stop_sale: bool = False

    @property
    def covers(self) -> bool:
        return self.promise >= self.wanted


class Candidate(NamedTuple):
    """A place that might fulfil the order. `ready_at` is when its goods would be ready, `cost_minor` what choosing it
    costs us; `open_orders` wait there to be picked. Without coordinates the distance is None and the region counts.
    """

    code: str
    name: str
    kind: str
    entity: str
    shelves: tuple[Shelf, ...]
    distance_km: float | None = None
    is_same_region: bool = False
    status: str = "open"
    pickup: bool = True
    open_orders: int = 0
    ready_at: datetime | None = None
    cost_minor: int = 0

    @property
    def confidence_permille(self) -> int:
        """The least certain of the books that the order would rely on."""
        return min((shelf.confidence_permille for shelf in self.shelves), default=1000)


class Need(NamedTuple):
    """What the order asks of a place. `may_split`: a place that has only part of it may be asked for that part."""

    entity: str
    promised_at: datetime | None = None
    method: Method = "pickup"
    may_split: bool = False


class Ranked(NamedTuple):
    """A candidate that is offered; rank 1 is the best. `late` is by how much it misses the promise."""

    candidate: Candidate
    rank: int
    late: timedelta
    because: str


class PassedOver(NamedTuple):
    candidate: Candidate
    why_not: str


class Sourced(NamedTuple):
    """The best candidates in their order, and the nearest of the others first."""

    ranked: tuple[Ranked, ...]
    passed_over: tuple[PassedOver, ...]


def source(
    need: Need,
    candidates: Iterable[Candidate],
    policy: SourcingPolicy,
    ready: Callable[[Candidate], datetime | None] | None = None,
) -> Sourced:
    """Rank the candidates that no limit rules out; at most `policy.other_stores` are offered. Where they do not say it
    themselves, `ready` says when such a one would have the goods ready: for most it need not be reckoned.
    """
    passed_over: list[PassedOver] = []
    fit: list[Candidate] = []
    for candidate in candidates:
        why_not = ruled_out(need, candidate, policy)
        if why_not is None:
            fit.append(candidate._replace(ready_at=ready(candidate)) if ready else candidate)
        else:
            passed_over.append(PassedOver(candidate, why_not))
    fit.sort(key=lambda one: (_place_in_order(need, one, policy), one.code))
    offered, rest = fit[: policy.other_stores], fit[policy.other_stores :]
    passed_over += [
        PassedOver(one, f"Could do it, but the {len(offered)} that come before it are offered.") for one in rest
    ]
    return Sourced(
        tuple(
            Ranked(one, number, late_by(need, one), _because(need, one, fit[number : number + 1], policy))
            for number, one in enumerate(offered, start=1)
        ),
        tuple(sorted(passed_over, key=lambda one: (_km(one.candidate, policy), one.candidate.code))),
    )


def ruled_out(need: Need, candidate: Candidate, policy: SourcingPolicy) -> str | None:
    """The first hard limit that a candidate breaks, as a sentence; None for one that may be asked."""
    return (
        _wrong_place(need, candidate, policy)
        or _busy_or_far(need, candidate, policy)
        or _wrong_goods(need, candidate, policy)
    )


def _wrong_place(need: Need, candidate: Candidate, policy: SourcingPolicy) -> str | None:
    if candidate.entity != need.entity and not policy.across_entities:
        return f"Belongs to another company, {candidate.entity}."
    if candidate.status == "closed":
        return "Is closed."
    if need.method == "pickup":
        if candidate.kind in ("dc", "dropship"):
            return "Nobody can collect there; it only ships."
        if not candidate.pickup or candidate.status == "no_pickup":
            return "Hands out no pickups now."
    return None


def _busy_or_far(need: Need, candidate: Candidate, policy: SourcingPolicy) -> str | None:
    if need.method == "pickup":
        if candidate.distance_km is None and not candidate.is_same_region:
            return "Lies in another region, and nobody has recorded how far away."
        if candidate.distance_km is not None and candidate.distance_km > policy.radius_km:
            return f"Is {candidate.distance_km:.0f} km away; {policy.radius_km} km is the limit."
    limit = policy.open_orders_limit
    if limit is not None and candidate.open_orders >= limit:
        return f"Orders that wait there to be picked: {candidate.open_orders}; the limit is {limit}."
    return None


def _wrong_goods(need: Need, candidate: Candidate, policy: SourcingPolicy) -> str | None:
    stopped = [shelf for shelf in candidate.shelves if shelf.stop_sale]
    if stopped:
        return f"{stopped[0].name} is stopped from sale."
    short = [shelf for shelf in candidate.shelves if not shelf.covers]
    if short and (not need.may_split or not any(shelf.promise > 0 for shelf in candidate.shelves)):
        first = short[0]
        kept = f", of {first.available} on the shelf" if first.available > first.promise else ""
        more = f"; {len(short) - 1} more items are short" if len(short) > 1 else ""
        return f"Can promise {first.promise} of {units(first.wanted)} of {first.name}{kept}{more}."
    floor = policy.confidence_floor_permille
    if candidate.confidence_permille < floor:
        sure = f"{candidate.confidence_permille / 10:g} %"
        return f"Its book is confirmed to {sure} only; {floor / 10:g} % is the limit."
    return None


def ready_at(now: datetime, promised_at: datetime | None, policy: BopisPolicy, hours: OpeningHours) -> datetime:
    """When a place would have the order ready: at the end of its time to pick, or in time for the promise where the
    place is open long enough for that before it.
    """
    due = pick_due(now, None, policy, hours)
    if promised_at is None:
        return due
    before = timedelta(seconds=policy.pick_before_promise_s)
    return min(due, max(promised_at - before, add_open_time(now, before, hours)))


def late_by(need: Need, candidate: Candidate) -> timedelta:
    """By how much the candidate would miss the promise; zero where there is none."""
    if need.promised_at is None or candidate.ready_at is None:
        return timedelta(0)
    return max(candidate.ready_at - need.promised_at, timedelta(0))


def penalty(signal: Signal, need: Need, candidate: Candidate, policy: SourcingPolicy) -> int:
    """How much one signal speaks against a candidate; 0 is best.

    promise: hours late, begun ones count; split: lines that it cannot cover; cost: minor units; confidence: tenths of
    the book that nobody confirmed; proximity: km.
    """
    if signal == "promise":
        return -(-late_by(need, candidate) // timedelta(hours=1))
    if signal == "split":
        return sum(not shelf.covers for shelf in candidate.shelves)
    if signal == "cost":
        return candidate.cost_minor
    if signal == "confidence":
        return (1000 - candidate.confidence_permille) // CONFIDENCE_STEP_PERMILLE
    return round(_km(candidate, policy))


def _place_in_order(need: Need, candidate: Candidate, policy: SourcingPolicy) -> tuple[int, ...]:
    against = {signal: penalty(signal, need, candidate, policy) for signal in policy.signals}
    if not policy.weights:
        return tuple(against[signal] for signal in policy.signals)
    # Cost is weighed by the whole unit of currency, the others by their own; hundredths keep it in integers.
    total = sum(policy.weights.get(signal, 0) * by * (1 if signal == "cost" else 100) for signal, by in against.items())
    return (total,)


def _km(candidate: Candidate, policy: SourcingPolicy) -> float:
    """A place of unknown distance counts as being at the edge."""
    return candidate.distance_km if candidate.distance_km is not None else float(policy.radius_km)


_BETTER: dict[Signal, str] = {
    "promise": "sooner than",
    "split": "covers more than",
    "cost": "costs less than",
    "confidence": "a surer book than",
    "proximity": "nearer than",
}


def _because(need: Need, candidate: Candidate, behind: Sequence[Candidate], policy: SourcingPolicy) -> str:
    late = late_by(need, candidate)
    parts = []
    if need.promised_at is not None:
        parts.append(f"misses the promise by {span(late)}" if late else "keeps the promise")
    short = sum(not shelf.covers for shelf in candidate.shelves)
    parts.append(f"has all but {short} of the lines" if short else "has everything")
    parts.append("in the same region" if candidate.distance_km is None else f"{candidate.distance_km:.0f} km")
    if candidate.confidence_permille < 1000:
        parts.append(f"book confirmed to {candidate.confidence_permille / 10:g} %")
    if behind:
        parts.append(_ahead(need, candidate, behind[0], policy))
    return ", ".join(part for part in parts if part)


def _ahead(need: Need, candidate: Candidate, other: Candidate, policy: SourcingPolicy) -> str:
    """What ranks a candidate above the next one: the first signal that differs, or the sum of all."""
    if policy.weights:
        mine, its = (_place_in_order(need, one, policy)[0] / 100 for one in (candidate, other))
        return f"{mine:g} points against {its:g} of {other.name}" if mine < its else ""
    for signal in policy.signals:
        if penalty(signal, need, candidate, policy) < penalty(signal, need, other, policy):
            return f"{_BETTER[signal]} {other.name}"
    return ""
