"""Which level a document's worth asks for, alone and on top of what was done before."""

import pytest
from pydantic import ValidationError

from domain.bands import Level, Limits, Rolling, gross, ladder_of, level_of
from domain.policy import Policy, merge

SHIPPED = Limits(5_000, 50_000)
LADDER = ("store_manager", "finance", "admin")


class TestLevel:
    @pytest.mark.parametrize(
        ("amount_minor", "level"),
        [
            (0, Level.NONE),
            (4_999, Level.NONE),
            (5_000, Level.MANAGER),
            (49_999, Level.MANAGER),
            (50_000, Level.FINANCE),
            (10**12, Level.FINANCE),
        ],
    )
    def test_a_limit_asks_from_its_own_amount_on(self, amount_minor: int, level: Level) -> None:
        assert level_of(SHIPPED, amount_minor, Rolling()) is level

    def test_many_small_ones_are_one_large_one(self) -> None:
        assert level_of(SHIPPED, 1, Rolling(by_nobody_minor=4_998, below_finance_minor=4_998)) is Level.NONE
        assert level_of(SHIPPED, 1, Rolling(by_nobody_minor=4_999, below_finance_minor=4_999)) is Level.MANAGER

    def test_what_a_manager_has_approved_does_not_send_the_next_small_one_to_a_manager(self) -> None:
        assert level_of(SHIPPED, 100, Rolling(by_nobody_minor=0, below_finance_minor=40_000)) is Level.NONE

    def test_what_only_managers_have_approved_reaches_finance_in_the_end(self) -> None:
        before = Rolling(by_nobody_minor=0, below_finance_minor=49_000)
        assert level_of(SHIPPED, 1_000, before) is Level.FINANCE

    def test_a_limit_of_zero_asks_always_and_none_never(self) -> None:
        assert level_of(Limits(0, None), 0, Rolling()) is Level.MANAGER
        assert level_of(Limits(None, None), 10**9, Rolling(10**9, 10**9)) is Level.NONE
        assert level_of(Limits(None, 100), 100, Rolling()) is Level.FINANCE

    def test_a_loss_and_a_gain_do_not_cancel_out(self) -> None:
        assert gross([-3_000, 3_000]) == 6_000


class TestLadder:
    def test_a_manager_is_asked_up_the_whole_ladder(self) -> None:
        assert ladder_of(Level.MANAGER, LADDER) == LADDER

    def test_finance_is_never_replaced_by_a_store_manager(self) -> None:
        assert ladder_of(Level.FINANCE, LADDER) == ("finance", "admin")

    def test_a_ladder_without_finance_is_refused_where_finance_must_look(self) -> None:
        with pytest.raises(ValueError, match="no finance"):
            ladder_of(Level.FINANCE, ("store_manager", "admin"))


class TestPolicy:
    def test_the_shipped_bands_are_fifty_and_five_hundred(self) -> None:
        bands = Policy().bands
        assert bands.count.limits == bands.adjustment.limits == Limits(5_000, 50_000)
        assert bands.transfer.limits == Limits(50_000, 500_000)

    def test_one_limit_may_be_changed_alone(self) -> None:
        policy = merge([("v2", {"bands": {"count": {"manager_minor": 100}}})])
        assert policy.bands.count.limits == Limits(100, 50_000)

    def test_finance_below_a_manager_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="not below that of a manager"):
            merge([("v2", {"bands": {"count": {"manager_minor": 60_000}}})])

    @pytest.mark.parametrize(("older", "limits"), [(2_500, (2_500, 50_000)), (90_000, (90_000, 90_000))])
    def test_a_document_or_journey_with_the_older_name_still_holds(self, older: int, limits: tuple[int, int]) -> None:
        policy = merge([("v1", {"stock": {"adjustment_review_minor": older}})])
        assert policy.bands.adjustment.limits == limits
        carried = Policy.model_validate({"stock": {"adjustment_review_minor": older}})
        assert carried.bands.adjustment.limits == limits

    def test_an_older_name_with_a_wrong_value_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            merge([("v1", {"stock": {"adjustment_review_minor": -1}})])
