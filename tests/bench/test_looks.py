"""The rows of looks among real sales, at a few stores: what a look counts is what the data has."""

from bench import looks


async def test_looks_are_measured_beside_a_bare_count(postgres_url: str) -> None:
    first, following = await looks.looked(postgres_url, seconds=0.1, stores=3, category="FLUID MILK PRODUCTS")
    assert (first.id, following.id) == ("L1.first", "L1")
    assert first.value > 0
    assert len(following.runs) == looks.FOLLOWING
    assert following.limit is not None
    assert "units as the data has them" in following.note
