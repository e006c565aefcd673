"""A look at a promotion with many items: shelves are kept of places that surge, and of others only what those lack."""

from datetime import timedelta
from typing import Any

import pytest

from ledger.look import seeing
from ledger.look.expected import Expected
from tests.ledger.support.looking import HOUR, START, Watched
from tests.ledger.support.till import COFFEE, MILK
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


class TestShelves:
    @pytest.fixture
    def eyes(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, seeing.Seen]]:
        """What each look has seen, as it is when the look is over."""
        found: list[dict[str, seeing.Seen]] = []
        real = seeing.Eye.see

        async def see(self: seeing.Eye, expected: dict[str, Expected]) -> dict[str, seeing.Seen]:
            found.append(await real(self, expected))
            return found[-1]

        monkeypatch.setattr(seeing.Eye, "see", see)
        return found

    async def test_one_that_is_calm_is_asked_only_for_what_another_lacks(
        self, shop: Shop, eyes: list[dict[str, seeing.Seen]]
    ) -> None:
        it = await Watched.open(shop, TEA, COFFEE, MILK)
        await shop.put("S2", 400)
        await it.look(START + HOUR)
        assert [one.shelves for one in eyes[0].values()] == [{}, {}]
        assert {code: one.cells for code, one in eyes[0].items()} == {"S1": 3, "S2": 3}
        await it.sell("S1", 30, at=START + HOUR + timedelta(minutes=10))
        await it.look(START + 2 * HOUR)
        there = eyes[1]
        assert there["S1"].loudest is not None
        assert set(there["S1"].shelves) == {TEA, COFFEE, MILK}
        assert TEA in there["S2"].shelves
        assert {one["sku"] for one in await it.proposals()} == {TEA}

    async def test_places_are_read_some_at_a_time_and_none_is_left_out(
        self, shop: Shop, eyes: list[dict[str, seeing.Seen]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(seeing, "AT_ONCE", 1)
        it = await Watched.open(shop, TEA, COFFEE)
        await shop.put("S1", 7)
        await shop.put("S2", 9)
        await it.look(START + HOUR)
        figures: dict[str, Any] = {code: (one.cells, one.available) for code, one in eyes[0].items()}
        assert figures == {"S1": (2, 7), "S2": (2, 9)}
