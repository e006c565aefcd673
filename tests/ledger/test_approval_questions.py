"""Whoever can answer an approver's question hears of it: the clock of the request stands until then."""

import pytest

from domain.people import Grant, Person
from ledger import verdicts
from ledger.reads.approvals import approval_detail
from tests.ledger.test_quorum import ask, hire, say
from tests.shop import ADA, ANA, MAX, Shop

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
