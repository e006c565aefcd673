"""Mails from row to server: sent once, tried again, given up in sight of all, withdrawn when pointless."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

import ledger.engine
from embedded.ports import free_port
from ledger import mails, tables
from ledger.approval import link, record_verdict
from ledger.people import person_by_id
from ledger.transaction import Transaction
from ports.mail import SmtpServer
from sender import FIRST_WAIT_S, LONGEST_WAIT_S, Sender, render, wait_after
from tests.sender.conftest import MailServer
from tests.web.retail import a_case, an_approval, rows

BASE = "http://endcap.test"


def sender(database: ledger.engine.Database, port: int) -> Sender:
    server = SmtpServer("127.0.0.1", port, tls="none", timeout_s=5)
    return Sender(database, server, sender="Endcap <endcap@shop.example>", base_url=BASE)


async def queue(database: ledger.engine.Database, **fields: Any) -> None:
    async def work(tx: Transaction) -> None:
        await mails.queue(tx, **{"not_before": datetime.now(UTC) - timedelta(minutes=1), **fields})

    await database.write(work, actor="test", via="test")


async def mail_rows(database: ledger.engine.Database) -> list[dict[str, Any]]:
    return sorted(await rows(database, tables.mail), key=lambda row: row["id"])


class TestApprovalRequest:
    async def test_the_manager_gets_a_link_of_her_own_and_only_its_hash_is_kept(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        approval_id = await an_approval(retailer)
        assert await sender(retailer, mail_server.port).once() == 1
        [message] = mail_server.mails
        part = message.get_body(("plain",))
        assert part is not None
        text = part.get_content().replace("\r\n", "\n")
        found = re.search(rf"^{BASE}/a/(\S+)$", text, re.MULTILINE)
        assert found is not None
        assert message["To"] == "Ana Ruiz <ana.ruiz@stores.example>"
        assert "Who asks: Sam Ortega" in text
        assert "It is never approved by silence." in text
        async with retailer.read() as conn:
            opened = await link(conn, found[1])
        assert opened is not None
        assert (opened.approval_id, opened.person_id) == (approval_id, "ana.ruiz")
        everything = str([await rows(retailer, table) for table in (tables.mail, tables.approval_link, tables.audit)])
        assert found[1] not in everything

    async def test_a_mail_that_was_sent_is_not_sent_again(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        await an_approval(retailer)
        carrier = sender(retailer, mail_server.port)
        assert [await carrier.once(), await carrier.once()] == [1, 0]
        [row] = await mail_rows(retailer)
        assert (row["state"], row["attempts"], row["message_id"]) == ("sent", 1, mail_server.mails[0]["Message-ID"])

    async def test_a_request_that_was_decided_meanwhile_is_withdrawn(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        approval_id = await an_approval(retailer)
        async with retailer.read() as conn:
            ana = await person_by_id(conn, "ana.ruiz")
        assert ana is not None
        await record_verdict(retailer, approval_id, ana, verdict="approve", note="", version=None, via="console")
        await sender(retailer, mail_server.port).once()
        assert mail_server.mails == []
        assert [row["state"] for row in await mail_rows(retailer)] == ["withdrawn"]


class TestFailures:
    async def test_a_dead_server_delays_the_mail_and_the_case_says_so(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        await queue(retailer, template="case_escalated", dedupe_key="c", person_id="ana.ruiz", case_id=case_id)
        await sender(retailer, free_port()).once()
        [row] = await mail_rows(retailer)
        assert row["state"] == "queued"
        assert row["not_before"] > datetime.now(UTC)
        assert "could not be reached" in row["last_error"]
        events = [event for event in await rows(retailer, tables.case_event) if event["kind"] == "mail_delayed"]
        assert len(events) == 1
        assert "Ana Ruiz" in events[0]["text"]

        await _due_now(retailer)
        await sender(retailer, mail_server.port).once()
        [row] = await mail_rows(retailer)
        assert (row["state"], row["attempts"]) == ("sent", 2)
        assert row["message_id"] == mail_server.mails[0]["Message-ID"]

    async def test_a_refused_address_fails_for_good_on_the_case(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        await queue(retailer, template="case_escalated", dedupe_key="c", person_id="ana.ruiz", case_id=case_id)
        mail_server.answer = "550 no such mailbox"
        await sender(retailer, mail_server.port).once()
        [row] = await mail_rows(retailer)
        assert (row["state"], row["not_before"] <= datetime.now(UTC)) == ("failed", True)
        assert any("given up" in event["text"] for event in await rows(retailer, tables.case_event))

    async def test_a_server_that_says_later_is_asked_later(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        await an_approval(retailer)
        mail_server.answer = "451 try again"
        await sender(retailer, mail_server.port).once()
        assert [row["state"] for row in await mail_rows(retailer)] == ["queued"]

    async def test_a_template_that_is_not_there_fails_alone(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        await queue(retailer, template="no_such", dedupe_key="1", person_id="ana.ruiz")
        await an_approval(retailer)
        assert await sender(retailer, mail_server.port).once() == 2
        assert [row["state"] for row in await mail_rows(retailer)] == ["failed", "sent"]

    async def test_an_erased_customer_gets_no_mail(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        async def work(tx: Transaction) -> None:
            row = {"id": "c1", "name": None, "email": None, "erased_at": datetime.now(UTC)}
            await tx.conn.execute(tables.customer.insert().values(row))

        await retailer.write(work, actor="test", via="test")
        await queue(retailer, template="order_cancelled", dedupe_key="1", customer_id="c1")
        await sender(retailer, mail_server.port).once()
        assert mail_server.mails == []
        assert [row["state"] for row in await mail_rows(retailer)] == ["withdrawn"]

    def test_waits_grow_and_end(self) -> None:
        waits = [wait_after(attempt).total_seconds() for attempt in range(1, 20)]
        assert waits == sorted(waits)
        assert (waits[0], waits[-1]) == (FIRST_WAIT_S, LONGEST_WAIT_S)


class TestQueue:
    async def test_the_same_key_queues_one_mail(self, retailer: ledger.engine.Database) -> None:
        for _ in range(2):
            await queue(retailer, template="case_escalated", dedupe_key="same", person_id="ana.ruiz")
        assert len(await mail_rows(retailer)) == 1

    async def test_a_mail_to_two_is_refused_and_one_to_nobody_is_not_queued(
        self, retailer: ledger.engine.Database
    ) -> None:
        with pytest.raises(ValueError, match="one person or to one customer"):
            await queue(retailer, template="t", dedupe_key="1", person_id="ana.ruiz", customer_id="c1")
        await queue(retailer, template="t", dedupe_key="2")
        assert await mail_rows(retailer) == []

    async def test_two_senders_never_hold_the_same_mail(self, retailer: ledger.engine.Database) -> None:
        for number in range(6):
            await queue(retailer, template="t", dedupe_key=str(number), person_id="ana.ruiz")
        first, second = await asyncio.gather(*(mails.claim_mails(retailer, by, 4, 60) for by in ("a", "b")))
        held = [row.id for row in (*first, *second)]
        assert len(held) == len(set(held)) == 6

    async def test_a_lease_that_ran_out_is_taken_over(self, retailer: ledger.engine.Database) -> None:
        await queue(retailer, template="t", dedupe_key="1", person_id="ana.ruiz")
        assert len(await mails.claim_mails(retailer, "a", 1, 0)) == 1
        [again] = await mails.claim_mails(retailer, "b", 1, 60)
        assert again.attempts == 2
        assert await mails.claim_mails(retailer, "c", 1, 60) == []

    async def test_a_mail_is_not_due_before_its_time(self, retailer: ledger.engine.Database) -> None:
        later = datetime.now(UTC) + timedelta(hours=1)
        await queue(retailer, template="t", dedupe_key="1", person_id="ana.ruiz", not_before=later)
        assert await mails.claim_mails(retailer, "a", 1, 60) == []

    async def test_a_clock_that_the_demo_moved_on_does_not_hold_a_mail_back(
        self, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")

        async def skip(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.case_file).values(clock_offset_s=10_800))

        await retailer.write(skip, actor="test", via="test")
        by_the_cases_clock = datetime.now(UTC) + timedelta(hours=3) - timedelta(seconds=1)
        fields = {"template": "t", "dedupe_key": "1", "person_id": "ana.ruiz", "not_before": by_the_cases_clock}
        await queue(retailer, **fields, case_id=case_id)
        assert len(await mails.claim_mails(retailer, "a", 1, 60)) == 1


class TestWords:
    def test_markup_in_what_people_wrote_stays_text(self) -> None:
        class To:
            name = "<script>alert(1)</script>"

        class Order:
            key = "W-1\r\nBcc: eve@evil.example"
            currency = "USD"

        subject, text, html = render("order_cancelled", {"to": To, "order": Order, "context": {"amount_minor": 1290}})
        assert "\n" not in subject
        assert "12.90 USD" in text
        assert "<script>" not in html


async def _due_now(database: ledger.engine.Database) -> None:
    async def work(tx: Transaction) -> None:
        found = (await tx.conn.execute(select(tables.mail.c.id))).scalars().all()
        past = datetime.now(UTC) - timedelta(minutes=1)
        await tx.conn.execute(update(tables.mail).where(tables.mail.c.id.in_(found)).values(not_before=past))

    await database.write(work, actor="test", via="test")
