"""Who may stand in for whom: dates that make sense, no circle however long, nothing twice at the same time."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.delegation import Delegation, check
from domain.errors import Malformed, StateConflict
from domain.people import Grant, Person

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def of(giver: str, taker: str, *, from_day: float = 0, until_day: float = 10) -> Delegation:
    return Delegation(giver, taker, NOW + timedelta(days=from_day), NOW + timedelta(days=until_day))


class TestCheck:
    def test_ordinary_ones_stand_beside_each_other(self) -> None:
        known = [of("ana", "ben"), of("cid", "ben"), of("ben", "dia")]
        check(of("ana", "cid"), known, NOW)

    @pytest.mark.parametrize(
        ("new", "says"),
        [
            (of("ana", "ana"), "nobody stands in for themselves"),
            (of("ana", "ben", from_day=3, until_day=2), "before the first one"),
            (of("ana", "ben", from_day=2, until_day=2), "before the first one"),
            (of("ana", "ben", from_day=-3, until_day=0), "are over"),
            (of("ana", "ben", until_day=367), "longer than a year"),
        ],
    )
    def test_what_makes_no_sense_is_refused_by_what_is_wrong(self, new: Delegation, says: str) -> None:
        with pytest.raises(Malformed, match=says):
            check(new, [], NOW)

    def test_the_same_again_is_refused_only_at_the_same_time(self) -> None:
        with pytest.raises(StateConflict, match="already at that time"):
            check(of("ana", "ben", from_day=9, until_day=20), [of("ana", "ben")], NOW)
        check(of("ana", "ben", from_day=10, until_day=20), [of("ana", "ben")], NOW)

    def test_a_circle_is_refused_directly_and_by_others(self) -> None:
        for known in ([of("ben", "ana")], [of("ben", "cid"), of("cid", "dia"), of("dia", "ana")]):
            with pytest.raises(StateConflict, match="circle"):
                check(of("ana", "ben"), known, NOW)

    def test_a_circle_that_never_closes_at_one_time_is_none(self) -> None:
        check(of("ana", "ben", until_day=5), [of("ben", "ana", from_day=5)], NOW)
        known = [of("ben", "cid", until_day=4), of("cid", "ana", from_day=4)]
        check(of("ana", "ben"), known, NOW)

    def test_a_circle_of_others_does_not_keep_it_looking_for_ever(self) -> None:
        check(of("ana", "ben"), [of("ben", "cid"), of("cid", "ben")], NOW)


def test_where_it_stands_by_the_clock() -> None:
    one = of("ana", "ben", from_day=1, until_day=2)
    statuses = [one.status(NOW + timedelta(days=days)) for days in (0, 1, 1.5, 2)]
    assert statuses == ["coming", "current", "current", "over"]


def test_an_admin_looks_after_those_whose_every_role_is_within_their_own_scope() -> None:
    clerk = Person("c", "C", "", (Grant("store_manager", "", "R1"), Grant("finance", "", "R2")))
    regional = Person("a", "A", "", (Grant("admin", "", "R1"),))
    everywhere = Person("b", "B", "", (Grant("admin"),))
    assert everywhere.looks_after(clerk)
    assert not regional.looks_after(clerk)
    assert not clerk.looks_after(regional)
    assert not Person("d", "D", "", (Grant("finance"),)).looks_after(Person("e", "E", "", ()))
