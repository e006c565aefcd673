"""What customers are told of their returns: the same facts as text and as HTML, to whoever brings it back."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from ledger import links
from ledger.engine import Database
from tests.ledger.support.returning import Back, collected
from tests.sender.conftest import BASE, MailServer, sender, text_of
from tests.sender.test_customers import facts_of, html_of
from tests.shop import TEA, Shop, open_shop


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    await opened.change("UPDATE location SET time_zone = 'America/New_York', address = 'Rheinstr. 1' WHERE code = 'S1'")
    yield opened
    await opened.database.dispose()


async def told(shop: Shop, mail_server: MailServer) -> dict[str, str]:
    """Send what is queued; the text of each mail about a return by its template, its HTML says the same."""
    await shop.change("UPDATE mail SET not_before = now() - interval '1 minute' WHERE state = 'queued'")
    await sender(shop.database, mail_server.port).once()
    rows = await shop.value("SELECT json_object_agg(message_id, template) FROM mail WHERE template LIKE 'return_%'")
    found = {}
    for message in mail_server.mails:
        template = rows.get(message["Message-ID"])
        if template is not None:
            assert facts_of(text_of(message)) == facts_of(html_of(message)), template
            found[template] = f"{message['Subject']}\n{text_of(message)}"
    return found


async def test_authorised_reminded_and_refunded(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop, await collected(shop), method="mail")
    label = (await back.row())["detail"]["label"]
    await back.fall_due("goods_reminder")
    mails = await told(shop, mail_server)
    assert set(mails) == {"return_authorized", "return_reminder"}
    for text in mails.values():
        assert label in text
        assert "Mainz, Rheinstr. 1" in text
        assert "We expect it until" in text
    assert "Write it on the parcel" in mails["return_authorized"]
    await back.receive()
    received = (await told(shop, mail_server))["return_received"]
    assert "- 1 x Green tea" in received
    await back.inspect()
    refunded = (await told(shop, mail_server))["return_refunded"]
    assert "15.00 EUR go back to what you paid with" in refunded
    assert "fee of" not in refunded  # the words: a number or a link may hold "fee" by chance


async def test_a_credit_for_who_brings_it_without_a_receipt(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop, customer={"name": "Kim Lee", "email": "kim@customer.example"})
    assert "Show it at the counter" in (await told(shop, mail_server))["return_authorized"]
    await back.receive()
    assert "15.00 EUR go to you as a credit" in (await told(shop, mail_server))["return_refunded"]


async def test_nobody_is_written_to_where_the_return_names_nobody(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop)
    await back.receive()
    assert await told(shop, mail_server) == {}


async def link_in(shop: Shop, text: str) -> str | None:
    """The journey that the link in a mail opens for its customer."""
    (token,) = re.findall(rf"{BASE}/c/(\S+)", text)
    async with shop.database.read() as conn:
        found = await links.find(conn, token)
    assert found is not None
    assert found.customer_id is not None
    assert found.expires_at > datetime.now(UTC) + timedelta(days=170)
    return found.journey_id


async def test_each_mail_has_a_link_to_the_return(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop, await collected(shop), method="mail")
    await back.fall_due("goods_reminder")
    await back.receive()
    await back.inspect()
    mails = await told(shop, mail_server)
    assert set(mails) == {"return_authorized", "return_reminder", "return_received", "return_refunded"}
    for text in mails.values():
        assert await link_in(shop, text) == back.id


async def test_what_was_declined_is_told_with_its_reason_and_without_ours(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop, await collected(shop), 2, method="mail")
    await back.receive(2)
    await back.inspect(1, condition="used", disposition="send_back")
    declined = (await told(shop, mail_server))["return_declined"]
    assert "- 1 x Green tea, because of its condition; it comes back to you" in declined
    assert await link_in(shop, declined) == back.id


async def test_a_suspicion_is_never_written_to_the_customer(shop: Shop, mail_server: MailServer) -> None:
    history, kim = {"bought": 10, "returned": 40}, {"name": "Kim Lee", "email": "kim@customer.example"}
    back = await Back.open(shop, customer=kim, customer_history=history)
    await back.receive()
    assert await back.cases() == ["return_review"]
    await back.decide("decline")
    mails = await told(shop, mail_server)
    assert "- 1 x Green tea: We do not refund it." in mails["return_declined"]
    for text in mails.values():
        assert not re.search("fraud|score|suspect|last 90 days", text, re.IGNORECASE)


async def test_what_policy_refuses_at_once_is_told_with_its_reason(shop: Shop, mail_server: MailServer) -> None:
    order = await collected(shop)
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('never', '2020-01-02',"
        " cast(:body AS jsonb))",
        body=json.dumps({"returns": {"final_sale_skus": [TEA]}}),
    )
    back = await Back.open(shop, order)
    assert await back.state() == "declined"
    declined = (await told(shop, mail_server))["return_declined"]
    assert "1 x Green tea: " in declined
    assert await link_in(shop, declined) == back.id
