"""What customers are told: the same facts as text and as HTML, links that open, codes that read, nothing forged."""

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from ledger import links
from ledger.bopis import steps
from ledger.engine import Database
from tests.ledger.support.exchanging import Swap, wanted
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import pick, step
from tests.sender.conftest import BASE, MailServer, sender, text_of
from tests.shop import PRICE_MINOR, TEA, Shop, open_shop


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    # A store where people read another clock than the server does.
    await opened.change("UPDATE location SET time_zone = 'America/New_York', address = 'Rheinstr. 1' WHERE code = 'S1'")
    yield opened
    await opened.database.dispose()


def html_of(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def facts_of(text: str) -> set[str]:
    """Amounts, instants, quantities, codes and links: whatever a customer may act on."""
    plain = html.unescape(re.sub(r"<style.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL))
    found = re.findall(
        r"\d+\.\d\d [A-Z]{3}|[A-Z][a-z]{2} \d+ [A-Z][a-z]{2}, \d\d:\d\d [A-Z]{3}|\b\d{6}\b|http\S+", plain
    )
    return set(found)


async def sent(order: Asked, mail_server: MailServer) -> EmailMessage:
    """Send what is queued; returns the last mail."""
    await order.shop.change("UPDATE mail SET not_before = now() - interval '1 minute' WHERE state = 'queued'")
    await sender(order.shop.database, mail_server.port).once()
    return mail_server.mails[-1]


class TestOffer:
    async def test_the_mail_says_all_and_its_link_opens_the_question(self, shop: Shop, mail_server: MailServer) -> None:
        order = await asked(shop, price_minor=1_400)
        message = await sent(order, mail_server)
        text = text_of(message)
        for words in (
            "we do not have 3 x Green tea", "3 x Oolong instead", "3.00 EUR back", "If we hear nothing by",
            "we leave out what is missing",
        ):  # fmt: skip
            assert words in text, words
        assert re.search(r"\d\d:\d\d E[SD]T", text), "the store's zone stands beside each instant"
        [token] = re.findall(rf"{BASE}/c/(\S+)", text)
        async with shop.database.read() as conn:
            opened = await links.find(conn, token)
        assert opened is not None
        assert (opened.offer_id, opened.person_id) == (await order.value("id"), None)
        stored = await shop.value("SELECT json_agg(m)::text || (SELECT json_agg(a)::text FROM audit a) FROM mail m")
        assert token not in stored

    async def test_one_that_was_answered_meanwhile_is_not_sent(self, shop: Shop, mail_server: MailServer) -> None:
        order = await asked(shop)
        await order.answer("accept")
        await sent(order, mail_server)
        states = await shop.value("SELECT json_object_agg(template, state) FROM mail WHERE customer_id IS NOT NULL")
        assert states == {"offer_made": "withdrawn", "order_substituted": "sent"}

    async def test_the_withdrawn_one_says_why(self, shop: Shop, mail_server: MailServer) -> None:
        order = await asked(shop)
        await sent(order, mail_server)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        await steps.attend(shop.database, step(order.journey, "found"))
        message = await sent(order, mail_server)
        assert "your item was found" in message["Subject"]
        assert "your order stays as you placed it" in text_of(message)


class TestAllNotices:
    async def _told(self, shop: Shop, mail_server: MailServer) -> dict[str, EmailMessage]:
        """A day on which a customer gets one mail of nearly every kind."""
        order = await asked(shop, price_minor=1_400)
        await sent(order, mail_server)
        await order.answer("accept")
        await sent(order, mail_server)
        await pick(shop, order.journey, 5)
        await pick(shop, order.journey, 3, line="1~OOLONG")
        await sent(order, mail_server)
        window = {due.name: due.at for due in (await order.situation()).dues}["window"]
        until = window + timedelta(days=365) if window < datetime.now(UTC) else window
        await shop.report("bopis.extended", journey_id=order.journey, until=until.replace(second=59).isoformat())
        await sent(order, mail_server)
        await shop.report("bopis.cancelled", journey_id=order.journey)
        await sent(order, mail_server)
        rows = await shop.value(
            "SELECT json_object_agg(message_id, template) FROM mail WHERE state = 'sent' AND customer_id IS NOT NULL"
        )
        return {rows[message["Message-ID"]]: message for message in mail_server.mails}

    async def test_text_and_html_carry_the_same_facts(self, shop: Shop, mail_server: MailServer) -> None:
        told = await self._told(shop, mail_server)
        assert set(told) == {
            "offer_made", "order_substituted", "ready_for_pickup", "pickup_extended", "order_cancelled",
        }  # fmt: skip
        for template, message in told.items():
            assert facts_of(text_of(message)) == facts_of(html_of(message)), template
            assert "UTC" not in text_of(message), template

    async def test_no_mail_loads_anything_from_elsewhere(self, shop: Shop, mail_server: MailServer) -> None:
        for template, message in (await self._told(shop, mail_server)).items():
            page = html_of(message)
            assert not re.search(r'src="(?!cid:)', page), template
            assert "<script" not in page
            assert "<link" not in page
            assert 'style="' in page, "styles stand on the elements"
            assert message["Auto-Submitted"] == "auto-generated"

    async def test_the_pickup_code_is_a_picture_inside_the_mail(self, shop: Shop, mail_server: MailServer) -> None:
        message = (await self._told(shop, mail_server))["ready_for_pickup"]
        pictures = [part for part in message.walk() if part.get_content_type() == "image/png"]
        assert [part["Content-ID"] for part in pictures] == ["<pickup-code>"]
        content = pictures[0].get_payload(decode=True)
        assert isinstance(content, bytes)
        assert content.startswith(b"\x89PNG")
        code = await shop.value("SELECT detail->>'pickup_code' FROM journey")
        assert code in text_of(message)
        assert re.search(rf"{BASE}/c/\S+", text_of(message))


class TestForged:
    @pytest.mark.parametrize(
        "name",
        ["<script>alert(1)</script>", "Kim\r\nBcc: eve@evil.example", 'Kim" <eve@evil.example>', "{{ 7 * 7 }}"],
    )
    async def test_a_name_is_only_a_name(self, shop: Shop, mail_server: MailServer, name: str) -> None:
        order = await asked(shop)
        await shop.change("UPDATE customer SET name = :name", name=name)
        message = await sent(order, mail_server)
        assert message["Bcc"] is None
        assert "eve@evil.example" not in str(message["To"].addresses[0].addr_spec)
        assert len(message["To"].addresses) == 1
        page = html_of(message)
        assert "<script>" not in page
        assert "49" not in page.split("</h1>")[1].split("we are sorry")[0]


class TestExchange:
    async def test_the_mail_has_the_figures_and_its_link_opens_the_question(
        self, shop: Shop, mail_server: MailServer
    ) -> None:
        swap = await Swap.open(shop, body=wanted(1, PRICE_MINOR + 500))
        message = await sent(Asked(shop, swap.back.id), mail_server)
        text = text_of(message)
        for words in (
            "1 x Green tea: 20.00 EUR", "Your return pays: 15.00 EUR", "You would pay: 5.00 EUR, by your card",
            "If we hear nothing by", "nothing is charged without your yes",
        ):  # fmt: skip
            assert words in text, words
        [token] = re.findall(rf"{BASE}/c/(\S+)", text)
        async with shop.database.read() as conn:
            opened = await links.find(conn, token)
        assert opened is not None
        assert opened.offer_id == (await swap.back.row())["detail"]["exchange"]["offer_id"]

    async def test_one_that_was_answered_meanwhile_is_not_sent_and_silence_is_told(
        self, shop: Shop, mail_server: MailServer
    ) -> None:
        swap = await Swap.open(shop, body=wanted(1, PRICE_MINOR + 500))
        await swap.back.fall_due("answer")
        text = text_of(await sent(Asked(shop, swap.back.id), mail_server))
        assert "there will be no exchange" in text
        assert "nobody answered in time. Nothing is charged" in text
        state = "SELECT state FROM mail WHERE template = 'exchange_asked'"
        assert await shop.value(state) == "withdrawn"


@pytest.mark.parametrize(("policy", "offer", "exchange"), [("never", 0, 0), ("charged", 0, 1), ("always", 1, 1)])
async def test_where_policy_wants_a_code_it_stands_in_the_mail_and_nowhere_else(
    shop: Shop, mail_server: MailServer, policy: str, offer: int, exchange: int
) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('c', '2020-01-01', CAST(:body AS jsonb))",
        body=f'{{"offers": {{"mail_code": "{policy}"}}}}',
    )
    await asked(shop)
    swap = await Swap.open(shop, body=wanted(1, PRICE_MINOR + 500, pickup_location="S2"))
    await shop.change("UPDATE mail SET not_before = now() - interval '1 minute' WHERE state = 'queued'")
    carrier = sender(swap.shop.database, mail_server.port)
    while await carrier.once():
        pass
    asking = {"Order": 0, "Return": 0}
    for message in mail_server.mails:
        found = re.findall(r"^The page asks for this code: (\d{6})$", text_of(message), re.MULTILINE)
        for code in found:
            asking[str(message["Subject"]).split()[0]] += 1
            assert code in html_of(message)
            assert code not in str(message["Subject"])
            stored = "SELECT json_agg(m)::text || (SELECT json_agg(a)::text FROM audit a) FROM mail m"
            assert code not in await shop.value(stored)
    assert asking == {"Order": offer, "Return": exchange}
    assert await shop.value("SELECT count(*) FROM link WHERE code_hash IS NOT NULL") == offer + exchange
