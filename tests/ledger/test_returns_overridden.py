"""What policy or an inspection refused is taken back after all: asked for, agreed to by somebody else, and counted."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    ApprovalSuperseded,
    Malformed,
    NotAllowed,
    NotFound,
    OwnRequest,
    StateConflict,
    UnknownLine,
)
from domain.messages import Step
from domain.overrides import NewOverride
from domain.people import Person
from ledger import delegations, verdicts
from ledger.returns import overriding, requests, steps
from ledger.transaction import Transaction
from tests.ledger.support.returning import Back, ask, asked, collected, shelf
from tests.shop import ANA, FIN, MAX, PRICE_MINOR, TEA, WEB, Shop

FINAL_SALE = {"returns": {"final_sale_skus": [TEA]}}


async def policy(shop: Shop, body: dict[str, Any]) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('own', '2020-01-02', CAST(:b AS jsonb))",
        b=json.dumps(body),
    )


async def refused(shop: Shop, quantity: int = 1, body: dict[str, Any] = FINAL_SALE, **more: Any) -> Back:
    order = await collected(shop, max(quantity, 2))
    await policy(shop, body)
    return await Back.open(shop, order, quantity, **more)


async def override(
    back: Back, *lines: str, reason: str = "goodwill", by: str = ANA.id, note: str = ""
) -> tuple[int, int]:
    """(status, the override's number)"""

    async def find(_tx: Transaction) -> str:
        return back.id

    wanted = NewOverride(lines=lines or ("1",), reason=reason, note=note)
    status, _, number = await overriding.ask(back.shop.database, find, wanted, actor=by, via="test")
    return status, number


async def pending(back: Back) -> int:
    return int((await back.row())["detail"]["override"]["approval_id"])


async def answer(back: Back, verdict: str = "approve", *, by: Person = MAX) -> str:
    await verdicts.record_verdict(back.shop.database, await pending(back), by, verdict=verdict, note="seen", via="test")
    await back.take(steps.attend)
    return await back.state()


async def overrides(back: Back) -> list[tuple[str, str, int, str]]:
    found = await back.rows("SELECT * FROM return_override WHERE journey_id = :id ORDER BY id")
    return [(row["asked_by"], row["reason"], row["amount_minor"], row["state"]) for row in found]


async def mails(back: Back) -> list[str]:
    found = await back.rows("SELECT template FROM mail WHERE journey_id = :id AND customer_id IS NOT NULL ORDER BY id")
    return [row["template"] for row in found]


class TestAgreed:
    async def test_the_line_goes_on_as_if_policy_had_allowed_it(self, shop: Shop) -> None:
        back = await refused(shop)
        assert await back.state() == "declined"
        before = await shop.value("SELECT count(*) FROM journal")
        assert (await override(back))[0] == 201
        row = await back.row()
        assert (row["state"], row["closed_at"], row["asks"]) == ("declined", None, {})
        assert await answer(back) == "authorized"
        line, row = await back.line(), await back.row()
        assert line["ruling"]["refused"] == ""
        assert line["ruling"]["because"].startswith("Allowed by an override (goodwill). Policy says: It was sold as")
        assert row["detail"]["label"]
        assert "goods" in row["dues"]
        assert await shop.value("SELECT count(*) FROM journal") == before
        assert await mails(back) == ["return_declined", "return_authorized"]
        await back.receive()
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        await back.provider_says()
        await back.inspect()
        assert await back.state() == "closed"
        assert await overrides(back) == [("ana", "goodwill", PRICE_MINOR, "approved")]

    async def test_the_timeline_says_who_asked_and_what_came_of_it(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back, reason="our_mistake")
        await answer(back)
        told = await back.rows("SELECT step, detail FROM journey_step WHERE journey_id = :id")
        said = {row["step"]: row["detail"] for row in told}
        assert "Asked to take back what was refused (our mistake); approval" in said["override_asked"]
        assert "What was refused is taken back (our mistake), worth 15.00 EUR." in said["attend"]
        acts = await back.rows("SELECT who, what FROM audit WHERE on_what = :id ORDER BY id")
        assert ("return.override_asked", "ana") in [(row["what"], row["who"]) for row in acts]

    async def test_the_fee_that_policy_takes_is_taken(self, shop: Shop) -> None:
        back = await refused(shop, body={"returns": {"windows": [{"days": 0}], "fees": [{"permille": 100}]}})
        assert await back.state() == "authorized"  # bought today
        await shop.change('UPDATE return_line SET ruling = ruling || \'{"refused": "window_expired"}\'')
        await override(back)
        await answer(back)
        await back.receive()
        assert await back.refunds() == [("card", 1_350, "requested")]

    async def test_goods_that_came_although_they_were_refused_are_refunded(self, shop: Shop) -> None:
        back = await refused(shop)
        await back.receive()
        assert (await back.state(), await back.refunds()) == ("received", [])
        await override(back)
        assert await answer(back) == "received"
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        await back.inspect()
        await back.provider_says()
        assert await back.state() == "closed"
        assert "return_authorized" not in await mails(back)

    async def test_what_an_inspection_declined_is_refunded_and_stays_with_the_customer(self, shop: Shop) -> None:
        order = await collected(shop)
        back = await Back.open(shop, order, 2, method="mail")
        await back.receive(2)
        await back.inspect(1)
        await back.inspect(1, condition="used", disposition="send_back")
        await back.provider_says()
        assert (await back.state(), await back.refunds()) == ("closed", [("card", PRICE_MINOR, "succeeded")])
        await override(back, reason="told_otherwise")
        await answer(back)
        assert (await back.refunds())[1:] == [("card", PRICE_MINOR, "requested")]
        await back.provider_says()
        assert (await back.state(), (await shelf(shop))["available"]) == ("closed", 4)

    async def test_without_a_receipt_it_is_a_credit(self, shop: Shop) -> None:
        await policy(shop, {"returns": {"no_receipt": "refuse"}})
        back = await Back.open(shop, line={"unit_price_minor": 1_000})
        assert await back.state() == "declined"
        await override(back)
        await answer(back)
        await back.receive()
        assert await back.refunds() == [("store_credit", 1_000, "requested")]

    async def test_a_part_that_was_sent_back_before_and_the_rest_that_comes_now(self, shop: Shop) -> None:
        back = await refused(shop, 2)
        await back.receive(1, complete=False)
        await back.inspect(1)  # the rule proposes to send back what policy refuses
        assert (await back.line())["declined"] == 1
        await override(back)
        await answer(back)
        assert [row[1] for row in await back.refunds()] == [PRICE_MINOR]
        await back.receive(1)
        assert [row[1] for row in await back.refunds()] == [PRICE_MINOR, PRICE_MINOR]

    async def test_who_holds_a_delegation_agrees_for_the_manager(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back, by="key:key-web")
        now = await shop.value("SELECT now()")
        await delegations.give(
            shop.database, MAX, giver=MAX.email, taker=FIN.email, starts_at=now, ends_at=now + timedelta(hours=1),
            via="test",
        )  # fmt: skip
        assert await answer(back, by=FIN) == "authorized"
        assert await shop.value("SELECT decided_for FROM approval WHERE journey_id = :id", id=back.id) == "max"

    async def test_from_the_band_of_finance_on_finance_is_asked(self, shop: Shop) -> None:
        back = await refused(
            shop, body={**FINAL_SALE, "bands": {"return_override": {"manager_minor": 0, "finance_minor": 1_000}}}
        )
        await override(back)
        with pytest.raises(NotAllowed):
            await answer(back, by=MAX)
        assert await answer(back, by=FIN) == "authorized"

    async def test_a_large_one_is_allowed_and_its_refund_agreed_to_as_any(self, shop: Shop) -> None:
        back = await refused(shop, 2, body={**FINAL_SALE, "bands": {"refund_approval_minor": 2_000}})
        await override(back)
        await answer(back)
        await back.receive(2)
        assert (await back.refunds(), await back.cases()) == ([], [])
        await back.verdict()
        assert await back.refunds() == [("card", 3_000, "requested")]


class TestRefused:
    async def test_rejected_it_stays_refused_and_the_customer_is_told(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back)
        assert await answer(back, "reject") == "declined"
        row = await back.row()
        assert row["closed_at"] is not None
        assert (await back.line())["ruling"]["refused"] == "final_sale"
        assert await mails(back) == ["return_declined", "return_declined"]
        assert await overrides(back) == [("ana", "goodwill", PRICE_MINOR, "rejected")]
        withdrawn = "SELECT count(*) FROM band_use WHERE kind = 'return_override' AND withdrawn_at IS NOT NULL"
        assert await shop.value(withdrawn) == 1

    async def test_nobody_answers(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back)
        number = await pending(back)
        while (at := await shop.value("SELECT next_at FROM approval WHERE id = :id", id=number)) is not None:
            await verdicts.on_due(
                shop.database, Step(subject=str(number), occurrence=f"next@{at.isoformat()}", at=at, due="next")
            )
        await back.take(steps.attend)
        assert await back.state() == "declined"
        assert (await mails(back))[-1] == "return_declined"
        assert [row[3] for row in await overrides(back)] == ["expired"]
        assert (await override(back))[0] == 201  # it may be asked again

    async def test_whoever_asked_or_began_the_return_does_not_agree(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back, by=MAX.id)
        with pytest.raises(OwnRequest):
            await answer(back, by=MAX)
        with pytest.raises(NotAllowed):
            await answer(back, by=ANA)

    async def test_what_cannot_be_asked_is_refused_by_name(self, shop: Shop) -> None:
        back = await refused(shop)
        with pytest.raises(Malformed, match="choose goodwill, our_mistake, told_otherwise, could_not_come"):
            await override(back, reason="because")
        with pytest.raises(UnknownLine, match="no line 9"):
            await override(back, "9")
        assert await overrides(back) == []
        assert (await back.row())["closed_at"] is not None

    async def test_a_line_that_nobody_refused(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(StateConflict, match="Nothing of line 1 was refused"):
            await override(back)

    async def test_what_nobody_had_announced_or_somebody_has_declined_is_no_question_of_policy(
        self, shop: Shop
    ) -> None:
        back = await Back.open(shop, line={"unit_price_minor": 99_999}, quantity=40)
        await back.decide("decline")
        assert (await back.line())["ruling"]["refused"] == "suspected_fraud"
        with pytest.raises(StateConflict, match="Nothing of line 1 was refused"):
            await override(back)
        with pytest.raises(NotFound):
            await override(Back(shop, "returns:web:none"))

    async def test_one_that_was_called_off(self, shop: Shop) -> None:
        order = await collected(shop)
        back = await Back.open(shop, order)
        await requests.cancel(shop.database, WEB, back.id, reason="x", actor="a", via="test")
        with pytest.raises(StateConflict, match="called off"):
            await override(back)

    async def test_units_that_came_back_by_another_return(self, shop: Shop) -> None:
        back = await refused(shop, 2)
        await policy_off(shop)
        other = await Back.open(shop, (await back.row())["detail"]["order"], 2)
        await other.receive(2)
        with pytest.raises(StateConflict, match="came back by another return"):
            await override(back)


async def policy_off(shop: Shop) -> None:
    await shop.change("UPDATE policy_document SET body = '{}' WHERE version = 'own'")


class TestTogether:
    async def test_asked_again_it_is_the_same_request_and_something_else_has_to_wait(self, shop: Shop) -> None:
        back = await refused(shop)
        first = await override(back)
        assert await override(back) == (200, first[1])
        with pytest.raises(StateConflict, match="is asked for other lines"):
            await override(back, reason="our_mistake")
        assert len(await overrides(back)) == 1

    async def test_the_verdict_is_acted_on_once(self, shop: Shop) -> None:
        back = await refused(shop)
        await back.receive()
        await override(back)
        await answer(back)
        await back.take(steps.attend)
        assert len(await back.refunds()) == 1

    async def test_the_journey_is_told_of_it_and_has_something_to_attend_to(self, shop: Shop) -> None:
        back = await refused(shop)
        await override(back)
        situation = await back.take(steps.attend)
        assert (situation.ended, situation.attention) == (False, ())
        told = len(await shop.outbox(back.id))
        await verdicts.record_verdict(shop.database, await pending(back), MAX, verdict="approve", note="", via="test")
        assert len(await shop.outbox(back.id)) == told + 1
        situation = await back.take(steps.attend)
        assert (situation.state, situation.attention) == ("authorized", ())

    async def test_a_refund_that_is_asked_about_goes_its_own_way_beside_it(self, shop: Shop) -> None:
        """Two lines: one is paid after somebody's word, of the other it is asked whether it may come back."""
        await shop.put("S1", 20)
        order = await collected(shop, 16)
        lines = [
            {"line_id": "1", "sku": TEA, "quantity": 14, "reason": "changed_mind"},
            {"line_id": "2", "sku": TEA, "quantity": 2, "reason": "changed_mind"},
        ]
        back = Back(shop, (await ask(shop, asked(order, lines=lines))).journey_id)
        await shop.change(
            "UPDATE return_line SET ruling = ruling || '{\"refused\": \"final_sale\"}' WHERE line_id = '2'"
        )
        await back.receive(14, complete=False)
        await override(back, "2")
        await back.verdict()
        assert [row[1] for row in await back.refunds()] == [21_000]
        await answer(back)
        await back.receive(2, line_id="2")
        assert (await back.row())["asks"]["amount_minor"] == 3_000

    async def test_a_return_that_is_ended_takes_the_question_back(self, shop: Shop) -> None:
        order = await collected(shop)
        lines = [{"line_id": key, "sku": TEA, "quantity": 1, "reason": "changed_mind"} for key in "12"]
        back = Back(shop, (await ask(shop, asked(order, lines=lines))).journey_id)
        await shop.change(
            "UPDATE return_line SET ruling = ruling || '{\"refused\": \"final_sale\"}' WHERE line_id = '2'"
        )
        await override(back, "2")
        number = await pending(back)
        await requests.cancel(shop.database, WEB, back.id, reason="x", actor="a", via="test")
        with pytest.raises(ApprovalSuperseded):
            await verdicts.record_verdict(shop.database, number, MAX, verdict="approve", note="", via="test")
        assert [row[3] for row in await overrides(back)] == ["superseded"]
        assert (await back.row())["closed_at"] is not None


async def test_what_is_sent_back_while_the_refund_waits_is_not_taken_off_twice(shop: Shop) -> None:
    """Found by reading: a unit that was sent back was taken off both the units here and those that were declined."""
    await shop.put("S1", 20)
    back = await Back.open(shop, await collected(shop, 15), 15)
    await back.receive(15)
    await back.inspect(1, condition="used", disposition="send_back")
    assert (await back.row())["asks"]["amount_minor"] == 14 * PRICE_MINOR
