"""A decision at the console can be undone until it applies; until then nothing has left the house."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from domain.case import SEVERITIES, CaseOption
from domain.errors import AlreadyDecided, NotAllowed, NotFound, UndoTooLate
from domain.messages import Situation, Step
from domain.people import Grant, Person
from domain.policy import CasePolicy, Policy, merge
from ledger import case, decisions, reference, situations
from ledger.bopis import steps
from ledger.case import CaseRef, Opening
from tests.ledger.support.books import assert_books_agree
from tests.shop import ADA, ANA, FIN, MAX, TEA, open_shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ledger.transaction import Transaction
    from tests.conftest import Database
    from tests.shop import Shop

STRANGER = Person("stranger", "Sid", "sid@shop.example", (Grant("regional_ops", "", "R9", ""),))
WINDOW = timedelta(seconds=120)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Nothing on the shelves; what is decided about an order can be undone for two minutes."""
    made = await open_shop(database.url, tea={"S1": 0, "S2": 0})
    yield made
    await assert_books_agree(made.database)
    await made.database.dispose()


async def broken(shop: Shop) -> tuple[str, int]:
    """An order that cannot be met, and its case."""
    journey = await shop.order(1)
    asked = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert asked.case_id is not None
    return journey, asked.case_id


async def decide(shop: Shop, case_id: int, option: str = "cancel_refund", via: str = "console") -> int:
    said = {"agreed_by_phone": True} if option == "wait" else {}
    answer = await decisions.decide(shop.database, case_id, ANA, option_id=option, parameters=said, via=via)
    return answer.decision_id


async def window_ends(shop: Shop, case_id: int) -> Situation:
    """The step that the case's workflow takes at the end of the window."""
    at = await shop.value("SELECT applies_at FROM case_file WHERE id = :id", id=case_id)
    at = at or datetime.now(UTC) + WINDOW
    step = Step(subject=str(case_id), occurrence=f"decision@{at.isoformat()}", at=at, due="decision")
    return await decisions.on_due(shop.database, step)


async def held(shop: Shop, journey: str) -> Situation:
    """What the order's workflow would be told now."""
    async with shop.database.read() as conn:
        return await situations.of_journey(conn, journey, 1)


async def of_case(shop: Shop, case_id: int) -> Situation:
    async with shop.database.read() as conn:
        return await situations.of_case(conn, case_id, 1, 1)


async def decision(shop: Shop) -> tuple[str, str | None]:
    async with shop.database.read() as conn:
        row = (await conn.execute(text("SELECT state, reason FROM case_decision ORDER BY id DESC LIMIT 1"))).one()
    return row.state, row.reason


async def a_case(shop: Shop, **fields: Any) -> CaseRef:
    """A case that no journey waits for."""

    async def work(tx: Transaction) -> CaseRef:
        place = await reference.place(tx.conn, "S1")
        opening: dict[str, Any] = {
            "kind": "put_away_overdue", "subject": "somewhere", "place": place, "policy": Policy(),
            "at": datetime.now(UTC), "facts": {"order": "W-1", "units": {}},
            "options": (CaseOption(id="acknowledge", label="Seen"),),
        }  # fmt: skip
        return await case.open_case(tx, Opening(**(opening | fields)))

    return await shop.database.write(work, actor="test", via="test")


class TestTheWindow:
    async def test_nothing_comes_of_it_before_its_end_and_then_the_order_is_told(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        told, mails = len(await shop.outbox(journey)), await shop.value("SELECT count(*) FROM mail")
        number = await decide(shop, case_id)
        assert (await held(shop, journey)).decision_id is None
        assert [due.name for due in (await of_case(shop, case_id)).dues] == ["decision", "level"]
        assert len(await shop.outbox(journey)) == told
        assert await shop.value("SELECT count(*) FROM mail") == mails
        assert await shop.value("SELECT count(*) FROM payment_operation") == 0
        await window_ends(shop, case_id)
        assert (await held(shop, journey)).decision_id == number
        assert [due.name for due in (await of_case(shop, case_id)).dues] == ["level"]
        assert len(await shop.outbox(journey)) == told + 1

    async def test_its_length_is_policy_by_severity_or_kind(self, shop: Shop) -> None:
        _, case_id = await broken(shop)
        await decide(shop, case_id)
        length = await shop.value("SELECT applies_at - now() FROM case_file WHERE id = :id", id=case_id)
        assert timedelta(0) < length <= WINDOW
        found = CasePolicy()
        assert found.undo_window("reservation_failure", "high") == WINDOW
        assert found.undo_window("reservation_lost", "critical") == timedelta(0)
        changed = merge([("1", {"cases": {"undo_s": {"high": 30, "reservation_failure": 5}}})]).cases
        assert changed.undo_window("reservation_failure", "high") == timedelta(seconds=5)
        assert changed.undo_window("pick_short", "high") == timedelta(seconds=30)
        assert changed.undo_window("pick_overdue", "medium") == WINDOW

    @pytest.mark.parametrize("via", ["api", "bulk", "test"])
    async def test_only_who_sees_it_has_it(self, shop: Shop, via: str) -> None:
        journey, case_id = await broken(shop)
        number = await decide(shop, case_id, via=via)
        assert (await held(shop, journey)).decision_id == number
        assert await shop.value("SELECT applies_at FROM case_file WHERE id = :id", id=case_id) is None

    async def test_a_decision_that_no_journey_waits_for_is_applied_at_its_end_in_the_deciders_name(
        self, shop: Shop
    ) -> None:
        ref = await a_case(shop)
        await decide(shop, ref.id, "acknowledge")
        assert await decision(shop) == ("applying", None)
        assert (await window_ends(shop, ref.id)).ended
        assert await decision(shop) == ("applied", None)
        assert await shop.value("SELECT resolved_by FROM case_file WHERE id = :id", id=ref.id) == "ana"

    async def test_an_outage_of_the_end_changes_nothing_and_a_repeat_does_nothing_twice(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        await decide(shop, case_id)
        early = Step(subject=str(case_id), occurrence="decision@early", at=datetime.now(UTC), due="decision")
        await decisions.on_due(shop.database, early)
        assert (await held(shop, journey)).decision_id is None
        for _ in range(2):
            await window_ends(shop, case_id)
        assert (await held(shop, journey)).decision_id is not None

    async def test_who_is_sure_need_not_wait(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        number = await decide(shop, case_id)
        await decisions.hasten(shop.database, case_id, ANA, via="console")
        assert (await held(shop, journey)).decision_id == number
        with pytest.raises(UndoTooLate, match="is being carried out"):
            await decisions.hasten(shop.database, case_id, ANA, via="console")
        await window_ends(shop, case_id)  # its timer finds nothing to do
        assert await decision(shop) == ("applying", None)

    async def test_whoever_has_left_leaves_the_case_to_its_queue(self, shop: Shop) -> None:
        ref = await a_case(shop)
        await decide(shop, ref.id, "acknowledge")
        await shop.change("UPDATE person SET active = false WHERE id = 'ana'")
        await window_ends(shop, ref.id)
        state, reason = await decision(shop)
        assert (state, reason) == ("refused", "Whoever decided this has no account any more.")
        assert await shop.value("SELECT state FROM case_file WHERE id = :id", id=ref.id) == "claimed"


class TestUndo:
    async def test_the_order_asks_as_before_and_waits_again_for_what_turns_up(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        await decide(shop, case_id)
        assert await shop.value("SELECT count(*) FROM waiting_demand WHERE ended_at IS NULL") == 0
        await decisions.undo(shop.database, case_id, ANA, via="console")
        now = await held(shop, journey)
        assert (now.state, now.case_id, now.decision_id) == ("reservation_failed", case_id, None)
        assert await shop.value("SELECT count(*) FROM waiting_demand WHERE ended_at IS NULL") == 1
        assert await decision(shop) == ("undone", "Ana Ruiz undid “Cancel and refund”.")
        assert [due.name for due in (await of_case(shop, case_id)).dues] == ["level"]
        await window_ends(shop, case_id)  # too late for the timer
        assert (await held(shop, journey)).decision_id is None
        await decide(shop, case_id, "wait", via="api")  # and the case can be decided otherwise
        assert (await held(shop, journey)).decision_id is not None

    async def test_stock_that_turned_up_meanwhile_heals_it(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        await decide(shop, case_id)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 1}])
        assert (await held(shop, journey)).state == "reservation_failed"  # the decision was first
        await decisions.undo(shop.database, case_id, ANA, via="console")
        assert (await held(shop, journey)).attention == ("found",)
        step = Step(subject=journey, occurrence="message-9", at=datetime.now(UTC))
        assert (await steps.attend(shop.database, step)).state == "reserved"
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=case_id) == "self_healed"

    async def test_an_administrator_may_others_may_not(self, shop: Shop) -> None:
        _, case_id = await broken(shop)
        await decide(shop, case_id)
        for person in (MAX, FIN):
            with pytest.raises(NotAllowed, match="Only Ana Ruiz, who decided, or an administrator"):
                await decisions.undo(shop.database, case_id, person, via="console")
        with pytest.raises(NotFound):
            await decisions.undo(shop.database, case_id, STRANGER, via="console")
        await decisions.undo(shop.database, case_id, ADA, via="console")
        assert (await decision(shop))[0] == "undone"

    async def test_a_second_time_too_late_and_for_nothing_are_refused_by_name(self, shop: Shop) -> None:
        _, case_id = await broken(shop)
        with pytest.raises(UndoTooLate, match="Nothing was decided"):
            await decisions.undo(shop.database, case_id, ANA, via="console")
        await decide(shop, case_id)
        with pytest.raises(AlreadyDecided):
            await decide(shop, case_id)
        await decisions.undo(shop.database, case_id, ANA, via="console")
        with pytest.raises(UndoTooLate, match="Nothing is left to undo: Ana Ruiz undid"):
            await decisions.undo(shop.database, case_id, ANA, via="console")
        await decide(shop, case_id)
        await window_ends(shop, case_id)
        with pytest.raises(UndoTooLate, match="is being carried out; it is too late"):
            await decisions.undo(shop.database, case_id, ANA, via="console")

    async def test_undo_and_the_end_of_the_window_at_once_have_one_effect(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        await decide(shop, case_id)
        undone, _ = await asyncio.gather(
            decisions.undo(shop.database, case_id, ANA, via="console"),
            window_ends(shop, case_id),
            return_exceptions=True,
        )
        now = await held(shop, journey)
        assert (now.decision_id is None) == (undone is None)
        assert (await decision(shop))[0] == ("undone" if undone is None else "applying")

    async def test_a_cause_that_goes_away_refuses_what_waits(self, shop: Shop) -> None:
        journey, case_id = await broken(shop)
        await decide(shop, case_id, "wait")
        key = await shop.value("SELECT key FROM journey WHERE id = :id", id=journey)
        cancelled = await shop.report("bopis.cancelled", order_id=key, reason="changed_mind")
        assert cancelled.outcome == "accepted"
        assert await decision(shop) == ("refused", "Not applied: the order was cancelled by the customer.")
        assert (await of_case(shop, case_id)).dues == ()
        with pytest.raises(UndoTooLate, match="Nothing is left to undo: Not applied"):
            await decisions.undo(shop.database, case_id, ANA, via="console")


async def test_a_bulk_decision_can_be_called_off_for_as_long_as_each_could_be_undone(shop: Shop) -> None:
    from ledger import bulk

    _, case_id = await broken(shop)
    number = await bulk.begin(
        shop.database, ANA, option_id="cancel_refund", label="Cancel", cases={case_id: 1}, note=""
    )
    assert await shop.value("SELECT next_at - at FROM bulk WHERE id = :id", id=number) == WINDOW
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('2', '2020-01-01',"
        " jsonb_build_object('cases', jsonb_build_object('undo_s', jsonb_build_object('high', 0))))"
    )
    number = await bulk.begin(
        shop.database, ANA, option_id="cancel_refund", label="Cancel", cases={case_id: 1}, note=""
    )
    assert await shop.value("SELECT next_at - at FROM bulk WHERE id = :id", id=number) == timedelta(seconds=20)


def test_every_severity_has_a_window() -> None:
    assert CasePolicy().undo_s.keys() == set(SEVERITIES)
