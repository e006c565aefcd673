"""A unit comes back once and is refunded once, whatever is repeated, raced or mixed up; never more than was paid."""

import asyncio
import random
from typing import Any

import pytest

from domain.errors import AlreadyReturned, DomainError
from domain.messages import Step
from ledger import decisions
from ledger.bopis import steps
from ledger.reads.journeys import journey_detail
from ledger.returns import requests
from tests.ledger.support.returning import Back, collected, now, receipt
from tests.ledger.test_substitute import with_substitute
from tests.shop import ADA, ANA, TEA, WEB, Shop

PAID = 4_975  # five units of 10.00 less 5.00, with 4.75 of tax


async def five(shop: Shop) -> str:
    """Five units, paid by a gift card and a card, at prices that do not divide."""
    lines = [
        {"line_id": "1", "sku": TEA, "quantity": 5, "unit_price_minor": 1_000, "discount_minor": 500, "tax_minor": 475}
    ]
    pays = [
        {"reference": "a-gift", "tender": "gift_card", "amount_minor": 1_333, "state": "captured"},
        {"reference": "b-card", "tender": "card", "amount_minor": PAID - 1_333, "state": "captured"},
    ]
    return await collected(shop, 5, lines=lines, payments=pays, prices_include_tax=False)


async def gone_back(shop: Shop) -> int:
    """Everything that was asked to go back for returns and was not declined, in minor units."""
    return int(
        await shop.value(
            "SELECT coalesce(sum(o.amount_minor), 0) FROM payment_operation o JOIN journey j ON j.id = o.journey_id"
            " WHERE j.kind = 'returns' AND o.state <> 'declined'"
        )
    )


async def test_all_units_by_as_many_returns_at_once(shop: Shop) -> None:
    order = await five(shop)
    backs = [await Back.open(shop, order) for _ in range(5)]
    await asyncio.gather(*(back.receive() for back in backs))
    assert await gone_back(shop) == PAID
    assert await shop.value("SELECT sum(returned_minor) FROM payment WHERE journey_id = :id", id=order) == PAID


async def test_what_was_given_away_with_a_substitute_does_not_come_back_as_money(shop: Shop) -> None:
    """Five packs of 15.00, and three dearer ones in the place of the missing: eight times 15.00 comes back, no more.

    All of them at once, each by a return of its own.
    """
    await with_substitute(shop, 1_600)
    order = await shop.order(8)
    told = await steps.open_case(shop.database, Step(subject=order, occurrence="1", at=now()))
    answer = await decisions.decide(
        shop.database, told.case_id or 0, ANA, option_id="substitute", parameters={"agreed_by_phone": True}, via="test"
    )
    await steps.apply_decision(
        shop.database, Step(subject=order, occurrence="2", at=now(), decision_id=answer.decision_id)
    )
    sold = {TEA: 5, "OOLONG": 3}
    async with shop.database.read() as conn:
        named = {line.sku: line.line_id for line in (await journey_detail(conn, ADA, order)).lines}
    lines = [{"line_id": named[sku], "quantity": units} for sku, units in sold.items()]
    assert (await shop.report("bopis.picked", journey_id=order, picker="p", lines=lines)).outcome == "accepted"
    assert (await shop.report("bopis.handed_over", journey_id=order, lines=None, actor="p")).outcome == "accepted"
    backs = [
        await Back.open(shop, order, line={"sku": sku, "order_line_id": named[sku]})
        for sku, units in sold.items()
        for _ in range(units)
    ]
    await asyncio.gather(*(back.receive() for back in backs))
    assert await gone_back(shop) == 8 * 1_500
    assert await shop.value("SELECT sum(returned_minor) FROM payment WHERE journey_id = :id", id=order) == 8 * 1_500


async def test_returns_that_are_asked_for_at_once_share_what_there_is(shop: Shop) -> None:
    order = await five(shop)
    asked = await asyncio.gather(*(Back.open(shop, order, 2) for _ in range(4)), return_exceptions=True)
    refused = [one for one in asked if isinstance(one, BaseException)]
    assert len(refused) == 2
    assert all(isinstance(one, AlreadyReturned) for one in refused)


async def test_more_parcels_than_the_receipt_had_units(shop: Shop) -> None:
    """A receipt has no journey whose lock settles who comes first: the parcels do."""
    await receipt(shop, 2)
    asked = await asyncio.gather(
        *(Back.open(shop, receipt={"number": "T-1", "tender": "card"}) for _ in range(4)), return_exceptions=True
    )
    backs = [one for one in asked if isinstance(one, Back)]
    assert len(backs) >= 2
    await asyncio.gather(*(back.receive() for back in backs))
    assert await shop.value("SELECT returned FROM sale_line") == 2
    assert await gone_back(shop) == 2 * 1_500 + 100


async def test_the_till_and_the_warehouse_report_the_same_parcel_at_once(shop: Shop) -> None:
    """Two systems, one unit that was announced: what is one too many came without a sale, and is not refunded."""
    back = await Back.open(shop, await collected(shop, 1))
    line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_500}
    till = back.report("pos.return", location="S1", receipt="T-9", lines=[line])
    await asyncio.gather(till, back.receive())
    assert await gone_back(shop) == 1_500
    assert await shop.value("SELECT returned FROM sale_line") == 1
    assert await back.cases() == ["return_mismatch"]


async def test_a_till_takes_back_a_unit_that_the_order_has_not_left(shop: Shop) -> None:
    """It has paid nothing for it, and nobody else does: all five were paid back."""
    order = await five(shop)
    back = await Back.open(shop, order, 5)
    await back.receive(5)
    line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000}
    outcome = await shop.report(
        "pos.return", location="S1", receipt="T-1", lines=[line], order_id=order.removeprefix("bopis:web:")
    )
    assert outcome.outcome == "accepted"
    assert await gone_back(shop) == PAID
    late = await Back.newest(shop)
    assert (await late.cases(), await late.refunds()) == (["return_mismatch"], [])


async def test_what_a_till_keeps_of_a_unit_is_not_paid_back_with_the_last_one(shop: Shop) -> None:
    order = await five(shop)
    back = await Back.open(shop, order, 5)
    line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000}
    paid = [{"tender": "card", "amount_minor": 100}]
    await back.report("pos.return", location="S1", receipt="T-1", lines=[line], refunds=paid)
    await back.receive(4)
    assert await gone_back(shop) == 4 * PAID // 5 + 100
    assert (await back.line())["fee_minor"] == PAID // 5 - 100


async def test_a_till_pays_for_what_was_paid_back_before_it_came(shop: Shop) -> None:
    """The till's report is a fact, and what it paid is beyond what was paid for the goods: somebody is told."""
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('early', '2020-01-01',"
        " CAST(:body AS jsonb))",
        body='{"returns": {"refund_at": [{"at": "request"}]}}',
    )
    back = await Back.open(shop, await five(shop), 2)
    assert (await back.line())["refunded"] == 2
    line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000}
    paid = [{"tender": "cash", "amount_minor": 995}]
    await back.report("pos.return", location="S1", receipt="T-1", lines=[line], refunds=paid)
    assert ((await back.line())["refunded"], await back.cases()) == (2, ["return_mismatch"])
    assert await shop.value("SELECT return_refunded FROM sale_line") == 2


async def step_of(shop: Shop, order: str, backs: list[Back], dice: random.Random) -> None:
    """Something that may happen: reports for a state that does not expect them, repeats, refusals."""
    what = dice.choice(("ask", "ask", "receive", "receive", "inspect", "inspect", "till", "scan", "cancel", "paid"))
    if what == "ask" or not backs:
        backs.append(await Back.open(shop, order, dice.randint(1, 3), method=dice.choice(("store", "mail"))))
        return
    back = dice.choice(backs)
    if what == "receive":
        await back.receive(dice.randint(0, 2), complete=dice.random() < 0.5)
    elif what == "inspect":
        await back.inspect(dice.randint(1, 2), dice.choice(("new", "opened", "used", "damaged")), disposition_of(dice))
    elif what == "till":
        line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_000}
        paid = [{"tender": "card", "amount_minor": 100}] if dice.random() < 0.3 else []
        number = f"T-{dice.randint(1, 3)}"
        await shop.report("pos.return", return_id=back.id, location="S1", receipt=number, lines=[line], refunds=paid)
    elif what == "scan":
        await back.report("return.shipped", carrier="c")
    elif what == "cancel":
        await requests.cancel(shop.database, WEB, back.id, reason="x", actor="a", via="test")
    else:
        await back.provider_says(dice.choice(("succeeded", "succeeded", "unknown")), "time-out")


def disposition_of(dice: random.Random) -> Any:
    return dice.choice((None, None, "restock", "send_back", "missing", "repackage"))


@pytest.mark.parametrize("seed", range(4))
async def test_in_any_order_no_unit_is_refunded_twice(shop: Shop, seed: int) -> None:
    """The fixture's audit looks at stock, sale lines, payments and books after each of these days."""
    dice = random.Random(seed)  # noqa: S311  no secret, and the same day every time
    order, backs = await five(shop), list[Back]()
    for _ in range(25):
        try:
            await step_of(shop, order, backs, dice)
        except DomainError:
            continue  # a request that what is recorded does not allow
        assert await gone_back(shop) <= PAID
        sold = await shop.value("SELECT returned <= handed_over AND return_refunded <= handed_over FROM sale_line")
        assert sold
