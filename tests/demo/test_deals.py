"""The demo's deals: chosen from the real data, carried through act by act, gone on with after a stop; shelf labels."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from demo import folder
from demo.baskets import Assortment
from demo.client import Client
from demo.dealing import Dealing
from demo.deals import STUCK, Deal, agreement, named, plan, promotion, sold
from demo.labels import Labels
from demo.memory import Memory
from demo.stories import Stories
from domain.events import EVENT_TYPES, Event
from domain.funding import NewAgreement
from domain.promotion import ShelfPrice
from domain.promotions import NewPromotion
from ports.price import CsvPriceChannel, PriceAt, PriceToShow

NOON = dt.datetime(2026, 11, 21, 17, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def deals(assortment: Assortment, data_folder: Path) -> tuple[Deal, ...]:
    memory = Memory(first_day=36, seed=7, day=36, anchor=NOON, opened_at=NOON)
    client = Client(httpx2.AsyncClient(), {})
    return plan(assortment, Stories(client, memory, data_folder).shelf, 36, NOON)


@pytest.fixture(scope="module")
def costs(data_folder: Path) -> dict[str, int]:
    return {row["sku"]: int(row["cost_minor"]) for row in folder.read(data_folder / "items.csv")}


class Desk:
    """Answers like the API, keeps what it is sent, and lets the promotion begin and the claim go out when told to."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        self.state = "publishing"
        self.claim: dict[str, Any] = {
            "state": "prepared",
            "journey_id": "claim:oms:A-1-1",
            "sent_at": None,
            "lines": [],
        }
        self.refuses = ""

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/api/v1")
        if request.method == "GET":
            return httpx2.Response(200, json=self.claim if path.startswith("/claims/") else {"state": self.state})
        body = json.loads(request.content)
        if self.refuses and path.startswith(self.refuses):
            return httpx2.Response(422, json={"code": "malformed", "detail": "It would have begun already."})
        self.posts.append((path, body))
        if path == "/events":
            return httpx2.Response(
                200, json={"results": [{"id": one["id"], "outcome": "accepted"} for one in body["events"]]}
            )
        return httpx2.Response(201, json={})

    def sent(self, path: str) -> list[Any]:
        return [body for where, body in self.posts if where.startswith(path)]


Start = Callable[[Desk], Dealing]


@pytest.fixture
def start(deals: tuple[Deal, ...], costs: dict[str, int], tmp_path: Path) -> Start:
    """As a new process would."""

    def made(desk: Desk) -> Dealing:
        http = httpx2.AsyncClient(base_url="http://endcap", transport=httpx2.MockTransport(desk.handle))
        keys = dict.fromkeys(("pos", "oms"), "a-key")
        labels = Labels(tmp_path / "labels", {}, STUCK)
        return Dealing(Client(http, keys), deals, labels, costs, tmp_path / "deals.json", lambda: NOON)

    return made


class TestPlan:
    def test_each_deal_is_of_a_maker_of_the_campaign_of_the_day(self, deals: tuple[Deal, ...]) -> None:
        assert [deal.role for deal in deals] == ["running", "ended", "stuck", "thin", "claimed"]
        assert len({deal.maker for deal in deals}) == len({deal.code for deal in deals}) == 5
        assert STUCK in next(deal for deal in deals if deal.role == "stuck").stores

    def test_the_api_takes_what_is_sent(self, deals: tuple[Deal, ...]) -> None:
        for deal in deals:
            signed = NewAgreement.model_validate(agreement(deal))
            planned = NewPromotion.model_validate(promotion(deal))
            assert signed.starts_at <= planned.starts_at < planned.ends_at <= signed.ends_at
            assert planned.agreement_id == signed.number

    def test_what_is_sold_of_a_deal_has_come_before_and_names_it(
        self, deals: tuple[Deal, ...], costs: dict[str, int]
    ) -> None:
        for deal in deals:
            deliveries, rung = sold(deal, NOON, 9, costs)
            units: dict[tuple[str, str], int] = {}
            for body in [*deliveries, *rung]:
                event = Event.model_validate(body)
                data: Any = EVENT_TYPES[event.type].model_validate(event.data)
                for line in data.lines:
                    sign = 1 if event.type == "stock.received" else -1
                    units[data.location, line.sku] = units.get((data.location, line.sku), 0) + sign * line.quantity
                    assert sign == 1 or line.promotion_id == deal.code
            assert len(rung) == 9
            assert set(units.values()) == {0}

    def test_a_receipt_names_what_runs_where_it_was_rung_up(self, deals: tuple[Deal, ...]) -> None:
        deal = deals[0]
        item = deal.items[0]

        def code(at: dt.datetime, location: str = item.location, sku: str = item.sku) -> str | None:
            data = {"location": location, "lines": [{"sku": sku}]}
            line = named({"occurred_at": at.isoformat(), "data": data}, deals)["data"]["lines"][0]
            found: str | None = line.get("promotion_id")
            return found

        assert code(deal.starts_at) == deal.code
        assert code(deal.starts_at - dt.timedelta(seconds=1)) is None
        assert code(deal.ends_at) is None
        assert code(deal.starts_at, location="S9999") is None
        assert code(deal.starts_at, sku="1") is None
        ended = next(one for one in deals if one.role == "ended")
        assert code(ended.starts_at, ended.items[0].location, ended.items[0].sku) is None


class TestCarriedThrough:
    async def test_act_by_act_as_far_as_is_possible(self, start: Start, deals: tuple[Deal, ...]) -> None:
        desk = Desk()
        dealing = start(desk)
        assert not await dealing.act()
        assert len(desk.sent("/promotions")) == 4
        assert len([one for one in desk.posts if one[0] == "/funding-agreements"]) == 5
        assert len([path for path, _ in desk.posts if path.endswith(":claim")]) == 1  # of last month
        assert [path for path, _ in desk.posts if path.endswith(":end")] == []
        desk.state = "active"
        assert not await dealing.act()
        assert len([path for path, _ in desk.posts if path.endswith(":end")]) == 1
        assert len([path for path, _ in desk.posts if path.endswith(":claim")]) == 2
        lines = [{"line_id": "1", "amount_minor": 75}, {"line_id": "2", "amount_minor": 1_050}]
        desk.claim |= {"state": "sent", "sent_at": NOON.isoformat(), "lines": lines}
        assert await dealing.act()
        (said,) = desk.sent("/events")[-1]["events"]
        assert [one["accepted_minor"] for one in said["data"]["lines"]] == [45, 630]
        before = len(desk.posts)
        assert await dealing.act()
        assert len(desk.posts) == before

    async def test_after_a_stop_it_goes_on_with_the_same_bodies(self, start: Start) -> None:
        desk = Desk()
        desk.state = "active"
        first = start(desk)
        await first.act()
        told = {one["id"]: one for body in desk.sent("/events") for one in body["events"]}
        assert set(first.done.sold_at.values()) == {NOON}
        first.done.acts.remove("sell")  # stopped between the receipts and what remembers them
        first._remember()
        again = start(desk)
        again.now = lambda: NOON + dt.timedelta(hours=3)
        await again.act()
        for body in desk.sent("/events"):
            for one in body["events"]:
                assert told[one["id"]] == one

    async def test_what_is_refused_is_left_behind_and_the_rest_goes_on(self, start: Start) -> None:
        desk = Desk()
        desk.refuses = "/promotions"
        assert not await start(desk).act()
        assert len([one for one in desk.posts if one[0] == "/funding-agreements"]) == 5


class TestLabels:
    async def test_the_labels_of_one_store_go_on_showing_the_old_price(self, tmp_path: Path) -> None:
        channel = CsvPriceChannel(tmp_path)
        labels = Labels(tmp_path, {"7": 199}, "S0002")
        assert labels.look() == 0
        ats = [PriceAt(location, "7", NOON) for location in ("S0001", "S0002")]
        await channel.publish([PriceToShow(at, ShelfPrice(159, ""), "USD", 1) for at in ats])
        assert await channel.shown(ats) == {}
        assert labels.look() == 1
        assert labels.look() == 0
        shown = await channel.shown(ats)
        assert [shown[at].price_minor for at in ats] == [159, 199]
