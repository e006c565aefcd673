"""A place closes: clocks stand still, customers hear of it once, nothing new is promised there, somebody is asked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import StateConflict
from domain.events import EventOutcome
from domain.messages import Step
from ledger import closures, decisions
from ledger.bopis import dues, steps
from tests.ledger.support.orders import pick, situation, step
from tests.shop import ANA, Shop

DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


async def say(shop: Shop, status: str, **more: Any) -> EventOutcome:
    given = {name: when.isoformat() if isinstance(when, datetime) else when for name, when in more.items()}
    return await shop.report("location.status", location="S1", status=status, **given)


async def due(shop: Shop, journey: str, name: str) -> datetime:
    return next(one.at for one in (await situation(shop, journey)).dues if one.name == name)


class TestClosed:
    async def test_clocks_stand_still_for_as_long_as_it_is_closed(self, shop: Shop) -> None:
        journey = await shop.order(2)
        before = await due(shop, journey, "pick_nag_2")
        assert (await say(shop, "closed", until=now() + DAY, reason="burst pipe")).outcome == "accepted"
        assert DAY - timedelta(minutes=1) < await due(shop, journey, "pick_nag_2") - before < DAY + timedelta(minutes=1)
        assert "burst pipe" in await shop.value("SELECT detail FROM journey_step WHERE step = 'place_changed'")

    async def test_a_window_is_longer_by_the_days_that_are_lost(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        before = await due(shop, journey, "window")
        midnight = (now() + 2 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        await say(shop, "no_pickup", **{"from": midnight}, until=midnight + 2 * DAY)
        assert await due(shop, journey, "window") == before + 2 * DAY

    async def test_no_pickup_leaves_the_picker_to_work(self, shop: Shop) -> None:
        journey = await shop.order(2)
        before = (await situation(shop, journey)).dues
        await say(shop, "no_pickup", until=now() + DAY)
        assert (await situation(shop, journey)).dues == before

    async def test_a_timer_that_fires_for_the_old_instant_yields(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        before = await due(shop, journey, "window")
        await say(shop, "closed", until=now() + 9 * DAY)
        late = Step(subject=journey, occurrence="w", at=before + timedelta(seconds=1), due="window")
        assert (await dues.on_due(shop.database, late)).state == "ready_for_pickup"

    async def test_closing_and_the_end_of_the_window_at_the_same_moment(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        ends = await due(shop, journey, "window")
        late = Step(subject=journey, occurrence="w", at=ends + timedelta(seconds=1), due="window")
        outcome, done = await asyncio.gather(
            say(shop, "closed", until=now() + 9 * DAY), dues.on_due(shop.database, late)
        )
        assert outcome.outcome == "accepted"
        moved_by = (await shop.value("SELECT dues ->> 'window' FROM journey")) is not None
        assert done.state == ("ready_for_pickup" if moved_by else "expired")

    async def test_each_customer_is_told_once(self, shop: Shop) -> None:
        await shop.order(1)
        ready = await shop.order(1)
        await pick(shop, ready, 1)
        until = now() + DAY
        start = now()
        for _ in range(2):
            await say(shop, "closed", **{"from": start}, until=until)
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'place_closed'") == 2

    async def test_whose_window_ends_before_hears_nothing(self, shop: Shop) -> None:
        journey = await shop.order(1)
        await pick(shop, journey, 1)
        await say(shop, "closed", **{"from": now() + 30 * DAY}, until=now() + 31 * DAY)
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'place_closed'") == 0

    async def test_nothing_is_promised_there_until_it_opens(self, shop: Shop) -> None:
        await say(shop, "closed")
        with pytest.raises(StateConflict, match="takes no orders now: closed"):
            await shop.order(1, pickup_location="S1")
        await say(shop, "open")
        assert await shop.value("SELECT status FROM location WHERE code = 'S1'") == "open"

    async def test_it_is_no_way_out_for_others(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        await say(shop, "no_pickup")
        journey = await shop.order(8, at="S2")
        await steps.open_case(shop.database, step(journey, "1"))
        options = await shop.value("SELECT options FROM case_file WHERE kind = 'reservation_failure'")
        assert not any(one["id"].startswith("other_store") for one in options)

    async def test_what_is_said_of_tomorrow_holds_tomorrow(self, shop: Shop) -> None:
        begins = now() + DAY
        await say(shop, "closed", **{"from": begins}, until=begins + DAY)
        status = "SELECT status FROM location WHERE code = 'S1'"
        assert await shop.value(status) == "open"
        assert await closures.sweep(shop.database, begins) == 1
        assert await shop.value(status) == "closed"
        assert await closures.sweep(shop.database, begins + DAY) == 1
        assert await shop.value(status) == "open"


class TestRefused:
    async def test_an_end_before_its_beginning(self, shop: Shop) -> None:
        outcome = await say(shop, "closed", **{"from": now()}, until=now() - DAY)
        assert (outcome.outcome, (outcome.problem or {})["pointer"]) == ("quarantined", "/data/until")
        assert await shop.value("SELECT count(*) FROM location_status") == 0

    async def test_a_place_that_is_not_known(self, shop: Shop) -> None:
        outcome = await shop.report("location.status", location="S77", status="closed")
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", "unknown_location")

    async def test_a_status_that_there_is_not(self, shop: Shop) -> None:
        outcome = await say(shop, "asleep")
        assert (outcome.outcome, (outcome.problem or {})["pointer"]) == ("quarantined", "/data/status")


class TestOpensAgain:
    async def test_clocks_go_on_with_what_they_had_left(self, shop: Shop) -> None:
        journey = await shop.order(2)
        before = await due(shop, journey, "pick_nag_2")
        await say(shop, "closed")
        assert await due(shop, journey, "pick_nag_2") - before > 300 * DAY
        await say(shop, "open")
        assert await due(shop, journey, "pick_nag_2") - before < timedelta(minutes=1)
        assert await shop.value("SELECT resolution FROM case_file WHERE kind = 'place_closed'") == "self_healed"

    async def test_nobody_moves_an_order_any_more(self, shop: Shop) -> None:
        journey, asked = await asked_about(shop)
        await say(shop, "open")
        assert (await situation(shop, journey)).case_id is None
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=asked) == "self_healed"


async def asked_about(shop: Shop) -> tuple[str, int]:
    """An order at a closed place for which "move all" was chosen; returns it and the case about it."""
    journey = await shop.order(2)
    outcome = await say(shop, "closed", until=now() + DAY)
    assert outcome.case_id is not None
    answer = await decisions.decide(
        shop.database, outcome.case_id, ANA, option_id="ask_each", parameters={}, via="test"
    )
    assert answer.state == "applying"
    assert await closures.finish(shop.database) == 1
    asked = (await situation(shop, journey)).case_id
    assert asked is not None
    return journey, asked


class TestMoveAll:
    async def test_each_order_that_is_not_picked_is_asked_about_and_moves(self, shop: Shop) -> None:
        journey, asked = await asked_about(shop)
        assert await shop.value("SELECT state FROM case_file WHERE kind = 'place_closed'") == "resolved"
        options = await shop.value("SELECT options FROM case_file WHERE id = :id", id=asked)
        assert [one["id"] for one in options] == ["other_store:S2", "keep", "cancel_refund"]
        answer = await decisions.decide(
            shop.database, asked, ANA, option_id="other_store:S2", parameters={"agreed_by_phone": True}, via="test"
        )
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (done.state, done.case_id) == ("reserved", None)
        assert await shop.value("SELECT location FROM journey") == "S2"
        assert await due(shop, journey, "pick_nag_2") - now() < timedelta(hours=3)

    async def test_one_that_stays_keeps_its_clocks(self, shop: Shop) -> None:
        journey, asked = await asked_about(shop)
        before = (await situation(shop, journey)).dues
        answer = await decisions.decide(shop.database, asked, ANA, option_id="keep", parameters={}, via="test")
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (done.state, done.dues) == ("reserved", before)

    async def test_a_pick_answers_the_question(self, shop: Shop) -> None:
        journey, asked = await asked_about(shop)
        await pick(shop, journey, 2)
        assert (await situation(shop, journey)).state == "ready_for_pickup"
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=asked) == "self_healed"

    async def test_what_is_picked_already_cannot_be_moved(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        outcome = await say(shop, "closed", until=now() + DAY)
        options = await shop.value("SELECT options FROM case_file WHERE id = :id", id=outcome.case_id)
        assert [(one["id"], one["allowed"]) for one in options] == [("acknowledge", True), ("ask_each", False)]
