"""Approving in somebody's place: dated, recorded as such, never passed on, and never a way to approve one's own."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Malformed, NotAllowed, NotFound, OwnRequest, StateConflict
from domain.people import Grant, Person
from ledger import approval, delegations, reference, verdicts
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
    await verdicts.record_verdict(shop.database, approval_id, person, verdict="approve", note="", via="test")


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


async def give(shop: Shop, giver: Person, taker: Person, *, by: Person | None = None, days: float = 7) -> int:
    """As the pages do it: from now on, for so many days."""
    return await delegations.give(
        shop.database,
        by or giver,
        giver=giver.email,
        taker=taker.email,
        starts_at=None,
        ends_at=datetime.now(UTC) + timedelta(days=days),
        via="test",
    )


async def mails_to(shop: Shop, person: Person) -> list[str]:
    found = await shop.value(
        "SELECT string_agg(template, ' ' ORDER BY template) FROM mail WHERE person_id = :id", id=person.id
    )
    return (found or "").split()


class TestGive:
    async def test_whoever_stands_in_is_told_and_gets_what_waits_and_what_comes(self, shop: Shop) -> None:
        await a_refund(shop)
        await give(shop, MAX, FIN)
        assert await mails_to(shop, FIN) == ["approval_digest", "delegation_made"]
        await a_refund(shop)
        assert await mails_to(shop, FIN) == ["approval_digest", "approval_request", "delegation_made"]
        assert await shop.value("SELECT who FROM audit WHERE what = 'delegation.made'") == "max"
        begun = "SELECT starts_at = at FROM delegation, audit WHERE what = 'delegation.made'"
        assert await shop.value(begun)  # now is when it is recorded, never a moment later

    async def test_an_admin_does_it_for_others_and_both_are_told(self, shop: Shop) -> None:
        number = await give(shop, MAX, FIN, by=ADA)
        assert (await mails_to(shop, MAX), "delegation_made" in await mails_to(shop, FIN)) == (
            ["delegation_made"],
            True,
        )
        async with shop.database.read() as conn:
            seen = await delegations.view(conn, number)
            assert [one.id for one in await delegations.everybodys(conn, ADA)] == [number]
        assert seen is not None
        assert (seen.made_by_name, seen.status) == ("Ada Lang", "current")

    async def test_an_admin_takes_nobodys_word_for_themselves(self, shop: Shop) -> None:
        """Their role would be any role: they would look after Max's verdicts and give them."""
        with pytest.raises(NotAllowed, match="Nobody takes Max Weber's verdicts for themselves"):
            await give(shop, MAX, ADA, by=ADA)
        assert await shop.value("SELECT count(*) FROM delegation") == 0
        await give(shop, MAX, ADA)
        with pytest.raises(NotAllowed, match="Nobody takes Fin"):
            await give(shop, FIN, ADA, by=ADA)

    async def test_who_gave_it_is_told_as_well(self, shop: Shop) -> None:
        """By a token that was taken, or a session left open, it may have been somebody else."""
        await give(shop, MAX, FIN)
        assert await mails_to(shop, MAX) == ["delegation_made"]

    async def test_nobody_gives_what_is_not_theirs(self, shop: Shop) -> None:
        with pytest.raises(NotAllowed, match="Only Max Weber or an admin"):
            await give(shop, MAX, ANA, by=ANA)
        assert await shop.value("SELECT count(*) FROM delegation") == 0

    async def test_an_admin_of_another_region_does_not_either(self, shop: Shop) -> None:
        other = ADA._replace(grants=(Grant("admin", "", "R2", ""),))
        with pytest.raises(NotAllowed):
            await give(shop, MAX, FIN, by=other)

    @pytest.mark.parametrize(
        ("to", "says"),
        [("nobody@shop.example", "Nobody who works here"), ("", "Nobody who works here"), (MAX.email, "themselves")],
    )
    async def test_it_needs_somebody_else_who_works_here(self, shop: Shop, to: str, says: str) -> None:
        with pytest.raises(Malformed, match=says):
            await give(shop, MAX, FIN._replace(email=to))

    async def test_it_needs_somebody_who_decides_anything(self, shop: Shop) -> None:
        await shop.change("UPDATE person_role SET role = 'auditor' WHERE person_id = 'fin'")
        with pytest.raises(Malformed, match="has no role that decides"):
            await give(shop, MAX, FIN)

    async def test_a_circle_is_refused_also_when_both_come_at_once(self, shop: Shop) -> None:
        ends = await asyncio.gather(
            give(shop, MAX, FIN), give(shop, FIN, ADA), give(shop, ADA, MAX), return_exceptions=True
        )
        assert [type(one) for one in ends if isinstance(one, BaseException)] == [StateConflict]
        assert await shop.value("SELECT count(*) FROM delegation") == 2


class TestEnd:
    @pytest.mark.parametrize("by", [MAX, FIN, ADA], ids=lambda one: one.id)
    async def test_by_either_of_them_or_an_admin_and_at_once(self, shop: Shop, by: Person) -> None:
        approval_id = await a_refund(shop)
        number = await give(shop, MAX, FIN)
        await delegations.end(shop.database, by, number, via="test")
        with pytest.raises(NotAllowed):
            await approve(shop, approval_id, FIN)
        async with shop.database.read() as conn:
            (seen,) = await delegations.of_person(conn, "max")
        assert (seen.status, seen.ended_by_name) == ("over", by.name)

    async def test_one_that_is_over_is_not_ended_again(self, shop: Shop) -> None:
        number = await give(shop, MAX, FIN)
        await delegations.end(shop.database, MAX, number, via="test")
        with pytest.raises(StateConflict, match="ended already"):
            await delegations.end(shop.database, MAX, number, via="test")

    async def test_somebody_elses_is_not_there(self, shop: Shop) -> None:
        number = await give(shop, MAX, FIN)
        for person, wanted in ((ANA, number), (MAX, number + 1)):
            with pytest.raises(NotFound):
                await delegations.end(shop.database, person, wanted, via="test")

    async def test_one_that_was_to_come_never_begins(self, shop: Shop) -> None:
        approval_id = await a_refund(shop)
        now = datetime.now(UTC)
        number = await delegations.give(
            shop.database, MAX, giver=MAX.email, taker=FIN.email, starts_at=now + timedelta(days=3),
            ends_at=now + timedelta(days=5), via="test",
        )  # fmt: skip
        await delegations.end(shop.database, MAX, number, via="test")
        with pytest.raises(NotAllowed):
            await approve(shop, approval_id, FIN)
        assert await shop.value("SELECT ends_at = starts_at FROM delegation")

    async def test_what_is_over_is_shown_for_a_while_and_then_no_more(self, shop: Shop) -> None:
        await delegate(shop, MAX, FIN, starts_h=-48, ends_h=-24)
        await delegate(shop, MAX, ADA, starts_h=-24 * 99, ends_h=-24 * 98)
        async with shop.database.read() as conn:
            assert [one.taker for one in await delegations.of_person(conn, "max")] == ["fin"]


class TestAsk:
    async def test_it_is_asked_by_mail_once_a_day_and_nothing_else_happens(self, shop: Shop) -> None:
        for _ in range(2):
            await delegations.ask_for(shop.database, FIN, MAX, via="test")
        assert await mails_to(shop, MAX) == ["delegation_asked"]
        assert await shop.value("SELECT count(*) FROM delegation") == 0
