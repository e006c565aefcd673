"""How much a relay sends at once when Temporal says that it is too much, and when it takes it again."""

from typing import TYPE_CHECKING

import pytest
from temporalio.service import RPCError, RPCStatusCode

from relay import STUCK_AFTER, Relay
from tests.relay.test_two_relays import heard
from wire import Pressure

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.shop import Shop


class TestPressure:
    def test_half_as_many_after_a_pause_that_doubles_up_to_a_limit(self) -> None:
        pressure, now, seen = Pressure(32), 0.0, []
        for _ in range(9):
            pressure.pushed_back(now)
            seen.append((pressure.allowed, pressure.rest_s(now)))
            now += pressure.rest_s(now)
        assert seen == [(16, 0.5), (8, 1), (4, 2), (2, 4), (1, 8), (1, 16), (1, 30), (1, 30), (1, 30)]

    def test_calls_that_were_under_way_together_are_refused_together_and_count_once(self) -> None:
        pressure = Pressure(32)
        for _ in range(32):
            pressure.pushed_back(10.0)
        assert (pressure.allowed, pressure.rest_s(10.0)) == (16, 0.5)

    def test_one_that_was_taken_while_it_rests_ends_neither_the_rest_nor_the_limit(self) -> None:
        pressure = Pressure(4)
        pressure.pushed_back(1.0)
        pressure.took(1.2)
        assert (pressure.allowed, round(pressure.rest_s(1.2), 3)) == (2, 0.3)

    def test_each_call_that_is_taken_allows_one_more_until_all_is_as_before(self) -> None:
        pressure = Pressure(4)
        pressure.pushed_back(0.0)
        for _ in range(9):
            pressure.took(5.0)
        assert (pressure.allowed, pressure.pause_s, pressure.rest_s(5.0)) == (4, 0.0, 0.0)
        pressure.pushed_back(6.0)
        assert pressure.pause_s == Pressure.FIRST_PAUSE_S


async def never() -> None:
    raise AssertionError("run_once is given its client")


async def test_a_server_that_takes_little_gets_little_blames_no_message_and_hears_all_in_order(
    shop: "Shop", temporal: "TemporalServer", task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = temporal.client
    relay = Relay(shop.database, never, task_queue=task_queue, by="test", slots=8)  # type: ignore[arg-type]
    orders = [await shop.order(at="S2") for _ in range(5)]
    for order in orders:
        await shop.tell(order)
    calls = 0

    async def too_much(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        raise RPCError("slow down", RPCStatusCode.RESOURCE_EXHAUSTED, b"")

    with monkeypatch.context() as rush:
        rush.setattr(client, "start_workflow", too_much)
        for _ in range(STUCK_AFTER + 1):
            assert await relay.run_once(client) == 0
            await shop.change("UPDATE outbox SET not_before = NULL")
    assert relay.pressure.allowed < 8
    assert await shop.value("SELECT count(*) FROM case_file") == 0
    assert await shop.value("SELECT count(*) FROM outbox WHERE last_error LIKE '%slow down%'") == 5
    assert calls >= 5
    await shop.change("UPDATE outbox SET not_before = NULL")
    delivered = 0
    while delivered < 10:
        delivered += await relay.run_once(client)
    assert [await heard(client, order) for order in orders] == [[2]] * 5


async def test_a_message_that_was_too_much_waits_longer_each_time(
    shop: "Shop", temporal: "TemporalServer", task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = Relay(shop.database, never, task_queue=task_queue, by="test")  # type: ignore[arg-type]
    order = await shop.order()

    async def too_much(*_: object, **__: object) -> None:
        raise RPCError("slow down", RPCStatusCode.RESOURCE_EXHAUSTED, b"")

    monkeypatch.setattr(temporal.client, "start_workflow", too_much)
    waits = []
    for _ in range(3):
        relay.pressure._rests_until = 0.0  # as if the pause had passed
        await relay.run_once(temporal.client)
        waits.append(relay.pressure.pause_s)
        assert await shop.value("SELECT not_before > now() FROM outbox WHERE target = :target", target=order)
        await shop.change("UPDATE outbox SET not_before = NULL")
    assert waits == [0.5, 1, 2]
