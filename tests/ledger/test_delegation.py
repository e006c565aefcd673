"""Approving in somebody's place: dated, recorded as such, never passed on, and never a way to approve one's own."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import NotAllowed, OwnRequest
from domain.people import Person
from ledger import approval, reference
from ledger.transaction import Transaction
from tests.shop import ADA, ANA, FIN, MAX, Shop

NOW = datetime.now(UTC)


async def a_refund(shop: Shop, requester: Person = ANA) -> int:
    """A refund that waits for a store manager: Max, unless he is the one who asks."""

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, "S1")
        return await approval.open_approval(
            tx,
            approval.Request(
                kind="refund",
                subject="Refund of W-1",
                place=place,
                policy=await reference.policy_at(tx.conn, place, NOW),
                at=NOW,
                requester=requester.id,
                barred=(),
                amount_minor=30_000,
                facts={},
                journey_id=None,
                case_id=None,
                decision_id=None,
            ),
        )

    return await shop.database.write(work, actor="test", via="test")


async def delegate(shop: Shop, giver: Person, taker: Person, *, starts_h: int = -1, ends_h: int = 24) -> None:
    await shop.change(
        "INSERT INTO delegation (from_person, to_person, starts_at, ends_at) VALUES (:a, :b, :starts, :ends)",
        a=giver.id, b=taker.id, starts=NOW + timedelta(hours=starts_h), ends=NOW + timedelta(hours=ends_h),
    )  # fmt: skip


async def approve(shop: Shop, approval_id: int, person: Person) -> None:
    await approval.record_verdict(shop.database, approval_id, person, verdict="approve", note="", via="test")


class TestDelegate:
    async def test_the_record_says_who_acted_for_whom(self, shop: Shop) -> None:
        approval_id = await a_refund(shop)
        await delegate(shop, MAX, FIN)
        await approve(shop, approval_id, FIN)
        said = await shop.value("SELECT decided_by || ' for ' || decided_for FROM approval")
        assert said == "fin for max"

    @pytest.mark.parametrize(("starts_h", "ends_h"), [(1, 24), (-24, -1)])
    async def test_only_between_its_dates(self, shop: Shop, starts_h: int, ends_h: int) -> None:
        approval_id = await a_refund(shop)
        await delegate(shop, MAX, FIN, starts_h=starts_h, ends_h=ends_h)
        with pytest.raises(NotAllowed):
            await approve(shop, approval_id, FIN)

    async def test_whoever_asked_does_not_approve_in_the_managers_place(self, shop: Shop) -> None:
        approval_id = await a_refund(shop, ANA)
        await delegate(shop, MAX, ANA)
        with pytest.raises(OwnRequest):
            await approve(shop, approval_id, ANA)

    async def test_nobody_approves_in_the_place_of_whoever_asked(self, shop: Shop) -> None:
        approval_id = await a_refund(shop, MAX)
        await delegate(shop, MAX, ANA)
        with pytest.raises(NotAllowed):
            await approve(shop, approval_id, ANA)

    async def test_it_is_not_passed_on(self, shop: Shop) -> None:
        approval_id = await a_refund(shop)
        await delegate(shop, MAX, FIN)
        await delegate(shop, FIN, ADA)
        with pytest.raises(NotAllowed):
            await approve(shop, approval_id, ADA)

    async def test_a_circle_lets_nobody_approve_their_own(self, shop: Shop) -> None:
        approval_id = await a_refund(shop, ANA)
        await delegate(shop, ANA, MAX)
        await delegate(shop, MAX, ANA)
        with pytest.raises(OwnRequest):
            await approve(shop, approval_id, ANA)
        await approve(shop, approval_id, MAX)
