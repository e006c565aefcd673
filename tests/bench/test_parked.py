"""S12 and S14 with a few journeys: the rows hold what was measured."""

import pytest

from bench import due, parked


@pytest.mark.slow
async def test_journeys_wait_and_another_worker_answers_for_them(postgres_url: str) -> None:
    rows = {one.id: one for one in await parked.parked(postgres_url, seconds=0.2, journeys=30)}
    assert set(rows) == {"S12", "S12.mem", "S12.disk", "S12.stop", "S12.kill"}
    assert rows["S12"].value > 20
    assert rows["S12.disk"].value > 0
    for name in ("S12.stop", "S12.kill"):
        assert rows[name].value > 0
        assert rows[name].limit is not None
        assert f"{parked.LEAST} journeys at {parked.PER_S}/s" in rows[name].note


@pytest.mark.slow
async def test_timers_fire_together_while_orders_come_in(postgres_url: str) -> None:
    fired, api = await due.together(postgres_url, seconds=0.2, timers=12, ahead_s=5)
    assert (fired.id, api.id) == ("S14", "S14.api")
    assert fired.value > 0
    assert "12 timers due" in fired.note
    assert api.limit is not None
    assert "none refused" in api.note


def _shop(*taken_ms: float) -> due.Shop:
    shop = due.Shop(0, "shop")
    shop.taken_ms = list(taken_ms)
    return shop


def test_a_budget_that_ends_before_the_timers_have_fired_is_said() -> None:
    fired, _ = due.rows_of(due.Fired(30_000, 600.0), 50_000, 49_000, 70.0, _shop(17.0, 18.0), _shop(29.0, 30.0))
    assert fired.value == 50
    assert "50,000 timers due within 70 s, 30,000 of them fired and recorded 600 s after" in fired.note
    assert "1,000 of their journeys had not begun by then" in fired.note


def test_all_fired_is_said_as_that() -> None:
    fired, api = due.rows_of(due.Fired(50_000, 800.0), 50_000, 50_000, 70.0, _shop(17.0, 18.0), _shop(29.0, 30.0))
    assert "all fired and recorded 800 s after the first was due" in fired.note
    assert "had not begun" not in fired.note
    assert api.limit is not None
