"""Messages as they leave: complete text first, inlined HTML, headers that nobody can smuggle into."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ports.mail import Attachment, Letter, MailRefusedError, build, message_id, one_line, sender_domain

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SENDER = "Endcap <endcap@shop.example>"


def letter(**changes: object) -> Letter:
    fields: dict[str, object] = {
        "to_name": "Ana Ruiz",
        "to_email": "ana@shop.example",
        "subject": "Refund of 30.00 USD",
        "text": "Who asks: Sam\n",
        "html": "<html><head><style>p { color: #123456 }</style></head><body><p>Who asks: Sam</p></body></html>",
        "message_id": "<mail-7@shop.example>",
        "thread": "case-3",
        **changes,
    }
    return Letter(**fields)  # type: ignore[arg-type]


def sent(**changes: object) -> EmailMessage:
    """The message as whoever receives it parses it."""
    raw = build(letter(**changes), sender=SENDER, now=NOW).as_bytes()
    return email.message_from_bytes(raw, policy=email.policy.default)


class TestMessage:
    def test_text_comes_first_and_the_html_part_has_its_styles_inlined(self) -> None:
        parts = list(sent().walk())
        assert [part.get_content_type() for part in parts] == ["multipart/alternative", "text/plain", "text/html"]
        assert parts[1].get_content().strip() == "Who asks: Sam"
        assert 'style="color: #123456' in parts[2].get_content()

    def test_machine_headers_keep_absence_notes_away(self) -> None:
        message = sent()
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["X-Auto-Response-Suppress"] == "All"

    def test_mails_of_one_case_refer_to_the_same_root(self) -> None:
        first, second = sent(), sent(message_id="<mail-8@shop.example>")
        assert first["References"] == second["References"] == "<case-3@shop.example>"
        assert first["Message-ID"] != second["Message-ID"]

    def test_a_picture_stands_inside_the_html_part(self) -> None:
        picture = Attachment(b"\x89PNG", "image", "png", "code.png", cid="pickup-code")
        found = [part for part in sent(attachments=(picture,)).walk() if part.get_content_type() == "image/png"]
        assert [part["Content-ID"] for part in found] == ["<pickup-code>"]
        assert found[0].get_content() == b"\x89PNG"

    def test_a_file_is_attached(self) -> None:
        found = sent(attachments=(Attachment(b"%PDF", "application", "pdf", "list.pdf"),))
        assert [part.get_filename() for part in found.iter_attachments()] == ["list.pdf"]


class TestHeaderInjection:
    @pytest.mark.parametrize("evil", ["Sam\r\nBcc: eve@evil.example", "Sam\nBcc: eve@evil.example", "Sam\x0bBcc: x"])
    def test_a_line_break_in_name_or_subject_begins_no_header(self, evil: str) -> None:
        message = sent(subject=evil, to_name=evil)
        assert message["Bcc"] is None
        assert message["Subject"].startswith("Sam Bcc:")

    @pytest.mark.parametrize(
        "address",
        ["a@b.example\r\nBcc: eve@evil.example", "nobody", "a@b@c.example", "", "a@b.example, eve@evil.example"],
    )
    def test_what_is_no_single_address_is_refused(self, address: str) -> None:
        with pytest.raises(MailRefusedError):
            build(letter(to_email=address), sender=SENDER, now=NOW).as_bytes()

    @given(address=st.text(max_size=40) | st.from_regex(r"[!-~]{1,12}@[!-~]{1,12}", fullmatch=True))
    @example(address="a@[")
    @settings(max_examples=300)
    def test_any_address_is_written_or_refused(self, address: str) -> None:
        try:
            raw = build(letter(to_email=address), sender=SENDER, now=NOW).as_bytes()
        except MailRefusedError:
            return
        assert email.message_from_bytes(raw, policy=email.policy.default)["Bcc"] is None

    def test_one_line_keeps_other_characters(self) -> None:
        assert one_line("Jürgen\u2028Müller ✓") == "Jürgen Müller ✓"

    def test_message_ids_are_stable_and_safe(self) -> None:
        assert message_id("order-bopis:web:W 1>", "shop.example") == "<order-bopis-web-W-1-@shop.example>"
        assert sender_domain("nobody") == "localhost"
