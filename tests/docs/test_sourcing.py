"""The worked example of docs/sourcing.md comes out as it says there."""

from datetime import UTC, datetime
from pathlib import Path

from domain.policy import SourcingPolicy
from domain.sourcing import Candidate, Need, Shelf, source

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ON_THE_SHELF = {"Hofheim": 6}


def test_the_worked_example_of_sourcing_is_what_comes_out() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sourcing.md").read_text()
    table = page.split("| comes out as |\n|---|---|---|---|---|---|\n")[1].split("\n\n")[0]
    says: dict[str, str] = {}
    candidates = []
    for row in table.splitlines():
        name, km, promise, sure, ready, result = (cell.strip() for cell in row.strip("|").split("|"))
        says[name] = result
        hour, minute = ready.split(":")
        shelf = Shelf(
            sku="TEA",
            name="Green tea",
            wanted=2,
            available=ON_THE_SHELF.get(name, int(promise)),
            promise=int(promise),
            confidence_permille=int(sure.removesuffix(" %")) * 10,
        )
        candidates.append(
            Candidate(
                code=name,
                name=name,
                kind="dc" if name == "Warehouse" else "store",
                entity="DE01",
                shelves=(shelf,),
                distance_km=float(km),
                ready_at=NOON.replace(hour=int(hour), minute=int(minute)),
            )
        )
    assert len(says) == 9
    found = source(Need(entity="DE01", promised_at=NOON), candidates, SourcingPolicy())
    comes_out = {one.candidate.name: f"{one.rank}: {one.because}" for one in found.ranked}
    comes_out |= {one.candidate.name: f"not asked: {one.why_not}" for one in found.passed_over}
    assert comes_out == says
