"""What people read of a journey's kind, and how its way is drawn."""

import itertools

import pytest

from domain.journey_kinds import JOURNEY_KINDS, JourneyKind, is_journey, journey_page, journey_words

KINDS = pytest.mark.parametrize("kind", JOURNEY_KINDS.values(), ids=list(JOURNEY_KINDS))


def marks(kind: str, state: str) -> list[tuple[str, str]]:
    return [(stage.state, stage.mark) for stage in JOURNEY_KINDS[kind].progress(state)]


class TestEveryKind:
    @KINDS
    def test_its_ways_are_made_of_its_states_and_may_be_gone(self, kind: JourneyKind) -> None:
        for way in kind.ways:
            assert way[-1] in kind.final
            for before, after in itertools.pairwise(way):
                assert after in kind.transitions[before], f"{kind.kind}: {before} never becomes {after}"
        assert set(kind.begins) <= set(kind.transitions)

    @KINDS
    def test_each_of_its_states_is_drawn_once_and_as_the_one_it_is_in(self, kind: JourneyKind) -> None:
        for state in kind.transitions:
            drawn = kind.progress(state)
            assert [stage.state for stage in drawn if stage.mark == "here"] == [state]
            assert len({stage.state for stage in drawn}) == len(drawn)
            assert kind.final.isdisjoint({stage.state for stage in drawn if stage.mark == "done"})


class TestProgress:
    def test_what_lies_behind_is_done_and_the_rest_is_ahead(self) -> None:
        assert marks("bopis", "picking") == [
            ("placed", "done"), ("reserved", "done"), ("picking", "here"), ("ready_for_pickup", "ahead"),
            ("collected", "ahead"),
        ]  # fmt: skip

    def test_a_state_beside_the_way_stands_before_where_it_can_come_back(self) -> None:
        assert marks("bopis", "reservation_failed")[:3] == [
            ("placed", "done"), ("reservation_failed", "here"), ("reserved", "ahead"),
        ]  # fmt: skip
        assert marks("count", "rejected")[1:4] == [
            ("in_progress", "done"), ("rejected", "here"), ("submitted", "ahead"),
        ]  # fmt: skip

    def test_one_that_ended_elsewhere_has_left_what_it_did_not_reach(self) -> None:
        assert marks("count", "cancelled")[-2:] == [("posted", "left"), ("cancelled", "here")]

    def test_another_way_is_drawn_as_it_was_gone(self) -> None:
        assert [state for state, _ in marks("bopis", "shipped")] == ["placed", "reserved", "to_be_shipped", "shipped"]


class TestWords:
    def test_a_journey_is_called_by_its_noun_and_key(self) -> None:
        assert journey_words("bopis:web:W-1") == "Order W-1"
        assert journey_words("count:endcap:C:7") == "Count C:7"

    def test_its_page_is_found_whatever_its_key_has(self) -> None:
        assert journey_page("bopis:web:W/1 ?#") == "/console/journeys/bopis:web:W%2F1%20%3F%23"
        assert journey_page("count:endcap:7") == "/console/counts/count:endcap:7"

    @pytest.mark.parametrize("text", ["", "S1|APPLE", "webhook:x:y", "bopis", "bopis:web", "hold:web:C-1"])
    def test_what_is_no_journey_is_not_taken_for_one(self, text: str) -> None:
        assert not is_journey(text)
