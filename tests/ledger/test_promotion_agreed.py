"""What a promotion needs before its prices go out: a definition that can be, a place of its own, and a margin, or the
word of merchandising and finance.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.errors import AlreadyPublished, DomainError, Malformed, OwnRequest, PromotionOverlap, StateConflict
from domain.people import Grant, Person
from domain.promotions import ChangedPromotion, NewPromotion
from ledger import verdicts
from ledger.promotion import intake, requests
from tests.ledger.support.promoting import CHANNELS, DAY, MIA, PIM, Promoted, body, define, hire
from tests.ledger.support.till import COFFEE, MILK
from tests.shop import ADA, FIN, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
THIN: dict[str, Any] = {"margin_floor_permille": 900}


async def refusal(shop: Shop, **more: Any) -> DomainError:
    """Why a definition is not taken; nothing of it is left."""
    with pytest.raises(DomainError) as refused:
        await define(shop, **more)
    assert await shop.value("SELECT count(*) FROM journey WHERE kind = 'promotion' AND key = 'P-refused'") == 0
    return refused.value


class TestDefinition:
    async def test_a_category_means_its_items(self, shop: Shop) -> None:
        await shop.change("UPDATE item SET category = 'Hot drinks' WHERE sku IN ('TEA-1', 'COFFEE-1')")
        it = await Promoted.open(shop, lines=[{"category": "Hot drinks", "forecast_units": 100}])
        assert (it.answer.items, it.answer.places) == (2, 4)

    async def test_an_item_is_meant_once(self, shop: Shop) -> None:
        await shop.change("UPDATE item SET category = 'Hot drinks' WHERE sku IN ('TEA-1', 'COFFEE-1')")
        lines = [{"sku": TEA, "forecast_units": 5}, {"category": "Hot drinks", "forecast_units": 100}]
        found = await refusal(shop, promotion_id="P-refused", lines=lines)
        assert isinstance(found, Malformed)
        assert "by line 1 and by line 2 (category Hot drinks)" in found.detail

    async def test_a_forecast_is_priced_where_it_is_expected(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO item_price (sku, location, channel, effective_from, price_minor)"
            " VALUES ('TEA-1', 'S1', '', now(), 1000)"
        )
        it = await Promoted.open(shop, locations=["S1", "S2"])
        assert it.answer.discount_minor == 50 * 200 + 50 * 300  # half of the units at each store

    async def test_what_has_begun_already_cannot_be_defined(self, shop: Shop) -> None:
        found = await refusal(shop, promotion_id="P-refused", begins=timedelta(hours=-1))
        assert (found.code, found.pointer) == ("malformed", "/starts_at")

    async def test_the_same_twice_is_one(self, shop: Shop) -> None:
        wanted = NewPromotion.model_validate(body())
        first, second = await asyncio.gather(
            *(intake.define(shop.database, PIM, wanted, channels=CHANNELS, via="api") for _ in range(2))
        )
        assert {first[0], second[0]} == {200, 201}
        assert first[1] == second[1]


class TestOverlap:
    async def test_an_exclusive_one_keeps_others_away_and_is_kept_away(self, shop: Shop) -> None:
        await define(shop, TEA, promotion_id="P-1", stacking="best")
        found = await refusal(shop, promotion_id="P-refused", stacking="exclusive")
        assert isinstance(found, PromotionOverlap)
        assert "Promotion P-1" in found.detail
        assert "this one is exclusive" in found.detail

    @pytest.mark.parametrize(
        "apart",
        [
            {"lines": [{"sku": COFFEE, "forecast_units": 5}]},
            {"channels": ["pos"]},
            {"locations": ["S2"]},
            {"begins": timedelta(days=9, seconds=1)},
        ],
        ids=["item", "channel", "place", "time"],
    )
    async def test_one_that_shares_not_all_four_runs_beside_it(self, shop: Shop, apart: dict[str, Any]) -> None:
        await define(shop, channels=["web"], locations=["S1"])
        await define(shop, **({"channels": ["web"], "locations": ["S1"]} | apart))

    async def test_those_that_are_not_exclusive_run_together(self, shop: Shop) -> None:
        for stacking in ("stack", "best", "stack"):
            await define(shop, stacking=stacking)

    async def test_of_two_at_once_one_is_taken(self, shop: Shop) -> None:
        results = await asyncio.gather(*(define(shop) for _ in range(4)), return_exceptions=True)
        refused = [one for one in results if isinstance(one, BaseException)]
        assert len(refused) == 3
        assert all(isinstance(one, PromotionOverlap) for one in refused)

    async def test_a_draft_takes_no_place_until_it_is_submitted(self, shop: Shop) -> None:
        draft = await define(shop, submit=False)
        other = await define(shop)
        with pytest.raises(PromotionOverlap):
            await intake.submit(shop.database, draft.journey_id, actor="ada", via="test")
        await requests.cancel(shop.database, other.journey_id, reason="x", actor="ada", via="test")
        await intake.submit(shop.database, draft.journey_id, actor="ada", via="test")
        with pytest.raises(StateConflict, match="only a draft"):
            await intake.submit(shop.database, draft.journey_id, actor="ada", via="test")

    async def test_an_extension_that_would_meet_one_is_refused(self, shop: Shop) -> None:
        first = await Promoted.open(shop)
        await define(shop, begins=timedelta(days=10))
        until = await first.instant("ends_at") + 2 * DAY
        with pytest.raises(PromotionOverlap):
            await requests.extend(shop.database, first.id, ends_at=until, reason="", actor="ada", via="test")


class TestMargin:
    async def test_merchandising_agrees_then_finance(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop, **THIN)
        assert it.answer.state == "pending_approval"
        assert await it.agree(MIA) == "pending_approval"
        assert await it.agree(FIN) == "approved"
        assert set((await it.row())["dues"]) == {"publish"}
        kinds = await shop.value(
            "SELECT array_agg(roles[1] ORDER BY id) FROM approval WHERE journey_id = :id", id=it.id
        )
        assert kinds == ["merchandiser", "finance"]

    async def test_nobody_speaks_for_both(self, shop: Shop) -> None:
        both = Person("bo", "Bo Kern", "bo@shop.example", (Grant("merchandiser"), Grant("finance")))
        await hire(shop, both)
        it = await Promoted.open(shop, **THIN)
        await it.agree(both)
        with pytest.raises(OwnRequest):
            await it.agree(both)
        assert await it.agree(FIN) == "approved"

    async def test_nobody_agrees_to_what_they_asked_for(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop, **THIN, requested_by="mia")
        with pytest.raises(OwnRequest):
            await it.agree(MIA)

    @pytest.mark.parametrize("at", ["merchandising", "finance"])
    async def test_rejected_it_is_a_draft_and_can_be_defined_anew(self, shop: Shop, at: str) -> None:
        await hire(shop)
        it = await Promoted.open(shop, **THIN)
        if at == "finance":
            await it.agree(MIA)
        assert await it.agree(MIA if at == "merchandising" else FIN, "reject") == "draft"
        assert set((await it.row())["dues"]) == {"lapse"}
        wanted = ChangedPromotion.model_validate(_without_id(body(**THIN, offer={"kind": "amount", "off_minor": 10})))
        await intake.amend(shop.database, it.id, wanted, channels=CHANNELS, actor="ada", via="test")
        assert await it.state() == "pending_approval"
        assert await it.agree(MIA) == "pending_approval"  # who spoke about the one before may speak again
        assert await it.agree(FIN) == "approved"

    async def test_its_start_withdraws_the_question(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop, **THIN)
        asked = (await it.row())["asks"]["approval_id"]
        assert await it.due("start") == "draft"
        assert await shop.value("SELECT state FROM approval WHERE id = :n", n=asked) == "superseded"
        with pytest.raises(DomainError, match="no longer to be decided"):
            await verdicts.record_verdict(shop.database, asked, MIA, verdict="approve", note="", via="test")

    async def test_what_takes_nothing_in_is_asked_about_whatever_its_floor(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop, offer={"kind": "amount", "off_minor": 9_999})
        assert (it.answer.state, it.answer.margin_permille) == ("pending_approval", None)


class TestChanged:
    async def test_until_its_prices_go_out(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA)
        wanted = ChangedPromotion.model_validate(_without_id(body(COFFEE, MILK, locations=["S2"])))
        await intake.amend(shop.database, it.id, wanted, channels=CHANNELS, actor="ada", via="test")
        assert await it.publish() == "publishing"
        starts_at = await it.instant("starts_at")
        web = it.channels["web"]
        assert web.shows("S2", COFFEE, starts_at).price_minor == 160
        assert web.shows("S1", COFFEE, starts_at).price_minor == 200
        assert web.shows("S2", TEA, starts_at).price_minor == 1_500
        with pytest.raises(AlreadyPublished):
            await intake.amend(shop.database, it.id, wanted, channels=CHANNELS, actor="ada", via="test")

    async def test_what_was_asked_about_the_one_before_is_withdrawn(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop, **THIN)
        asked = (await it.row())["asks"]["approval_id"]
        wanted = ChangedPromotion.model_validate(_without_id(body()))
        await intake.amend(shop.database, it.id, wanted, channels=CHANNELS, actor="ada", via="test")
        assert await it.state() == "approved"
        assert await shop.value("SELECT state FROM approval WHERE id = :n", n=asked) == "superseded"

    async def test_an_end_is_moved_only_to_where_it_can_be(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        ends_at = await it.instant("ends_at")
        with pytest.raises(StateConflict, match="only one that has begun"):
            await requests.end(shop.database, it.id, at=None, reason="x", actor=ADA.id, via="test")
        await it.begin()
        for wrong in (ends_at, ends_at + DAY):
            with pytest.raises(Malformed, match="no earlier end"):
                await requests.end(shop.database, it.id, at=wrong, reason="x", actor=ADA.id, via="test")
        with pytest.raises(Malformed, match="no later end"):
            await requests.extend(shop.database, it.id, ends_at=ends_at, reason="", actor=ADA.id, via="test")
        assert datetime.fromisoformat((await it.row())["dues"]["end"]) == ends_at


def _without_id(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name != "promotion_id"}
