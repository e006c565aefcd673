"""Requests about an order: what is granted, and what is refused by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.shop import Shop


async def ready_order(shop: Shop) -> str:
    journey = await shop.order(1)
    lines = [{"line_id": "1", "quantity": 1}]
    picked = await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=lines)
    assert picked.outcome == "accepted"
    return journey


class TestExtend:
    async def test_the_window_ends_later_and_the_timeline_says_so_in_the_stores_time(self, shop: Shop) -> None:
        await shop.change("UPDATE location SET time_zone = 'Europe/Berlin' WHERE code = 'S1'")
        journey = await ready_order(shop)
        until = (datetime.now(UTC) + timedelta(days=20)).replace(hour=11, minute=30, microsecond=0)
        answer = await shop.report("bopis.extended", journey_id=journey, until=until.isoformat())
        assert answer.outcome == "accepted", answer
        said = await shop.value("SELECT detail FROM journey_step WHERE step = 'extended'")
        assert said.endswith((":30 CET.", ":30 CEST."))

    @pytest.mark.parametrize("until", [datetime.now(UTC) + timedelta(days=61), datetime.now(UTC) - timedelta(days=1)])
    async def test_neither_for_ever_nor_into_the_past(self, shop: Shop, until: datetime) -> None:
        journey = await ready_order(shop)
        answer = await shop.report("bopis.extended", journey_id=journey, until=until.isoformat())
        assert (answer.outcome, (answer.problem or {})["pointer"]) == ("refused", "/data/until")

    async def test_only_where_goods_stand_ready(self, shop: Shop) -> None:
        journey = await shop.order(1)
        until: Any = (datetime.now(UTC) + timedelta(days=20)).isoformat()
        answer = await shop.report("bopis.extended", journey_id=journey, until=until)
        assert (answer.outcome, (answer.problem or {})["code"]) == ("refused", "state_conflict")
