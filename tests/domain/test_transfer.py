"""What of a transfer is tolerated, where its goods bring it, and what a claim may become."""

import pytest

from domain.errors import StateConflict
from domain.policy import ToleranceLimits, TransferPolicy
from domain.transfer import (
    CASE_KINDS,
    CLAIM_STATES,
    CLAIM_TRANSITIONS,
    EXTRA_KINDS,
    FINAL,
    LOSS_ACCOUNTS,
    ROOT_CAUSES,
    TRANSITIONS,
    WITHIN_TOLERANCE,
    Discrepancy,
    Quantities,
    TransferState,
    check_claim,
    check_transition,
    share,
    state_by_quantities,
    tolerated,
)

S = TransferState
ANY = {"units": None, "permille": None, "value_minor": None}


def differs(units: int, value_minor: int, *, kind: str = "short", of: int = 100, line: str = "1") -> Discrepancy:
    return Discrepancy(kind, line, "TEA-1", "S2", units, of, value_minor)


def limits(**more: int) -> ToleranceLimits:
    return ToleranceLimits.model_validate(ANY | more)


def policy(**more: int) -> TransferPolicy:
    """The same limits for what lacks and what is too many."""
    return TransferPolicy(short=limits(**more), over=limits(**more))


class TestTolerance:
    @pytest.mark.parametrize(
        ("limit", "kept", "broken"),
        [
            ({"units": 2}, differs(2, 99_999), differs(3, 1)),
            ({"permille": 50}, differs(5, 99_999), differs(6, 1)),
            ({"value_minor": 500}, differs(99, 500), differs(1, 501)),
            ({"units": 0}, differs(0, 0), differs(1, 0)),
            ({"permille": 50}, differs(0, 0, of=0), differs(1, 1, of=0)),
        ],
    )
    @pytest.mark.parametrize("kind", ["short", "damage", "over"])
    def test_each_limit_holds_by_itself(
        self, kind: str, limit: dict[str, int], kept: Discrepancy, broken: Discrepancy
    ) -> None:
        kept, broken = kept._replace(kind=kind), broken._replace(kind=kind)
        assert tolerated([kept], policy(**limit)) == [kept]
        assert tolerated([broken], policy(**limit)) == []

    @pytest.mark.parametrize("broken", [differs(3, 500, of=60), differs(2, 501, of=60), differs(2, 500, of=39)])
    def test_all_limits_have_to_be_kept(self, broken: Discrepancy) -> None:
        all_three = policy(units=2, permille=50, value_minor=500)
        fine = differs(2, 500, of=40)
        assert tolerated([fine], all_three) == [fine]
        assert tolerated([broken], all_three) == []

    @pytest.mark.parametrize("kind", ["misship", "wrong_store"])
    def test_another_item_or_another_store_is_never_tolerated(self, kind: str) -> None:
        assert tolerated([differs(1, 0, kind=kind)], policy()) == []

    def test_what_lacks_and_what_is_too_many_have_limits_of_their_own(self) -> None:
        strict = TransferPolicy(short=limits(units=0), over=limits(units=5))
        short, over = differs(1, 100), differs(5, 500, kind="over")
        assert tolerated([short, over], strict) == [over]

    def test_many_small_ones_together_are_not_small(self) -> None:
        """One unit of each of many lines is a carton; each by itself would be within the limit."""
        some = [differs(1, 200, line=str(number)) for number in range(3)]
        broken = differs(1, 200, line="9", kind="damage")
        over = differs(1, 500, kind="over", line="8")
        by_value = policy(value_minor=600)
        assert tolerated([*some, over], by_value) == [*some, over]
        assert tolerated([*some, broken, over], by_value) == [over]
        assert tolerated([*some, broken, over], policy(units=1)) == [*some, broken, over]

    def test_by_itself_only_little_is_tolerated(self) -> None:
        """What holds where nobody has set anything."""
        fine = differs(1, 500, of=20)
        assert tolerated([fine], TransferPolicy()) == [fine]
        for one in (differs(2, 10, of=500), differs(1, 501, of=500), differs(1, 10, of=19)):
            assert tolerated([one], TransferPolicy()) == []


class TestWhereGoodsBringIt:
    @pytest.mark.parametrize("before", [S.PENDING_APPROVAL, S.READY_TO_SHIP])
    @pytest.mark.parametrize("complete", [True, False])
    def test_without_goods_on_their_way_or_there_it_stays(self, before: TransferState, complete: bool) -> None:
        assert state_by_quantities(Quantities(3, 0, 0), complete=complete, before=before) is before

    @pytest.mark.parametrize(
        ("to_ship", "in_transit", "arrived", "complete", "then"),
        [
            (0, 3, 0, False, S.IN_TRANSIT),
            (2, 1, 0, False, S.IN_TRANSIT),
            (0, 2, 1, False, S.PARTIALLY_RECEIVED),
            (2, 0, 1, False, S.PARTIALLY_RECEIVED),
            (2, 0, 1, True, S.PARTIALLY_RECEIVED),  # the source has not sent everything
            (0, 0, 3, False, S.RECEIVED),
            (0, 2, 1, True, S.RECEIVED),
            (0, 3, 0, True, S.RECEIVED),  # an empty pallet: nothing came, and nothing will
        ],
    )
    @pytest.mark.parametrize("before", list(S))
    def test_goods_say_what_it_is(
        self, to_ship: int, in_transit: int, arrived: int, complete: bool, then: TransferState, before: TransferState
    ) -> None:
        assert state_by_quantities(Quantities(to_ship, in_transit, arrived), complete=complete, before=before) is then

    @pytest.mark.parametrize("final", sorted(FINAL))
    def test_what_is_over_is_opened_by_goods_alone(self, final: TransferState) -> None:
        for then in (S.IN_TRANSIT, S.PARTIALLY_RECEIVED, S.RECEIVED, final):
            check_transition(final, then)
        for refused in set(S) - {S.IN_TRANSIT, S.PARTIALLY_RECEIVED, S.RECEIVED, final}:
            with pytest.raises(StateConflict, match="cannot become"):
                check_transition(final, refused)

    def test_nothing_on_its_way_becomes_agreed_or_rejected(self) -> None:
        """What has left is settled by what becomes of it, never by a word about whether it should leave."""
        for moving in (S.IN_TRANSIT, S.PARTIALLY_RECEIVED, S.RECEIVED, S.DISCREPANCY_REVIEW):
            assert not TRANSITIONS[moving] & {S.REQUESTED, S.PENDING_APPROVAL, S.APPROVED, S.READY_TO_SHIP, S.REJECTED}

    def test_each_state_can_be_left_or_is_final(self) -> None:
        assert {state for state, after in TRANSITIONS.items() if not after} == FINAL
        assert set(TRANSITIONS) == set(S)


class TestClaimsAgainstCarriers:
    @pytest.mark.parametrize("current", CLAIM_STATES)
    @pytest.mark.parametrize("wanted", CLAIM_STATES)
    def test_only_what_its_table_says(self, current: str, wanted: str) -> None:
        if wanted in CLAIM_TRANSITIONS[current]:
            check_claim(current, wanted)
        else:
            with pytest.raises(StateConflict, match=f"The claim is {current}; it cannot become {wanted}"):
                check_claim(current, wanted)

    def test_nothing_is_paid_that_was_not_accepted(self) -> None:
        assert [state for state, after in CLAIM_TRANSITIONS.items() if "paid" in after] == ["accepted"]


def test_parts_of_a_value_add_up_and_the_last_takes_the_rest() -> None:
    left, units, parts = 1_000, 3, []
    while units:
        parts.append(share(left, 1, units))
        left, units = left - parts[-1], units - 1
    assert (sum(parts), left, max(parts) - min(parts)) == (1_000, 0, 1)


def test_each_kind_of_difference_has_a_case_and_each_loss_a_cause() -> None:
    assert set(CASE_KINDS) == {*EXTRA_KINDS, "short", "damage"}
    assert set(LOSS_ACCOUNTS) <= set(ROOT_CAUSES)
    assert WITHIN_TOLERANCE not in ROOT_CAUSES  # nobody may choose it
