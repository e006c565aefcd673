"""Carriers' news of parcels: when goods are expected, from when somebody is asked; never a quantity."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.events import EventOutcome
from domain.tracking import Parcel, TransferTracked, comes_at
from ledger import facts
from ledger.reads.transfers import transfer_view
from ledger.transfer.following import Answered, Asked, sweep
from tests.ledger.support.transfers import WMS, Moved
from tests.shop import TEA, WEB, Shop

NOW = datetime.now(UTC)
SOON, LATER = NOW + timedelta(days=1), NOW + timedelta(days=4)
GRACE = timedelta(days=1)


async def news(shop: Shop, *, caller: Any = WMS, at: datetime | None = None, **data: Any) -> EventOutcome:
    event = {
        "id": uuid.uuid4().hex,
        "type": "transfer.tracked",
        "occurred_at": (at or datetime.now(UTC)).isoformat(),
        "data": {"tracking": "PC-1", "status": "in_transit", **data},
    }
    (outcome,) = await facts.receive(shop.database, caller, [event], received_at=datetime.now(UTC))
    return outcome


async def under_way(shop: Shop, number: int = 2, tracking: str = "PC-1") -> Moved:
    moved = await Moved.open(shop, (TEA, number))
    await moved.ship(carrier="Parcel Co", tracking=tracking)
    return moved


async def asked_from(moved: Moved) -> datetime:
    return datetime.fromisoformat((await moved.row())["dues"]["receipt"])


class TestNews:
    async def test_it_moves_when_goods_are_expected_and_from_when_somebody_is_asked(self, shop: Shop) -> None:
        moved = await under_way(shop)
        before, lines = await asked_from(moved), await moved.line()
        outcome = await news(shop, status="delayed", expected_at=LATER.isoformat(), carrier="Parcel Co")
        assert outcome.outcome == "accepted"
        assert await asked_from(moved) == LATER + GRACE != before
        assert await moved.line() == lines
        assert "Parcel Co says of PC-1: delayed, expected" in (await moved.told())[-1]
        async with shop.database.read() as conn:
            (told,) = (await transfer_view(conn, None, moved.id)).tracking
        assert (told.status, told.expected_at, told.carrier) == ("delayed", LATER, "Parcel Co")

    async def test_delivered_moves_no_goods_either(self, shop: Shop) -> None:
        moved = await under_way(shop)
        at = datetime.now(UTC)
        assert (await news(shop, status="delivered", at=at)).outcome == "accepted"
        assert await moved.line() == {"shipped": 2, "in_transit": 2}
        assert (await moved.row())["state"] == "in_transit"
        assert await asked_from(moved) == at + GRACE

    async def test_older_news_and_the_same_again_change_nothing(self, shop: Shop) -> None:
        moved = await under_way(shop)
        await news(shop, status="out_for_delivery", expected_at=SOON.isoformat())
        due, told = await asked_from(moved), await moved.told()
        old = await news(shop, status="delayed", expected_at=LATER.isoformat(), at=NOW - timedelta(hours=2))
        same = await news(shop, status="out_for_delivery", expected_at=SOON.isoformat())
        assert (old.outcome, same.outcome) == ("accepted", "accepted")
        assert (await asked_from(moved), await moved.told()) == (due, told)

    async def test_of_several_parcels_the_last_one_counts(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship(1, tracking="PC-1")
        await moved.ship(2, tracking="PC-2")
        await news(shop, tracking="PC-2", expected_at=LATER.isoformat())
        await news(shop, tracking="PC-1", expected_at=SOON.isoformat())
        assert await asked_from(moved) == LATER + GRACE

    async def test_one_that_is_over_takes_the_news_and_stays_over(self, shop: Shop) -> None:
        moved = await under_way(shop)
        assert await moved.receive() == "closed"
        assert (await news(shop, status="delivered")).outcome == "accepted"
        row = await moved.row()
        assert (row["state"], row["dues"]) == ("closed", {})

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            ({"tracking": "PC-9"}, "tracking number PC-9"),
            ({"transfer_id": "T-none"}, "T-none"),
            ({"transfer_source": "till"}, "may not speak about transfers of till"),
            ({"status": "somewhere"}, "status"),
            ({"expected_at": "tomorrow"}, "expected_at"),
            ({"quantity": 2}, "quantity"),
        ],
    )
    async def test_what_means_nothing_is_refused_by_name(self, shop: Shop, data: dict[str, Any], says: str) -> None:
        moved = await under_way(shop)
        row = await moved.row()
        outcome = await news(shop, **data)
        assert outcome.outcome == "refused"
        assert says in str(outcome.problem)
        assert await moved.row() == row

    async def test_another_systems_parcel_is_not_known(self, shop: Shop) -> None:
        await under_way(shop)
        assert (await news(shop, caller=WEB)).outcome == "refused"

    async def test_two_transfers_under_one_number_want_a_name(self, shop: Shop) -> None:
        first, second = await under_way(shop, 1), await under_way(shop, 1)
        unnamed = await news(shop, expected_at=LATER.isoformat())
        assert "name transfer_id" in str(unnamed.problem)
        before = await asked_from(first)
        await news(shop, expected_at=LATER.isoformat(), transfer_id=second.id)
        assert (await asked_from(first), await asked_from(second)) == (before, LATER + GRACE)
        # Numbers are used again: of those that are over none is meant.
        await first.receive()
        assert (await news(shop, status="out_for_delivery")).outcome == "accepted"

    def test_a_delivered_parcel_came_when_they_said_so(self) -> None:
        delivered, moving = Parcel("delivered", LATER, NOW), Parcel("in_transit", SOON, NOW)
        assert comes_at([delivered]) == NOW
        assert comes_at([delivered, moving]) == SOON
        assert comes_at([Parcel("in_transit", None, NOW)]) is None


class Answers:
    """A carrier that answers what the test says, and remembers what it was asked."""

    def __init__(self, *answers: Answered) -> None:
        self.left = list(answers)
        self.asked: list[str] = []

    async def __call__(self, one: Asked) -> Answered:
        self.asked.append(f"{one.carrier} {one.tracking}")
        return self.left.pop(0)


def answer(status: str, **more: Any) -> Answered:
    return Answered(TransferTracked.model_validate({"tracking": "PC-1", "status": status, **more}))


class TestAsking:
    EVERY = timedelta(minutes=30)

    async def ask(self, shop: Shop, answers: Answers, *, after: timedelta = timedelta()) -> int:
        return await sweep(shop.database, answers, datetime.now(UTC) + after, every=self.EVERY)

    async def test_each_parcel_is_asked_about_now_and_then_until_it_is_there(self, shop: Shop) -> None:
        moved = await under_way(shop)
        carrier = Answers(answer("in_transit", expected_at=LATER), answer("in_transit", expected_at=LATER),
                          answer("delivered"))  # fmt: skip
        assert await self.ask(shop, carrier) == 1
        assert await self.ask(shop, carrier) == 0  # a moment ago
        assert await asked_from(moved) == LATER + GRACE
        told = len(await moved.told())
        assert await self.ask(shop, carrier, after=timedelta(hours=1)) == 0  # nothing new
        assert len(await moved.told()) == told
        assert await self.ask(shop, carrier, after=timedelta(hours=2)) == 1
        assert await self.ask(shop, carrier, after=timedelta(hours=9)) == 0
        assert carrier.asked == ["Parcel Co PC-1"] * 3
        assert (await moved.line())["in_transit"] == 2

    async def test_a_carrier_that_does_not_answer_is_asked_again_and_why_not_is_kept(self, shop: Shop) -> None:
        moved = await under_way(shop)
        before = await moved.row()
        carrier = Answers(Answered(error="answered 503"), answer("out_for_delivery"))
        assert await self.ask(shop, carrier) == 0
        assert await shop.value("SELECT error FROM parcel_tracking") == "answered 503"
        assert await moved.row() == before
        assert await self.ask(shop, carrier, after=timedelta(hours=1)) == 1
        assert await shop.value("SELECT error FROM parcel_tracking") is None

    async def test_nobody_is_asked_about_what_is_not_on_its_way(self, shop: Shop) -> None:
        waits = await Moved.open(shop, (TEA, 1))
        await waits.report("announced", shipment_id="P-1", tracking="PC-2")
        over = await under_way(shop, 1)
        await over.receive()
        without = await Moved.open(shop, (TEA, 1))
        await without.ship()
        carrier = Answers()
        assert await self.ask(shop, carrier) == 0
        assert carrier.asked == []

    async def test_one_that_came_meanwhile_stays_over(self, shop: Shop) -> None:
        moved = await under_way(shop)

        async def slow(_one: Asked) -> Answered:
            await moved.receive()
            return answer("in_transit", expected_at=LATER)

        await sweep(shop.database, slow, datetime.now(UTC), every=self.EVERY)
        row = await moved.row()
        assert (row["state"], row["dues"]) == ("closed", {})
