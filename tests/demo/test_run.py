"""The replay against a counter that checks every call: complete, the same for a seed, stopped and gone on, polite."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo import folder, memory, people
from demo.baskets import Assortment, of_day
from demo.bodies import order_id
from demo.client import Client, RefusedError
from demo.plan import day_script
from demo.run import BACKLOG_ORDERS, Options, Replay, replay
from demo.source import Sales
from tests.demo.counter import PulledPlugError, Till

DAY, SEED = 36, 7
MORNING = dt.datetime(2026, 11, 21, 14, 0, tzinfo=dt.UTC)


@dataclass
class Clock:
    """A clock that is moved on by whoever waits."""

    at: dt.datetime = MORNING

    def now(self) -> dt.datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += dt.timedelta(seconds=seconds)
        await asyncio.sleep(0)


Start = Callable[..., Replay]


@pytest.fixture
def till(assortment: Assortment) -> Till:
    return Till(assortment.items)


@pytest.fixture
def start(data_folder: Path, assortment: Assortment, sales: Sales, tmp_path: Path) -> Start:
    """Makes a replay of one day, as a new process would."""
    costs = {row["sku"]: int(row["cost_minor"]) for row in folder.read(data_folder / "items.csv")}

    def made(till: Till, clock: Clock, position_file: Path = tmp_path / "demo.json", days: int = 1) -> Replay:
        options = Options("http://endcap", data_folder, position_file, day=DAY, days=days, seed=SEED)
        http = httpx2.AsyncClient(base_url=options.base_url, transport=till.transport())
        keys = {name: f"key-of-{name}" for name in ("pos", "web", "oms", people.SAM.id)}
        client = Client(http, keys, sleep=clock.sleep)
        remembered = memory.load(position_file, day=DAY, seed=SEED, now=clock.now())
        return Replay(options, client, remembered, sales, assortment, costs, clock.now, clock.sleep)

    return made


def kinds(till: Till) -> Counter[str]:
    return Counter(kind for kind, _ in till.sent)


class TestWholeDay:
    async def test_every_basket_is_sent_once_and_nothing_is_refused(
        self, till: Till, start: Start, sales: Sales, assortment: Assortment
    ) -> None:
        clock = Clock()
        await start(till, clock).run()
        baskets = of_day(sales, DAY, assortment)
        acts = day_script(baskets, DAY, SEED)
        orders = {body["order_id"] for kind, body in till.sent if kind == "order"}
        sold = {body["data"]["receipt"] for kind, body in till.sent if kind == "pos.sale"}
        assert {order_id(act.basket) for act in acts if act.kind == "order" and act.basket} <= orders
        assert {str(act.basket.id) for act in acts if act.kind != "order" and act.basket} <= sold
        assert till.outcomes["refused"] == till.outcomes["duplicate"] == 0
        assert till.outcomes["quarantined"] == sum(act.kind == "sale_with_unknown_item" for act in acts)
        # 9:00 to midnight at sixty seconds a second
        assert dt.timedelta(minutes=13) < clock.at - MORNING < dt.timedelta(minutes=17)

    async def test_crew_and_customers_finish_what_the_script_lets_them(self, till: Till, start: Start) -> None:
        await start(till, Clock()).run()
        states = Counter(journey["state"] for journey in till.journeys.values())
        assert states["collected"] > len(till.journeys) / 3
        assert states["cancelled"] >= 1
        assert states["reservation_failed"] >= 3  # shelves found empty
        counted = [count for count in till.counts.values() if count["state"] == "posted"]
        assert kinds(till)["count.entered"] == len(counted) >= 3
        assert till.counts["count:endcap:0"] in counted  # of the story

    async def test_no_report_is_dated_after_it_is_sent(self, till: Till, start: Start) -> None:
        clock = Clock()
        watched: list[tuple[str, dt.datetime]] = []
        plain = till.event

        def event(source: str, body: dict[str, Any]) -> dict[str, Any]:
            watched.append((body["occurred_at"], clock.at))
            return plain(source, body)

        till.event = event  # type: ignore[method-assign]  # the counter looks at its clock
        await start(till, clock).run()
        late = [sent - dt.datetime.fromisoformat(at) for at, sent in watched]
        assert min(late) >= dt.timedelta(milliseconds=-1)
        # A till that was cut off reports hours of trading late, minutes at this speed.
        assert max(late) > dt.timedelta(minutes=2)

    async def test_the_day_after_begins_with_deliveries_of_what_was_sold(self, till: Till, start: Start) -> None:
        await start(till, Clock(), days=2).run()
        delivered = [body for kind, body in till.sent if kind == "stock.received" and "returns" not in body["id"]]
        assert len(delivered) > 5
        assert len({body["data"]["location"] for body in delivered}) == len(delivered)


class TestFirstSeconds:
    async def test_the_queue_lives_before_the_clock_moves(self, till: Till, start: Start) -> None:
        run = start(till, Clock())
        await run._open()
        assert len(run.memory.pinned) == 3
        assert kinds(till)["order"] == 3 + BACKLOG_ORDERS
        assert kinds(till)["bopis.picked"] > BACKLOG_ORDERS / 3

    async def test_sam_decides_the_refund_that_waits_for_ana(self, till: Till, start: Start) -> None:
        run = start(till, Clock())
        await run._open()
        decision, looked = till.decided
        assert (looked["by"], looked["option"]) == (people.SAM.id, "pay")
        assert (decision["by"], decision["option"], decision["version"]) == (people.SAM.id, "cancel_refund", 3)
        refund = run.memory.pinned[2]
        order = till.bodies[refund.order_id]
        assert order["pickup_location"] == people.ANAS_STORE
        line = order["lines"][0]
        assert line["quantity"] * line["unit_price_minor"] > 2500

    async def test_goods_are_on_their_way_one_came_short_and_some_are_left_to_people(
        self, till: Till, start: Start
    ) -> None:
        run = start(till, Clock())
        await run._open()
        asked = {body["transfer_id"]: body for kind, body in till.sent if kind == "transfer"}
        sent = [body["data"]["transfer_id"] for kind, body in till.sent if kind == "transfer.shipped"]
        (came,) = [body["data"] for kind, body in till.sent if kind == "transfer.received"]
        short = asked[came["transfer_id"].split(":", 2)[2]]
        assert came["lines"][0]["quantity"] < short["lines"][0]["quantity"]
        assert came["complete"]
        assert len(sent) >= 5
        ana = [body for body in asked.values() if people.ANAS_STORE in (body["from"], body["to"])]
        left = [body for body in ana if body["from"] == people.ANAS_STORE]
        assert (len(ana), [body["requested_by"] for body in left]) == (3, [None, people.SAM.id])
        assert not {f"transfer:oms:{body['transfer_id']}" for body in left} & set(sent)

    async def test_one_return_waits_to_be_looked_at_one_was_refunded_one_is_announced_and_one_has_a_score(
        self, till: Till, start: Start
    ) -> None:
        run = start(till, Clock())
        await run._open()
        asked = [body for kind, body in till.sent if kind == "return"]
        assert [body["method"] for body in asked] == ["mail", "store", "store", "mail", *["store"] * 4]
        assert {body["returned_to"] for body in asked} == {people.ANAS_STORE}
        came, seen = (
            [body["data"]["return_id"].rsplit(":", 1)[1] for kind, body in till.sent if kind == f"return.{name}"]
            for name in ("received", "inspected")
        )
        numbers = [body["return_id"] for body in asked]
        assert (came, seen) == (numbers[:3] + numbers[4:], numbers[1:2] + numbers[4:])
        (strange,) = [body for body in asked if body["receipt"] is None]
        assert strange["return_id"] == numbers[2]
        assert strange["customer_history"]["returned"] > strange["customer_history"]["bought"] * 0.4

    async def test_what_was_defective_is_on_its_way_back_to_its_makers_one_further_than_the_other(
        self, till: Till, start: Start
    ) -> None:
        run = start(till, Clock())
        await run._open()
        assert list(till.vendor_returns.values()) == ["authorized", "shipped", "credited", "credited"]
        defective = {body["lines"][0]["sku"] for kind, body in till.sent if kind == "return"} - {
            line["sku"] for kind, body in till.sent if kind == "vendor_return" for line in body["lines"]
        }
        assert len(defective) == 4  # what the first four bring back is in no document
        notes = [body["amount_minor"] for kind, body in till.sent if kind == "vendor_return.credit"]
        assert notes == [240, 400]

    async def test_the_day_brings_some_of_them_and_leaves_the_rest(self, till: Till, start: Start) -> None:
        run = start(till, Clock())
        await run.run()
        assert run.memory.parcels == []
        sent, came = (
            [body["data"]["transfer_id"] for kind, body in till.sent if kind == f"transfer.{name}"]
            for name in ("shipped", "received")
        )
        assert len(came) == 5
        assert len(sent) == len(set(sent)) == 10
        assert set(came) < set(sent)

    async def test_the_till_takes_a_unit_that_was_promised(self, till: Till, start: Start, data_folder: Path) -> None:
        await start(till, Clock())._open()
        order = till.bodies["W-STORY-TILL"]
        sale = till.bodies["pos|sale-story-till"]
        line = order["lines"][0]
        assert sale["data"]["location"] == order["pickup_location"]
        assert sale["data"]["lines"][0]["sku"] == line["sku"]
        stock = [
            int(row["quantity"])
            for row in folder.read(data_folder / "stock.csv")
            if (row["location"], row["sku"]) == (order["pickup_location"], line["sku"])
        ]
        assert stock == [line["quantity"]]


class TestSameAgain:
    async def test_the_same_seed_sends_the_same_bodies_in_the_same_order(
        self, assortment: Assortment, start: Start, tmp_path: Path
    ) -> None:
        tills = [Till(assortment.items), Till(assortment.items)]
        for number, till in enumerate(tills):
            await start(till, Clock(), tmp_path / f"{number}.json").run()
        assert len(tills[0].sent) > 150
        assert tills[0].sent == tills[1].sent

    @pytest.mark.parametrize("calls", [2, 6, 30, 75, 200])
    async def test_a_killed_replay_goes_on_without_losing_or_doubling(
        self, till: Till, start: Start, sales: Sales, assortment: Assortment, calls: int
    ) -> None:
        clock = Clock()
        till.pull_plug_after = calls
        with pytest.raises(PulledPlugError):
            await start(till, clock).run()
        clock.at += dt.timedelta(minutes=50)
        await start(till, clock).run()
        assert till.outcomes["refused"] == 0
        baskets = {order_id(basket): str(basket.id) for basket in of_day(sales, DAY, assortment)}
        sent = Counter(
            baskets.get(body["order_id"]) if kind == "order" else body["data"]["receipt"]
            for kind, body in till.sent
            if kind in {"order", "pos.sale"}
        )
        assert all(sent[receipt] == 1 for receipt in baskets.values())
        counted = [count for count in till.counts.values() if count["state"] == "posted"]
        assert kinds(till)["count.entered"] == len(counted) >= 3
        assert till.counts["count:endcap:0"] in counted  # of the story

    async def test_another_seed_starts_afresh(self, tmp_path: Path) -> None:
        path = tmp_path / "demo.json"
        old = memory.load(path, day=DAY, seed=SEED, now=MORNING)
        memory.save(path, old.model_copy(update={"position": 12}))
        assert memory.load(path, day=DAY, seed=SEED, now=MORNING).position == 12
        assert memory.load(path, day=DAY, seed=SEED + 1, now=MORNING).position == 0
        assert memory.load(path, day=DAY + 1, seed=SEED, now=MORNING).position == 0


class TestPoliteness:
    async def test_it_waits_while_the_api_is_away_or_busy(self, till: Till, start: Start) -> None:
        till.troubles = [
            httpx2.ConnectError("refused"),
            httpx2.Response(503, headers={"Retry-After": "5"}),
            httpx2.Response(429, json={}),
            httpx2.ReadTimeout("slow"),
            httpx2.Response(500, json={}),
            httpx2.Response(500, json={}),
        ]
        clock = Clock()
        run = start(till, clock)
        await run._open()
        assert kinds(till)["order"] == 3 + BACKLOG_ORDERS
        assert clock.at - MORNING >= dt.timedelta(seconds=0.25 + 5 + 10)

    async def test_a_refused_order_is_passed_over(self, till: Till, start: Start, tmp_path: Path) -> None:
        clock = Clock()
        run = start(till, clock)
        await run._open()
        till.troubles = [httpx2.Response(422, json={"code": "unknown_sku", "detail": "no such item"})]
        await run._day(DAY)
        assert run.memory.position > 50

    async def test_a_call_that_keeps_failing_is_given_up_after_three_tries(self, till: Till, start: Start) -> None:
        till.troubles = [httpx2.Response(500, json={"detail": "broken"}) for _ in range(3)]
        with pytest.raises(RefusedError, match="500"):
            await start(till, Clock()).client.get("/api/v1/cases", as_="web")
        assert till.troubles == []

    async def test_a_refusal_says_what_the_api_said(self, till: Till, start: Start) -> None:
        till.troubles = [httpx2.Response(403, json={"code": "insufficient_scope", "detail": "orders:write is missing"})]
        with pytest.raises(RefusedError, match=r"403 insufficient_scope orders:write is missing"):
            await start(till, Clock()).client.get("/api/v1/cases", as_="web")

    async def test_without_a_key_nothing_is_sent(self, till: Till) -> None:
        client = Client(httpx2.AsyncClient(base_url="http://endcap", transport=till.transport()), {})
        with pytest.raises(RefusedError, match="no_key"):
            await client.get("/api/v1/cases", as_="web")

    @pytest.mark.parametrize(("day", "speed"), [(0, 60.0), (366, 60.0), (36, 0.0), (36, float("nan"))])
    async def test_a_day_or_speed_that_does_not_exist_is_refused(
        self, data_folder: Path, tmp_path: Path, day: int, speed: float
    ) -> None:
        with pytest.raises(ValueError, match="day must be"):
            await replay(Options("http://endcap", data_folder, tmp_path / "d.json", day=day, speed=speed))
