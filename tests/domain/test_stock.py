"""What may move where, in which order a sale draws, and what may be promised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.stock import BUCKETS, LEGAL_MOVES, OUTSIDE_ACCOUNTS, IllegalMove, atp, atp_steps, check_move, draw_for_sale


class TestMoves:
    def test_a_listed_movement_is_legal(self) -> None:
        check_move("picked", "reserved", "staged")

    @pytest.mark.parametrize(
        ("kind", "source", "target"),
        [("picked", "staged", "reserved"), ("sold", "reserved", "customer"), ("teleported", "available", "customer")],
    )
    def test_any_other_is_refused(self, kind: str, source: str, target: str) -> None:
        with pytest.raises(IllegalMove):
            check_move(kind, source, target)

    def test_every_movement_names_known_accounts_and_moves_something(self) -> None:
        accounts = set(BUCKETS) | set(OUTSIDE_ACCOUNTS)
        for kind, pairs in LEGAL_MOVES.items():
            for source, target in pairs:
                assert {source, target} <= accounts
                assert source != target or kind == "relocated"  # to another place, or from an owner to another


class TestDraw:
    @given(quantity=st.integers(1, 100), available=st.integers(-50, 100), pending=st.integers(0, 100))
    def test_every_sold_unit_is_drawn_once(self, quantity: int, available: int, pending: int) -> None:
        draw = draw_for_sale(quantity, available, pending)
        assert draw.available + draw.count_pending + draw.overdrawn == quantity
        assert 0 <= draw.available <= max(available, 0)
        assert 0 <= draw.count_pending <= pending

    def test_the_book_goes_below_zero_only_when_nothing_else_is_left(self) -> None:
        draw = draw_for_sale(5, 2, 2)
        assert (draw.available, draw.count_pending, draw.overdrawn) == (2, 2, 1)
        assert draw_for_sale(5, 9, 2).overdrawn == 0


class TestPromise:
    def test_every_step_is_explained_and_the_last_is_the_answer(self) -> None:
        steps = atp_steps(20, safety_stock=2, channel_threshold=3, confidence_permille=900, channel="web")
        assert [step.quantity for step in steps] == [20, -2, -3, -2, 13]
        assert all(step.why for step in steps)

    @given(
        available=st.integers(-100, 1000),
        safety=st.integers(0, 100),
        threshold=st.integers(0, 100),
        confidence=st.integers(0, 1000),
    )
    def test_nothing_below_zero_and_never_more_than_there_is(
        self, available: int, safety: int, threshold: int, confidence: int
    ) -> None:
        answer = atp(available, safety_stock=safety, channel_threshold=threshold, confidence_permille=confidence)
        assert 0 <= answer <= max(available, 0)
