"""Approval mails of a busy hour: a few at once, the rest as one digest."""

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import ledger.engine
from ledger import tables
from ledger.approval import link
from ledger.people import person_by_id
from ledger.verdicts import answer, record_verdict
from tests.sender.conftest import BASE, MailServer, due_now, mail_rows, queue, sender, text_of
from tests.web.retail import a_case, an_approval, rows


class TestDigest:
    """Five approval mails a person and hour (policy `approvals.mails_per_person_hour`), then one that lists all."""

    async def test_what_is_beyond_five_waits_for_one_digest_with_a_link_for_each(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        asked = [await an_approval(retailer, amount_minor=3000 + number) for number in range(8)]
        carrier = sender(retailer, mail_server.port)
        await carrier.once()
        assert len(mail_server.mails) == 5
        states = Counter((row["template"], row["state"]) for row in await mail_rows(retailer))
        assert states == {
            ("approval_request", "sent"): 5,
            ("approval_request", "withdrawn"): 3,
            ("approval_digest", "queued"): 1,
        }
        [digest] = [row for row in await mail_rows(retailer) if row["template"] == "approval_digest"]
        assert timedelta(minutes=58) < digest["not_before"] - datetime.now(UTC) <= timedelta(hours=1)
        assert await carrier.once() == 0

        await due_now(retailer)
        await carrier.once()
        message = mail_server.mails[-1]
        assert message["Subject"] == "8 requests need your verdict"
        text = text_of(message)
        tokens = re.findall(rf"^{BASE}/a/(\S+)$", text, re.MULTILINE)
        async with retailer.read() as conn:
            opened = [await link(conn, token) for token in tokens]
        assert [(row.approval_id, row.person_id) for row in opened if row] == [(one, "ana.ruiz") for one in asked]
        assert "It is never approved by silence." in text

    async def test_an_approver_who_has_few_gets_each_at_once(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        for _ in range(5):
            await an_approval(retailer)
        await an_approval(retailer, location="S9")  # nobody manages that region: it is finance who is asked
        await sender(retailer, mail_server.port).once()
        assert Counter(message["To"] for message in mail_server.mails) == {
            "Ana Ruiz <ana.ruiz@stores.example>": 5,
            "Fin Weber <fin.weber@stores.example>": 1,
        }

    async def test_a_digest_of_nothing_is_not_sent(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        asked = [await an_approval(retailer) for _ in range(6)]
        carrier = sender(retailer, mail_server.port)
        await carrier.once()
        async with retailer.read() as conn:
            ana = await person_by_id(conn, "ana.ruiz")
        assert ana is not None
        for approval_id in asked:
            await record_verdict(retailer, approval_id, ana, verdict="approve", note="", via="console")
        await due_now(retailer)
        await carrier.once()
        assert len(mail_server.mails) == 5
        assert [row["state"] for row in await mail_rows(retailer) if row["template"] == "approval_digest"] == [
            "withdrawn"
        ]

    async def test_a_new_link_that_somebody_asked_for_is_not_held_back(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        asked = [await an_approval(retailer) for _ in range(5)]
        await sender(retailer, mail_server.port).once()
        fields = {"template": "approval_request", "person_id": "ana.ruiz", "approval_id": asked[0]}
        await queue(retailer, **fields, dedupe_key="again", context={"occasion": "again"})
        await sender(retailer, mail_server.port).once()
        assert len(mail_server.mails) == 6

    async def test_nor_is_the_answer_to_a_question_of_theirs_with_both_and_a_link_to_decide_by(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        asked = [await an_approval(retailer) for _ in range(5)]
        await sender(retailer, mail_server.port).once()
        async with retailer.read() as conn:
            ana, sam = await person_by_id(conn, "ana.ruiz"), await person_by_id(conn, "sam.ortega")
        assert ana is not None
        assert sam is not None
        await record_verdict(retailer, asked[0], ana, verdict="ask", note="Who <b>looked</b>?", via="console")
        await answer(retailer, asked[0], sam, text="Two of us.", via="console")
        await sender(retailer, mail_server.port).once()
        [message] = [one for one in mail_server.mails if str(one["Subject"]).startswith("Answered: [A-")]
        text = text_of(message)
        assert "Ana Ruiz asked: Who <b>looked</b>?" in text
        assert "Sam Ortega answered: Two of us." in text
        assert re.search(rf"^{BASE}/a/\S+$", text, re.MULTILINE)
        html = message.get_body(("html",))
        assert html is not None
        assert "Who &lt;b&gt;looked&lt;/b&gt;?" in html.get_content()

    async def test_a_case_says_that_its_mail_goes_with_the_digest(
        self, retailer: ledger.engine.Database, mail_server: MailServer
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        for number in range(6):
            approval_id = await an_approval(retailer)
            if number == 5:
                fields = {"person_id": "ana.ruiz", "approval_id": approval_id, "case_id": case_id}
                await queue(
                    retailer, template="approval_request", dedupe_key="x", context={"occasion": "level"}, **fields
                )
        carrier = sender(retailer, mail_server.port)
        await carrier.once()
        events = [event["text"] for event in await rows(retailer, tables.case_event) if event["kind"] == "mail_held"]
        assert len(events) == 1
        assert "Ana Ruiz" in events[0]
