"""Orders are found by a part of their number, few of them by an index and very many as they come."""

from typing import Any

import pytest

from domain.people import Person
from ledger.reads import journeys
from ledger.reads.journeys import JourneyFilter, list_journeys
from tests.shop import ADA, ANA, Shop

NUMBERS = (("B%7-Alpha", "S1"), ("A:17-beta", "S1"), ("A:18-BETA", "S2"))


async def found(shop: Shop, text: str, viewer: Person = ADA, **more: Any) -> list[str]:
    async with shop.database.read() as conn:
        return [one.id for one in (await list_journeys(conn, viewer, JourneyFilter(text=text, **more))).items]


@pytest.fixture
async def three(shop: Shop) -> list[str]:
    """Orders with these numbers, the newest first."""
    ids = [await shop.order(at=place, order_id=number) for number, place in NUMBERS]
    return ids[::-1]


@pytest.mark.parametrize("few", [0, 200])
class TestText:
    @pytest.fixture(autouse=True)
    def _few(self, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(journeys, "FEW", few)

    async def test_a_part_of_the_number_finds_it_whatever_its_case(self, shop: Shop, three: list[str]) -> None:
        assert await found(shop, "bet") == three[:2]
        assert await found(shop, "7-") == three[1:]  # too short for the index
        assert await found(shop, "17-b") == three[1:2]
        assert await found(shop, "alphabet") == []

    async def test_a_sign_of_patterns_is_a_letter_like_any_other(self, shop: Shop, three: list[str]) -> None:
        assert await found(shop, "%7-") == three[2:]
        assert await found(shop, "_7-A") == await found(shop, "\\7-A") == []

    async def test_a_whole_id_and_a_part_with_colons_find_it(self, shop: Shop, three: list[str]) -> None:
        assert await found(shop, three[1]) == three[1:2]
        assert await found(shop, three[1].removeprefix("bop")) == three[1:2]
        assert await found(shop, "A:18") == three[:1]
        assert await found(shop, f"{three[0]}9") == []

    async def test_other_filters_and_grants_narrow_it(self, shop: Shop, three: list[str]) -> None:
        assert await found(shop, "beta", location="S1") == three[1:2]
        assert await found(shop, "beta", ANA) == [one for one in three[:2] if one in await found(shop, "A:1", ANA)]
        assert await found(shop, "beta", Person("nobody", "Nobody", "", ())) == []
