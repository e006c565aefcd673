"""The demo's mailbox: a real SMTP session in, a page without script out."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx2
import pytest

from embedded.children import Child, http_answers
from embedded.mailbox import MAIL_LIMIT_BYTES, linked
from embedded.ports import free_port
from embedded.process import base_environment, spawn

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Box:
    """A running mailbox."""

    folder: Path
    smtp_port: int
    pages: httpx2.AsyncClient

    async def send(self, mail: EmailMessage) -> None:
        """One SMTP session."""
        await aiosmtplib.send(mail, hostname="127.0.0.1", port=self.smtp_port, use_tls=False, start_tls=False)


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    """The child process as the stack starts it."""
    tmp_path = tmp_path_factory.mktemp("mailbox")
    smtp_port, page_port = free_port(), free_port()
    log = tmp_path / "mailbox.log"
    argv = [sys.executable, "-m", "embedded.mailbox", "--folder", str(tmp_path / "mails")]
    argv += ["--smtp-port", str(smtp_port), "--page-port", str(page_port)]
    child = Child(
        "mailbox",
        log,
        lambda: spawn(argv, log=log, env=base_environment(), cwd=ROOT),
        answers=http_answers("127.0.0.1", page_port, "/"),
    )
    await child.start()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{page_port}", timeout=120) as pages:
        yield Box(tmp_path / "mails", smtp_port, pages)
    assert await child.stop() in {0, -signal.SIGTERM}, log.read_text()


@pytest.fixture
def box(running: Box) -> Box:
    """The running mailbox, emptied."""
    for file in running.folder.iterdir():
        file.unlink()
    return running


def mail(to: str, subject: str, text: str) -> EmailMessage:
    """A mail as the sender makes them: text first, HTML beside it."""
    made = EmailMessage()
    made["From"] = "Endcap <endcap@localhost>"
    made["To"] = to
    made["Subject"] = subject
    made.set_content(text)
    made.add_alternative(f"<p>{text}</p>", subtype="html")
    return made


class TestKeeping:
    async def test_each_addressee_gets_a_file_that_only_the_owner_may_enter(self, box: Box) -> None:
        await box.send(mail("Ana <ana@example.test>, li@example.test", "Refund", "Please decide"))
        names = sorted(file.name.split("-", 2)[2] for file in box.folder.iterdir())
        assert names == ["ana@example.test.eml", "li@example.test.eml"]
        assert box.folder.stat().st_mode & 0o077 == 0

    async def test_a_mail_that_is_too_large_is_refused_and_not_kept(self, box: Box) -> None:
        with pytest.raises(aiosmtplib.SMTPResponseException) as refused:
            await box.send(mail("ana@example.test", "Large", ("x" * 70 + "\n") * (MAIL_LIMIT_BYTES // 70)))
        assert refused.value.code == 552
        assert list(box.folder.iterdir()) == []

    async def test_an_addressee_cannot_choose_the_path_of_the_file(self, box: Box) -> None:
        await box.send(mail("../../evil@example.test", "Path", "x"))
        assert [file.parent for file in box.folder.rglob("*.eml")] == [box.folder]


class TestReading:
    async def test_a_link_opens_on_localhost_so_that_the_session_is_the_addressees(self, box: Box) -> None:
        await box.send(mail("ana@example.test", "Refund 31.20", "Decide: http://127.0.0.1:8400/a/tok?x=1&y=2."))
        index = (await box.pages.get("/?to=ana%40example.test")).text
        assert "Refund 31.20" in index
        name = next(box.folder.iterdir()).name
        shown = await box.pages.get(f"/mails/{name}")
        assert (
            '<a href="http://localhost:8400/a/tok?x=1&amp;y=2">http://127.0.0.1:8400/a/tok?x=1&amp;y=2</a>.'
            in shown.text
        )
        assert (await box.pages.get(f"/mails/{name}/raw")).content == next(box.folder.iterdir()).read_bytes()

    async def test_mails_of_others_are_left_out_when_one_addressee_is_chosen(self, box: Box) -> None:
        await box.send(mail("ana@example.test", "For Ana", "x"))
        await box.send(mail("li@example.test", "For Li", "x"))
        index = (await box.pages.get("/?to=li%40example.test")).text
        assert "For Li" in index
        assert "For Ana" not in index
        assert "<option selected>li@example.test" in index

    async def test_until_somebody_is_chosen_nobody_is_shown_as_chosen(self, box: Box) -> None:
        await box.send(mail("ana@example.test", "For Ana", "x"))
        await box.send(mail("li@example.test", "For Li", "x"))
        for path in ("/", "/?to="):
            index = (await box.pages.get(path)).text
            assert ("For Ana" in index, "For Li" in index) == (True, True)
            assert '<select name="to"><option value="">everybody</option>' in index
            assert " selected" not in index

    async def test_a_mail_cannot_bring_script_or_markup(self, box: Box) -> None:
        await box.send(
            mail("ana@example.test", "<script>1</script>", '<img src=x onerror=alert(1)> http://a/"onclick=x')
        )
        for path in ("/", f"/mails/{next(box.folder.iterdir()).name}"):
            answer = await box.pages.get(path)
            assert "<script" not in answer.text
            assert "<img" not in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]

    @pytest.mark.parametrize("name", ["nothing.eml", "..%2f..%2fetc%2fpasswd", "20260101T000000Z-1-a.eml"])
    async def test_other_names_are_not_found(self, box: Box, name: str) -> None:
        assert (await box.pages.get(f"/mails/{name}")).status_code == 404

    async def test_another_host_name_is_refused(self, box: Box) -> None:
        assert (await box.pages.get("/", headers={"host": "rebound.example"})).status_code == 400


class TestLinks:
    def test_other_hosts_stay_as_they_are(self) -> None:
        assert linked("see https://example.test/a") == (
            'see <a href="https://example.test/a">https://example.test/a</a>'
        )

    def test_other_schemes_are_no_links(self) -> None:
        assert linked("javascript:alert(1) <b>") == "javascript:alert(1) &lt;b&gt;"


async def test_two_mails_at_once_are_two_files(box: Box) -> None:
    await asyncio.gather(*(box.send(mail("ana@example.test", f"Mail {number}", "x")) for number in range(10)))
    assert len(list(box.folder.glob("*.eml"))) == 10
