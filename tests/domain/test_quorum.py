"""How many must agree, and when enough have: a person counts once, a side is served by its own people."""

import pytest
from pydantic import ValidationError

from domain.approval import Side, Word, need_of, sides_heard, still_missing, tally
from domain.bands import Level
from domain.people import Grant, Person
from domain.policy import merge

ONE = Side("", "DE01", "R1", "S1", ("store_manager", "finance"), 2)
NORTH = Side("S1", "DE01", "R1", "S1", ("store_manager", "finance"), 1)
SOUTH = Side("S9", "FR01", "R9", "S9", ("store_manager", "finance"), 1)


def word(person: str, *sides: str, voice: str = "") -> Word:
    return Word(person, voice or person, frozenset(sides or {""}))


class TestTally:
    def test_two_people_make_two_of_two(self) -> None:
        assert tally([ONE], [word("ana")]).short_of == 1
        assert tally([ONE], [word("ana"), word("ben")]).is_complete

    def test_the_same_person_counts_once_however_often_they_say_it(self) -> None:
        assert tally([ONE], [word("ana"), word("ana")]).short_of == 1

    def test_a_delegate_and_whom_they_stand_in_for_count_once(self) -> None:
        assert tally([ONE], [word("cid", voice="ben"), word("ben")]).short_of == 1
        assert tally([ONE], [word("ben"), word("cid", voice="ben")]).short_of == 1

    def test_a_delegate_counts_once_whoever_they_stand_in_for(self) -> None:
        assert tally([ONE], [word("cid", voice="ben"), word("cid", voice="ana")]).short_of == 1
        assert tally([ONE], [word("cid"), word("cid", voice="ana")]).short_of == 1

    def test_whose_word_was_given_does_not_give_another_ones(self) -> None:
        assert tally([ONE], [word("cid", voice="ben"), word("ben", voice="ana")]).short_of == 1

    def test_each_side_needs_its_own(self) -> None:
        both = [NORTH, SOUTH]
        assert tally(both, [word("ana", "S1"), word("ben", "S1")]).missing == {"S1": 0, "S9": 1}
        assert tally(both, [word("ana", "S1"), word("zoe", "S9")]).is_complete

    @pytest.mark.parametrize("turned", [False, True])
    def test_whoever_could_speak_for_both_speaks_for_the_one_that_lacks_a_word(self, *, turned: bool) -> None:
        for own in ("S1", "S9"):
            words = [word("fin", "S1", "S9"), word("ana", own)]
            assert tally([NORTH, SOUTH], words[::-1] if turned else words).is_complete

    def test_nobody_speaks_for_both_sides_at_once(self) -> None:
        assert tally([NORTH, SOUTH], [word("fin", "S1", "S9")]).short_of == 1

    def test_a_word_moves_on_along_a_chain_of_sides(self) -> None:
        sides = [NORTH, SOUTH, NORTH._replace(name="S2")]
        words = [word("a", "S1", "S2"), word("b", "S1", "S2"), word("c", "S1", "S9"), word("d", "S2")]
        assert tally(sides, words[:3]).is_complete
        assert tally(sides, [words[0], words[2], words[3]]).is_complete

    def test_a_word_for_a_side_that_is_not_asked_counts_for_nothing(self) -> None:
        assert tally([NORTH], [word("zoe", "S9")]).missing == {"S1": 1}


class TestNeed:
    def test_any_is_one_all_is_everybody_who_is_asked_and_a_number_is_never_lowered(self) -> None:
        assert [need_of("any", 5), need_of("all", 5), need_of(2, 5), need_of(3, 1)] == [1, 5, 2, 3]
        assert need_of("all", 0) == 1

    def test_policy_says_it_by_kind_and_band(self) -> None:
        document = {"approvals": {"quorum": 2, "quorums": {"refund": {"manager": "any", "finance": "all"}}}}
        approvals = merge([("v", document)]).approvals
        assert approvals.quorum_of("refund", Level.MANAGER) == "any"
        assert approvals.quorum_of("refund", Level.FINANCE) == "all"
        assert approvals.quorum_of("count", Level.FINANCE) == 2

    @pytest.mark.parametrize("wrong", [0, 21, "most", {"manager ": 2}])
    def test_what_is_no_quorum_is_refused(self, wrong: object) -> None:
        with pytest.raises(ValidationError):
            merge([("v", {"approvals": {"quorums": {"refund": {"manager": wrong}}}})])


class TestHearing:
    def test_a_side_hears_the_roles_that_were_asked_at_its_own_place(self) -> None:
        manager = Person("ana", "Ana", "", (Grant("store_manager", "", "R1"),))
        finance = Person("fin", "Fin", "", (Grant("finance"),))
        assert sides_heard(manager, [NORTH, SOUTH], 1) == {"S1"}
        assert sides_heard(finance, [NORTH, SOUTH], 1) == frozenset()
        assert sides_heard(finance, [NORTH, SOUTH], 2) == {"S1", "S9"}


class TestSaying:
    def test_whose_word_is_missing_is_said_by_name(self) -> None:
        assert still_missing(1, ["Ben Oto"], ["store_manager"]) == "Ben Oto's word is missing."
        assert still_missing(1, ["A", "B"], ["store_manager"]) == "One more word is missing, of A or B."
        assert still_missing(2, ["A", "B"], ["store_manager"]) == "2 more words are missing, of A, B."
        many = still_missing(1, list("ABCDE"), ["store_manager", "finance"])
        assert many == "One more word is missing, of the role store manager or finance."
        assert still_missing(1, [], ["finance"]) == (
            "One more word is missing, of the role finance, which nobody holds there."
        )
