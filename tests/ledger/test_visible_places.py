"""Which of the places that were read somebody sees: told by their area, and each as its grants say."""

import itertools

import pytest

from domain.people import Grant, Person
from ledger.reads.places import Place, visible_among

PLACES = {
    code: Place(code, code, "store", region, entity, "UTC")
    for code, region, entity in (
        ("S1", "R1", "E1"), ("S2", "R1", "E1"), ("S3", "R2", "E1"), ("S4", "R1", "E2"), ("S5", "R3", "E2"),
    )
}  # fmt: skip
GRANTS = [Grant("regional_ops", *scope) for scope in itertools.product(("", "E1", "E2"), ("", "R1"), ("", "S1", "S4"))]


@pytest.mark.parametrize("grants", [(), *((one,) for one in GRANTS), *itertools.combinations(GRANTS, 2)])
def test_a_place_is_seen_by_whoever_has_a_grant_that_covers_it(grants: tuple[Grant, ...]) -> None:
    covered = [
        one.code for one in PLACES.values() if any(grant.covers(one.entity, one.region, one.code) for grant in grants)
    ]
    assert [one.code for one in visible_among(PLACES, Person("p", "P", "", grants))] == covered
