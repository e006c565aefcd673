"""Cases and approvals: no kind without an owner, no approval of one's own, priorities that add up."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.approval import check_may_approve
from domain.case import CASE_STATES, CASE_TRANSITIONS, SEVERITIES, CaseOption, check_transition, priority, score
from domain.case_kinds import KINDS
from domain.errors import NotAllowed, OwnRequest, StateConflict, leaves
from domain.people import DECIDING_ROLES, ROLES, Grant, Person
from domain.policy import CasePolicy, Policy, merge

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestKinds:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_every_kind_has_an_owner_who_may_decide_and_a_ladder_that_ends_with_an_admin(self, kind: str) -> None:
        known = KINDS[kind]
        assert known.owner_role in DECIDING_ROLES
        assert known.ladder[-1] == "admin"
        assert set(known.ladder) <= set(ROLES)
        assert known.severity in SEVERITIES

    def test_every_severity_has_clocks(self) -> None:
        assert set(CasePolicy().clocks) == set(SEVERITIES)


class TestTransitions:
    def test_every_state_says_what_may_follow(self) -> None:
        assert set(CASE_TRANSITIONS) == set(CASE_STATES)

    def test_a_resolved_case_is_only_reopened(self) -> None:
        check_transition("resolved", "open")
        for state in ("claimed", "waiting", "deciding", "cancelled"):
            with pytest.raises(StateConflict):
                check_transition("resolved", state)


class TestPriority:
    def terms(self, **change: object) -> int:
        given = {
            "value_at_risk_minor": 0, "promised_at": None, "opened_at": NOW, "now": NOW,
            "severity": "low", "repeats": 0,
        }  # fmt: skip
        return score(priority(**(given | change)))  # type: ignore[arg-type]

    def test_value_promise_age_and_recurrence_each_raise_it(self) -> None:
        assert self.terms() == 0
        assert self.terms(severity="critical") == 40
        assert self.terms(value_at_risk_minor=10_000) == 20
        assert self.terms(promised_at=NOW - timedelta(minutes=1)) == 25
        assert self.terms(promised_at=NOW + timedelta(hours=1)) == 15
        assert self.terms(opened_at=NOW - timedelta(hours=3)) == 3
        assert self.terms(repeats=2) == 10

    def test_each_term_is_bounded(self) -> None:
        assert self.terms(value_at_risk_minor=10**12, opened_at=NOW - timedelta(days=90), repeats=99) == 30 + 20 + 15


class TestApprove:
    def test_nobody_approves_what_they_began(self) -> None:
        with pytest.raises(OwnRequest):
            check_may_approve("ana", ["admin"], asked_roles=["admin"], barred=["ana"])

    def test_it_takes_one_of_the_roles_that_were_asked(self) -> None:
        check_may_approve("ana", ["store_manager"], asked_roles=["store_manager", "finance"], barred=[])
        with pytest.raises(NotAllowed, match="finance or store manager"):
            check_may_approve("ana", ["regional_ops"], asked_roles=["store_manager", "finance"], barred=[])


class TestScopes:
    def test_a_grant_covers_its_own_place_and_no_other(self) -> None:
        person = Person("ana", "Ana", "", (Grant("regional_ops", "US01", "NORTH"),))
        assert person.may_decide("US01", "NORTH", "S1")
        assert not person.may_see("US01", "SOUTH", "S9")
        assert not person.may_see("US02", "NORTH", "S1")

    def test_looking_is_not_deciding(self) -> None:
        auditor = Person("ida", "Ida", "", (Grant("auditor"),))
        assert auditor.may_see("US01", "NORTH", "S1")
        assert not auditor.may_decide("US01", "NORTH", "S1")


class TestPolicy:
    def test_the_most_specific_document_wins_and_the_rest_stays(self) -> None:
        policy = merge(
            [
                ("company", {"bands": {"refund_approval_minor": 2500, "appeasement_minor": 500}}),
                ("store", {"bands": {"refund_approval_minor": 1000}}),
            ]
        )
        assert (policy.bands.refund_approval_minor, policy.bands.appeasement_minor) == (1000, 500)
        assert policy.bands.sign_in_minor == Policy().bands.sign_in_minor
        assert policy.version == "company+store"

    @pytest.mark.parametrize(
        "document",
        [{"bands": {"refund_aproval_minor": 1}}, {"bopis": {"pick_open_s": -1}}, {"sourcing": {"ways": ["teleport"]}}],
    )
    def test_a_name_or_value_that_no_policy_has_is_refused(self, document: dict[str, object]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            merge([("wrong", document)])

    def test_postings_go_where_the_longest_prefix_says(self) -> None:
        authority = Policy().authority
        assert authority.of_posting("pos.sale") == "memo"
        assert authority.of_posting("stock.received") == "memo"
        assert authority.of_posting("stock.adjusted") == "books"
        assert authority.of_posting("bopis.handed_over") == "books"


class TestRefusals:
    def test_codes_are_told_apart(self) -> None:
        codes = [leaf.code for leaf in leaves().values()]
        assert len(set(codes)) == len(codes)

    def test_an_option_prefers_nothing_by_itself(self) -> None:
        option = CaseOption(id="x", label="X")
        assert (option.rank, option.confirms, option.needs_approval) == (99, (), False)
