"""The replay of a year through looks: what its arrays say is what `domain.velocity` says, and nobody cries wolf."""

import numpy as np

from bench import velocity
from domain.look_policy import LookPolicy
from domain.velocity import WEEK_HOURS, Span, is_surge

POLICY = LookPolicy()


def test_arrays_and_the_domain_agree_look_by_look() -> None:
    hours = np.arange(3 * 60).reshape(3, 60)
    receipts = (hours * 7919 % 13 == 0) * (1 + hours % 5) + (hours > 150) * 4
    expected = 0.05 + (hours % 24) / 60
    found = velocity.surges(receipts, expected, POLICY)
    assert found.any()
    assert not found.all()
    for store in range(3):
        for at in range(1, 61):
            spans = []
            for back in (*POLICY.windows_h, 60):
                part = slice(max(at - back, 0), at)
                spans.append(Span(back, int(receipts[store, part].sum()), float(expected[store, part].sum())))
            assert found[store, at - 1] == any(is_surge(span, POLICY.rule) for span in spans), (store, at)


def test_the_real_year_of_one_category_and_surges_that_are_planted_into_it() -> None:
    year = velocity.read_year(1)
    assert year.of_set.shape[1] == velocity.WEEKS * WEEK_HOURS
    found = velocity.false_alarms(year, POLICY)
    assert found.store_weeks > 4_000
    assert found.rate < 0.001
    surges = velocity.planted(year, POLICY, 6)
    assert surges.surges > 4_000
    assert surges.within_two > 0.99 * surges.surges
