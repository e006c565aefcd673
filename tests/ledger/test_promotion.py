"""A promotion in the ledger: its prices go out, are seen, and are taken back, whatever a channel does meanwhile."""

from datetime import datetime, timedelta

import pytest

from domain.errors import StateConflict
from domain.words import local
from ledger.promotion import dues, requests, steps
from tests.ledger.support.promoting import DAY, MIA, Promoted, hire
from tests.ledger.support.till import COFFEE, MILK
from tests.shop import ADA, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
MINUTE = timedelta(minutes=1)


class TestAsItShould:
    async def test_its_prices_go_out_a_day_before_are_seen_and_taken_back(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA, COFFEE)
        assert (it.answer.state, it.answer.items, it.answer.places) == ("approved", 2, 4)
        starts_at, ends_at = await it.instant("starts_at"), await it.instant("ends_at")
        assert datetime.fromisoformat((await it.row())["dues"]["publish"]) == starts_at - DAY
        told = await shop.value("SELECT detail FROM journey_step WHERE journey_id = :id AND step = 'opened'", id=it.id)
        assert told.endswith(f"its prices go out {local(starts_at - DAY)}.")
        assert await it.publish() == "publishing"
        assert await it.prices() == {"publish right": 8}
        assert it.shown(TEA, starts_at - MINUTE) == {1_500}
        assert it.shown(TEA, starts_at) == {1_200}
        assert it.shown(COFFEE, starts_at) == {160}
        assert await it.due("start") == "active"
        assert await it.due("end") == "reverting"
        assert await it.tell() == "ended"
        assert await it.prices() == {"publish right": 8, "revert right": 8}
        assert it.shown(TEA, ends_at - MINUTE) == {1_200}
        assert it.shown(TEA, ends_at) == {1_500}
        row = await it.row()
        assert (row["dues"], row["asks"]) == ({}, {})
        assert row["closed_at"] is not None
        assert await it.case() is None

    async def test_a_deal_stands_beside_the_price(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA, offer={"kind": "buy_get", "buy": 2, "get": 1})
        await it.publish()
        seen = it.channels["web"].shows("S1", TEA, await it.instant("starts_at"))
        assert (seen.price_minor, seen.deal) == (1_500, "2+1")
        await it.due("start")
        await it.due("end")
        assert await it.tell() == "ended"
        assert it.channels["web"].shows("S1", TEA, await it.instant("ends_at")).deal == ""

    async def test_prices_of_places_and_channels_go_before_the_items_own(self, shop: Shop) -> None:
        values = {"sku": TEA, "from": "2020-01-01T00:00:00Z"}
        for location, channel, minor in (("S1", "", 1_400), ("S1", "web", 1_000)):
            await shop.change(
                "INSERT INTO item_price (sku, location, channel, effective_from, price_minor)"
                " VALUES (:sku, :location, :channel, CAST(CAST(:from AS text) AS timestamptz), :minor)",
                **values, location=location, channel=channel, minor=minor,
            )  # fmt: skip
        it = await Promoted.open(shop)
        await it.publish()
        starts_at = await it.instant("starts_at")
        seen = {(name, code): one.shows(code, TEA, starts_at).price_minor
                for name, one in it.channels.items() for code in ("S1", "S2")}  # fmt: skip
        assert seen == {("web", "S1"): 800, ("pos", "S1"): 1_120, ("web", "S2"): 1_200, ("pos", "S2"): 1_200}

    async def test_what_is_right_by_the_end_is_brought_back_not_what_was_before(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        await shop.change("UPDATE item SET price_minor = 1700 WHERE sku = :sku", sku=TEA)
        await it.due("end")
        assert await it.tell() == "ended"
        assert it.shown(TEA, await it.instant("ends_at")) == {1_700}


class TestAChannelThatFails:
    async def test_one_that_is_away_is_asked_about_and_heals_by_itself(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        it.channels["pos"].is_away = True
        await it.publish()
        assert await it.prices() == {"publish pending": 2, "publish right": 2}
        first = datetime.fromisoformat((await it.row())["dues"]["prices:pos"])
        for _ in range(2):
            assert await it.case() is None
            await it.talk("pos")
        found = await it.case()
        assert found is not None
        assert (found["kind"], found["channel"], found["owner_role"]) == ("promo_price_conflict", "pos", "merchandiser")
        assert {place["location"] for place in found["facts"]["places"]} == {"S1", "S2"}
        assert found["facts"]["error"] == "answered 503"
        assert datetime.fromisoformat((await it.row())["dues"]["prices:pos"]) > first
        it.channels["pos"].is_away = False
        await it.talk("pos")
        assert await it.case() is None
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=found["id"]) == "self_healed"
        assert "prices:pos" not in (await it.row())["dues"]

    async def test_one_that_says_yes_and_shows_the_old_price_is_found_out(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA, COFFEE)
        it.channels["web"].lies = lambda cell: cell == ("S2", COFFEE)
        await it.publish()
        assert await it.prices() == {"publish right": 7, "publish pending": 1}
        assert await it.due("start") == "active"
        found = await it.case()
        assert found is not None
        (place,) = found["facts"]["places"]
        assert (place["location"], place["prices"], place["sku"]) == ("S2", 1, COFFEE)
        assert place["error"] == "shows another price"
        it.channels["web"].lies = lambda _cell: False
        await it.talk("web")
        assert await it.prices() == {"publish right": 8}
        assert await it.case() is None

    async def test_what_it_refuses_is_tried_again_with_its_reason(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        it.channels["web"].refuses = lambda cell: cell[0] == "S1"
        await it.publish()
        why = "SELECT p.error FROM price_publication p JOIN publication u ON u.id = p.publication_id WHERE"
        why += " u.journey_id = :id AND p.state = 'pending'"
        assert await shop.value(why, id=it.id) == "the till is off"
        it.channels["web"].refuses = lambda _cell: False
        await it.talk("web")
        assert await it.prices() == {"publish right": 4}

    async def test_one_price_that_it_chokes_on_holds_up_no_other(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA, COFFEE, MILK)
        it.channels["web"].chokes = lambda cell: cell == ("S1", MILK)
        await it.publish()
        assert await it.prices() == {"publish right": 11, "publish pending": 1}
        assert await shop.value("SELECT error FROM price_publication WHERE state = 'pending'") == "answered 500"
        it.channels["web"].chokes = lambda _cell: False
        await it.talk("web")
        assert await it.prices() == {"publish right": 12}

    async def test_one_that_chokes_on_everything_is_away_after_a_few_questions(self, shop: Shop) -> None:
        it = await Promoted.open(shop, TEA, COFFEE, MILK)
        channel = it.channels["web"]
        channel.chokes = lambda _cell: True
        await it.publish()
        assert await it.prices() == {"publish right": 6, "publish pending": 6}
        assert channel.requests < 30
        error = await shop.value("SELECT error FROM publication WHERE channel = 'web'")
        assert error == "answered 500"

    async def test_what_came_right_by_itself_is_not_sent_again(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        channel = it.channels["web"]
        channel.lies = lambda _cell: True
        await it.publish()
        sent = channel.sent
        starts_at = await it.instant("starts_at")
        for code in ("S1", "S2"):
            channel.told[code, TEA] = {starts_at: it.channels["pos"].shows(code, TEA, starts_at)}
        await it.talk("web")
        assert await it.prices() == {"publish right": 4}
        assert channel.sent == sent

    async def test_no_price_is_left_behind_when_one_lies_at_the_end(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        it.channels["pos"].lies = lambda _cell: True
        await it.due("end")
        for _ in range(3):
            assert await it.tell() == "reverting"
        found = await it.case()
        assert found is not None
        assert found["facts"]["phase"] == "revert"
        it.channels["pos"].lies = lambda _cell: False
        assert await it.tell("pos") == "ended"
        assert it.shown(TEA, await it.instant("ends_at")) == {1_500}
        assert await it.case() is None

    async def test_one_without_an_adapter_is_a_case_and_not_forgotten(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        gone = it.channels.pop("pos")
        await it.due("publish")
        for _ in range(3):
            await it.talk("pos")
        found = await it.case()
        assert found is not None
        assert "no adapter" in found["facts"]["error"]
        it.channels["pos"] = gone
        await it.tell()
        assert await it.prices() == {"publish right": 4}


class TestDecided:
    async def stuck(self, shop: Shop) -> Promoted:
        """A channel does not take the prices of one place; somebody is asked."""
        await hire(shop)
        it = await Promoted.open(shop)
        it.channels["web"].refuses = lambda cell: cell[0] == "S1"
        await it.publish()
        await it.talk("web")
        await it.talk("web")
        assert await it.case() is not None
        return it

    async def test_it_is_tried_again_at_once(self, shop: Shop) -> None:
        it = await self.stuck(shop)
        it.channels["web"].refuses = lambda _cell: False
        later = datetime.fromisoformat((await it.row())["dues"]["prices:web"])
        await it.decide("retry", MIA)
        assert datetime.fromisoformat((await it.row())["dues"]["prices:web"]) < later
        await it.talk("web")
        assert await it.prices() == {"publish right": 4}
        assert await it.case() is None

    async def test_it_comes_back_when_that_does_not_help(self, shop: Shop) -> None:
        it = await self.stuck(shop)
        await it.decide("retry", MIA)
        assert await it.case() is None
        await it.talk("web")
        found = await it.case()
        assert found is not None
        assert found["episode"] == 2

    async def test_places_go_without_it_and_its_end_is_published_there_all_the_same(self, shop: Shop) -> None:
        it = await self.stuck(shop)
        await it.decide("waive", MIA)
        assert await it.prices() == {"publish right": 3, "publish waived": 1}
        assert await it.due("start") == "active"
        assert await it.case() is None
        it.channels["web"].refuses = lambda _cell: False
        await it.due("end")
        assert await it.tell() == "ended"
        assert (await it.prices())["revert right"] == 4

    async def test_after_its_end_somebody_says_that_it_was_put_right_by_hand(self, shop: Shop) -> None:
        await hire(shop)
        it = await Promoted.open(shop)
        await it.begin()
        it.channels["pos"].lies = lambda _cell: True
        await it.due("end")
        for _ in range(3):
            await it.tell()
        await it.decide("waive", MIA, put_right_by_hand=True)
        assert await it.state() == "ended"
        assert await it.prices() == {"publish right": 4, "revert right": 2, "revert waived": 2}


class TestItEnds:
    async def test_called_off_before_anything_went_out(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await requests.cancel(shop.database, it.id, reason="called_off", actor="ada", via="test")
        row = await it.row()
        assert (row["state"], row["dues"]) == ("cancelled", {})
        assert row["closed_at"] is not None
        with pytest.raises(StateConflict, match="cancelled already"):
            await requests.cancel(shop.database, it.id, reason="called_off", actor="ada", via="test")

    async def test_called_off_with_prices_on_their_way_they_are_taken_back_first(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        it.channels["pos"].is_away = True
        await it.publish()
        starts_at = await it.instant("starts_at")
        await requests.cancel(shop.database, it.id, reason="called_off", actor="ada", via="test")
        assert await it.state() == "reverting"
        it.channels["pos"].is_away = False
        assert await it.tell() == "cancelled"
        assert it.shown(TEA, starts_at) == {1_500}
        assert await it.prices() == {"publish right": 2, "publish superseded": 2, "revert right": 4}

    async def test_ended_now(self, shop: Shop) -> None:
        it = await Promoted.open(shop, begins=MINUTE)
        await it.begin()
        with pytest.raises(StateConflict, match="end it instead"):
            await requests.cancel(shop.database, it.id, reason="called_off", actor="ada", via="test")
        planned = await it.instant("ends_at")
        await requests.end(shop.database, it.id, at=None, reason="sold_out", actor="ada", via="test")
        assert await it.tell() == "ended"
        assert await it.instant("ends_at") < planned
        assert it.shown(TEA, planned - MINUTE) == {1_500}

    async def test_an_earlier_end_is_kept(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        earlier = await it.instant("ends_at") - DAY
        await requests.end(shop.database, it.id, at=earlier, reason="sold_out", actor="ada", via="test")
        assert datetime.fromisoformat((await it.row())["dues"]["end"]) == earlier
        assert await it.due("end") == "reverting"
        assert await it.tell() == "ended"
        assert it.shown(TEA, earlier) == {1_500}
        assert it.shown(TEA, earlier - MINUTE) == {1_200}

    async def test_it_runs_longer(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        later = await it.instant("ends_at") + 3 * DAY
        await requests.extend(shop.database, it.id, ends_at=later, reason="", actor="ada", via="test")
        assert await it.due("end") == "reverting"
        assert await it.tell() == "ended"
        assert it.shown(TEA, later - MINUTE) == {1_200}
        assert it.shown(TEA, later) == {1_500}

    async def test_a_draft_that_nobody_submits_lapses(self, shop: Shop) -> None:
        it = await Promoted.open(shop, submit=False)
        assert it.answer.state == "draft"
        assert await it.due("lapse") == "cancelled"

    async def test_one_that_has_ended_is_settled_when_its_last_claim_is_closed(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        at = await it.instant("ends_at")
        assert not await shop.database.write(lambda tx: requests.settled(tx, it.id, at), actor="test", via="test")
        await it.due("end")
        await it.tell()
        assert await shop.database.write(lambda tx: requests.settled(tx, it.id, at), actor="test", via="test")
        assert await it.state() == "settled"

    async def test_a_failure_suspends_it_and_it_is_ended_with_its_prices_taken_back(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        await it.take(steps.suspend, reason="KeyError")
        await it.decide("abandon", ADA)
        assert await it.state() == "reverting"
        assert await it.tell() == "ended"
        assert it.shown(TEA, await it.instant("ends_at")) == {1_500}


class TestTwice:
    async def test_a_due_instant_that_was_moved_does_nothing(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        was = await it.instant("ends_at")
        await requests.extend(shop.database, it.id, ends_at=was + DAY, reason="", actor="ada", via="test")
        assert (await it.take(dues.on_due, due="end", at=was)).state == "active"

    async def test_a_conversation_with_a_channel_that_is_through_changes_nothing(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.publish()
        requests_before = it.channels["web"].requests
        assert (await it.talk("web")).state == "publishing"
        assert it.channels["web"].requests == requests_before
