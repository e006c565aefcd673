"""The books of docs/claims.md come out as they stand there."""

from datetime import timedelta
from pathlib import Path

from tests.ledger.support.claims import Claimed, now, prepare
from tests.ledger.support.funding import agree, promoted, sell
from tests.ledger.support.returning import Back
from tests.ledger.test_count_example import posted_after
from tests.shop import WEB, Shop

PAGE = Path(__file__).parents[2] / "docs" / "claims.md"


async def test_the_worked_example_comes_out(shop: Shop) -> None:
    table = PAGE.read_text().split("| step | journal |\n|---|---|\n")[1].split("\n\n")[0]
    says = [row.strip("|").split("|")[1].strip() for row in table.splitlines()]
    came: list[str] = []
    _, last = await posted_after(shop, 0)

    async def note() -> None:
        nonlocal last
        words, last = await posted_after(shop, last)
        came.append(words or "nothing")

    await shop.put("S1", 20)
    _, last = await posted_after(shop, 0)
    terms = {"kind": "scan_back", "rate_minor": 50, "cap_minor": 400}
    await agree(shop, promotions=["P1", "P2"], terms=terms)
    await sell(shop, promoted(4, promotion_id="P1", event_id="one"), caller=WEB)
    await note()
    await sell(shop, promoted(6, promotion_id="P2", event_id="two"), caller=WEB)
    await note()

    async def back(receipt: str, units: int) -> None:
        it = await Back.open(shop, quantity=units, method="mail", receipt={"number": receipt, "tender": "card"})
        await it.receive(units)
        await note()

    await back("R-two", 1)
    it = await Claimed.prepared(shop)
    await note()
    await it.answered(200, 50, settlement="deduction", reason="over_cap")
    await note()
    await it.decide("dispute", ground="over_cap")
    await it.answered(200, 100, settlement="deduction")
    await note()
    await it.decide("write_off")
    await note()
    await back("R-one", 2)
    await prepare(shop, now() + timedelta(days=31))
    await note()
    assert came == says
