"""Who must agree to a transfer, what it is worth, and what two entities owe each other."""

import pytest
from sqlalchemy import text

from domain.errors import DomainError, OwnRequest, StateConflict
from domain.people import Grant, Person
from domain.transfers import Amendment
from ledger import decisions, facts, verdicts
from ledger.tables import person, person_role
from ledger.transfer import claims, requests, steps
from tests.ledger.support.books import accounts
from tests.ledger.support.till import sale as receipt
from tests.ledger.support.till import send
from tests.ledger.support.transfers import WMS, Moved, ask, now, other_company, shelf
from tests.shop import ADA, FIN, MAX, TEA, WEB, Shop

pytestmark = pytest.mark.usefixtures("assortment")
NORA = Person("nora", "Nora Holm", "nora@shop.example", (Grant("finance", "DE02"),))
OLE = Person("ole", "Ole Brandt", "ole@shop.example", (Grant("regional_ops", "", "R2"),))


async def somebody(shop: Shop, who: Person) -> None:
    async with shop.database.engine.begin() as conn:
        await conn.execute(person.insert().values(id=who.id, name=who.name, email=who.email))
        for grant in who.grants:
            await conn.execute(person_role.insert().values(person_id=who.id, **grant._asdict()))


class TestByValue:
    async def large(self, shop: Shop, **more: str) -> Moved:
        await shop.put("S1", 100)
        return await Moved.open(shop, (TEA, 90), **more)  # worth 540.00, the band begins at 500.00

    async def test_below_the_band_nobody_is_asked(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        moved = await Moved.open(shop, (TEA, 83))
        assert (moved.answer.state, moved.answer.approval_id, moved.answer.value_minor) == (
            "ready_to_ship",
            None,
            49_800,
        )

    async def test_a_manager_agrees_and_it_is_reserved(self, shop: Shop) -> None:
        moved = await self.large(shop)
        assert moved.answer.state == "pending_approval"
        assert await shelf(shop, "S1") == {"available": 100}
        assert await moved.agree(MAX) == "ready_to_ship"
        assert await shelf(shop, "S1") == {"available": 10, "reserved": 90}

    async def test_what_is_gone_by_then_is_not_sent(self, shop: Shop) -> None:
        moved = await self.large(shop)
        await shop.put("S1", 20)
        assert await moved.agree(MAX) == "ready_to_ship"
        assert await moved.line() == {"reserved": 20, "cancelled": 70}

    async def test_rejected_it_ends_and_counts_no_more(self, shop: Shop) -> None:
        moved = await self.large(shop, requested_by="ana")
        assert await moved.agree(MAX, "reject") == "rejected"
        assert (await moved.row())["closed_at"] is not None
        again = await Moved.open(shop, (TEA, 80), requested_by="ana")
        assert again.answer.state == "ready_to_ship"

    async def test_what_a_person_asks_for_adds_up_over_thirty_days(self, shop: Shop) -> None:
        await shop.put("S1", 200)
        assert (await Moved.open(shop, (TEA, 80), requested_by="ana")).answer.state == "ready_to_ship"
        assert (await Moved.open(shop, (TEA, 10), requested_by="ana")).answer.state == "pending_approval"
        assert (await Moved.open(shop, (TEA, 80))).answer.state == "ready_to_ship"  # a system's own proposal

    async def test_nobody_agrees_to_what_they_asked_for(self, shop: Shop) -> None:
        moved = await self.large(shop, requested_by="max")
        asked = (await moved.row())["asks"]["approval_id"]
        with pytest.raises(OwnRequest):
            await verdicts.record_verdict(shop.database, asked, MAX, verdict="approve", note="", via="test")
        assert await moved.state() == "pending_approval"

    async def test_changed_lines_withdraw_what_was_asked(self, shop: Shop) -> None:
        moved = await self.large(shop)
        before = (await moved.row())["asks"]["approval_id"]

        async def find(_tx: object) -> str:
            return moved.id

        more = Amendment.model_validate({"lines": [{"line_id": "1", "sku": TEA, "quantity": 95}]})
        await requests.amend(shop.database, find, more, actor="test", via="test")
        assert await shop.value("SELECT state FROM approval WHERE id = :id", id=before) == "superseded"
        assert (await moved.row())["asks"]["approval_id"] != before
        less = Amendment.model_validate({"lines": [{"line_id": "7", "sku": TEA, "quantity": 5}]})
        await requests.amend(shop.database, find, less, actor="test", via="test")
        assert (await moved.state(), await moved.line("7")) == ("ready_to_ship", {"reserved": 5})
        with pytest.raises(StateConflict):
            await requests.amend(shop.database, find, more, actor="test", via="test")

    async def test_goods_that_left_before_anybody_agreed_withdraw_the_question(self, shop: Shop) -> None:
        moved = await self.large(shop)
        asked = (await moved.row())["asks"]["approval_id"]
        assert await moved.ship(90) == "in_transit"
        assert await shop.value("SELECT state FROM approval WHERE id = :id", id=asked) == "superseded"
        assert (await moved.case_of("transfer_unagreed"))["state"] == "open"
        assert await moved.receive(90) == "closed"


class TestTwoEntities:
    async def across(self, shop: Shop, quantity: int = 4) -> Moved:
        await other_company(shop)
        for who in (NORA, OLE):
            await somebody(shop, who)
        moved = await Moved.open(shop, (TEA, quantity), to="N1")
        assert moved.answer.state == "pending_approval"
        return moved

    async def test_finance_of_both_sides_agrees(self, shop: Shop) -> None:
        moved = await self.across(shop)
        assert await moved.agree(FIN) == "pending_approval"
        assert await moved.agree(NORA) == "ready_to_ship"

    async def test_each_has_books_of_its_own(self, shop: Shop) -> None:
        moved = await self.across(shop)
        await moved.agree(FIN)
        await moved.agree(NORA)
        await moved.ship()
        assert await self.books(shop) == {
            ("DE01", "due_from"): 2_400, ("DE01", "inventory"): -2_400,
            ("DE02", "goods_in_transit"): 2_400, ("DE02", "due_to"): -2_400,
        }  # fmt: skip
        assert await moved.receive(3, complete=True) == "received"
        await moved.compare()
        await moved.decide("accept", OLE, root_cause="lost_by_carrier")
        assert await self.books(shop) == {
            ("DE01", "due_from"): 2_400, ("DE01", "inventory"): -2_400,
            ("DE02", "inventory"): 1_800, ("DE02", "transit_loss"): 600, ("DE02", "due_to"): -2_400,
        }  # fmt: skip
        cost = await shop.value("SELECT unit_cost_e4 FROM average_cost WHERE entity = 'DE02' AND sku = :sku", sku=TEA)
        assert cost == 6_000_000

    async def test_what_never_left_is_owed_no_more(self, shop: Shop) -> None:
        moved = await self.across(shop)
        await moved.agree(FIN)
        await moved.agree(NORA)
        await moved.ship()
        await moved.receive(0, complete=True)
        await moved.compare()
        assert (await moved.decide("never_left", OLE)).state == "closed"
        assert await self.books(shop) == {}
        assert await shelf(shop, "S1") == {"available": 5}

    async def test_brought_back_it_is_owed_no_more(self, shop: Shop) -> None:
        moved = await self.across(shop)
        await moved.agree(FIN)
        await moved.agree(NORA)
        await moved.ship()
        await moved.report("cancelled")
        assert (await moved.decide("bring_back")).state == "cancelled"
        assert await self.books(shop) == {("DE01", "goods_in_transit"): 2_400, ("DE01", "inventory"): -2_400}
        back = await shop.value("SELECT journey_id FROM transfer WHERE to_location = 'S1'")
        assert await Moved(shop, back, moved.answer).receive() == "closed"
        assert await self.books(shop) == {}

    async def test_a_markup_is_the_sources_margin(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('m', '2020-01-01', CAST(:b AS jsonb))",
            b='{"transfer": {"markup_permille": 100}}',
        )
        moved = await self.across(shop)
        await moved.agree(FIN)
        await moved.agree(NORA)
        await moved.ship()
        books = await self.books(shop)
        assert (books["DE01", "intercompany_margin"], books["DE02", "goods_in_transit"]) == (-240, 2_640)

    async def test_other_money_is_refused(self, shop: Shop) -> None:
        await other_company(shop)
        await shop.change("UPDATE entity SET currency = 'SEK' WHERE code = 'DE02'")
        refused = await ask(shop, (TEA, 1), to="N1")
        assert isinstance(refused, DomainError)
        assert refused.code == "wrong_currency"

    async def books(self, shop: Shop) -> dict[tuple[str, str], int]:
        """Balances by entity and account, without the opening stock."""
        async with shop.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT j.entity, l.account, sum(l.debit_minor - l.credit_minor)::bigint AS balance FROM journal j"
                    " JOIN journal_line l ON l.journal_id = j.id WHERE j.event LIKE 'transfer.%' GROUP BY 1, 2"
                )
            )
            return {(row.entity, row.account): row.balance for row in rows if row.balance}


class TestElsewhere:
    async def test_the_wrong_store_receives_and_sends_on(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        assert await moved.receive(3, location="DC") == "received"
        assert await shelf(shop, "DC") == {"available": 3}
        assert await moved.compare() == "discrepancy_review"
        assert (await moved.case_of("transfer_misship"))["value_at_risk_minor"] == 1_800
        assert (await moved.decide("send_on")).state == "closed"
        on = await shop.value("SELECT journey_id FROM transfer WHERE from_location = 'DC'")
        assert await Moved(shop, on, moved.answer).state() == "ready_to_ship"
        assert await shelf(shop, "DC") == {"reserved": 3}

    async def test_the_wrong_store_of_another_company_owes_for_it(self, shop: Shop) -> None:
        await other_company(shop)
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        await moved.receive(3, location="N1")
        await moved.compare()
        assert (await moved.decide("keep_there")).state == "closed"
        books = await accounts(shop.database)
        assert (books["due_from"], books["due_to"]) == (1_800, -1_800)

    async def test_a_place_that_nobody_knows_is_set_aside(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        outcome = await moved.report("received", lines=[{"line_id": "1", "quantity": 3}], location="S9")
        assert outcome.outcome == "quarantined"
        assert await shelf(shop, "S2") == {"available": 5, "in_transit": 3}

    async def test_a_line_that_it_does_not_have_is_set_aside(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        for kind in ("shipped", "received"):
            outcome = await moved.report(kind, lines=[{"line_id": "9", "quantity": 3}])
            assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", "unknown_line")

    async def test_complete_needs_a_number_for_every_line(self, shop: Shop) -> None:
        await shop.put("S1", 9)
        moved = await Moved.open(shop, (TEA, 2), (TEA, 3))
        await moved.ship()
        assert await moved.receive(2, complete=True) == "partially_received"
        assert any("line 2 has no number" in told for told in await moved.told())
        outcome = await moved.report("received", lines=[{"line_id": "2", "quantity": 0}], complete=True)
        assert outcome.outcome == "accepted"
        assert await moved.state() == "received"

    async def test_a_report_before_the_transfer_waits_for_it(self, shop: Shop) -> None:
        event = {
            "id": "early", "type": "transfer.shipped", "occurred_at": now().isoformat(),
            "data": {"transfer_id": "T-early", "lines": [{"line_id": "1", "quantity": 2}]},
        }  # fmt: skip
        (outcome,) = await facts.receive(shop.database, WMS, [event], received_at=now())
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("parked", "transfer_unknown")
        moved = await Moved.open(shop, (TEA, 2), transfer_id="T-early")
        assert await facts.apply_all_parked(shop.database) == 1
        assert await moved.state() == "in_transit"

    async def test_another_systems_transfer_is_not_spoken_about(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 2))
        event = {
            "id": "x", "type": "transfer.shipped", "occurred_at": now().isoformat(),
            "data": {"transfer_id": moved.id, "lines": None},
        }  # fmt: skip
        (outcome,) = await facts.receive(shop.database, WEB, [event], received_at=now())
        assert outcome.outcome == "parked"
        assert await moved.state() == "ready_to_ship"


class TestGivingWay:
    async def test_what_the_till_sold_is_not_sent(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        (outcome,) = await send(shop, receipt("r-1", (TEA, 3), at="S1"))
        assert outcome.outcome == "accepted"
        assert await shelf(shop, "S1") == {"available": -2, "reserved": 4}
        await moved.take(steps.attend)
        assert await moved.line() == {"reserved": 2, "cancelled": 2}
        assert await shelf(shop, "S1") == {"reserved": 2}

    async def test_with_nothing_left_it_is_called_off(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await send(shop, receipt("r-1", (TEA, 5), at="S1"))
        assert (await moved.take(steps.attend)).state == "cancelled"
        assert await shelf(shop, "S1") == {}

    async def test_a_stopped_item_is_not_sent(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        outcome = await shop.report("item.stop_sale", sku=TEA, locations=["S1"], reason="recall")
        assert outcome.outcome == "accepted", outcome
        assert await moved.state() == "cancelled"
        assert await shop.value("SELECT quarantined FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == 5

    async def test_an_order_that_waits_at_the_destination_gets_what_comes(self, shop: Shop) -> None:
        await shop.put("S2", 0)
        order = await shop.order(2, at="S2")
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        assert await moved.receive() == "closed"
        assert await shelf(shop, "S2") == {"available": 1, "reserved": 2}
        assert await shop.value("SELECT found FROM waiting_demand WHERE journey_id = :id", id=order) == 2


class TestClaims:
    async def claimed(self, shop: Shop) -> int:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(carrier="Parcel Co")
        await moved.receive(1, complete=True)
        await moved.compare()
        await moved.decide("carrier_claim", root_cause="lost_by_carrier")
        return int(await shop.value("SELECT id FROM carrier_claim"))

    async def test_sent_accepted_in_part_and_paid(self, shop: Shop) -> None:
        claim = await self.claimed(shop)
        await claims.mark_sent(shop.database, claim, WMS, via="test")
        await claims.record_answer(shop.database, claim, WMS, accepted_minor=1_200, reference="R", via="test")
        books = await accounts(shop.database)
        assert (books["claims_receivable"], books["transit_loss"]) == (1_200, 600)
        await claims.record_payment(shop.database, claim, WMS, via="test")
        books = await accounts(shop.database)
        assert (books["payment_clearing"], "claims_receivable" in books) == (1_200, False)

    async def test_declined_it_is_a_loss(self, shop: Shop) -> None:
        claim = await self.claimed(shop)
        await claims.record_answer(shop.database, claim, WMS, accepted_minor=0, reference="", via="test")
        assert (await accounts(shop.database))["transit_loss"] == 1_800
        with pytest.raises(StateConflict):
            await claims.record_payment(shop.database, claim, WMS, via="test")

    async def test_more_than_claimed_is_refused_and_strangers_see_none(self, shop: Shop) -> None:
        claim = await self.claimed(shop)
        with pytest.raises(DomainError, match="cannot accept more"):
            await claims.record_answer(shop.database, claim, WMS, accepted_minor=9_999, reference="", via="test")
        with pytest.raises(DomainError, match="no claim"):
            await claims.mark_sent(shop.database, claim, WEB, via="test")

    async def test_without_a_carrier_there_is_nobody_to_claim_from(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.receive(1, complete=True)
        await moved.compare()
        assert (await moved.options())["carrier_claim"]["why_not"] == "no shipment names a carrier"
        with pytest.raises(DomainError, match="no shipment names a carrier"):
            await moved.decide("carrier_claim", root_cause="lost_by_carrier")


class TestLargeLosses:
    async def test_finance_agrees_or_the_case_goes_back(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (TEA, 50))
        await moved.ship()
        await moved.receive(30, complete=True)
        await moved.compare()
        assert (await moved.options())["accept"]["needs_approval"]
        await moved.decide("accept", root_cause="theft_suspected")
        assert (await moved.verdict(FIN, "reject")).state == "discrepancy_review"
        assert (await moved.options())["accept"]["why_not"] == "Rejected by Fin Olsen."
        assert (await moved.decide("never_left")).state == "closed"

    async def test_late_goods_withdraw_the_question(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (TEA, 50))
        await moved.ship()
        await moved.receive(30, complete=True)
        await moved.compare()
        await moved.decide("accept", root_cause="theft_suspected")
        asked = (await moved.row())["asks"]["approval_id"]
        assert await moved.receive(15) == "received"
        assert await shop.value("SELECT state FROM approval WHERE id = :id", id=asked) == "superseded"
        assert await moved.compare() == "discrepancy_review"
        assert (await moved.case_of("transfer_short"))["value_at_risk_minor"] == 3_000

    async def test_who_sent_it_does_not_agree_to_the_loss(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (TEA, 50))
        await moved.ship(actor="fin")
        await moved.receive(30, complete=True)
        await moved.compare()
        await moved.decide("accept", root_cause="theft_suspected")
        with pytest.raises(OwnRequest):
            await moved.verdict(FIN, "approve")
        assert (await moved.verdict(ADA, "approve")).state == "closed"
        assert (await accounts(shop.database))["shrinkage"] >= 12_000


class TestSuspended:
    async def test_a_failure_suspends_it_and_it_is_ended(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.take(steps.suspend, reason="KeyError")
        stuck = await moved.case_of("journey_stuck")
        await decisions.decide(shop.database, stuck["id"], ADA, option_id="abandon", parameters={}, via="test")
        assert await moved.state() == "cancelled"
        assert await shelf(shop, "S1") == {"available": 5}

    async def test_goods_on_their_way_are_not_abandoned(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        await moved.take(steps.suspend, reason="KeyError")
        stuck = await moved.case_of("journey_stuck")
        with pytest.raises(DomainError, match="on their way"):
            await decisions.decide(shop.database, stuck["id"], ADA, option_id="abandon", parameters={}, via="test")
        await decisions.decide(shop.database, stuck["id"], ADA, option_id="resume", parameters={}, via="test")
        assert await moved.receive() == "closed"
