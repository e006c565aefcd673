"""Mails from row to server: sent once, tried again, given up in sight of all, withdrawn when pointless."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from embedded.ports import free_port
from ledger import case, mails, tables
from ledger.approval import link
from ledger.people import person_by_id
from ledger.transaction import Transaction
from ledger.verdicts import record_verdict
from letters import render
from ports.mail import SmtpServer
from sender import FIRST_WAIT_S, LONGEST_WAIT_S, Sender, wait_after
from tests.sender.conftest import BASE, MailServer, due_now, mail_rows, queue, report, sender, text_of
from tests.web.retail import a_case, an_approval, order, rows


class TestApprovalRequest:
    async def test_the_manager_gets_a_link_of_her_own_and_only_its_hash_is_kept(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        approval_id = await an_approval(retailer)
        assert await sender(retailer, mail_server.port).once() == 1
        [message] = mail_server.mails
        text = text_of(message)
        found = re.search(rf"^{BASE}/a/(\S+)$", text, re.MULTILINE)
        assert found is not None
        assert message["To"] == "Ana Ruiz <ana.ruiz@stores.example>"
        assert "Who asks: Sam Ortega" in text
        assert "It is never approved by silence." in text
        async with retailer.read() as conn:
            opened = await link(conn, found[1])
        assert opened is not None
        assert (opened.approval_id, opened.person_id) == (approval_id, "ana.ruiz")
        everything = str([await rows(retailer, table) for table in (tables.mail, tables.link, tables.audit)])
        assert found[1] not in everything

    async def test_where_policy_wants_a_code_it_stands_in_the_mail_and_nowhere_else(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        async def wanted(tx: Transaction) -> None:
            body = {"approvals": {"mail_code": True}}
            row = {"version": "code", "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": body}
            await tx.conn.execute(tables.policy_document.insert().values(row))

        await retailer.write(wanted, actor="test", via="test")
        await an_approval(retailer)
        await sender(retailer, mail_server.port).once()
        [message] = mail_server.mails
        code = re.search(r"^The page asks for this code: (\d{6})$", text_of(message), re.MULTILINE)
        assert code is not None
        assert code[1] in str(message.get_body(("html",)))
        assert code[1] not in message["Subject"]
        (row,) = await rows(retailer, tables.link)
        assert row["code_hash"] is not None
        everything = str([await rows(retailer, table) for table in (tables.mail, tables.audit, tables.approval)])
        assert code[1] not in everything

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


class TestToCustomers:
    """A mail tells a customer what is true when it is sent, or is not sent."""

    async def test_ready_goes_out_while_the_goods_stand_ready(
        self, retailer: ledger.engine.Database, mail_server: MailServer, web: httpx2.AsyncClient
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        await report(web, "bopis.picked", picker="p1", lines=[{"line_id": "1", "quantity": 2}])
        await sender(retailer, mail_server.port).once()
        [message] = mail_server.mails
        assert "ready for pickup at Store S1" in message["Subject"]
        assert "We keep it until" in text_of(message)

    @pytest.mark.parametrize("after", ["bopis.handed_over", "bopis.cancelled"])
    async def test_ready_is_withdrawn_once_it_is_not_true_any_more(
        self, retailer: ledger.engine.Database, mail_server: MailServer, web: httpx2.AsyncClient, after: str
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        await report(web, "bopis.picked", picker="p1", lines=[{"line_id": "1", "quantity": 2}])
        await report(web, after, actor="p1")
        await sender(retailer, mail_server.port).once()
        states = {row["template"]: row["state"] for row in await mail_rows(retailer)}
        assert states.pop("ready_for_pickup") == "withdrawn"
        assert set(states.values()) <= {"sent"}
        assert not any("ready for pickup" in message["Subject"] for message in mail_server.mails)

    async def test_one_that_cannot_be_delivered_is_said_on_the_order(
        self, retailer: ledger.engine.Database, mail_server: MailServer, web: httpx2.AsyncClient
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1", customer={"name": "Noor", "email": "noor at home"}))
        await report(web, "bopis.picked", picker="p1", lines=[{"line_id": "1", "quantity": 2}])
        await sender(retailer, mail_server.port).once()
        timeline = (await web.get("/api/v1/journeys/bopis:web:W-1")).json()["timeline"]
        [said] = [entry for entry in timeline if entry["event"] == "mail_failed"]
        assert said["detail"].startswith("The message “ready for pickup” could not be delivered and is given up")
        assert "noor at home" not in said["detail"]

    async def test_a_source_that_writes_to_its_customers_itself_is_left_to_it(
        self, retailer: ledger.engine.Database, web: httpx2.AsyncClient
    ) -> None:
        async def policy(tx: Transaction) -> None:
            body = {"authority": {"notice": "source"}}
            row = {"version": "quiet", "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": body}
            await tx.conn.execute(tables.policy_document.insert().values(row))

        await retailer.write(policy, actor="test", via="test")
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        await report(web, "bopis.picked", picker="p1", lines=[{"line_id": "1", "quantity": 2}])
        assert await mail_rows(retailer) == []


class TestWebhooks:
    async def test_whoever_owns_integrations_reads_which_one_was_disabled_and_why(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        case_id = await a_case(retailer, "we_1")
        said = {"webhook": "we_1", "source": "web", "why": "nothing was accepted for 5 days"}
        await queue(retailer, template="webhook_disabled", dedupe_key="w", person_id="ana.ruiz", case_id=case_id,
                    context=said)  # fmt: skip
        await sender(retailer, mail_server.port).once()
        (mail,) = mail_server.mails
        assert "The webhook we_1 of web was disabled" in mail["Subject"]
        assert "nothing was accepted for 5 days" in text_of(mail)
        assert f"/console/cases/{case_id}" in text_of(mail)


class TestMentions:
    async def test_who_is_mentioned_reads_the_comment_as_text(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        async with retailer.read() as conn:
            sam = await person_by_id(conn, "sam.ortega")
        assert sam is not None
        await case.comment(retailer, case_id, sam, text="Is <b>one</b> left, @ana.ruiz?", via="test")
        await due_now(retailer)
        await sender(retailer, mail_server.port).once()
        (mail,) = mail_server.mails
        assert mail["Subject"].startswith(f"[C-{case_id}] Sam Ortega mentions you")
        assert "Is <b>one</b> left, @ana.ruiz?" in text_of(mail)
        html = mail.get_body(("html",))
        assert html is not None
        assert "Is &lt;b&gt;one&lt;/b&gt; left" in str(html.get_content())


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

        await due_now(retailer)
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

    async def test_one_that_nobody_foresaw_is_tried_again_and_the_others_go_out(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        class Broken(SmtpServer):
            async def send(self, message: EmailMessage) -> None:
                if "Negative stock" in message["Subject"]:
                    raise AttributeError("all_defects")
                await super().send(message)

        case_id = await a_case(retailer, "S1/APPLE")
        await queue(retailer, template="case_escalated", dedupe_key="c", person_id="ana.ruiz", case_id=case_id)
        await an_approval(retailer)
        outgoing = Broken("127.0.0.1", mail_server.port, tls="none", timeout_s=60)
        carrier = Sender(retailer, outgoing, sender="Endcap <endcap@shop.example>", base_url=BASE)
        assert await carrier.once() == 2
        first, second = await mail_rows(retailer)
        assert (first["state"], first["not_before"] > datetime.now(UTC), second["state"]) == ("queued", True, "sent")
        assert "AttributeError" in first["last_error"]

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
