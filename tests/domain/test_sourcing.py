"""Ranking of places that might take an order over: each limit, each signal, and what holds for any candidates."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calendars import OpeningHours
from domain.policy import BopisPolicy, Signal, SourcingPolicy
from domain.sourcing import Candidate, Need, Shelf, late_by, penalty, ready_at, ruled_out, source

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NEED = Need(entity="DE01", promised_at=NOON)
POLICY = SourcingPolicy()
SIGNALS: tuple[Signal, ...] = ("promise", "split", "cost", "confidence", "proximity")


def shelf(promise: int = 5, **more: Any) -> Shelf:
    return Shelf(**{"sku": "TEA", "name": "Green tea", "wanted": 2, "available": promise, "promise": promise, **more})


def place(code: str = "A", **more: Any) -> Candidate:
    usual: dict[str, Any] = {
        "name": f"Store {code}", "kind": "store", "entity": "DE01", "shelves": (shelf(),), "distance_km": 9.0,
        "ready_at": NOON - timedelta(hours=1),
    }  # fmt: skip
    return Candidate(code=code, **usual | more)


class TestLimits:
    @pytest.mark.parametrize(
        ("candidate", "says"),
        [
            (place(entity="FR01"), "another company, FR01"),
            (place(status="closed"), "Is closed"),
            (place(status="no_pickup"), "no pickups"),
            (place(pickup=False), "no pickups"),
            (place(kind="dc"), "it only ships"),
            (place(kind="dropship"), "it only ships"),
            (place(distance_km=60.6), "Is 61 km away; 60 km is the limit"),
            (place(distance_km=None), "another region"),
            (place(open_orders=4), "Orders that wait there to be picked: 4; the limit is 4."),
            (place(shelves=(shelf(stop_sale=True),)), "Green tea is stopped from sale"),
            (place(shelves=(shelf(1),)), "Can promise 1 of 2 units of Green tea."),
            (place(shelves=(shelf(1, available=6),)), "Can promise 1 of 2 units of Green tea, of 6 on the shelf."),
            (place(shelves=(shelf(0), shelf(1), shelf(0))), "2 more items are short"),
            (place(shelves=(shelf(confidence_permille=499),)), "confirmed to 49.9 % only; 50 % is the limit"),
        ],
    )
    def test_a_limit_that_is_broken_is_said(self, candidate: Candidate, says: str) -> None:
        policy = SourcingPolicy(open_orders_limit=4)
        found = source(NEED, [candidate], policy)
        assert found.ranked == ()
        assert says in found.passed_over[0].why_not

    @pytest.mark.parametrize(
        "candidate",
        [
            place(),
            place(distance_km=60.0),
            place(distance_km=None, is_same_region=True),
            place(kind="hub"),
            place(open_orders=3),
            place(shelves=(shelf(2),)),
            place(shelves=(shelf(confidence_permille=500),)),
            place(ready_at=NOON + timedelta(days=2)),  # late is worse, not forbidden: the customer is asked
        ],
    )
    def test_at_the_limit_is_within_it(self, candidate: Candidate) -> None:
        assert ruled_out(NEED, candidate, SourcingPolicy(open_orders_limit=4)) is None

    def test_policy_may_let_another_company_deliver(self) -> None:
        assert ruled_out(NEED, place(entity="FR01"), SourcingPolicy(across_entities=True)) is None

    def test_what_is_shipped_may_come_from_anywhere_that_has_it(self) -> None:
        need = NEED._replace(method="ship")
        far = [
            place("DC", kind="dc", distance_km=900.0, pickup=False),
            place("DS", kind="dropship", distance_km=None, pickup=False),
            place("S7", status="no_pickup"),
        ]
        assert [ruled_out(need, one, POLICY) for one in far] == [None, None, None]
        assert ruled_out(need, place("DC", kind="dc", status="closed"), POLICY) == "Is closed."

    def test_part_of_an_order_is_enough_only_where_it_may_be_split(self) -> None:
        half = place(shelves=(shelf(5), shelf(0)))
        assert ruled_out(NEED, half, POLICY) is not None
        assert ruled_out(NEED._replace(may_split=True), half, POLICY) is None
        none = place(shelves=(shelf(0), shelf(0)))
        assert ruled_out(NEED._replace(may_split=True), none, POLICY) is not None


class TestOrder:
    """The best and the second by one signal alone; the sentence names it."""

    @pytest.mark.parametrize(
        ("better", "worse", "says"),
        [
            ({}, {"ready_at": NOON + timedelta(minutes=1)}, "sooner than Store B"),
            ({"cost_minor": 400}, {"cost_minor": 401}, "costs less than Store B"),
            ({}, {"shelves": (shelf(confidence_permille=900),)}, "a surer book than Store B"),
            ({"distance_km": 8.4}, {"distance_km": 8.6}, "nearer than Store B"),
            ({"distance_km": 59.0}, {"distance_km": None, "is_same_region": True}, "nearer than Store B"),
        ],
    )
    def test_each_signal_decides_where_those_before_it_are_equal(
        self, better: dict[str, Any], worse: dict[str, Any], says: str
    ) -> None:
        found = source(NEED, [place("B", **worse), place("A", **better)], POLICY)
        assert [one.candidate.code for one in found.ranked] == ["A", "B"]
        assert says in found.ranked[0].because
        assert " than " not in found.ranked[1].because

    def test_fewer_places_for_one_order_come_first(self) -> None:
        whole, part = place("B", distance_km=50.0), place("A", shelves=(shelf(5), shelf(0, sku="X")))
        found = source(NEED._replace(may_split=True), [part, whole], POLICY)
        assert [one.candidate.code for one in found.ranked] == ["B", "A"]
        assert "covers more than Store A" in found.ranked[0].because
        assert "has all but 1 of the lines" in found.ranked[1].because

    def test_a_kept_promise_beats_everything_by_default_and_not_where_policy_says_otherwise(self) -> None:
        late_and_near = place("A", distance_km=1.0, ready_at=NOON + timedelta(hours=3))
        far_in_time = place("B", distance_km=55.0)
        assert source(NEED, [late_and_near, far_in_time], POLICY).ranked[0].candidate.code == "B"
        near_first = SourcingPolicy(signals=("proximity", "promise"))
        assert source(NEED, [late_and_near, far_in_time], near_first).ranked[0].candidate.code == "A"
        found = source(NEED, [late_and_near], POLICY)
        assert "misses the promise by 3 h 00 min" in found.ranked[0].because
        assert found.ranked[0].late == timedelta(hours=3)

    def test_weights_add_up_what_the_order_of_signals_would_not_trade(self) -> None:
        dear_and_near = place("A", distance_km=2.0, cost_minor=500)
        cheap_and_far = place("B", distance_km=20.0)
        assert source(NEED, [dear_and_near, cheap_and_far], POLICY).ranked[0].candidate.code == "B"
        weighed = SourcingPolicy(weights={"cost": 2, "proximity": 1})
        found = source(NEED, [dear_and_near, cheap_and_far], weighed)
        assert found.ranked[0].candidate.code == "A"
        assert "12 points against 20 of Store B" in found.ranked[0].because

    def test_more_than_are_offered_are_passed_over_by_name(self) -> None:
        found = source(NEED, [place(code, distance_km=float(km)) for km, code in enumerate("ABCDE")], POLICY)
        assert [one.candidate.code for one in found.ranked] == ["A", "B", "C"]
        assert [(one.candidate.code, one.why_not) for one in found.passed_over] == [
            ("D", "Could do it, but the 3 that come before it are offered."),
            ("E", "Could do it, but the 3 that come before it are offered."),
        ]

    def test_nothing_comes_of_no_candidates(self) -> None:
        assert source(NEED, [], POLICY) == ((), ())

    def test_without_a_promise_nobody_is_late(self) -> None:
        assert late_by(NEED._replace(promised_at=None), place(ready_at=NOON + timedelta(days=9))) == timedelta(0)
        assert late_by(NEED, place(ready_at=None)) == timedelta(0)


class TestReady:
    """A store that opens at eight and closes at six, asked at three in the night or at nine."""

    DAY = OpeningHours("UTC", {day: (time(8), time(18)) for day in range(7)})

    @pytest.mark.parametrize(
        ("asked", "promised", "ready"),
        [
            ((9, 0), None, (11, 0)),  # two open hours
            ((9, 0), (16, 0), (11, 0)),  # there is time
            ((9, 0), (10, 0), (9, 45)),  # sooner, for the promise
            ((9, 0), (9, 5), (9, 15)),  # as soon as anybody can: ten minutes late
            ((3, 0), (8, 30), (8, 15)),
            ((3, 0), (7, 0), (8, 15)),  # nobody is there before eight
            ((9, 0), (6, 0), (9, 15)),  # the promise is broken already
        ],
    )
    def test_the_promise_hastens_a_pick_and_never_beyond_what_can_be_done(
        self, asked: tuple[int, int], promised: tuple[int, int] | None, ready: tuple[int, int]
    ) -> None:
        def at(clock: tuple[int, int]) -> datetime:
            return NOON.replace(hour=clock[0], minute=clock[1])

        assert ready_at(at(asked), promised and at(promised), BopisPolicy(), self.DAY) == at(ready)


class TestPolicy:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"signals": ["beauty"]},
            {"weights": {"cost": -1}},
            {"open_orders_limit": 0},
            {"confidence_floor_permille": 1001},
        ],
    )
    def test_what_no_policy_has_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            SourcingPolicy.model_validate(wrong)


shelves = st.builds(
    Shelf,
    sku=st.sampled_from(["TEA", "JAM"]),
    name=st.just("Thing"),
    wanted=st.integers(1, 3),
    available=st.integers(0, 9),
    promise=st.integers(0, 5),
    confidence_permille=st.integers(0, 1000),
    stop_sale=st.sampled_from([False, False, False, True]),
)
candidates = st.builds(
    Candidate,
    code=st.uuids().map(str),
    name=st.just("Store"),
    kind=st.sampled_from(["store", "store", "hub", "dc", "dropship"]),
    entity=st.sampled_from(["DE01", "DE01", "FR01"]),
    shelves=st.lists(shelves, min_size=1, max_size=3).map(tuple),
    distance_km=st.none() | st.floats(0, 120),
    is_same_region=st.booleans(),
    status=st.sampled_from(["open", "open", "no_pickup", "closed"]),
    pickup=st.booleans(),
    open_orders=st.integers(0, 6),
    ready_at=st.none() | st.integers(-30, 30).map(lambda hours: NOON + timedelta(hours=hours)),
    cost_minor=st.integers(0, 2000),
)
needs = st.builds(
    Need,
    entity=st.just("DE01"),
    promised_at=st.sampled_from([None, NOON]),
    method=st.sampled_from(["pickup", "ship"]),
    may_split=st.booleans(),
)
policies = st.builds(
    SourcingPolicy,
    open_orders_limit=st.none() | st.integers(1, 5),
    confidence_floor_permille=st.integers(0, 1000),
    other_stores=st.integers(1, 4),
    across_entities=st.booleans(),
    signals=st.permutations(SIGNALS).map(tuple),
    weights=st.just({}) | st.dictionaries(st.sampled_from(SIGNALS), st.integers(0, 9)),
)
many = st.lists(candidates, max_size=8, unique_by=lambda one: one.code)


class TestAnyCandidates:
    @given(need=needs, policy=policies, some=many, chance=st.randoms(use_true_random=False))
    def test_the_order_in_which_they_come_makes_no_difference(
        self, need: Need, policy: SourcingPolicy, some: list[Candidate], chance: Any
    ) -> None:
        shuffled = some.copy()
        chance.shuffle(shuffled)
        assert source(need, shuffled, policy) == source(need, some, policy)

    @given(need=needs, policy=policies, some=many)
    def test_each_is_offered_or_passed_over_once_and_nobody_who_is_ruled_out_is_offered(
        self, need: Need, policy: SourcingPolicy, some: list[Candidate]
    ) -> None:
        found = source(need, some, policy)
        codes = [one.candidate.code for one in found.ranked] + [one.candidate.code for one in found.passed_over]
        assert sorted(codes) == sorted(one.code for one in some)
        assert all(ruled_out(need, one.candidate, policy) is None for one in found.ranked)
        assert [one.rank for one in found.ranked] == list(range(1, len(found.ranked) + 1))
        assert len(found.ranked) <= policy.other_stores
        assert all(one.why_not.endswith(".") for one in found.passed_over)
        assert all(one.because for one in found.ranked)

    @given(need=needs, policy=policies, some=many, which=st.sampled_from(SIGNALS), by=st.integers(1, 400))
    def test_whoever_gets_better_by_one_signal_never_loses_by_it(
        self, need: Need, policy: SourcingPolicy, some: list[Candidate], which: Signal, by: int
    ) -> None:
        policy = policy.model_copy(update={"other_stores": 9})
        for candidate in [one.candidate for one in source(need, some, policy).ranked]:
            better = improved(candidate, which, by)
            assert penalty(which, need, better, policy) <= penalty(which, need, candidate, policy)
            others = [one for one in some if one.code != candidate.code]
            before = rank_of(candidate.code, source(need, some, policy))
            assert rank_of(candidate.code, source(need, [*others, better], policy)) <= before


def improved(candidate: Candidate, signal: Signal, by: int) -> Candidate:
    """The same place, better by one signal; nothing else changes."""
    if signal == "promise":
        return candidate._replace(ready_at=candidate.ready_at and candidate.ready_at - timedelta(minutes=by))
    if signal == "cost":
        return candidate._replace(cost_minor=max(candidate.cost_minor - by, 0))
    if signal == "confidence":
        surer = [one._replace(confidence_permille=min(one.confidence_permille + by, 1000)) for one in candidate.shelves]
        return candidate._replace(shelves=tuple(surer))
    if signal == "split":
        return candidate._replace(shelves=tuple(one._replace(promise=one.promise + by) for one in candidate.shelves))
    return candidate._replace(distance_km=candidate.distance_km and max(candidate.distance_km - by, 0.0))


def rank_of(code: str, found: Any) -> int:
    return next(int(one.rank) for one in found.ranked if one.candidate.code == code)
