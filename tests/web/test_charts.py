"""Charts: what is drawn fits its box, says its figure, and nothing is drawn that was not counted."""

from itertools import pairwise

import pytest

from web.charts import BASE, TOP, WIDTH, Point, columns, parts


def points(*values: float | None) -> list[Point]:
    return [Point(f"day {number}", value, f"{value}", f"all of {number}") for number, value in enumerate(values)]


class TestColumns:
    def test_the_highest_reaches_the_top_and_the_others_stand_in_proportion(self) -> None:
        drawn = columns("t", points(1.0, 4.0, 2.0)).columns
        assert [one.y for one in drawn] == [BASE - (BASE - TOP) / 4, TOP, BASE - (BASE - TOP) / 2]

    def test_a_share_is_drawn_of_the_whole_and_never_beyond(self) -> None:
        drawn = columns("t", points(0.5, 1.2), most=1.0).columns
        assert [one.y for one in drawn] == [BASE - (BASE - TOP) / 2, TOP]

    def test_nothing_counted_is_a_gap_and_zero_is_a_mark(self) -> None:
        gap, zero = columns("t", points(None, 0.0)).columns
        assert (gap.is_gap, gap.height, gap.text) == (True, 0.0, "")
        assert not zero.is_gap
        assert zero.height > 0

    @pytest.mark.parametrize("count", [1, 7, 10, 31, 53, 366])
    def test_columns_stay_in_the_box_apart_and_the_newest_is_named(self, count: int) -> None:
        drawn = columns("t", points(*([1.0] * count))).columns
        assert drawn[0].x >= 0
        assert drawn[-1].x + drawn[-1].width <= WIDTH
        assert all(one.x + one.width < other.x for one, other in pairwise(drawn))
        assert drawn[-1].name == f"day {count - 1}"
        assert sum(bool(one.name) for one in drawn) <= 7

    def test_the_description_says_lowest_and_highest(self) -> None:
        assert "lowest 1.0 on day 0, highest 4.0 on day 1" in columns("t", points(1.0, 4.0)).summary
        assert columns("t", points(None)).summary == "Nothing was counted in this period."
        assert columns("t", []).columns == []


class TestParts:
    def test_they_follow_each_other_and_empty_ones_are_left_out(self) -> None:
        drawn = parts([(1, "a", None), (0, "b", None), (3, "c", "/x")], most=8)
        assert [(one.x, one.width, one.number, one.href) for one in drawn] == [
            (0.0, 12.5, 0, None), (12.5, 37.5, 2, "/x"),
        ]  # fmt: skip

    def test_nothing_at_all_is_no_bar(self) -> None:
        assert parts([(0, "a", None)], most=0) == []
