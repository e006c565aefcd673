"""S12 and S14 with a few journeys: the rows hold what was measured,."""

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
