"""Adjustments by people and by systems: posted, parked, approved, rejected, expired, confirmed and undone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.adjustments import Adjustment, AdjustmentIn
from domain.errors import (
    AlreadyDecided,
    IdempotencyMismatch,
    NotAllowed,
    NotFound,
    OwnRequest,
    UnknownLocation,
    UnknownSku,
)
from domain.messages import Step
from domain.people import Grant, Person
from ledger import adjustments, decisions, verdicts
from tests.ledger.support.books import accounts
from tests.ledger.support.till import delivery, event, outcomes, sale, send
from tests.shop import ADA, ANA, COST_MINOR, FIN, MAX, TEA, Shop

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
FAR = Person("far", "Far Away", "far@shop.example", (Grant("store_manager", "", "R9", ""),))
ELI = Person("eli", "Eli Roth", "eli@shop.example", (Grant("auditor"),))


def wanted(key: str, *lines: tuple[str, int, str], at: str = "S1") -> AdjustmentIn:
    return AdjustmentIn.model_validate(
        {
            "adjustment_id": key,
            "location": at,
            "lines": [{"sku": sku, "quantity": quantity, "reason": reason} for sku, quantity, reason in lines],
        }
    )


async def ask(
    shop: Shop, key: str, *lines: tuple[str, int, str], person: Person = ANA, at: str = "S1"
) -> tuple[int, Adjustment]:
    body = wanted(key, *lines, at=at)
    return await adjustments.ask(shop.database, person, body, source="console", via="test")


async def verdict(shop: Shop, made: Adjustment, person: Person, word: str, note: str = "because") -> None:
    assert made.approval_id is not None
    await verdicts.record_verdict(shop.database, made.approval_id, person, verdict=word, note=note, via="test")


async def decide(shop: Shop, case_id: int, person: Person, option: str) -> None:
    await decisions.decide(shop.database, case_id, person, option_id=option, parameters={}, via="test")


async def tea(shop: Shop, at: str = "S1") -> tuple[int, int]:
    """(available, count pending) of tea."""
    row = await shop.value(
        "SELECT available || '/' || count_pending FROM stock WHERE location = :at AND sku = :tea", at=at, tea=TEA
    )
    available, pending = str(row).split("/")
    return int(available), int(pending)


class TestBelowTheBand:
    async def test_it_is_posted_at_once_with_its_journal(self, shop: Shop) -> None:
        before = await accounts(shop.database)
        status, made = await ask(shop, "A-1", (TEA, -2, "damaged"))
        assert (status, made.state, made.needs, made.gross_minor) == (201, "posted", "nobody", 2 * COST_MINOR)
        assert made.lines[0].posted == -2
        assert await tea(shop) == (3, 0)
        after = await accounts(shop.database)
        assert after["damage_expense"] - before.get("damage_expense", 0) == 2 * COST_MINOR

    async def test_units_found_go_to_whoever_waits(self, shop: Shop) -> None:
        await shop.put("S1", 0)
        await shop.order(1)
        await ask(shop, "A-1", (TEA, 2, "found"))
        assert await tea(shop) == (1, 0)
        assert await shop.value("SELECT found FROM waiting_demand") == 1

    async def test_sent_twice_it_is_one(self, shop: Shop) -> None:
        (first, made), (again, same) = [await ask(shop, "A-1", (TEA, -1, "missing")) for _ in range(2)]
        assert (first, again, made) == (201, 200, same)
        assert await tea(shop) == (4, 0)

    async def test_the_same_id_with_something_else_is_refused(self, shop: Shop) -> None:
        await ask(shop, "A-1", (TEA, -1, "missing"))
        with pytest.raises(IdempotencyMismatch):
            await ask(shop, "A-1", (TEA, -2, "missing"))
        with pytest.raises(IdempotencyMismatch):
            await ask(shop, "A-1", (TEA, -1, "missing"), person=MAX)

    async def test_a_loss_of_promised_units_has_the_store_verify(self, shop: Shop) -> None:
        await shop.order(5)
        await ask(shop, "A-1", (TEA, -1, "missing"))
        assert await tea(shop) == (-1, 0)
        assert await shop.value("SELECT count(*) FROM hold WHERE doubted_at IS NOT NULL") == 1

    async def test_many_small_ones_come_to_a_manager(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        states = [(await ask(shop, f"A-{n}", (TEA, -4, "missing")))[1].state for n in range(3)]
        assert states == ["posted", "posted", "awaiting_approval"]

    async def test_of_two_at_once_only_one_passes_below_the_band(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        made = await asyncio.gather(*(ask(shop, f"A-{n}", (TEA, -5, "missing")) for n in range(2)))
        assert sorted(one.state for _, one in made) == ["awaiting_approval", "posted"]
        assert await tea(shop) == (90, 5)


class TestAboveTheBand:
    async def test_units_lost_wait_as_count_pending_and_the_manager_is_asked(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        before = await accounts(shop.database)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        assert (made.state, made.needs, made.lines[0].parked) == ("awaiting_approval", "manager", 9)
        assert await tea(shop) == (11, 9)
        assert await accounts(shop.database) == before, "nothing is posted before somebody has approved"
        assert await shop.value("SELECT roles[1] FROM approval") == "store_manager"
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'approval_request'") == 1

    async def test_approved_it_is_posted(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "stolen"))
        before = await accounts(shop.database)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (11, 0)
        after = await accounts(shop.database)
        assert after["shrinkage"] - before.get("shrinkage", 0) == 9 * COST_MINOR
        assert await shop.value("SELECT state FROM adjustment") == "posted"

    async def test_rejected_it_is_available_again_and_counts_no_more(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        await verdict(shop, made, MAX, "reject")
        assert await tea(shop) == (20, 0)
        assert await shop.value("SELECT state FROM adjustment") == "rejected"
        assert await shop.value("SELECT withdrawn_at IS NOT NULL FROM band_use") is True
        assert (await ask(shop, "A-2", (TEA, -8, "missing")))[1].state == "posted"

    async def test_when_nobody_decides_it_expires_and_goes_back(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        due = datetime.now(UTC)
        for turn in range(12):
            due += timedelta(days=2)
            step = Step(subject=str(made.approval_id), occurrence=str(turn), at=due)
            await verdicts.on_due(shop.database, step)
        assert await shop.value("SELECT state FROM approval") == "expired"
        assert await shop.value("SELECT state FROM adjustment") == "expired"
        assert await tea(shop) == (20, 0)

    async def test_from_the_second_limit_on_finance_is_asked_and_no_store_manager(self, shop: Shop) -> None:
        await shop.put("S1", 200)
        _, made = await ask(shop, "A-1", (TEA, -90, "missing"))
        assert made.needs == "finance"
        with pytest.raises(NotAllowed):
            await verdict(shop, made, MAX, "approve")
        await verdict(shop, made, FIN, "approve")
        assert await tea(shop) == (110, 0)

    async def test_units_found_are_not_promised_before_somebody_approves(self, shop: Shop) -> None:
        _, made = await ask(shop, "A-1", (TEA, 30, "receipt_not_booked"))
        assert await tea(shop) == (5, 0)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (35, 0)

    async def test_a_gain_and_a_loss_are_gross_and_each_line_is_posted(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        _, made = await ask(shop, "A-1", (TEA, -5, "booking_error"), (TEA, 5, "booking_error"), at="S2")
        assert (made.needs, made.gross_minor) == ("manager", 10 * COST_MINOR)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop, "S2") == (20, 0)
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'stock.adjusted'") == 2

    async def test_what_the_till_sold_of_the_parked_units_was_not_lost(self, shop: Shop) -> None:
        await shop.put("S1", 10)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        await send(shop, sale("s1", (TEA, 4)))  # one from the shelf, three that were said to be missing
        assert await tea(shop) == (0, 6)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (0, 0)
        assert await shop.value("SELECT posted FROM adjustment_line") == -6

    async def test_taken_back_it_gives_only_what_is_left(self, shop: Shop) -> None:
        await shop.put("S1", 10)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        await send(shop, sale("s1", (TEA, 4)))
        await verdict(shop, made, MAX, "reject")
        assert await tea(shop) == (6, 0)

    async def test_more_than_the_shelf_has_is_parked_as_far_as_it_reaches_and_posted_whole(self, shop: Shop) -> None:
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        assert made.lines[0].parked == 5
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (-4, 0)


class TestWhoMay:
    async def test_the_requester_never_approves(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"), person=MAX)
        with pytest.raises(OwnRequest):
            await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (11, 9)

    async def test_a_second_verdict_is_told_who_was_first(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        await verdict(shop, made, MAX, "approve")
        with pytest.raises(AlreadyDecided, match="Max Weber"):
            await verdict(shop, made, ADA, "reject")
        assert await tea(shop) == (11, 0)

    async def test_two_verdicts_at_once_post_once(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        done = await asyncio.gather(
            *(verdict(shop, made, person, "approve") for person in (MAX, MAX)), return_exceptions=True
        )
        assert sum(isinstance(one, AlreadyDecided) for one in done) == 1
        assert await tea(shop) == (11, 0)

    async def test_somebody_of_another_region_does_not_learn_of_the_place(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            await ask(shop, "A-1", (TEA, -1, "missing"), person=FAR)

    async def test_an_auditor_may_look_and_not_adjust(self, shop: Shop) -> None:
        with pytest.raises(NotAllowed, match="needs one of the roles"):
            await ask(shop, "A-1", (TEA, -1, "missing"), person=ELI)

    async def test_an_unknown_place_or_item_is_named(self, shop: Shop) -> None:
        with pytest.raises(UnknownLocation):
            await ask(shop, "A-1", (TEA, -1, "missing"), at="S9")
        with pytest.raises(UnknownSku, match="NOPE"):
            await ask(shop, "A-1", ("NOPE", -1, "missing"))
        assert await shop.value("SELECT count(*) FROM idempotency WHERE key = 'adjustment:A-1'") == 0

    @pytest.mark.parametrize(
        ("quantity", "reason", "said"),
        [
            (0, "missing", "adjusts nothing"),
            (3, "stolen", "units found is one of found"),
            (-3, "found", "units lost is one of missing"),
            (-3, "whim", "is one of"),
            (1.5, "found", "valid integer"),
        ],
    )
    def test_a_line_that_makes_no_sense_is_refused(self, quantity: Any, reason: str, said: str) -> None:
        with pytest.raises(ValidationError, match=said):
            wanted("A-1", (TEA, quantity, reason))


def reported(key: str, quantity: int, *, actor: str = "crew-7") -> dict[str, Any]:
    data = {"location": "S1", "sku": TEA, "quantity": quantity, "reason": "missing", "actor": actor}
    return event(key, "stock.adjusted", data)


class TestReported:
    async def review(self, shop: Shop, quantity: int = -20, *, actor: str = "crew-7") -> int:
        await send(shop, delivery("d1", (TEA, 95)))
        (outcome,) = await send(shop, reported("a1", quantity, actor=actor))
        assert outcome.case_id is not None
        return outcome.case_id

    async def test_confirmed_it_is_posted_and_the_case_closed(self, shop: Shop) -> None:
        case_id = await self.review(shop)
        assert await tea(shop) == (80, 20)
        await decide(shop, case_id, ANA, "confirm")
        assert await tea(shop) == (80, 0)
        assert await shop.value("SELECT state || '/' || resolution FROM case_file") == "resolved/confirm"
        assert await shop.value("SELECT sum(debit_minor) FROM journal_line WHERE account = 'shrinkage'") > 0

    async def test_undone_the_units_are_available_again(self, shop: Shop) -> None:
        case_id = await self.review(shop)
        await decide(shop, case_id, ANA, "undo")
        assert await tea(shop) == (100, 0)
        assert await shop.value("SELECT state FROM adjustment") == "undone"
        with pytest.raises(AlreadyDecided):
            await decide(shop, case_id, ANA, "confirm")

    async def test_a_count_may_decide_and_what_is_parked_stays_parked_until_then(self, shop: Shop) -> None:
        case_id = await self.review(shop)
        await decide(shop, case_id, ANA, "count")
        assert await tea(shop) == (80, 20)
        assert await shop.value("SELECT sku FROM count_line") == TEA
        assert await shop.value("SELECT kind || '/' || state FROM journey") == "count/scheduled"
        assert await shop.value("SELECT state FROM adjustment") == "undone"

    async def test_one_that_is_being_counted_already_is_counted_once(self, shop: Shop) -> None:
        await decide(shop, await self.review(shop), ANA, "count")
        (outcome,) = await send(shop, reported("a2", -30))
        assert outcome.case_id is not None
        await decide(shop, outcome.case_id, ANA, "count")
        assert await shop.value("SELECT count(*) FROM journey") == 1

    async def test_a_gain_is_posted_when_it_is_confirmed(self, shop: Shop) -> None:
        case_id = await self.review(shop, 20)
        assert await tea(shop) == (100, 0)
        await decide(shop, case_id, ANA, "confirm")
        assert await tea(shop) == (120, 0)

    async def test_whoever_reported_it_cannot_confirm_it(self, shop: Shop) -> None:
        await shop.change("INSERT INTO person_alias (source, alias, person_id) VALUES ('pos', 'till-3', 'ana')")
        case_id = await self.review(shop, actor="till-3")
        with pytest.raises(OwnRequest):
            await decide(shop, case_id, ANA, "confirm")
        assert await tea(shop) == (80, 20)
        await decide(shop, case_id, MAX, "confirm")

    async def test_an_actor_whom_nobody_knows_bars_everyone_at_the_place(self, shop: Shop) -> None:
        await shop.change("UPDATE person SET home_location = 'S1' WHERE id = 'max'")
        case_id = await self.review(shop)
        with pytest.raises(OwnRequest):
            await decide(shop, case_id, MAX, "confirm")
        await decide(shop, case_id, ANA, "confirm")

    async def test_above_the_second_limit_only_finance_confirms(self, shop: Shop) -> None:
        case_id = await self.review(shop, -90)
        with pytest.raises(NotAllowed, match="admin or finance"):
            await decide(shop, case_id, ANA, "confirm")
        await decide(shop, case_id, FIN, "confirm")
        assert await tea(shop) == (10, 0)

    async def test_small_reports_of_one_actor_come_to_a_review_together(self, shop: Shop) -> None:
        await send(shop, delivery("d1", (TEA, 95)))
        answers = await send(shop, *(reported(f"a{n}", -4) for n in range(3)))
        assert outcomes(answers) == ["accepted"] * 3
        assert [one.case_id is None for one in answers] == [True, True, False]
        assert await tea(shop) == (88, 4)

    async def test_the_same_report_again_is_a_duplicate(self, shop: Shop) -> None:
        await self.review(shop)
        assert outcomes(await send(shop, reported("a1", -20))) == ["duplicate"]
        assert await shop.value("SELECT count(*) FROM case_file") == 1
        assert await tea(shop) == (80, 20)
