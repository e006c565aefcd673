"""How a count is opened, held by one device, called off and overdue; what it does to confidence."""

from datetime import timedelta

import pytest

from domain.counts import NewCount
from domain.errors import (
    CountedElsewhere,
    CountPendingLeft,
    Malformed,
    StateConflict,
    UnknownLocation,
    UnknownSku,
)
from ledger.count import requests
from tests.ledger.support.counting import STORE, Count, now, shelf
from tests.ledger.support.till import COFFEE, MILK, send
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


class TestDevices:
    async def test_a_second_device_is_refused_by_name_until_it_takes_over(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        await count.enter((TEA, 5), submit=False)
        with pytest.raises(CountedElsewhere, match="crew-1 counts this on another device since"):
            await count.enter((COFFEE, 0), counter="crew-2")
        await count.enter((COFFEE, 0), counter="crew-2", take_over=True, submit=False)
        with pytest.raises(CountedElsewhere, match="crew-2"):
            await count.enter((TEA, 4))
        assert await shop.value("SELECT count(*) FROM audit WHERE what = 'count.taken_over'") == 1

    async def test_the_same_figure_twice_is_saved_once_with_its_first_instant(self, shop: Shop) -> None:
        count = await Count.open(shop)
        first = await count.enter((TEA, 5), submit=False)
        again = await count.enter((TEA, 5), submit=False)
        assert again.lines == first.lines
        assert await shop.value("SELECT count(*) FROM count_entry") == 1

    async def test_another_figure_corrects_it_and_leaves_a_trace(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 4), submit=False)
        answer = await count.enter((TEA, 5), submit=False)
        assert [line.quantity for line in answer.lines] == [5]
        assert await shop.value("SELECT before->>'quantity' FROM audit WHERE what = 'count.corrected'") == "4"

    async def test_what_comes_after_it_was_handed_in_is_refused_and_changes_nothing(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        with pytest.raises(StateConflict, match="submitted"):
            await count.enter((TEA, 1))
        assert await shop.value("SELECT quantity FROM count_entry") == 5

    async def test_an_event_that_comes_too_late_is_taken_and_told(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        data = {
            "count_id": count.id, "session": "x", "counter": "crew-9",
            "lines": [{"sku": TEA, "quantity": 1, "counted_at": now().isoformat()}],
        }  # fmt: skip
        event = {"id": "late-entry", "type": "count.entered", "occurred_at": now().isoformat(), "data": data}
        (outcome,) = await send(shop, event, caller=STORE)
        assert outcome.outcome == "accepted"
        assert any("submitted already" in told for told in await count.told())
        assert await shop.value("SELECT quantity FROM count_entry") == 5

    async def test_an_event_of_another_device_is_refused_by_name_and_not_quarantined(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5), submit=False)
        data = {
            "count_id": count.id, "session": "x", "counter": "crew-9",
            "lines": [{"sku": TEA, "quantity": 1, "counted_at": now().isoformat()}],
        }  # fmt: skip
        event = {"id": "other", "type": "count.entered", "occurred_at": now().isoformat(), "data": data}
        (outcome,) = await send(shop, event, caller=STORE)
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("refused", "counted_elsewhere")

    async def test_an_instant_before_it_was_asked_or_in_the_future_is_refused(self, shop: Shop) -> None:
        count = await Count.open(shop)
        with pytest.raises(Malformed, match="before this count"):
            await count.enter((TEA, 5), counted_at=now() - timedelta(hours=1))
        with pytest.raises(Malformed, match="future"):
            await count.enter((TEA, 5), counted_at=now() + timedelta(hours=1))
        assert await shop.value("SELECT count(*) FROM count_entry") == 0

    async def test_something_else_on_the_shelf_is_added_to_the_sheet_unless_nobody_knows_it(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((MILK, 1), submit=False)
        assert set(await count.lines()) == {TEA, MILK}
        with pytest.raises(UnknownSku):
            await count.enter(("NO-SUCH", 1), submit=False)

    async def test_an_empty_sheet_is_not_handed_in(self, shop: Shop) -> None:
        count = await Count.open(shop)
        with pytest.raises(StateConflict, match="Nothing was counted"):
            await count.enter()


class TestOpening:
    async def test_everything_at_a_place(self, shop: Shop) -> None:
        wanted = NewCount(count_id="all", location="S2")
        status, answer = await requests.start(shop.database, "store", wanted, actor="a", via="api")
        assert (status, [line.sku for line in answer.lines]) == (201, [TEA])
        status, again = await requests.start(shop.database, "store", wanted, actor="a", via="api")
        assert (status, again) == (200, answer)

    @pytest.mark.parametrize(
        ("wanted", "refusal"),
        [
            ({"location": "NOWHERE"}, UnknownLocation),
            ({"skus": ["NO-SUCH"]}, UnknownSku),
            ({"location": "DC"}, Malformed),
            ({"due_at": "2020-01-01T00:00:00Z"}, Malformed),
        ],
    )
    async def test_what_cannot_be_counted_is_refused(
        self, shop: Shop, wanted: dict[str, object], refusal: type[Exception]
    ) -> None:
        body = NewCount.model_validate({"count_id": "c", "location": "S1", **wanted})
        with pytest.raises(refusal):
            await requests.start(shop.database, "store", body, actor="a", via="api")
        assert await shop.value("SELECT count(*) FROM journey") == 0


class TestCancel:
    async def cancel(self, count: Count) -> None:
        async def find(_tx: object) -> str:
            return count.id

        await requests.cancel(count.shop.database, find, reason="not_needed", actor="key:store", via="api")

    async def test_before_it_is_agreed(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5), submit=False)
        await self.cancel(count)
        row = await count.row()
        assert (row["state"], row["closed_at"] is not None) == ("cancelled", True)
        assert await shelf(shop) == {"available": 5}
        with pytest.raises(StateConflict, match="cancelled"):
            await self.cancel(count)

    async def test_while_units_wait_for_it_it_is_refused(self, shop: Shop) -> None:
        order = await shop.order(2)
        line = {"line_id": "1", "quantity": 0, "reason": "not_in_stock"}
        await shop.report("bopis.picked", journey_id=order, picker="p1", lines=[line])
        count = await Count.newest(shop)
        with pytest.raises(CountPendingLeft, match="5 units"):
            await self.cancel(count)
        assert await count.state() == "scheduled"

    async def test_once_it_is_agreed_it_is_refused(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        with pytest.raises(StateConflict, match="approved"):
            await self.cancel(count)


class TestOverdue:
    async def test_a_count_that_somebody_wanted_is_a_case_that_heals_when_it_comes(self, shop: Shop) -> None:
        count = await Count.open(shop)
        assert await count.due("count", after=timedelta(hours=25)) == "scheduled"
        assert (await count.case_of("count_overdue"))["state"] == "open"
        await count.enter((TEA, 5))
        assert (await count.case_of("count_overdue"))["resolution"] == "self_healed"

    async def test_a_routine_count_ends_by_itself(self, shop: Shop) -> None:
        count = await Count.open(shop, reason="schedule")
        assert await count.due("count", after=timedelta(hours=25)) == "cancelled"
        assert await shop.value("SELECT count(*) FROM case_file") == 0

    async def test_before_its_time_nothing_happens(self, shop: Shop) -> None:
        count = await Count.open(shop)
        assert await count.due("count", after=timedelta(hours=1)) == "scheduled"
        assert await shop.value("SELECT count(*) FROM case_file") == 0


class TestConfidence:
    async def test_a_count_that_is_off_lowers_it_and_one_that_agrees_raises_it(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        query = "SELECT confidence_permille FROM stock WHERE location = 'S1'"
        count = await Count.open(shop)
        await count.enter((TEA, 19))
        await count.compare()
        await count.post()
        assert await shop.value(query) == 970  # 1000 × 0.4 + 950 × 0.6
        count = await Count.open(shop)
        await count.enter((TEA, 19))
        await count.compare()
        await count.post()
        assert await shop.value(query) == 988

    async def test_an_item_that_is_off_again_and_again_is_said_to_be_chronic(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        counts = [await Count.open(shop) for _ in range(4)]
        for number, count in enumerate(counts):
            await count.enter((TEA, 99 - number))
            await count.compare()
            await count.post()
        assert not any("chronic" in told for told in await counts[1].told())
        assert any("chronic" in told for told in await counts[-1].told())
        assert (await counts[-1].row())["detail"]["chronic"] == {TEA: 3}
