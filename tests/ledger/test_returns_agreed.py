"""A refund that is large and nothing else is agreed to without a case before it; what is not agreed to becomes one."""

from typing import Any

import pytest

from domain.errors import ApprovalSuperseded, NotAllowed, OptionNotAllowed, OwnRequest
from domain.messages import Step
from ledger import verdicts
from ledger.returns import requests, steps
from tests.ledger.support.returning import Back, collected, shelf
from tests.shop import ANA, FIN, MAX, PRICE_MINOR, WEB, Shop

LARGE = 14  # 210.00, where the limit is 200.00


async def large(shop: Shop, **more: Any) -> Back:
    await shop.put("S1", 20)
    return await Back.open(shop, await collected(shop, LARGE), LARGE, **more)


async def pending(back: Back) -> list[tuple[int, str]]:
    found = await back.rows("SELECT amount_minor, state FROM approval WHERE journey_id = :id ORDER BY id")
    return [(row["amount_minor"], row["state"]) for row in found]


async def test_it_is_paid_when_somebody_has_agreed(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    assert (await back.cases(), await back.refunds()) == ([], [])
    assert await pending(back) == [(21_000, "pending")]
    await back.inspect(LARGE)
    assert await back.state() == "dispositioned"
    assert await back.verdict() == "refund_pending"
    assert await back.refunds() == [("card", LARGE * PRICE_MINOR, "requested")]
    await back.provider_says()
    row = await back.row()
    assert (row["state"], row["asks"]) == ("closed", {})
    assert row["closed_at"] is not None


async def test_before_anybody_has_agreed_nothing_more_is_asked_for_the_same_amount(shop: Shop) -> None:
    back = await large(shop, method="store")
    await back.receive(LARGE)
    await back.inspect(LARGE - 1)
    await back.inspect(1)
    assert await pending(back) == [(21_000, "pending")]
    assert (await back.rows("SELECT state FROM journey WHERE id = :id"))[0]["state"] == "dispositioned"


async def test_whoever_asked_or_looked_at_the_goods_does_not_agree(shop: Shop) -> None:
    back = await large(shop)
    await shop.change("UPDATE journey SET requested_by = 'max' WHERE id = :id", id=back.id)
    await back.receive(LARGE)
    with pytest.raises(OwnRequest):
        await back.verdict(by=MAX)
    with pytest.raises(NotAllowed):
        await back.verdict(by=ANA)
    assert (await back.refunds(), await pending(back)) == ([], [(21_000, "pending")])


async def test_a_rejected_one_is_a_case_that_does_not_offer_it_again(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    await back.verdict("reject")
    assert (await back.cases(), await back.refunds()) == (["return_review"], [])
    with pytest.raises(OptionNotAllowed, match="Rejected by Max Weber"):
        await back.decide("pay")
    await back.decide("decline")
    await back.inspect(LARGE)
    assert (await back.state(), await back.refunds()) == ("closed", [])
    assert await shelf(shop) == {"available": 6}


async def test_another_way_out_of_the_case_is_approved_as_any_decision(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    await back.inspect(LARGE)
    await back.verdict("reject")
    await back.decide("pay_credit", agreed_with_customer=True)
    assert await back.refunds() == []
    await back.verdict("approve")
    assert await back.refunds() == [("store_credit", 21_000, "requested")]


async def test_silence_is_a_case_in_which_it_may_be_asked_again(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    await back.inspect(LARGE)
    await back.silence()
    assert (await pending(back), await back.cases()) == ([(21_000, "expired")], ["return_review"])
    await back.decide("pay")
    await back.verdict()
    assert await back.refunds() == [("card", 21_000, "requested")]


async def test_goods_that_come_meanwhile_are_another_amount_and_another_question(shop: Shop) -> None:
    await shop.put("S1", 20)
    back = await Back.open(shop, await collected(shop, 16), 16)
    await back.receive(LARGE, complete=False)
    first = (await back.row())["asks"]["approval_id"]
    await back.receive(2)
    assert await pending(back) == [(21_000, "superseded"), (24_000, "pending")]
    with pytest.raises(ApprovalSuperseded):
        await verdicts.record_verdict(shop.database, first, MAX, verdict="approve", note="", via="test")
    await back.verdict()
    assert await back.refunds() == [("card", 24_000, "requested")]


async def test_goods_that_come_after_the_verdict_was_given_are_asked_for_with_the_rest(shop: Shop) -> None:
    """The journey has not acted on the verdict yet: what was looked at was less than is due by now."""
    await shop.put("S1", 20)
    back = await Back.open(shop, await collected(shop, 16), 16)
    await back.receive(LARGE, complete=False)
    number = (await back.row())["asks"]["approval_id"]
    await verdicts.record_verdict(shop.database, number, MAX, verdict="approve", note="", via="test")
    await back.receive(2)
    await back.take(steps.attend)
    assert (await pending(back), await back.refunds()) == ([(21_000, "approved"), (24_000, "pending")], [])
    await back.verdict()
    assert await back.refunds() == [("card", 24_000, "requested")]


async def test_what_is_paid_in_parts_is_asked_about_as_one_amount(shop: Shop) -> None:
    await shop.put("S1", 20)
    back = await Back.open(shop, await collected(shop, LARGE), LARGE)
    await back.receive(10, complete=False)
    assert await back.refunds() == [("card", 15_000, "requested")]
    await back.receive(4)
    assert (await pending(back), await back.cases()) == ([(6_000, "pending")], [])


async def test_a_disposition_that_is_asked_about_comes_first(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    await back.inspect(LARGE, condition="new", disposition="destroy")
    assert (await pending(back), await back.cases()) == ([(21_000, "superseded")], ["disposition_override"])
    await back.decide("as_inspected")
    assert await pending(back) == [(21_000, "superseded"), (21_000, "pending")]
    await back.verdict()
    assert await back.refunds() == [("card", 21_000, "requested")]


async def test_a_return_that_is_called_off_takes_the_question_back_and_ends(shop: Shop) -> None:
    """Found by trying: the refund that somebody was asked about kept a return open that was called off."""
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('early', '2020-01-01',"
        ' \'{"returns": {"refund_at": [{"at": "request"}]}}\')'
    )
    back = await large(shop)
    assert await pending(back) == [(21_000, "pending")]
    await requests.cancel(shop.database, WEB, back.id, reason="x", actor="a", via="test")
    row = await back.row()
    assert (row["state"], row["asks"], row["closed_at"] is not None) == ("cancelled", {}, True)
    assert await pending(back) == [(21_000, "superseded")]


async def test_it_is_asked_of_a_manager_first_and_of_finance_when_nobody_answers(shop: Shop) -> None:
    back = await large(shop)
    await back.receive(LARGE)
    with pytest.raises(NotAllowed):
        await back.verdict(by=FIN)
    number = (await back.row())["asks"]["approval_id"]
    for _ in range(3):  # two reminders, then the next level
        at = await shop.value("SELECT next_at FROM approval WHERE id = :id", id=number)
        step = Step(subject=str(number), occurrence=f"next@{at.isoformat()}", at=at, due="next")
        await verdicts.on_due(shop.database, step)
    await back.verdict(by=FIN)
    assert await back.refunds() == [("card", 21_000, "requested")]
