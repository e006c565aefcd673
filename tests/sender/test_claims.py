"""A vendor gets its claim by mail: the document, its lines, and the proof of what it does not accept."""

import csv
import io
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from ledger.engine import Database
from tests.ledger.support.claims import Claimed
from tests.ledger.support.funding import agree, promoted, sell
from tests.sender.conftest import MailServer, sender, text_of
from tests.sender.test_customers import facts_of, html_of
from tests.shop import Shop, open_shop


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


async def written(shop: Shop, mail_server: MailServer) -> EmailMessage:
    """Send what is queued; the last mail to the vendor."""
    await shop.change("UPDATE mail SET not_before = now() - interval '1 minute' WHERE state = 'queued'")
    await sender(shop.database, mail_server.port).once()
    (*_, message) = [one for one in mail_server.mails if "claims@teaco.example" in str(one["To"])]
    assert facts_of(text_of(message)) == facts_of(html_of(message))
    return message


def files(message: EmailMessage) -> dict[str, bytes]:
    """Attachments by name."""
    return {str(one.get_filename()): bytes(one.get_payload(decode=True)) for one in message.iter_attachments()}


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


async def test_the_claim_its_lines_and_its_proof(shop: Shop, mail_server: MailServer) -> None:
    await agree(shop, promotions=["P1", "P2"])
    await sell(shop, promoted(3, promotion_id="P1", event_id="one"), promoted(2, promotion_id="P2", event_id="two"))
    it = await Claimed.prepared(shop)
    first = await written(shop, mail_server)
    assert first["Subject"] == "Claim A-17-1: 2.50 EUR"
    papers = files(first)
    assert set(papers) == {"claim-A-17-1.pdf", "claim-A-17-1.csv"}
    assert papers["claim-A-17-1.pdf"].startswith(b"%PDF-")
    for shown in (b"Claim A-17-1", b"Tea & Co. \\(TEACO\\)", b"A-17, A-17.pdf", b"From: Shop GmbH", b"2.50 EUR"):
        assert shown in papers["claim-A-17-1.pdf"]
    lines = table(papers["claim-A-17-1.csv"])
    assert [(row["promotion"], row["units"], row["claimed_minor"], row["accepted_minor"]) for row in lines] == [
        ("P1", "3", "150", ""),
        ("P2", "2", "100", ""),
    ]
    await it.answered(150, 0, reason="no_proof")
    await it.decide("dispute", ground="no_proof")
    second = files(await written(shop, mail_server))
    proof = table(second["claim-A-17-1-proof.csv"])
    assert [(row["line_id"], row["receipt"], row["units"], row["amount_minor"]) for row in proof] == [
        ("2", "receipt:pos:S1:R-two", "2", "100")
    ]


async def test_a_vendor_that_has_lost_its_address_is_not_written_to(shop: Shop, mail_server: MailServer) -> None:
    await agree(shop)
    await sell(shop, promoted(1))
    await Claimed.prepared(shop)
    await shop.change("UPDATE funding_agreement SET claims_email = ''")
    await shop.change("UPDATE mail SET not_before = now() - interval '1 minute'")
    await sender(shop.database, mail_server.port).once()
    assert mail_server.mails == []
    assert await shop.value("SELECT state FROM mail WHERE template = 'claim_sent'") == "withdrawn"
