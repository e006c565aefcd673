"""Events that were set aside: taken again when what they lacked is there, left out, parked until their order comes."""

import asyncio
import uuid
from typing import Any

import pytest

from domain.errors import AlreadyDecided, NotFound
from ledger import decisions, facts
from ledger.sealing import Seal
from tests.ledger.support.till import COFFEE, POS, adjusted, event, open_assortment, outcomes, sale, send
from tests.shop import ANA, WEB, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def decide(shop: Shop, case_id: int | None, option: str) -> decisions.DecisionAnswer:
    assert case_id is not None
    return await decisions.decide(shop.database, case_id, ANA, option_id=option, parameters={}, via="test")


async def case_of(shop: Shop, case_id: int | None) -> str:
    return str(
        await shop.value("SELECT state || '/' || coalesce(resolution, '') FROM case_file WHERE id = :id", id=case_id)
    )


def picked(event_id: str, order_id: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    lines = [{"line_id": "1", "quantity": quantity}]
    return event(event_id, "bopis.picked", {"order_id": order_id, "picker": "p1", "lines": lines, **more})


class TestReplay:
    async def test_after_the_item_was_loaded_every_event_of_the_case_is_taken_and_the_case_heals(
        self, shop: Shop
    ) -> None:
        answers = await send(shop, sale("s1", ("NEW", 2)), sale("s2", ("NEW", 1)))
        assert outcomes(answers) == ["quarantined", "quarantined"]
        assert answers[0].case_id == answers[1].case_id
        await open_assortment(shop, "NEW")
        again = await facts.replay(shop.database, actor="cli", case_id=answers[0].case_id)
        assert outcomes(again) == ["accepted", "accepted"]
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == -3
        assert await shop.value("SELECT count(*) FROM event_inbox WHERE body_sealed IS NOT NULL") == 0
        assert await case_of(shop, answers[0].case_id) == "cancelled/self_healed"
        assert outcomes(await send(shop, sale("s1", ("NEW", 2)))) == ["duplicate"]

    async def test_while_nothing_was_mended_it_stays_quarantined_with_its_case(self, shop: Shop) -> None:
        (bad,) = await send(shop, sale("s1", ("NEW", 2)))
        (again,) = await facts.replay(shop.database, actor="cli", event_id="s1")
        assert (again.outcome, again.case_id) == ("quarantined", bad.case_id)
        assert await case_of(shop, bad.case_id) == "open/"

    async def test_what_is_wrong_now_gets_the_case_of_its_own_cause(self, shop: Shop) -> None:
        (bad,) = await send(shop, sale("s1", ("NEW", 1), at="S9"))
        await shop.change("INSERT INTO location (code, name, region, entity) VALUES ('S9', 'New place', 'R1', 'DE01')")
        (again,) = await facts.replay(shop.database, actor="cli", source="pos")
        assert again.problem is not None
        assert again.problem["code"] == "unknown_sku"
        assert again.case_id != bad.case_id
        assert await case_of(shop, bad.case_id) == "cancelled/self_healed"

    async def test_two_replays_at_once_take_it_once(self, shop: Shop) -> None:
        await send(shop, sale("s1", ("NEW", 2)))
        await open_assortment(shop, "NEW")
        both = await asyncio.gather(*(facts.replay(shop.database, actor="cli") for _ in range(2)))
        assert {one.outcome for answer in both for one in answer} <= {"accepted", "duplicate"}
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == -2

    async def test_an_event_that_is_not_set_aside_is_refused_by_name(self, shop: Shop) -> None:
        await send(shop, sale("s1", (COFFEE, 1)))
        with pytest.raises(NotFound):
            await facts.replay(shop.database, actor="cli", source="pos", event_id="s1")

    async def test_a_correction_that_was_set_aside_keeps_the_right_it_came_with(self, shop: Shop) -> None:
        assert outcomes(await send(shop, adjusted("a1", "NEW", 3))) == ["quarantined"]
        await open_assortment(shop, "NEW")
        assert outcomes(await facts.replay(shop.database, actor="cli")) == ["accepted"]
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == 3


class TestDecision:
    async def test_replay_is_applied_when_the_events_were_taken_and_not_before(self, shop: Shop) -> None:
        (bad,) = await send(shop, sale("s1", ("NEW", 2)))
        await open_assortment(shop, "NEW")
        answer = await decide(shop, bad.case_id, "replay")
        assert answer.state == "applying"
        assert await case_of(shop, bad.case_id) == "deciding/"
        with pytest.raises(AlreadyDecided):
            await decide(shop, bad.case_id, "discard")
        assert await facts.finish(shop.database) == 1
        assert await shop.value("SELECT state FROM case_decision") == "applied"
        assert await case_of(shop, bad.case_id) == "resolved/replay"
        assert await shop.value("SELECT available FROM stock WHERE sku = 'NEW'") == -2
        assert await facts.finish(shop.database) == 0

    async def test_replay_of_what_was_not_mended_gives_the_case_back_with_the_reason(self, shop: Shop) -> None:
        (bad,) = await send(shop, sale("s1", ("NEW", 2)))
        await decide(shop, bad.case_id, "replay")
        await facts.finish(shop.database)
        assert await shop.value("SELECT state FROM case_decision") == "refused"
        assert "SKU NEW is not in the master data" in await shop.value("SELECT reason FROM case_decision")
        assert await case_of(shop, bad.case_id) == "claimed/"
        assert (await decide(shop, bad.case_id, "discard")).state == "applied"

    async def test_a_decision_whose_events_were_taken_by_somebody_else_meanwhile_is_applied(self, shop: Shop) -> None:
        (bad,) = await send(shop, sale("s1", ("NEW", 2)))
        await open_assortment(shop, "NEW")
        await decide(shop, bad.case_id, "replay")
        await facts.replay(shop.database, actor="cli")
        assert await facts.finish(shop.database) == 1
        assert await case_of(shop, bad.case_id) == "resolved/replay"

    async def test_discard_leaves_the_events_out_for_good(self, shop: Shop) -> None:
        bad, other = await send(shop, sale("s1", ("NEW", 2)), sale("s2", ("OLD", 1)))
        assert (await decide(shop, bad.case_id, "discard")).state == "applied"
        assert await case_of(shop, bad.case_id) == "resolved/discard"
        await open_assortment(shop, "NEW")
        assert outcomes(await facts.replay(shop.database, actor="cli")) == ["quarantined"]
        (again,) = await send(shop, sale("s1", ("NEW", 2)))
        assert again.outcome == "refused"
        assert await shop.value("SELECT count(*) FROM stock WHERE sku = 'NEW'") == 0
        assert await shop.value("SELECT body_sealed IS NULL FROM event_inbox WHERE event_id = 's1'")
        assert await case_of(shop, other.case_id) == "open/"
        assert await shop.value("SELECT who FROM audit WHERE what = 'event.left_out'") == "ana"


class TestParked:
    async def test_one_that_its_order_does_not_allow_is_set_aside_and_the_order_stands(self, shop: Shop) -> None:
        assert outcomes(await send(shop, picked("p1", "LATE", 5), caller=WEB)) == ["parked"]
        journey = await shop.order(1, order_id="LATE")
        assert await shop.value("SELECT state FROM journey WHERE id = :id", id=journey) == "reserved"
        assert await shop.value("SELECT outcome FROM event_inbox") == "quarantined"
        assert await shop.value("SELECT kind FROM case_file") == "event_rejected"

    async def test_a_request_that_its_order_refuses_is_answered_once_and_not_asked_again(self, shop: Shop) -> None:
        early = [
            picked("p1", "LATE"),
            event("h1", "bopis.handed_over", {"order_id": "LATE", "actor": "p1", "lines": None}, minute=1),
            event("c1", "bopis.cancelled", {"order_id": "LATE"}, minute=2),
        ]
        assert outcomes(await send(shop, *early, caller=WEB)) == ["parked"] * 3
        await shop.order(1, order_id="LATE")
        assert await shop.value("SELECT state FROM journey") == "collected"
        assert await shop.value("SELECT outcome FROM event_inbox WHERE event_id = 'c1'") == "refused"
        assert await facts.apply_all_parked(shop.database) == 0
        (again,) = await send(shop, early[2], caller=WEB)
        assert again.problem is not None
        assert (again.outcome, again.problem["code"]) == ("refused", "state_conflict")

    async def test_one_whose_key_no_longer_fits_stays_sealed_and_stops_no_other(self, shop: Shop) -> None:
        await send(shop, sale("s1", ("NEW", 1)))
        sealed_before = shop.database.seal
        shop.database.seal = Seal({"another": b"1" * 32})
        await send(shop, sale("s2", ("NEW", 1)))
        await open_assortment(shop, "NEW")
        answers = await facts.replay(shop.database, actor="cli")
        assert sorted(outcomes(answers)) == ["accepted", "quarantined"]
        shop.database.seal = sealed_before
        assert outcomes(await facts.replay(shop.database, actor="cli")) == ["accepted"]

    async def test_one_of_a_source_that_may_not_speak_about_the_order_goes_on_waiting(self, shop: Shop) -> None:
        stranger = POS._replace(source="stranger", sources=frozenset())
        assert outcomes(await send(shop, picked("p1", "LATE"), caller=stranger)) == ["parked"]
        journey = await shop.order(1, order_id="LATE")
        assert await shop.value("SELECT state FROM journey WHERE id = :id", id=journey) == "reserved"
        assert await facts.apply_all_parked(shop.database) == 0
        assert await shop.value("SELECT outcome FROM event_inbox") == "parked"

    async def test_the_sweep_applies_what_the_end_of_a_process_has_left(self, shop: Shop) -> None:
        await send(shop, picked("p1", "LATE"), picked("p2", "NEVER"), caller=WEB)
        await self.place_and_die(shop, "LATE")
        assert await shop.value("SELECT state FROM journey") == "reserved"
        assert await facts.apply_all_parked(shop.database) == 1
        assert await shop.value("SELECT state FROM journey") == "ready_for_pickup"
        assert await facts.apply_all_parked(shop.database) == 0
        assert await shop.value("SELECT outcome FROM event_inbox WHERE event_id = 'p2'") == "parked"

    async def test_the_sweep_passes_over_any_number_that_waits_in_vain(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ledger.facts.parked.PAGE_ROWS", 2)
        await send(shop, *(picked(f"a{n}", f"NEVER-{n}") for n in range(5)), picked("z1", "LATE"), caller=WEB)
        await self.place_and_die(shop, "LATE")
        assert await facts.apply_all_parked(shop.database) == 1
        assert await shop.value("SELECT state FROM journey") == "ready_for_pickup"

    async def test_a_key_that_lists_the_source_has_its_events_swept(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO api_key (id, key_hash, source, scopes, sources, created_at)"
            " VALUES ('k', '\\x00', 'pos', '{events:write}', '{web}', now())"
        )
        await send(shop, picked("p1", "LATE"))
        await self.place_and_die(shop, "LATE")
        assert await facts.apply_all_parked(shop.database) == 1
        assert await shop.value("SELECT state FROM journey") == "ready_for_pickup"

    async def place_and_die(self, shop: Shop, order_id: str) -> None:
        """Record an order as a process does that ends before it applies what was parked."""
        await shop.change("UPDATE event_inbox SET waits_for = 'elsewhere' || waits_for")
        await shop.order(1, order_id=order_id)
        await shop.change("UPDATE event_inbox SET waits_for = substr(waits_for, 10)")


async def test_an_event_parked_in_the_moment_its_order_comes_is_never_lost(shop: Shop) -> None:
    keys = [f"R-{n}-{uuid.uuid4().hex[:4]}" for n in range(20)]

    async def both(key: str) -> None:
        await asyncio.gather(shop.order(1, order_id=key), send(shop, picked(f"p-{key}", key, 1), caller=WEB))

    await shop.put("S1", 50)
    await asyncio.gather(*(both(key) for key in keys))
    await facts.apply_all_parked(shop.database)
    assert await shop.value("SELECT count(*) FROM event_inbox WHERE outcome = 'parked'") == 0
    assert await shop.value("SELECT count(*) FROM journey WHERE state = 'ready_for_pickup'") == 20
