"""Whoever can answer an approver's question hears of it: the clock of the request stands until then."""

import pytest

from domain.people import Grant, Person
from ledger import verdicts
from ledger.reads.approvals import ApprovalFilter, approval_detail, list_approvals
from tests.ledger.test_quorum import BEN, ask, hire, say
from tests.shop import ADA, ANA, FIN, MAX, Shop

ANA_TOO = ANA._replace(grants=(*ANA.grants, Grant("store_manager", "", "R1", "")))
FAY = Person("fay", "Fay Ardo", "fay@shop.example", (Grant("regional_ops", "", "R9", ""),))


def system(name: str) -> Person:
    return Person(name, name, "", ())


async def told(shop: Shop) -> list[str]:
    found: list[str] = await shop.value(
        "SELECT coalesce(array_agg(person_id ORDER BY person_id), '{}') FROM mail WHERE template = 'approval_question'"
    )
    return found


async def test_a_person_who_asked_for_it_is_asked(shop: Shop) -> None:
    await say(shop, await ask(shop, "any", requester=ADA), MAX, "ask", "Which order?")
    assert await told(shop) == [ADA.id]


@pytest.mark.parametrize("requester", ["key:oms", "endcap", "customer:c1"])
async def test_those_who_answer_for_a_system_are_asked_in_its_stead(requester: str, shop: Shop) -> None:
    await hire(shop, FAY)
    number = await ask(shop, "any", requester=system(requester))
    await say(shop, number, MAX, "ask", "Which order?")
    assert await told(shop) == [ANA.id], "nobody of another region"
    await verdicts.answer(shop.database, number, ANA, text="W-1.", via="test")
    async with shop.database.read() as conn:
        found = await approval_detail(conn, MAX, number)
    assert found.paused_at is None
    assert [one.verdict for one in found.verdicts] == ["ask", "answer"]


async def test_without_regional_operations_admins_are_asked(shop: Shop) -> None:
    await shop.change("DELETE FROM person_role WHERE role = 'regional_ops'")
    await say(shop, await ask(shop, "any", requester=system("key:oms")), MAX, "ask", "Which order?")
    assert await told(shop) == [ADA.id]


async def answered(shop: Shop) -> list[str]:
    found: list[str] = await shop.value(
        "SELECT coalesce(array_agg(person_id ORDER BY id), '{}') FROM mail WHERE context ->> 'occasion' = 'answered'"
    )
    return found


async def test_whoever_asked_is_told_of_the_answer_and_nobody_else(shop: Shop) -> None:
    number = await ask(shop, "any", requester=ADA)
    await say(shop, number, MAX, "ask", "Which order?")
    assert await answered(shop) == []
    await verdicts.answer(shop.database, number, ANA, text="W-1.", via="test")
    assert await answered(shop) == [MAX.id]


async def test_a_second_answer_goes_to_whoever_asked_since_the_first(shop: Shop) -> None:
    await hire(shop, BEN)
    number = await ask(shop, "any", requester=ADA)
    await say(shop, number, MAX, "ask", "Which order?")
    await say(shop, number, MAX, "ask", "And which customer?")
    await verdicts.answer(shop.database, number, ANA, text="W-1, of Kim.", via="test")
    await say(shop, number, BEN, "ask", "Is Kim there?")
    await verdicts.answer(shop.database, number, ANA, text="Until five.", via="test")
    assert await answered(shop) == [MAX.id, BEN.id]


async def test_the_question_waits_for_whoever_asked_for_it_until_they_have_answered(shop: Shop) -> None:
    async def waits_for(person: Person) -> list[int]:
        async with shop.database.read() as conn:
            return [one.id for one in (await list_approvals(conn, person, ApprovalFilter(mine=True))).items]

    number = await ask(shop, "any", requester=ANA)
    assert await waits_for(ANA) == []
    await say(shop, number, MAX, "ask", "Which order?")
    assert (await waits_for(ANA), await waits_for(MAX)) == ([number], [number])
    await verdicts.answer(shop.database, number, ANA, text="W-1.", via="test")
    assert (await waits_for(ANA), await waits_for(MAX)) == ([], [number])


async def waiting(shop: Shop) -> list[str]:
    """Who reads in the console that a question waits for their answer."""
    found = []
    for one in (ADA, ANA, FAY, FIN, MAX):
        async with shop.database.read() as conn:
            page = await list_approvals(conn, one, ApprovalFilter(state="pending", questions=True))
            mine = await list_approvals(conn, one, ApprovalFilter(state="pending", mine=True))
        assert {row.id for row in page.items} <= {row.id for row in mine.items}
        found += [one.id for _ in page.items]
    return found


class TestWaits:
    """In the console a question waits for the same people as by mail."""

    async def test_for_the_person_who_asked_for_it_until_it_is_answered(self, shop: Shop) -> None:
        number = await ask(shop, "any", requester=ADA)
        assert await waiting(shop) == []
        await say(shop, number, MAX, "ask", "Which order?")
        assert await waiting(shop) == await told(shop) == [ADA.id]
        await verdicts.answer(shop.database, number, ANA, text="W-1.", via="test")
        assert await waiting(shop) == []

    @pytest.mark.parametrize("requester", ["key:oms", "endcap", "customer:c1"])
    async def test_for_regional_operations_of_the_place_in_the_stead_of_a_system(
        self, requester: str, shop: Shop
    ) -> None:
        await hire(shop, FAY)
        await say(shop, await ask(shop, "any", requester=system(requester)), MAX, "ask", "Which order?")
        assert await waiting(shop) == await told(shop) == [ANA.id]

    async def test_for_admins_where_there_are_none(self, shop: Shop) -> None:
        await shop.change("DELETE FROM person_role WHERE role = 'regional_ops'")
        await say(shop, await ask(shop, "any", requester=system("key:oms")), MAX, "ask", "Which order?")
        await shop.change("INSERT INTO person_role (person_id, role, region) VALUES ('ana', 'regional_ops', 'R1')")
        assert await waiting(shop) == [ANA.id], "who came since"
        await shop.change("UPDATE person SET active = false WHERE id = 'ana'")
        assert await waiting(shop) == [ADA.id, ANA.id]  # whom no session lets in any more

    async def test_not_for_whoever_wants_to_know_it(self, shop: Shop) -> None:
        await shop.change("INSERT INTO person_role (person_id, role, region) VALUES ('ana', 'store_manager', 'R1')")
        await say(shop, await ask(shop, "any", requester=system("key:oms")), ANA_TOO, "ask", "Which order?")
        assert await waiting(shop) == await told(shop) == [ADA.id]

    async def test_not_once_it_is_decided(self, shop: Shop) -> None:
        number = await ask(shop, "any", requester=ADA)
        await say(shop, number, MAX, "ask", "Which order?")
        await say(shop, number, MAX, "reject", "It takes too long.")
        assert await waiting(shop) == []
