"""Approvals that need several people: each word by itself, whose is missing, one rejection ends it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.bands import Level
from domain.errors import AlreadyDecided, NotAllowed, NotFound, OwnRequest
from domain.messages import Step
from domain.people import Grant, Person
from ledger import approval, reference, verdicts
from ledger.reads.approvals import ApprovalFilter, approval_detail, list_approvals
from ledger.transaction import Transaction
from tests.shop import ADA, ANA, FIN, MAX, Shop

NOW = datetime.now(UTC)
BEN = Person("ben", "Ben Oto", "ben@shop.example", (Grant("store_manager", "", "R1", ""),))
ZOE = Person("zoe", "Zoe Petit", "zoe@shop.example", (Grant("store_manager", "FR01", "R9", ""),))


async def hire(shop: Shop, *people: Person) -> None:
    for one in people:
        await shop.change("INSERT INTO person (id, name, email) VALUES (:i, :n, :e)", i=one.id, n=one.name, e=one.email)
        for grant in one.grants:
            await shop.change(
                "INSERT INTO person_role (person_id, role, entity, region, location) VALUES (:p, :r, :e, :g, :l)",
                p=one.id, r=grant.role, e=grant.entity, g=grant.region, l=grant.location,
            )  # fmt: skip


async def abroad(shop: Shop) -> None:
    """A second entity with a store of its own."""
    await shop.change("INSERT INTO entity (code, name, currency, country) VALUES ('FR01', 'Shop SARL', 'EUR', 'FR')")
    await shop.change("INSERT INTO region (code, name, entity) VALUES ('R9', 'Est', 'FR01')")
    await shop.change(
        "INSERT INTO location (code, name, kind, region, entity, time_zone) VALUES"
        " ('F1', 'Metz', 'store', 'R9', 'FR01', 'UTC')"
    )
    await hire(shop, ZOE)


async def ask(
    shop: Shop,
    quorum: Any,
    *,
    level: Level = Level.MANAGER,
    requester: Person = ANA,
    sides: tuple[str, ...] = (),
    case_id: int | None = None,
) -> int:
    """A request for 300.00 at Mainz of which policy says that so many must agree."""

    async def work(tx: Transaction) -> int:
        place = await reference.place(tx.conn, "S1")
        policy = await reference.policy_at(tx.conn, place, NOW)
        approvals = policy.approvals.model_copy(update={"quorum": quorum})
        policy = policy.model_copy(update={"approvals": approvals})
        return await approval.open_approval(
            tx,
            approval.Request(
                kind="refund",
                subject="Refund of W-1",
                place=place,
                policy=policy,
                at=NOW,
                requester=requester.id,
                barred=(),
                amount_minor=30_000,
                facts={},
                journey_id=None,
                case_id=case_id,
                decision_id=None,
                level=level,
                sides=[await reference.place(tx.conn, code) for code in sides],
            ),
        )

    return await shop.database.write(work, actor="test", via="test")


async def say(shop: Shop, number: int, person: Person, verdict: str = "approve", note: str = "") -> None:
    await verdicts.record_verdict(shop.database, number, person, verdict=verdict, note=note, via="test")


async def state(shop: Shop) -> str:
    return str(await shop.value("SELECT state FROM approval"))


async def mailed(shop: Shop, template: str = "approval_request") -> str:
    wanted = "SELECT string_agg(person_id, ' ' ORDER BY id) FROM mail WHERE template = :template"
    return str(await shop.value(wanted, template=template) or "")


async def missing(shop: Shop, number: int, viewer: Person = ANA) -> list[str]:
    async with shop.database.read() as conn:
        return [side.missing for side in (await approval_detail(conn, viewer, number)).sides]


async def come_due(shop: Shop, number: int) -> None:
    """The next instant of its clock comes."""
    at = await shop.value("SELECT next_at FROM approval")
    await verdicts.on_due(shop.database, Step(subject=str(number), occurrence=str(at), at=at))


async def stand_in(shop: Shop, giver: Person, taker: Person) -> None:
    await shop.change(
        "INSERT INTO delegation (from_person, to_person, starts_at, ends_at) VALUES (:a, :b, :from, :to)",
        a=giver.id, b=taker.id, **{"from": NOW - timedelta(days=1), "to": NOW + timedelta(days=1)},
    )  # fmt: skip


class TestAll:
    async def test_it_is_approved_by_the_last_word_and_not_before(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, "all")
        assert await shop.value("SELECT quorum FROM approval") == 2
        await say(shop, number, MAX)
        assert await state(shop) == "pending"
        assert await missing(shop, number) == ["Ben Oto's word is missing."]
        await say(shop, number, BEN)
        assert await state(shop) == "approved"
        assert await shop.value("SELECT count(*) FROM approval_verdict") == 2

    async def test_the_second_comer_reads_who_has_agreed(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, "all")
        await say(shop, number, MAX)
        await say(shop, number, BEN)
        with pytest.raises(AlreadyDecided, match="Approved by Max Weber and Ben Oto, "):
            await say(shop, number, BEN)

    async def test_whoever_asked_is_not_waited_for(self, shop: Shop) -> None:
        await hire(shop, BEN)
        await ask(shop, "all", requester=BEN)
        assert await shop.value("SELECT quorum FROM approval") == 1
        assert await mailed(shop) == "max"

    async def test_a_level_with_nobody_in_it_is_passed_over_and_all_are_those_of_the_next(self, shop: Shop) -> None:
        number = await ask(shop, "all", requester=MAX)
        assert await mailed(shop) == "fin"
        await say(shop, number, FIN)
        assert await state(shop) == "approved"


class TestSome:
    async def test_one_person_does_not_make_two(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2)
        await say(shop, number, MAX)
        with pytest.raises(AlreadyDecided, match="You have agreed already"):
            await say(shop, number, MAX)
        assert await state(shop) == "pending"

    async def test_too_few_at_the_first_level_ask_the_next_one_at_once(self, shop: Shop) -> None:
        number = await ask(shop, 2)
        assert await mailed(shop) == "fin max"
        await say(shop, number, FIN)
        await say(shop, number, MAX)
        assert await state(shop) == "approved"

    async def test_two_roles_of_one_person_count_once(self, shop: Shop) -> None:
        both = Person("max", "Max Weber", "max@shop.example", (*MAX.grants, Grant("finance")))
        await shop.change("INSERT INTO person_role (person_id, role) VALUES ('max', 'finance')")
        await shop.change("UPDATE person SET active = false WHERE id = 'fin'")
        number = await ask(shop, 2)
        assert await mailed(shop) == "ada max"  # finance has nobody else, so the last level is asked as well
        await say(shop, number, both)
        assert await state(shop) == "pending"

    async def test_the_band_says_how_many(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('two', '2020-01-01', :body)",
            body='{"approvals": {"quorums": {"refund": {"manager": 1, "finance": 2}}}}',
        )

        async def open_at(level: Level) -> int:
            async def work(tx: Transaction) -> int:
                place = await reference.place(tx.conn, "S1")
                policy = await reference.policy_at(tx.conn, place, NOW)
                request = approval.Request(
                    "refund", "R", place, policy, NOW, "ana", (), 1, {}, None, None, None, level=level
                )
                return await approval.open_approval(tx, request)

            return await shop.database.write(work, actor="test", via="test")

        for level, quorum in ((Level.MANAGER, 1), (Level.FINANCE, 2)):
            number = await open_at(level)
            assert await shop.value("SELECT quorum FROM approval WHERE id = :id", id=number) == quorum

    async def test_two_at_the_same_moment_are_two_words_and_one_end(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2)
        await asyncio.gather(say(shop, number, MAX), say(shop, number, BEN))
        assert await state(shop) == "approved"
        assert await shop.value("SELECT count(*) FROM audit WHERE what = 'approval.approve'") == 2

    async def test_the_same_word_twice_at_the_same_moment_is_one(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2)
        ends = await asyncio.gather(say(shop, number, MAX), say(shop, number, MAX), return_exceptions=True)
        assert [type(one) for one in ends if one] == [AlreadyDecided]
        assert await shop.value("SELECT count(*) FROM approval_verdict") == 1


class TestReject:
    async def test_one_rejection_ends_it_whoever_has_agreed(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2)
        await say(shop, number, MAX)
        await say(shop, number, BEN, "reject", "too much")
        assert (await state(shop), await missing(shop, number)) == ("rejected", [""])

    async def test_whoever_has_agreed_may_think_better_of_it(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2)
        await say(shop, number, MAX)
        await say(shop, number, MAX, "reject", "I looked again")
        assert await state(shop) == "rejected"

    async def test_the_requester_neither_agrees_nor_rejects(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 2, requester=BEN)
        for verdict in ("approve", "reject", "ask"):
            with pytest.raises(OwnRequest):
                await say(shop, number, BEN, verdict, "x")


class TestDelegated:
    async def test_a_delegate_gives_the_missing_word_once(self, shop: Shop) -> None:
        await hire(shop, BEN)
        await stand_in(shop, BEN, ADA)
        number = await ask(shop, "all")
        assert await mailed(shop) == "ada ben max"
        await say(shop, number, ADA)
        assert await shop.value("SELECT person_id || ' for ' || on_behalf_of FROM approval_verdict") == "ada for ben"
        with pytest.raises(AlreadyDecided, match="Ada Lang has agreed for you already"):
            await say(shop, number, BEN)
        assert await missing(shop, number) == ["Max Weber's word is missing."]
        await say(shop, number, MAX)
        assert await state(shop) == "approved"

    async def test_one_of_two_does_not_stand_in_for_the_other(self, shop: Shop) -> None:
        await hire(shop, BEN)
        await stand_in(shop, BEN, MAX)
        number = await ask(shop, "all")
        await say(shop, number, MAX)
        with pytest.raises(AlreadyDecided):
            await say(shop, number, MAX)
        assert await state(shop) == "pending"

    async def test_after_the_principal_a_delegate_has_nothing_to_say(self, shop: Shop) -> None:
        await hire(shop, BEN)
        await stand_in(shop, BEN, ADA)
        number = await ask(shop, "all")
        await say(shop, number, BEN)
        with pytest.raises(AlreadyDecided, match="Ben Oto has agreed already"):
            await say(shop, number, ADA)

    async def test_a_delegate_sees_what_they_stand_in_for_and_nothing_after_it(self, shop: Shop) -> None:
        await abroad(shop)
        number = await ask(shop, 1)
        async with shop.database.read() as conn:
            with pytest.raises(NotFound):
                await approval_detail(conn, ZOE, number)
        with pytest.raises(NotFound):
            await say(shop, number, ZOE)
        await stand_in(shop, MAX, ZOE)
        async with shop.database.read() as conn:
            assert (await approval_detail(conn, ZOE, number)).may_decide
            assert len((await list_approvals(conn, ZOE, ApprovalFilter(mine=True))).items) == 1
        await say(shop, number, ZOE)
        assert await state(shop) == "approved"

    async def test_the_requester_gets_no_mail_as_a_delegate(self, shop: Shop) -> None:
        await stand_in(shop, MAX, ANA)
        await ask(shop, 1)
        assert await mailed(shop) == "max"


class TestLevels:
    async def test_a_reminder_goes_to_those_whose_word_is_missing(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, "all")
        await say(shop, number, MAX)
        await shop.change("DELETE FROM mail")
        await come_due(shop, number)
        assert await mailed(shop) == "ben"

    async def test_silence_lets_the_next_level_give_what_is_missing_and_no_more(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, "all")
        await say(shop, number, MAX)
        for _ in range(3):
            await come_due(shop, number)
        assert await shop.value("SELECT level FROM approval") == 2
        assert (await mailed(shop)).endswith("fin")
        assert await missing(shop, number) == ["One more word is missing, of Ben Oto or Fin Olsen."]
        await say(shop, number, FIN)
        assert await state(shop) == "approved"

    async def test_it_expires_with_a_word_too_few(self, shop: Shop) -> None:
        await hire(shop, BEN)
        number = await ask(shop, 3)
        await say(shop, number, MAX)
        await say(shop, number, BEN)
        while await state(shop) == "pending":
            await come_due(shop, number)
        assert await state(shop) == "expired"

    async def test_where_nobody_can_agree_admins_are_told_and_nothing_is_approved(self, shop: Shop) -> None:
        number = await ask(shop, 4)
        assert await mailed(shop) == "ada fin max"
        assert await mailed(shop, "approval_unanswerable") == "ada"
        for person in (MAX, FIN, ADA):
            await say(shop, number, person)
        assert await state(shop) == "pending"

    async def test_an_empty_top_level_alerts_an_admin_who_asked_themselves(self, shop: Shop) -> None:
        await shop.change("UPDATE person SET active = false WHERE id IN ('fin', 'max')")
        await ask(shop, 1, requester=ADA)
        assert (await mailed(shop), await mailed(shop, "approval_unanswerable")) == ("", "ada")
        assert await state(shop) == "pending"


class TestSides:
    async def test_one_word_from_each_side(self, shop: Shop) -> None:
        await abroad(shop)
        await hire(shop, BEN)
        number = await ask(shop, "any", sides=("S1", "F1"))
        assert await mailed(shop) == "ben max zoe"
        await say(shop, number, MAX)
        assert await missing(shop, number) == ["", "Zoe Petit's word is missing."] or await missing(shop, number) == [
            "Zoe Petit's word is missing.", ""
        ]  # fmt: skip
        with pytest.raises(AlreadyDecided, match="the other one"):
            await say(shop, number, BEN)
        await say(shop, number, ZOE)
        assert await state(shop) == "approved"

    async def test_either_side_may_reject(self, shop: Shop) -> None:
        await abroad(shop)
        number = await ask(shop, "any", sides=("S1", "F1"))
        await say(shop, number, MAX)
        await say(shop, number, ZOE, "reject", "we need it ourselves")
        assert await state(shop) == "rejected"

    async def test_each_side_sees_it_and_nobody_else(self, shop: Shop) -> None:
        await abroad(shop)
        far = Person("far", "Far Away", "far@shop.example", (Grant("store_manager", "", "R7", ""),))
        number = await ask(shop, "any", sides=("S1", "F1"))
        plain = await ask(shop, "any")
        async with shop.database.read() as conn:
            for person, seen in ((MAX, [plain, number]), (ZOE, [number]), (far, [])):
                found = (await list_approvals(conn, person)).items
                assert sorted(one.id for one in found) == sorted(seen)
                waiting = (await list_approvals(conn, person, ApprovalFilter(mine=True))).items
                assert sorted(one.id for one in waiting) == sorted(seen)
            with pytest.raises(NotFound):
                await approval_detail(conn, far, number)
        with pytest.raises(NotFound):
            await say(shop, number, far)

    async def test_one_person_with_a_role_on_both_sides_gives_one_word(self, shop: Shop) -> None:
        await abroad(shop)
        number = await ask(shop, "any", sides=("S1", "F1"), level=Level.FINANCE)
        assert await mailed(shop) == "ada fin"  # one of finance is too few for two sides
        await say(shop, number, FIN)
        with pytest.raises(AlreadyDecided):
            await say(shop, number, FIN)
        await say(shop, number, ADA)
        assert await state(shop) == "approved"

    async def test_two_words_of_one_side_are_not_one_of_each(self, shop: Shop) -> None:
        await abroad(shop)
        number = await ask(shop, "any", sides=("S1", "F1"))
        with pytest.raises(NotAllowed):
            await say(shop, number, FIN)  # finance has not been asked yet
        assert await state(shop) == "pending"

    @pytest.mark.parametrize("sides", [("S1",), ("S1", "S1"), ("S2", "S1")])
    async def test_sides_that_are_none_are_a_mistake_of_the_caller(self, shop: Shop, sides: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="two different places"):
            await ask(shop, "any", sides=sides)
