"""What customers are told of their returns: the same facts as text and as HTML, to whoever brings it back."""

from collections.abc import AsyncIterator

import pytest

from ledger.engine import Database
from tests.ledger.returning import Back, collected
from tests.sender.conftest import MailServer, sender, text_of
from tests.sender.test_customers import facts_of, html_of
from tests.shop import Shop, open_shop


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
    await back.inspect()
    refunded = (await told(shop, mail_server))["return_refunded"]
    assert "15.00 EUR go back to what you paid with" in refunded
    assert "fee" not in refunded


async def test_a_credit_for_who_brings_it_without_a_receipt(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop, customer={"name": "Kim Lee", "email": "kim@customer.example"})
    assert "Show it at the counter" in (await told(shop, mail_server))["return_authorized"]
    await back.receive()
    assert "15.00 EUR go to you as a credit" in (await told(shop, mail_server))["return_refunded"]


async def test_nobody_is_written_to_where_the_return_names_nobody(shop: Shop, mail_server: MailServer) -> None:
    back = await Back.open(shop)
    await back.receive()
    assert await told(shop, mail_server) == {}
