"""What a customer says of a return by link, and what may become of it: it stays, money after all, back after all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import Malformed, NotFound, OptionNotAllowed
from domain.photos import Photo
from ledger import decisions
from ledger.engine import Database
from ledger.photos import Stored
from ledger.returns import disputes, steps
from tests.ledger.support.returning import Back, collected
from tests.pictures import png
from tests.shop import ANA, MAX, TEA, Shop, open_shop

WORDS = "It was broken when it came: Rheinstr. 1, Kim Lee"


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


def photo(shade: int = 1) -> Stored:
    return Stored(f"{shade:032x}", Photo("image/png", png(shade=shade)))


async def say(back: Back, text: str = WORDS, *photos: Stored) -> None:
    """As the page behind the customer's link does."""
    customer_id = (await back.row())["customer_id"]
    await disputes.say(back.shop.database, back.id, customer_id, text=text, photos=photos, via="link")


async def options(back: Back) -> dict[str, dict[str, Any]]:
    case_id = await back.case_id("return_disputed")
    found = await back.rows(f"SELECT options FROM case_file WHERE id = {case_id} AND :id <> ''")  # noqa: S608
    return {one["id"]: one for one in found[0]["options"]}


async def decide(back: Back, option: str) -> None:
    case_id = await back.case_id("return_disputed")
    await decisions.decide(back.shop.database, case_id, ANA, option_id=option, parameters={}, via="test")


async def mails(back: Back) -> list[str]:
    found = await back.rows("SELECT template FROM mail WHERE journey_id = :id ORDER BY id")
    return [row["template"] for row in found]


async def declined(shop: Shop) -> Back:
    """One of two packs came back by mail and was sent back to its customer."""
    back = await Back.open(shop, await collected(shop), method="mail")
    await back.receive()
    await back.inspect(condition="used", disposition="send_back")
    return back


class TestSaying:
    async def test_somebody_is_asked_and_the_words_stand_where_personal_data_may(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await say(back, WORDS, photo())
        assert await back.cases() == ["return_disputed"]
        for table in ("case_file", "case_event", "journey", "journey_step", "outbox", "audit", "mail"):
            query = f"SELECT count(*) FROM {table} t WHERE t::text LIKE '%Rheinstr%'"  # noqa: S608
            assert await shop.value(query) == 0, table
        assert await shop.value("SELECT text FROM person_note WHERE subject = :id", id=back.id) == WORDS
        assert await shop.value("SELECT customer_id IS NOT NULL FROM photo WHERE journey_id = :id", id=back.id)

    async def test_more_words_come_to_the_same_case_and_the_same_ones_count_once(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        for words in (WORDS, WORDS, "And the lid is gone."):
            await say(back, words)
        assert await back.cases() == ["return_disputed"]
        assert await shop.value("SELECT count(*) FROM person_note WHERE subject = :id", id=back.id) == 2
        case_id = await back.case_id("return_disputed")
        said = "SELECT count(*) FROM case_event WHERE case_id = :id AND kind = 'customer_said' AND note_id IS NOT NULL"
        assert await shop.value(said, id=case_id) == 2

    async def test_a_photo_alone_says_enough_and_nothing_does_not(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(Malformed, match="Write something, or choose a photo"):
            await say(back, "  ")
        assert await back.cases() == []
        await say(back, "", photo())
        assert await back.cases() == ["return_disputed"]

    async def test_a_stranger_says_nothing_here(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(NotFound):
            await disputes.say(shop.database, back.id, "somebody", text=WORDS, photos=(), via="link")
        assert await back.cases() == []

    async def test_there_is_an_end_to_it(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        for number in range(disputes.MOST_WORDS):
            await say(back, f"No. {number}")
        with pytest.raises(Malformed, match="Please call the store"):
            await say(back, "One more")
        with pytest.raises(Malformed, match="photos at most"):
            await say(back, "", *(photo(number) for number in range(13)))


class TestDeciding:
    async def test_it_stays_and_the_customer_hears_so(self, shop: Shop) -> None:
        back = await declined(shop)
        await say(back)
        await decide(back, "stand")
        assert (await back.cases(), await back.refunds()) == ([], [])
        assert (await mails(back))[-1] == "return_stands"

    async def test_what_was_declined_is_refunded_after_all_once(self, shop: Shop) -> None:
        back = await declined(shop)
        assert (await back.state(), await back.refunds()) == ("closed", [])
        await say(back)
        assert (await options(back))["refund_declined"]["consequence"]["money"][0]["amount_minor"] == 1500
        await decide(back, "refund_declined")
        assert await back.refunds() == [("card", 1500, "requested")]
        assert (await back.row())["closed_at"] is None
        await back.provider_says()
        assert (await back.state(), await back.refunds()) == ("closed", [("card", 1500, "succeeded")])
        await say(back, "Thank you, and what about the tax?")
        assert not (await options(back))["refund_declined"]["allowed"]
        with pytest.raises(OptionNotAllowed):
            await decide(back, "refund_declined")

    async def test_what_was_refunded_before_anybody_looked_is_not_offered_again(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.inspect(condition="used", disposition="send_back")
        assert await back.refunds() == [("card", 1500, "requested")]
        await say(back)
        assert (await options(back))["refund_declined"]["why_not"] == "It was refunded already."

    async def test_above_the_limit_somebody_else_agrees_as_with_any_refund(self, shop: Shop) -> None:
        order = await collected(shop, 5)
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('limit', '2020-01-02',"
            ' \'{"bands": {"refund_approval_minor": 5000}}\')'
        )
        back = await Back.open(shop, order, 5, method="mail")
        await back.receive(5)
        await back.inspect(5, condition="used", disposition="send_back")
        await back.decide("as_inspected")
        await say(back)
        await decide(back, "refund_declined")
        assert (await back.refunds(), await back.cases()) == ([], [])
        barred = await shop.value("SELECT barred FROM approval WHERE journey_id = :id", id=back.id)
        assert {ANA.id, "key:key-web", "web:crew-1"} <= set(barred)
        await back.verdict(by=MAX)
        assert await back.refunds() == [("card", 7500, "requested")]

    async def test_the_fee_is_given_back_once(self, shop: Shop) -> None:
        order = await collected(shop)
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('fee', '2020-01-02',"
            ' \'{"returns": {"fees": [{"permille": 100}]}}\')'
        )
        back = await Back.open(shop, order)
        await back.receive()
        await back.inspect()
        await back.provider_says()
        assert await back.refunds() == [("card", 1350, "succeeded")]
        await say(back)
        await decide(back, "refund_fee")
        assert await back.refunds() == [("card", 1350, "succeeded"), ("card", 150, "requested")]
        await back.provider_says()
        assert (await back.line())["fee_minor"] == 0
        await say(back, "And once more?")
        assert "refund_fee" not in await options(back)

    async def test_what_policy_had_refused_may_come_back_after_all(self, shop: Shop) -> None:
        order = await collected(shop)
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('never', '2020-01-02',"
            " cast(:body AS jsonb))",
            body=json.dumps({"returns": {"final_sale_skus": [TEA]}}),
        )
        back = await Back.open(shop, order)
        assert await back.state() == "declined"
        await say(back)
        await decide(back, "take_back")
        row = await back.row()
        assert (row["state"], row["closed_at"], "goods" in row["dues"]) == ("authorized", None, True)
        assert row["detail"]["label"]
        assert (await mails(back))[-1] == "return_authorized"
        await back.receive()
        await back.inspect()
        assert await back.refunds() == [("card", 1500, "requested")]

    async def test_a_return_of_an_order_that_is_stuck_can_be_ended(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.take(steps.suspend, reason="the moon", state="authorized")
        case_id = await back.case_id("journey_stuck")
        await decisions.decide(shop.database, case_id, ANA, option_id="abandon", parameters={}, via="test")
        assert await back.state() == "cancelled"
