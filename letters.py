"""Writes a queued mail as a letter: its text and HTML, the link that it carries, what is attached to it.

It sends nothing. Links and codes are made here, just before the letter goes out, so that they are stored nowhere.
"""

import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.approval_words import FILTERS as APPROVAL_WORDS
from domain.bopis import FINAL, ON_THE_HOLD_SHELF, BopisState
from domain.claims import Proof
from domain.offer import OfferState
from domain.words import closing, kind_title, local, money, more, span, subject_words, until, words
from ledger import links, reference
from ledger.approval import create_link
from ledger.engine import Database
from ledger.mails import MailRow
from ledger.reads import vendor_claims
from ledger.reads.approvals import ApprovalFilter, ApprovalSummary, approval_detail, list_approvals
from ledger.reads.letters import Addressee, Matter, policy_of_question
from ledger.reads.places import zone_of
from ledger.transaction import Transaction
from ports import claim_paper
from ports.mail import Attachment, Letter, message_id, one_line, sender_domain

LISTED = 50  # requests in one digest
WITH_CODE = frozenset({"ready_for_pickup", "pickup_reminder", "pickup_extended"})
ASKING = frozenset({"offer_made", "exchange_asked"})
BEFORE_IT_IS_READY = frozenset({"order_placed", "order_late", "order_waits"})
WHILE_IT_LASTS = BEFORE_IT_IS_READY | {
    "order_moved", "order_to_be_shipped", "order_delayed", "place_closed", "order_substituted", "offer_withdrawn",
}  # fmt: skip
LINK_OF_RETURN = timedelta(days=180)  # so long a customer may come back to what became of their return
LINK_AFTER_WINDOW = timedelta(days=30)  # a link goes on telling what became of the order
TEMPLATES = Path(__file__).parent / "web" / "templates"


class NobodyToWriteTo(Exception):
    """The mail has lost its reason or its addressee."""


def _environment(*, markup: bool) -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=markup,  # noqa: S701  the texts are no markup; what is markup is escaped
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # nosec B701
    env.filters.update(
        {
            "money": money,
            "local": local,
            "closing": closing,
            "span": span,
            "until": until,
            "more": more,
            "words": words,
            "kind_title": kind_title,
            "about": subject_words,
            **APPROVAL_WORDS,
        }
    )
    return env


_texts = _environment(markup=False)
_pages = _environment(markup=True)


def render(template: str, context: dict[str, Any]) -> tuple[str, str, str]:
    """Subject (the first line of the text template), text and HTML. Raises jinja2's `TemplateError`."""
    subject, _, text = _texts.get_template(f"mail/{template}.txt").render(context).partition("\n")
    html = _pages.get_template(f"mail/{template}.html").render({**context, "subject": one_line(subject)})
    return one_line(subject), text.lstrip("\n"), html


def check_still_true(template: str, about: Matter) -> None:
    """Raises `NobodyToWriteTo` for a mail whose sentence was true when it was queued, and is not any more."""
    order, case, approval = about.order, about.case, about.approval
    if template in WITH_CODE and order is not None and BopisState(order.state) not in ON_THE_HOLD_SHELF:
        raise NobodyToWriteTo(f"the order is {order.state} by now")
    question = about.swap or about.offer
    if template in ASKING and (question is None or question.state != OfferState.OPEN):
        raise NobodyToWriteTo("the question is not open any more")
    if template in WHILE_IT_LASTS and order is not None and BopisState(order.state) in FINAL:
        raise NobodyToWriteTo(f"the order is {order.state} by now")
    if template in BEFORE_IT_IS_READY and order is not None and BopisState(order.state) in ON_THE_HOLD_SHELF:
        raise NobodyToWriteTo("the order is ready by now")
    if template == "case_escalated" and case is not None and case.closed:
        raise NobodyToWriteTo("the case is closed by now")
    if template in ("approval_request", "approval_unanswerable") and approval is not None:
        if approval.state != "pending":
            raise NobodyToWriteTo(f"the request is {approval.state} already")
        if template == "approval_request" and approval.has_agreed:
            raise NobodyToWriteTo("they have agreed by now")
    if template == "delegation_made" and (about.delegation is None or about.delegation.status == "over"):
        raise NobodyToWriteTo("it has ended by now")
    if template == "delegation_asked" and about.asked_by is None:
        raise NobodyToWriteTo("who asked has left")
    if template == "approval_question" and approval is not None and approval.paused_at is None:
        raise NobodyToWriteTo("the question is answered by now")


class Letters:
    """Letters from one address; `base_url` is where their links lead."""

    def __init__(self, database: Database, *, sender: str, base_url: str) -> None:
        self._database = database
        self._base_url = base_url
        self._domain = sender_domain(sender)

    async def write(self, row: MailRow, to: Addressee, about: Matter) -> Letter:
        """The letter of a queued mail. Raises `NobodyToWriteTo`, `TemplateError`, `DomainError`."""
        link, code = await self._link_of(row, to, about)
        context = {
            "context": row.context,
            "to": to,
            "order": about.order,
            "case": about.case,
            "approval": about.approval,
            "offer": about.offer,
            "pickup": about.pickup,
            "delegation": about.delegation,
            "asked_by": about.asked_by,
            "zone": about.zone,
            "comment": about.comment,
            "returned": about.returned,
            "claim": about.claim,
            "swap": about.swap,
            "link": link,
            "code": code,
            "base_url": self._base_url,
        }
        if row.template == "delegation_made" and to.person is not None:
            async with self._database.read() as conn:
                context["zone"] = await zone_of(conn, to.person)
        if row.template == "approval_digest":
            context |= await self._all_that_waits(to)
        subject, text, html = render(row.template, context)
        return Letter(
            to_name=to.name,
            to_email=to.email,
            subject=subject,
            text=text,
            html=html,
            message_id=row.message_id or message_id(f"mail-{row.id}-{row.not_before:%Y%m%d%H%M%S}", self._domain),
            thread=_thread(row),
            attachments=await self._attachments(row, about),
        )

    async def _attachments(self, row: MailRow, about: Matter) -> tuple[Attachment, ...]:
        """The pickup code for a customer; for a vendor the claim, its lines, and what a dispute proves."""
        if about.claim is None:
            return _code(about) if row.template in WITH_CODE else ()
        claim = about.claim
        async with self._database.read() as conn:
            papers = await vendor_claims.papers(conn, claim)
            proofs = [one async for one in vendor_claims.frozen_from(conn, claim.journey_id)]
        name = f"claim-{claim.claim_id}"
        document = claim_paper.document_pdf(claim, papers.names, sender=papers.sender)
        sheets = [(f"{name}.csv", claim_paper.lines_csv(claim, papers.names))]
        if row.template == "claim_disputed":
            sheets.append((f"{name}-proof.csv", claim_paper.proof_csv(claim, _disputed(about, proofs))))
        return (
            Attachment(document, "application", "pdf", f"{name}.pdf"),
            *(Attachment(content, "text", "csv", filename) for filename, content in sheets),
        )

    async def _link_of(self, row: MailRow, to: Addressee, about: Matter) -> tuple[str | None, str | None]:
        """The link that this mail carries, if it carries one, and the code that its page asks for, if it asks."""
        if row.template == "approval_request" and about.approval is not None:
            return await self._approvers_link(to, about.approval)
        question = about.swap or about.offer
        if row.template in ASKING and question is not None:
            async with self._database.read() as conn:
                wanted = (await policy_of_question(conn, question.id)).offers.mail_code
            asks = wanted == "always" or (wanted == "charged" and about.swap is not None)
            code = links.new_code() if asks else None
            return await self._customers_link(row, question.due_at, offer_id=question.id, code=code), code
        if about.returned is not None:
            until = row.not_before + timedelta(seconds=about.returned.clock_offset_s) + LINK_OF_RETURN
            return await self._customers_link(row, until, journey_id=about.returned.journey_id), None
        pickup = about.pickup
        if row.template in WITH_CODE and pickup is not None and (pickup.extensions_left or pickup.may_cancel):
            until = (pickup.window_until or row.not_before) + LINK_AFTER_WINDOW
            return await self._customers_link(row, until, journey_id=pickup.journey_id), None
        return None, None

    async def _customers_link(self, row: MailRow, until: datetime, **about: Any) -> str:
        """A link of the customer's own; its token, too, is stored nowhere, and neither is its code."""

        async def work(tx: Transaction) -> str:
            return await links.create(tx, customer_id=row.customer_id, expires_at=until, **about)

        token = await self._database.write(work, actor="sender", via="sender")
        return f"{self._base_url}/c/{token}"

    async def _all_that_waits(self, to: Addressee) -> dict[str, Any]:
        """What a digest lists: each request that waits for this person, with a link of its own."""
        if to.person is None:
            raise NobodyToWriteTo("only people who work here approve")
        async with self._database.read() as conn:
            waiting = await list_approvals(conn, to.person, ApprovalFilter(state="pending", mine=True), limit=LISTED)
            zone = await zone_of(conn, to.person)
            asked = [await approval_detail(conn, to.person, one.id) for one in waiting.items if one.paused_at is None]
        found = [(one, *await self._approvers_link(to, one)) for one in asked]
        if not found:
            raise NobodyToWriteTo("nothing waits any more")
        return {"approvals": found, "zone": zone}

    async def _approvers_link(self, to: Addressee, approval: ApprovalSummary) -> tuple[str, str | None]:
        """A link of the approver's own, and its code where policy wants one.

        Both are made when the mail is sent, so that they are stored nowhere.
        """
        if approval.state != "pending":
            raise NobodyToWriteTo(f"the request is {approval.state} already")
        if to.person is None:
            raise NobodyToWriteTo("only people who work here approve")
        approver = to.person.id

        async def work(tx: Transaction) -> tuple[str, str | None]:
            place = await reference.place(tx.conn, approval.location)
            policy = await reference.policy_at(tx.conn, place, await tx.now())
            code = links.new_code() if policy.approvals.mail_code else None
            return await create_link(tx, approval.id, approver, expires_at=approval.expires_at, code=code), code

        token, code = await self._database.write(work, actor="sender", via="sender")
        return f"{self._base_url}/a/{token}", code


def _thread(row: MailRow) -> str | None:
    """Mails to people stand under their case, mails to a customer under the order."""
    if row.customer_id is None and row.case_id is not None:
        return f"case-{row.case_id}"
    return f"order-{row.journey_id}" if row.journey_id else None


def _disputed(about: Matter, proofs: Iterable[Proof]) -> list[Proof]:
    """The sales of the lines that the vendor does not accept."""
    assert about.claim is not None
    short = {line.line_id for line in about.claim.lines if line.short_minor}
    return [one for one in proofs if one.line_id in short]


def _code(about: Matter) -> tuple[Attachment, ...]:
    """The pickup code as a picture that a till can read, inside the mail."""
    if about.order is None:
        return ()
    picture = io.BytesIO()
    segno.make_qr(about.order.pickup_code).save(picture, kind="png", scale=6, border=3)
    return (Attachment(picture.getvalue(), "image", "png", "pickup-code.png", cid="pickup-code"),)
