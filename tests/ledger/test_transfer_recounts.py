"""Counts that a transfer asks for: what they have found is said on its case, and is never put on a book twice."""

import pytest

from ledger.transfer import steps
from tests.ledger.support.books import accounts
from tests.ledger.support.counting import Count
from tests.ledger.support.transfers import Moved, other_company, shelf
from tests.ledger.test_transfer_agreed import NORA, OLE, somebody
from tests.shop import FIN, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def counted(shop: Shop, moved: Moved, end: str, quantity: int, *, by: str = "") -> dict[str, object]:
    """Have it counted at one end, twice where it differs; returns the case that asks again."""
    await moved.decide(f"recount_{end}", *([OLE] if by else []))
    count = await Count.newest(shop)
    for counter in ("crew-1", "crew-2"):
        await count.enter((TEA, quantity), counter=counter)
        if await count.compare() != "recount":
            break
    if (await count.row())["asks"].get("case_id"):
        await count.decide("post_second", root_cause="inbound_not_recorded")
    assert await count.post() == "posted"
    await moved.take(steps.attend)
    return await moved.case_of("transfer_short")


async def short(shop: Shop, sent: int = 4, came: int = 1) -> Moved:
    moved = await Moved.open(shop, (TEA, sent))
    await moved.ship(carrier="Parcel Co")
    await moved.receive(came, complete=True)
    await moved.compare()
    return moved


class TestAtTheSource:
    async def test_what_it_has_found_is_said_and_is_not_put_back_a_second_time(self, shop: Shop) -> None:
        moved = await short(shop)
        case = await counted(shop, moved, "source", 4)
        (found,) = case["facts"]["counted"]  # type: ignore[index]
        assert (found["at"], found["sku"], found["counted"], found["more"]) == ("S1", TEA, 4, 3)
        assert (await accounts(shop.database))["inventory_found"] == -1_800
        assert (await moved.options())["never_left"]["because"] == (
            "a count at Mainz has found 3 units more than the book"
        )
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 4}
        books = await accounts(shop.database)
        assert [books.get(name, 0) for name in ("inventory_found", "goods_in_transit", "transit_loss")] == [0, 0, 0]

    async def test_of_what_it_has_found_in_part_only_the_rest_is_put_back(self, shop: Shop) -> None:
        moved = await short(shop)
        await counted(shop, moved, "source", 2)  # one more than the book; two more stood in the back room
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 4}
        books = await accounts(shop.database)
        assert [books.get(name, 0) for name in ("inventory_found", "goods_in_transit")] == [0, 0]

    async def test_where_it_has_found_nothing_what_turns_up_is_put_back(self, shop: Shop) -> None:
        moved = await short(shop)
        case = await counted(shop, moved, "source", 1)
        assert [one["more"] for one in case["facts"]["counted"]] == [0]  # type: ignore[index]
        assert (await moved.options())["never_left"]["because"] == "the source has found them"
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 4}

    async def test_what_it_found_explains_one_line_once(self, shop: Shop) -> None:
        await shop.put("S1", 9)
        moved = await Moved.open(shop, (TEA, 4), (TEA, 4))
        await moved.ship()
        await moved.receive(2, 2, complete=True)
        await moved.compare()
        await counted(shop, moved, "source", 3)  # two more than the book, four are missing
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 5}
        assert "inventory_found" not in await accounts(shop.database)

    async def test_between_two_companies_nothing_is_owed_for_it(self, shop: Shop) -> None:
        await other_company(shop)
        for who in (NORA, OLE):
            await somebody(shop, who)
        moved = await Moved.open(shop, (TEA, 4), to="N1")
        await moved.agree(FIN)
        await moved.agree(NORA)
        await moved.ship()
        await moved.receive(1, complete=True)
        await moved.compare()
        await counted(shop, moved, "source", 4, by="ole")
        assert (await moved.decide("never_left", OLE)).state == "closed"
        assert await shelf(shop, "S1") == {"available": 4}
        books = await accounts(shop.database)
        assert (books["due_from"], books["due_to"]) == (600, -600)  # of the one unit that came
        assert [books.get(name, 0) for name in ("inventory_found", "goods_in_transit")] == [0, 0]


class TestAtTheDestination:
    async def test_what_it_has_found_says_which_cause_takes_the_gain_back(self, shop: Shop) -> None:
        moved = await short(shop)
        await counted(shop, moved, "destination", 9)
        accept = (await moved.options())["accept"]
        assert accept["because"] == (
            "a count at Wiesbaden has found 3 units more than the book: choose Receipt found by count as its cause"
        )
        assert (await moved.decide("accept", root_cause="receipt_found_by_count")).state == "closed"
        books = await accounts(shop.database)
        assert [books.get(name, 0) for name in ("inventory_found", "goods_in_transit", "transit_loss")] == [0, 0, 0]
        assert await shelf(shop, "S2") == {"available": 9}
