"""The rows of a promotion's pages, at a small size: what is there, and that size asks for no more statements."""

from bench import promotion_pages


async def test_pages_of_many_prices_are_measured_beside_those_of_one(postgres_url: str) -> None:
    found = await promotion_pages.pages(postgres_url, seconds=0.1, places=4, items=30)
    assert [one.id for one in found] == ["P2.page", "P2.list", "P2.csv", "P2.look"]
    assert all(len(one.runs) == promotion_pages.ROUNDS and one.value > 0 and one.limit for one in found)
    assert "240 prices" in found[0].work
    assert "statements" in found[0].note
