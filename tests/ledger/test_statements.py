"""What a plain pick and a plain hand-over ask of PostgreSQL: how many statements, and nothing that is out of date."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger import facts
from ledger.bopis.order import Order
from ledger.people import Caller
from ledger.transaction import Transaction
from tests.shop import WEB, Shop

PICK, HAND_OVER = 23, 29
LINES = [{"line_id": "1", "quantity": 1}]


@contextmanager
def statements(shop: Shop) -> Iterator[list[str]]:
    """What is sent meanwhile, but for waking the relays, which shares a transaction with whoever commits then."""
    sent: list[str] = []

    def note(statement: str, _: Any) -> None:
        if not statement.startswith("NOTIFY"):
            sent.append(statement)

    with shop.database.heard(note):
        yield sent


async def test_a_plain_pick_and_hand_over_are_few_statements(shop: Shop) -> None:
    await shop.report("bopis.picked", journey_id=await shop.order(), picker="crew", lines=LINES)  # reads its policy
    journey = await shop.order()
    with statements(shop) as of_the_pick:
        picked = await shop.report("bopis.picked", journey_id=journey, picker="crew", lines=LINES)
    with statements(shop) as of_the_hand_over:
        handed = await shop.report("bopis.handed_over", journey_id=journey, actor="crew")
    assert (picked.outcome, handed.outcome) == ("accepted", "accepted")
    assert await shop.value("SELECT state FROM journey WHERE id = :id", id=journey) == "collected"
    assert len(of_the_pick) <= PICK, "\n".join(of_the_pick)
    assert len(of_the_hand_over) <= HAND_OVER, "\n".join(of_the_hand_over)


async def test_what_is_said_of_a_place_counts_from_the_next_transaction_on(shop: Shop) -> None:
    journey = await shop.order()

    async def place(tx: Transaction) -> Any:
        return (await Order.load(tx, await tx.lock_journey(journey))).place

    always = await shop.database.write(place, actor="test", via="test")
    await shop.change("INSERT INTO opening_hours VALUES ('S1', 0, '08:00', '20:00'), ('S1', 2, '09:00', '12:00')")
    await shop.change("INSERT INTO closed_day (location, day) VALUES ('S1', '2026-12-25')")
    await shop.change(
        "INSERT INTO location_status (location, status, starts_at, ends_at, reason, cause) VALUES"
        " ('S1', 'closed', now() + interval '2 days', NULL, 'flood', 'b'),"
        " ('S1', 'no_pickup', now(), now() + interval '1 day', 'works', 'a'),"
        " ('S1', 'closed', now() - interval '100 days', now() - interval '99 days', 'long ago', 'c')"
    )
    then = await shop.database.write(place, actor="test", via="test")
    assert (len(always.hours.weekdays), always.hours.closed_days, always.periods) == (7, frozenset(), ())
    assert {day: tuple(map(str, span)) for day, span in then.hours.weekdays.items()} == {
        0: ("08:00:00", "20:00:00"),
        2: ("09:00:00", "12:00:00"),
    }
    assert {str(day) for day in then.hours.closed_days} == {"2026-12-25"}
    assert [(one.status, one.reason) for one in then.periods] == [("no_pickup", "works"), ("closed", "flood")]
    assert then.periods[1].ends_at is None


async def test_only_locked_cases_are_known_not_to_be_there(shop: Shop) -> None:
    journey = await shop.order()

    async def look(tx: Transaction) -> None:
        row = await tx.lock_journey(journey)
        assert not tx.has_no_case(journey, "pick_overdue"), "nobody has looked"
        await tx.lock_asks(dict(row))
        assert tx.has_no_case(journey, "pick_overdue")
        tx.opens(journey, "pick_overdue")
        assert not tx.has_no_case(journey, "pick_overdue"), "this transaction opens one"
        assert tx.has_no_case(journey, "capture_failed")
        assert not tx.has_no_case("another", "pick_overdue"), "its cases are not locked"

    await shop.database.write(look, actor="test", via="test")


@pytest.mark.parametrize("named", ["journey_id", "order_id"])
async def test_a_key_of_another_source_moves_nothing(shop: Shop, named: str) -> None:
    journey = await shop.order()
    key = await shop.value("SELECT key FROM journey WHERE id = :id", id=journey)
    other = Caller("key-other", "other", WEB.scopes, frozenset(), None, frozenset())
    about = {"journey_id": journey} if named == "journey_id" else {"order_id": key, "order_source": "web"}
    raw = {
        "id": "e-1",
        "type": "bopis.picked",
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": {**about, "picker": "crew", "lines": LINES},
    }
    (outcome,) = await facts.receive(shop.database, other, [raw], received_at=datetime.now(UTC))
    assert outcome.outcome == "refused"
    assert outcome.problem is not None
    assert outcome.problem["code"] == "not_allowed"
    assert await shop.value("SELECT picked FROM journey_line WHERE journey_id = :id", id=journey) == 0
