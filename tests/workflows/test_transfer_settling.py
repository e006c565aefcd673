"""Transfers that do not add up, under skipped time: everything that can come wrong at once, a loss that nobody agrees
to, and two companies that each have a word and books of their own. Real PostgreSQL and Temporal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import decisions, verdicts
from ledger.journeys import skip_time
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.counting import Count
from tests.ledger.support.till import COFFEE, open_assortment
from tests.ledger.support.transfers import Moved, other_company, shelf
from tests.ledger.test_transfer_agreed import NORA, OLE, somebody
from tests.shop import ADA, FIN, TEA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub

DAY_S = 86_400


async def follows(hub: Hub, reason: str) -> Moved:
    """The transfer that follows from a decision, once its workflow waits for its goods."""
    key = await hub.shop.value("SELECT journey_id FROM transfer WHERE reason = :reason", reason=reason)
    await hub.until(key, "ready_to_ship")
    return Moved(hub.shop, key, None)  # type: ignore[arg-type]  # its answer is not looked at


async def pending(hub: Hub, journey: str) -> int:
    async def there() -> object:
        await hub.carry()
        return await hub.shop.value(
            "SELECT id FROM approval WHERE journey_id = :id AND state = 'pending'", id=journey
        )  # fmt: skip

    return int(await hub.eventually(there))


@pytest.mark.slow
async def test_another_store_another_item_and_too_few_are_asked_about_one_after_the_other(hub: Hub) -> None:
    shop = hub.shop
    await open_assortment(shop)
    async with hub.worker():
        it = await Moved.open(shop, (TEA, 5))
        await it.ship(3)
        await skip_time(shop.database, it.id, ADA, seconds=DAY_S + 60, via="test")
        late = await hub.open_case(it.id, "transfer_shipment_overdue")  # a part has left, the rest stays open
        assert await it.state() == "in_transit"
        await hub.decide(late, "cancel_rest")
        await hub.ended(f"case:{late}:1")
        await it.report("received", location="DC", lines=[{"line_id": "1", "quantity": 1}])
        lines = [{"line_id": "1", "quantity": 1}, {"line_id": "1", "sku": COFFEE, "quantity": 1}]
        await it.report("received", lines=lines, complete=True)

        stray = await hub.open_case(it.id, "transfer_misship")
        assert list(await hub.options(stray)) == ["send_on", "keep_there"]
        await hub.decide(stray, "send_on")
        await hub.ended(f"case:{stray}:1")
        item = await hub.open_case(it.id, "transfer_misship")
        assert "send_back" in await hub.options(item)
        await hub.decide(item, "send_back", root_cause="picking_error")
        short = await hub.open_case(it.id, "transfer_short")
        await hub.decide(short, "recount_source")
        await hub.ended(f"case:{short}:1")

        # It is not there; the count that says so wakes the transfer.
        count = await Count.newest(shop)
        await hub.until(count.id, "scheduled")
        await count.enter((TEA, 2))
        await hub.ended(count.id)
        assert await hub.open_case(it.id, "transfer_short") == short
        await hub.decide(short, "accept", root_cause="packing_error")
        await hub.ended(it.id)

        for reason in ("send_on", "send_back"):
            next_one = await follows(hub, reason)
            await next_one.ship()
            await next_one.receive()
            await hub.ended(next_one.id)
    assert await it.state() == "closed"
    assert await shelf(shop, "S2") == {"available": 7}
    assert await shelf(shop, "DC") == {}
    await assert_books_agree(shop.database)


async def test_nobody_agrees_to_a_loss_so_it_stays_open_and_is_asked_about_again(hub: Hub) -> None:
    shop = hub.shop
    await shop.put("S1", 30)
    async with hub.worker():
        it = await Moved.open(shop, (TEA, 30))
        await it.ship()
        await it.report("cancelled")
        asked = await hub.open_case(it.id, "transfer_cancelled")
        await hub.decide(asked, "accept", root_cause="lost_by_carrier")
        first = await pending(hub, it.id)
        await skip_time(shop.database, it.id, ADA, seconds=25 * DAY_S, via="test")
        await hub.ended(f"approval:{first}")
        assert await hub.open_case(it.id, "transfer_cancelled") == asked

        async def given_back() -> bool:
            await hub.carry()
            return "decision_id" not in (await it.row())["asks"]

        await hub.eventually(given_back)
        assert await shelf(shop, "S2") == {"available": 5, "in_transit": 30}  # silence writes nothing off
        await hub.decide(asked, "carry_on")
        await hub.ended(f"case:{asked}:1")
        await skip_time(shop.database, it.id, ADA, seconds=4 * DAY_S, via="test")
        late = await hub.open_case(it.id, "receipt_overdue")
        await hub.decide(late, "accept", root_cause="theft_suspected")
        again = await pending(hub, it.id)
        await verdicts.record_verdict(shop.database, again, FIN, verdict="approve", note="", via="test")
        await hub.ended(it.id, f"case:{late}:1")
    assert await it.state() == "closed"
    assert await shelf(shop, "S2") == {"available": 5}
    await assert_books_agree(shop.database)


async def test_between_two_companies_both_agree_and_the_loss_is_the_destinations(hub: Hub) -> None:
    shop = hub.shop
    await other_company(shop)
    for who in (NORA, OLE):
        await somebody(shop, who)
    async with hub.worker():
        it = await Moved.open(shop, (TEA, 4), to="N1")
        asked = await pending(hub, it.id)
        await verdicts.record_verdict(shop.database, asked, FIN, verdict="approve", note="", via="test")
        await hub.carry()
        assert await it.state() == "pending_approval"  # one side alone
        await verdicts.record_verdict(shop.database, asked, NORA, verdict="approve", note="", via="test")
        await hub.until(it.id, "ready_to_ship")
        await it.ship()
        await it.receive(3, complete=True)
        short = await hub.open_case(it.id, "transfer_short")
        await decisions.decide(
            shop.database, short, OLE, option_id="accept", parameters={"root_cause": "packing_error"}, via="test"
        )
        await hub.ended(it.id, f"case:{short}:1", f"approval:{asked}")
    lost = "SELECT sum(debit_minor - credit_minor) FROM journal_line l JOIN journal j ON j.id = l.journal_id"
    assert await shop.value(f"{lost} WHERE l.account = 'transit_loss' AND j.entity = 'DE02'") == 600
    assert await shop.value(f"{lost} WHERE l.account = 'transit_loss' AND j.entity = 'DE01'") is None
    await assert_books_agree(shop.database)
