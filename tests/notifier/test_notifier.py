"""From a change of state to the receiver: queued in its transaction, signed, tried again, given up, sent again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Malformed, NotFound, StateConflict
from domain.webhooks import WAITS, WebhookIn
from ledger import case, decisions, holds, webhooks
from ledger.engine import Database
from ledger.transaction import Transaction
from notifier import Notifier, run
from ports.webhook import WebhookCaller
from settings import Settings
from tests.ledger.support.till import adjusted, send
from tests.notifier.conftest import Receiver, due_now, listen
from tests.shop import ADA, ANA, TEA, Shop

PEOPLE = {"actor": "test", "via": "test"}
ANYWHERE: dict[str, Any] = {"owner": None, **PEOPLE}


async def queued(shop: Shop) -> list[str]:
    """Types that wait, oldest first."""
    found = await shop.value("SELECT string_agg(type, ',' ORDER BY id) FROM webhook_delivery WHERE state = 'queued'")
    return str(found).split(",") if found else []


async def picked(shop: Shop, order: str, quantity: int = 1) -> None:
    lines = [{"line_id": "1", "quantity": quantity}]
    outcome = await shop.report("bopis.picked", journey_id=order, picker="p", lines=lines)
    assert outcome.outcome == "accepted"


class TestAnnouncing:
    async def test_nobody_listens_and_nothing_is_queued(self, shop: Shop) -> None:
        await picked(shop, await shop.order())
        assert await shop.value("SELECT count(*) FROM webhook_delivery") == 0

    async def test_each_state_of_an_order_is_told_with_ids_alone(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url, "bopis.*")
        order = await shop.order()
        await picked(shop, order)
        assert await notifier.once() == 2
        said = sorted(receiver.verified(made.secret), key=lambda one: one["data"]["seq"])
        assert [one["type"] for one in said] == ["bopis.reserved", "bopis.ready_for_pickup"]
        assert said[1]["data"] == {
            "journey_id": order, "key": order.split(":")[2], "source": "web", "kind": "bopis",
            "state": "ready_for_pickup", "previous_state": "reserved", "location": "S1", "channel": "web",
            "seq": said[1]["data"]["seq"],
        }  # fmt: skip
        assert said[1]["data"]["seq"] > said[0]["data"]["seq"]
        assert datetime.fromisoformat(said[1]["timestamp"]).tzinfo is not None
        assert b"kim" not in b"".join(body for _, body in receiver.seen).lower()

    async def test_orders_of_one_batch_are_each_told_once(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/", "bopis.reserved", "bopis.reservation_failed")
        await asyncio.gather(*(shop.order() for _ in range(8)))  # five packs are there
        assert sorted(await queued(shop)) == ["bopis.reservation_failed"] * 3 + ["bopis.reserved"] * 5

    async def test_an_order_that_comes_again_is_not_told_again(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/")
        for _ in range(2):
            await shop.order(order_id="W-1")
        assert await queued(shop) == ["bopis.reserved"]

    async def test_a_case_is_told_from_its_opening_to_its_end(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/", "case.*")
        await shop.report("stock.received", location="S1", document="D", lines=[{"sku": TEA, "quantity": 100}])
        case_id = await self.review(shop)
        await case.claim(shop.database, case_id, ANA, via="test")
        await case.release(shop.database, case_id, ANA, via="test")
        await decisions.decide(shop.database, case_id, ANA, option_id="undo", parameters={}, via="test")
        assert await queued(shop) == ["case.opened", "case.claimed", "case.released", "case.deciding", "case.resolved"]

    async def review(self, shop: Shop) -> int:
        (outcome,) = await send(shop, adjusted("a1", TEA, -20))
        assert outcome.case_id is not None
        return outcome.case_id

    async def test_what_is_rolled_back_is_not_told(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/")

        class Stop(Exception):
            pass

        async def work(tx: Transaction) -> None:
            await webhooks.announce(tx, "refund.requested", about="web", subject="x", at=await tx.now(), data={})
            raise Stop

        with pytest.raises(Stop):
            await shop.database.write(work, **PEOPLE)
        assert await queued(shop) == []

    @pytest.mark.parametrize(
        ("listener", "hears"),
        [
            ({"source": "web"}, True),
            ({"source": "pos"}, False),
            ({"source": "pos", "sources": ("web",)}, True),
            ({"source": "ops", "sources": ("*",)}, True),
        ],
    )
    async def test_a_system_hears_of_its_own_and_its_listed_sources(
        self, shop: Shop, listener: dict[str, Any], hears: bool
    ) -> None:
        await listen(shop, "http://127.0.0.1:1/", **listener)
        await shop.order()
        assert bool(await queued(shop)) is hears

    async def test_only_what_was_asked_for_is_queued(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/", "bopis.collected", "case.*")
        await shop.order()
        assert await queued(shop) == []

    async def test_holds_of_a_checkout_are_no_journey_and_tell_nothing(self, shop: Shop) -> None:
        await listen(shop, "http://127.0.0.1:1/")
        assert await holds.sweep(shop.database) == 0
        assert await queued(shop) == []


class TestRetrying:
    async def test_a_failure_waits_longer_each_time_and_keeps_its_id(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url)
        await shop.order()
        receiver.answer = "500 Internal Server Error"
        waits = []
        for _ in range(3):
            await due_now(shop)
            assert await notifier.once() == 1
            waits.append(await shop.value("SELECT not_before - now() FROM webhook_delivery"))
        assert [abs(wait - wanted) < timedelta(seconds=20) for wait, wanted in zip(waits, WAITS, strict=False)]
        assert waits[0] < waits[1] < waits[2]
        receiver.answer = "204 No Content"
        await due_now(shop)
        await notifier.once()
        assert len(set(receiver.ids)) == 1
        assert len(receiver.verified(made.secret)) == 4
        assert await shop.value("SELECT state FROM webhook_delivery") == "sent"
        assert await shop.value("SELECT failing_since FROM webhook_endpoint") is None
        log = await shop.value("SELECT log FROM webhook_delivery")
        assert [one["status"] for one in log] == [500, 500, 500, 204]

    async def test_nothing_is_sent_before_its_time(self, shop: Shop, receiver: Receiver, notifier: Notifier) -> None:
        await listen(shop, receiver.url)
        await shop.order()
        receiver.answer = "503 Busy\r\nRetry-After: 3600"
        await notifier.once()
        assert await notifier.once() == 0
        wait = await shop.value("SELECT not_before - now() FROM webhook_delivery")
        assert timedelta(minutes=59) < wait < timedelta(minutes=61)

    async def test_after_the_last_attempt_it_is_given_up_and_can_be_sent_again(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url)
        await shop.order()
        receiver.answer = "500 No"
        for _ in range(len(WAITS) + 1):
            await due_now(shop)
            await notifier.once()
        assert await shop.value("SELECT state FROM webhook_delivery") == "failed"
        await due_now(shop)
        assert await notifier.once() == 0
        receiver.answer = "200 OK"
        delivery = await shop.value("SELECT id FROM webhook_delivery")
        await webhooks.redeliver(shop.database, made.id, delivery, **ANYWHERE)
        assert await notifier.once() == 1
        assert await shop.value("SELECT state || jsonb_array_length(log) FROM webhook_delivery") == "sent12"
        assert len(set(receiver.ids)) == 1

    async def test_a_slow_or_dead_endpoint_does_not_hold_up_another(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        await listen(shop, "http://127.0.0.1:1/", "bopis.*")
        await listen(shop, receiver.url, "bopis.*")
        for _ in range(3):
            await shop.order()
        await notifier.once()
        assert len(receiver.seen) == 3

    async def test_two_notifiers_send_each_message_once(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        await listen(shop, receiver.url)
        for _ in range(4):
            await shop.order()
        await asyncio.gather(notifier.once(), notifier.once())
        assert len(receiver.ids) == len(set(receiver.ids)) == 4

    async def test_a_sender_that_died_leaves_its_lease_behind(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        await listen(shop, receiver.url)
        await shop.order()
        assert len(await webhooks.claim(shop.database, limit=9, of_each=9, lease_s=0)) == 1
        assert await notifier.once() == 1
        assert await shop.value("SELECT attempts FROM webhook_delivery") == 2

    async def test_a_secret_that_cannot_be_opened_fails_alone(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        lost = await listen(shop, receiver.url)
        await listen(shop, receiver.url)
        await shop.change("UPDATE webhook_endpoint SET secret_sealed = 'x' WHERE id = :id", id=lost.id)
        await shop.order()
        await notifier.once()
        assert len(receiver.seen) == 1
        log = await shop.value("SELECT log FROM webhook_delivery WHERE endpoint_id = :id", id=lost.id)
        assert "rotate it" in log[0]["error"]


class TestDisabling:
    async def fail(self, shop: Shop, notifier: Notifier, since: timedelta) -> None:
        await shop.order()
        await notifier.once()
        await shop.change("UPDATE webhook_endpoint SET failing_since = :at", at=datetime.now(UTC) - since)
        await due_now(shop)
        await notifier.once()

    async def test_after_five_days_without_success_it_is_disabled_with_a_case_and_a_mail(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        await shop.change("INSERT INTO person_role (person_id, role) VALUES ('ada', 'integration_owner')")
        made = await listen(shop, receiver.url, "bopis.*")
        receiver.answer = "500 No"
        await self.fail(shop, notifier, timedelta(days=5, minutes=1))
        assert await shop.value("SELECT state FROM webhook_endpoint") == "disabled"
        case_id = await shop.value("SELECT id FROM case_file WHERE kind = 'webhook_failing'")
        assert await shop.value("SELECT person_id FROM mail WHERE template = 'webhook_disabled'") == "ada"
        await due_now(shop)
        assert await notifier.once() == 0, "nothing is sent to a disabled one"
        await shop.order()
        assert await shop.value("SELECT count(*) FROM webhook_delivery") == 1, "nor queued for it"
        receiver.answer = "204 Yes"
        await decisions.decide(shop.database, case_id, ADA, option_id="enable", parameters={}, via="test")
        assert await notifier.once() == 1
        with pytest.raises(StateConflict):
            await webhooks.enable(shop.database, made.id, **ANYWHERE)

    async def test_shortly_before_it_is_still_tried(self, shop: Shop, receiver: Receiver, notifier: Notifier) -> None:
        await listen(shop, receiver.url, "bopis.*")
        receiver.answer = "500 No"
        await self.fail(shop, notifier, timedelta(days=4, hours=23))
        assert await shop.value("SELECT state FROM webhook_endpoint") == "active"

    async def test_one_that_says_it_is_gone_is_disabled_at_once_and_enabling_it_heals_the_case(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url, "bopis.*")
        receiver.answer = "410 Gone"
        await shop.order()
        await notifier.once()
        assert "410" in await shop.value("SELECT disabled_reason FROM webhook_endpoint")
        await webhooks.enable(shop.database, made.id, **ANYWHERE)
        assert await shop.value("SELECT resolution FROM case_file") == "self_healed"
        receiver.answer = "200 OK"
        assert await notifier.once() == 1

    async def test_it_can_fail_again_as_a_new_episode(self, shop: Shop, receiver: Receiver, notifier: Notifier) -> None:
        made = await listen(shop, receiver.url, "bopis.*")
        receiver.answer = "410 Gone"
        await shop.order()
        await notifier.once()
        await webhooks.enable(shop.database, made.id, **ANYWHERE)
        await notifier.once()
        assert await shop.value("SELECT episode || state FROM case_file") == "2open"


class TestEndpoints:
    async def test_after_a_rotation_both_secrets_sign_for_a_day(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url)
        newer = await webhooks.rotate(shop.database, made.id, **ANYWHERE)
        await shop.order()
        await notifier.once()
        assert len(receiver.verified(made.secret, newer.secret)) == 2
        await shop.change("UPDATE webhook_endpoint SET older_until = now()")
        receiver.seen.clear()
        await shop.order()
        await notifier.once()
        assert len(receiver.verified(newer.secret)) == 1
        assert " " not in receiver.seen[0][0]["webhook-signature"]

    async def test_secrets_are_kept_sealed(self, shop: Shop) -> None:
        made = await listen(shop, "http://127.0.0.1:1/")
        raw = await shop.value("SELECT secret_sealed FROM webhook_endpoint")
        assert made.secret.encode() not in bytes(raw)

    async def test_a_ping_goes_to_one_that_asked_for_other_things(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url, "case.*")
        await webhooks.ping(shop.database, made.id, **ANYWHERE)
        await notifier.once()
        assert receiver.verified(made.secret)[0]["type"] == "webhook.ping"

    async def test_a_removed_one_gets_nothing_and_is_not_found(
        self, shop: Shop, receiver: Receiver, notifier: Notifier
    ) -> None:
        made = await listen(shop, receiver.url)
        await shop.order()
        await webhooks.remove(shop.database, made.id, **ANYWHERE)
        assert await notifier.once() == 0
        for act in (webhooks.enable, webhooks.remove, webhooks.ping, webhooks.rotate):
            with pytest.raises(NotFound):
                await act(shop.database, made.id, **ANYWHERE)

    async def test_another_source_does_not_find_it(self, shop: Shop) -> None:
        made = await listen(shop, "http://127.0.0.1:1/")
        await webhooks.ping(shop.database, made.id, **ANYWHERE)
        delivery = await shop.value("SELECT id FROM webhook_delivery")
        with pytest.raises(NotFound):
            await webhooks.rotate(shop.database, made.id, owner="pos", **PEOPLE)
        with pytest.raises(NotFound):
            await webhooks.redeliver(shop.database, made.id, delivery, owner="pos", **PEOPLE)

    async def test_a_url_into_a_network_of_ours_is_refused(self, shop: Shop) -> None:
        wanted = WebhookIn(url="https://10.0.0.1/", types=("*",))
        with pytest.raises(Malformed, match="private network"):
            await webhooks.register(
                shop.database, wanted, source="web", sources=(), allow_local=True, actor="test", via="test"
            )

    async def test_more_than_fifty_of_one_source_are_refused(self, shop: Shop) -> None:
        for _ in range(50):
            await listen(shop, "http://127.0.0.1:1/", "case.*")
        with pytest.raises(Malformed, match="50 endpoints"):
            await listen(shop, "http://127.0.0.1:1/", "case.*")

    async def test_deliveries_that_ended_a_month_ago_are_deleted_and_no_others(self, shop: Shop) -> None:
        made = await listen(shop, "http://127.0.0.1:1/")
        for _ in range(3):
            await webhooks.ping(shop.database, made.id, **ANYWHERE)
        await shop.change(
            "UPDATE webhook_delivery SET state = 'sent', ended_at = now() - make_interval(days => 26 + id::int)"
        )
        await shop.change("UPDATE webhook_delivery SET state = 'queued', ended_at = NULL WHERE id = 3")
        assert await webhooks.clean(shop.database) == 0
        await shop.change("UPDATE webhook_delivery SET ended_at = now() - interval '31 days' WHERE id = 1")
        assert await webhooks.clean(shop.database) == 1


class TestRunning:
    async def test_it_sends_by_itself_until_it_is_stopped(self, shop: Shop, receiver: Receiver) -> None:
        made = await listen(shop, receiver.url, "bopis.reserved")
        stop = asyncio.Event()
        settings = Settings(_env_file=None, demo=True, webhook_allow_local=True)
        running = asyncio.create_task(run(shop.database, settings, stop))
        await shop.order()
        await asyncio.wait_for(receiver.called.wait(), 120)
        stop.set()
        await asyncio.wait_for(running, 120)
        assert len(receiver.verified(made.secret)) == 1
        assert await shop.value("SELECT state FROM webhook_delivery") == "sent"

    async def test_without_the_setting_it_calls_nothing_on_this_machine(self, shop: Shop, receiver: Receiver) -> None:
        await listen(shop, receiver.url, "bopis.reserved")
        await shop.order()
        caller = WebhookCaller(allow_local=Settings(_env_file=None, demo=True).webhook_allow_local)
        await Notifier(shop.database, caller).once()
        await caller.aclose()
        assert receiver.seen == []
        log = await shop.value("SELECT log FROM webhook_delivery")
        assert log[0]["error"] == "Webhooks go over https."


class TestWithoutKeys:
    async def test_a_process_without_sealing_keys_registers_nothing(self, shop: Shop) -> None:
        bare = Database(shop.database.url, pool_size=1)
        try:
            with pytest.raises(RuntimeError, match="ENDCAP_PAYLOAD_KEYS"):
                await listen(Shop(bare), "http://127.0.0.1:1/")
        finally:
            await bare.dispose()
