"""Every mail looks right: both parts say the same, nothing is loaded, it fits a phone, it can be read in the dark."""

import re
import runpy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]

from domain.policy import ApprovalPolicy
from tests.browser import NewContext

DOCS = Path(__file__).parents[2] / "docs"
MAILS: dict[str, Any] = runpy.run_path(str(DOCS / "mails.py"), run_name="looking")
SHOWN = [(template, variant) for _, template, variant in MAILS["shown"]()]
APPROVALS = [one for one in SHOWN if one[0] in ("approval_request", "approval_digest")]
FIVE = ("Who asks", "If you approve", "If you reject", "If you do nothing", "Cannot be undone")
HOSTILE = "x\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>{{ 7 * 7 }}"


def made(template: str, variant: str = "") -> EmailMessage:
    message: EmailMessage = MAILS["letter"](template, variant)
    return message


def part(message: EmailMessage, kind: str) -> str:
    return str(MAILS["part"](message, kind))


def words(html: str) -> str:
    body = re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def tags_of(html: str) -> set[str]:
    """The names of the elements that a mail program would make of it."""
    found: set[str] = set()

    class Names(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.add(tag)

    Names().feed(html)
    return found


def test_every_template_is_shown() -> None:
    assert {template for template, _ in SHOWN} == set(MAILS["templates"]())
    texts = {file.stem for file in (DOCS.parent / "web" / "templates" / "mail").glob("*.txt")}
    assert {one for one in texts if not one.endswith("_words")} == set(MAILS["templates"]())


def test_the_page_and_its_pictures_are_current() -> None:
    assert (DOCS / "mails.md").read_text() == MAILS["page"](), "run: python docs/mails.py"
    pictures = {MAILS["picture"](*one) for one in SHOWN}
    assert {file.name for file in (DOCS / "mails").iterdir()} == pictures


@pytest.mark.parametrize(("template", "variant"), SHOWN)
class TestEach:
    def test_the_text_comes_first_and_is_complete(self, template: str, variant: str) -> None:
        message = made(template, variant)
        kinds = [one.get_content_type() for one in message.walk() if one.get_content_maintype() == "text"]
        assert kinds == ["text/plain", "text/html"]
        text, html = f"{message['Subject']}\n{part(message, 'plain')}", part(message, "html")
        # Whatever amount or day the one names, the other names too.
        figures = re.compile(r"\d+\.\d\d [A-Z]{3}|\d\d:\d\d [A-Z]{2,4}")
        assert set(figures.findall(text)) == set(figures.findall(words(html)))
        assert "None" not in text + words(html)

    def test_nothing_is_loaded_run_or_sent_from_it(self, template: str, variant: str) -> None:
        html = part(made(template, variant), "html")
        assert not re.search(r"<(script|link|iframe|form|object|embed)\b", html)
        assert not re.search(r'src="(?!cid:)|url\(|@import', html)
        assert "<h1 style=" in html
        assert 'lang="en"' in html

    def test_its_headers_keep_machines_from_answering_and_its_case_together(self, template: str, variant: str) -> None:
        message = made(template, variant)
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["References"] == message["In-Reply-To"] == "<case-77@shop.example>"
        assert message["Message-ID"] == f"<{template.replace('_', '-')}@shop.example>"
        assert message["Subject"].strip()

    def test_what_people_wrote_begins_no_header_and_no_markup(
        self, template: str, variant: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = MAILS["everything"]()
        bad = {
            "to": plain["to"]._replace(name=HOSTILE),
            "order": plain["order"]._replace(key=HOSTILE, place_name=HOSTILE, pickup_code=HOSTILE),
            "case": plain["case"]._replace(title=HOSTILE, subject=HOSTILE, place_name=HOSTILE),
            "offer": plain["offer"]._replace(order_key=HOSTILE, because=HOSTILE, place_name=HOSTILE),
            "approval": MAILS["approval"](subject=HOSTILE, requester_name=HOSTILE, reason=HOSTILE),
            "delegation": plain["delegation"]._replace(giver_name=HOSTILE, taker_name=HOSTILE),
            "claim": MAILS["claim"](claim_id=HOSTILE, reference=HOSTILE, agreement_document=HOSTILE),
            "asked_by": plain["asked_by"]._replace(name=HOSTILE),
            "context": {name: HOSTILE if isinstance(one, str) else one for name, one in plain["context"].items()},
        }
        monkeypatch.setitem(MAILS["letter"].__globals__, "context_of", lambda *_: plain | bad)
        message = made(template, variant)
        assert "Bcc" not in message
        assert set(message.keys()) == {
            "From", "To", "Subject", "Date", "Message-ID", "References", "In-Reply-To", "Auto-Submitted",
            "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
        }  # fmt: skip
        assert len(message["To"].addresses) == 1
        assert not {"script", "form", "iframe"} & tags_of(part(message, "html"))
        assert "49" not in message["Subject"]


@pytest.mark.parametrize(("template", "variant"), APPROVALS)
def test_an_approver_reads_five_things_in_their_order(template: str, variant: str) -> None:
    message = made(template, variant)
    for said in (part(message, "plain"), words(part(message, "html"))):
        assert "It is never approved by silence." in said
        places = [said.index(one) for one in FIVE]
        assert places == sorted(places)


def test_every_kind_of_request_is_shown() -> None:
    assert {"refund", "appeasement", "count", *MAILS["KINDS"]} == set(ApprovalPolicy().ladders)
    assert set(MAILS["KINDS"]) <= {variant for template, variant in SHOWN if template == "approval_request"}


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_a_digest_says_of_each_request_what_its_own_mail_would(kind: str) -> None:
    said = words(part(made("approval_digest"), kind))
    for one in ("", "adjustment", "policy_change"):
        alone = words(part(made("approval_request", one), kind))
        for sentence in FIVE[1:]:
            told = re.search(rf"{sentence}\W+(.+?)(?=\s+(?:{'|'.join((*FIVE, 'Look at it', 'Look and'))}))", alone)
            assert told is not None, (one, sentence)
            assert told[1] in said
    assert "Two of the three are not on the shelf" in said
    assert "0.00" not in said


@pytest.mark.parametrize("template", ["approval_question", "approval_request", "approval_unanswerable"])
def test_what_is_about_no_money_names_none(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = MAILS["context_of"](template)
    change = MAILS["approval"](kind="policy_change", amount_minor=0, option=None, sides=plain["approval"].sides)
    monkeypatch.setitem(MAILS["letter"].__globals__, "context_of", lambda *_: plain | {"approval": change})
    message = made(template)
    assert "olicy change" in message["Subject"]
    for said in (message["Subject"], part(message, "plain"), part(message, "html")):
        assert "0.00" not in said


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "background"), [("light", "rgb(246, 245, 242)"), ("dark", "rgb(20, 23, 26)")])
async def test_they_fit_a_phone_and_can_be_read(new_context: NewContext, scheme: str, background: str) -> None:
    context = await new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for template, variant in SHOWN:
        await page.set_content(part(made(template, variant), "html"))
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, template
        assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == background
        if template in ("approval_request", "approval_digest", "offer_made"):
            found = await Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
            assert [one["id"] for one in found.response["violations"]] == [], template
    assert [one for one in asked if not one.startswith(("cid:", "data:", "about:"))] == []
