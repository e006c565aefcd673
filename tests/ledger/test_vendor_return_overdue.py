"""A vendor that does not credit in time is asked about: a case with its ways out, which heals once nothing is open."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.case_facts import facts_of
from domain.errors import StateConflict
from domain.people import Person
from ledger import decisions, vendor_return, verdicts
from ledger.reads.approvals import approval_detail
from ledger.vendor_return import overdue
from tests.ledger.support.books import accounts
from tests.ledger.test_vendor_return import credit, gathered, seen, shipped, waiting
from tests.shop import ANA, FIN, WEB, Shop

DAY = timedelta(days=1)


async def look(shop: Shop, days: float) -> int:
    """What the worker does so many days from now."""
    return await overdue.sweep(shop.database, datetime.now(UTC) + days * DAY)


async def open_case(shop: Shop) -> int | None:
    found = await shop.value("SELECT id FROM case_file WHERE kind = :kind AND closed_at IS NULL", kind=overdue.KIND)
    return None if found is None else int(found)


async def decide(shop: Shop, option: str, *, by: Person = ANA) -> None:
    number = await open_case(shop)
    assert number is not None
    await decisions.decide(shop.database, number, by, option_id=option, parameters={}, via="test")


async def test_it_is_asked_about_after_its_time_and_once(shop: Shop) -> None:
    await waiting(shop)
    made = await shipped(shop)
    assert (await look(shop, 29), await open_case(shop)) == (0, None)
    assert await look(shop, 31) == 1
    assert await look(shop, 31) == 0
    row = await shop.value("SELECT to_jsonb(c) FROM case_file c WHERE id = :id", id=await open_case(shop))
    assert (row["owner_role"], row["location"], row["value_at_risk_minor"]) == ("regional_ops", "S1", 1_800)
    told = facts_of(overdue.KIND, row["facts"])
    assert told is not None
    assert (told.vendor_return, told.open_minor) == (made, 1_800)  # type: ignore[attr-defined]
    assert [one["id"] for one in row["options"]] == ["more_time", "write_off"]


async def test_what_has_not_left_or_was_credited_is_never_asked_about(shop: Shop) -> None:
    await waiting(shop, 3)
    await gathered(shop, 1, "VR-0")
    made = await shipped(shop, 2)
    await credit(shop, made, 1_200)
    assert await look(shop, 400) == 0


async def test_a_credit_heals_it_and_a_part_of_one_does_not(shop: Shop) -> None:
    await waiting(shop)
    made = await shipped(shop)
    await look(shop, 31)
    await credit(shop, made, 1_000)
    assert await look(shop, 31) == 0
    assert await open_case(shop) is not None
    await credit(shop, made, 800, "CN-2")
    assert await look(shop, 31) == 1
    assert await open_case(shop) is None
    assert await shop.value("SELECT state FROM case_file WHERE kind = :kind", kind=overdue.KIND) == "cancelled"


async def test_who_has_asked_the_vendor_waits_again(shop: Shop) -> None:
    await waiting(shop)
    made = await shipped(shop)
    await look(shop, 31)
    await decide(shop, "more_time")
    due = (await seen(shop, made)).credit_due_at
    assert due is not None
    assert due > datetime.now(UTC) + 13 * DAY
    assert await look(shop, 13) == 0
    assert await look(shop, 15) == 1
    assert await shop.value("SELECT episode FROM case_file WHERE kind = :kind", kind=overdue.KIND) == 2


async def test_little_is_given_up_at_once(shop: Shop) -> None:
    await waiting(shop)
    made = await shipped(shop)
    await look(shop, 31)
    await decide(shop, "write_off")
    view = await seen(shop, made)
    assert (view.state, view.balance.written_off_minor) == ("written_off", 1_800)
    assert (await accounts(shop.database))["write_off"] == 1_800
    assert (await look(shop, 31), await open_case(shop)) == (0, None)


async def test_more_is_given_up_when_finance_has_agreed_and_a_refusal_brings_it_back(shop: Shop) -> None:
    await waiting(shop, 10)
    made = await shipped(shop, 10)  # 60.00, where the limit is 50.00
    await look(shop, 31)
    await decide(shop, "write_off")
    number = (await seen(shop, made)).approval_id
    assert number is not None
    assert await look(shop, 31) == 0  # somebody is asked
    with pytest.raises(StateConflict, match="asked already"):
        await vendor_return.write_off(shop.database, WEB, made, reason="x", via="test")
    await verdicts.record_verdict(shop.database, number, FIN, verdict="reject", note="ask again", via="test")
    assert (await seen(shop, made)).state == "shipped"
    assert await look(shop, 31) == 1
    await decide(shop, "write_off")
    again = (await seen(shop, made)).approval_id
    assert again not in (None, number)
    await verdicts.record_verdict(shop.database, again or 0, FIN, verdict="approve", note="", via="test")
    assert (await seen(shop, made)).state == "written_off"


async def test_whoever_is_asked_reads_why_it_is_given_up(shop: Shop) -> None:
    await waiting(shop, 10)
    made = await shipped(shop, 10)
    await vendor_return.write_off(shop.database, WEB, made, reason="the goods never arrived there", via="test")
    number = (await seen(shop, made)).approval_id
    assert number is not None
    async with shop.database.read() as conn:
        assert (await approval_detail(conn, FIN, number)).reason == "the goods never arrived there"


async def test_whoever_chose_to_give_it_up_does_not_agree(shop: Shop) -> None:
    await shop.change("INSERT INTO person_role (person_id, role, region) VALUES ('ana', 'finance', 'R1')")
    await waiting(shop, 10)
    await shipped(shop, 10)
    await look(shop, 31)
    await decide(shop, "write_off")
    assert "ana" in await shop.value("SELECT barred FROM approval")


async def test_credited_in_the_moment_in_which_it_is_given_up(shop: Shop) -> None:
    await waiting(shop)
    made = await shipped(shop)
    await look(shop, 31)
    await credit(shop, made, 1_800)
    with pytest.raises(StateConflict):
        await decide(shop, "write_off")
    assert (await seen(shop, made)).state == "credited"
    assert await look(shop, 31) == 1
