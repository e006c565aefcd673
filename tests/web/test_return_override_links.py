"""What policy refused of a return, agreed to or rejected by the very link that stands in the manager's mail."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import httpx2
import pytest

import ledger.engine
from domain.messages import Step
from ledger import tables
from ledger.returns import steps
from tests.sender.conftest import BASE, MailServer, due_now, mail_server, sender, text_of
from tests.web.links import form_of
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.robot import Robot
from tests.web.routes import everything
from tests.web.store import staff
from tests.web.test_return_overrides import COUNTER, RETURN, refused

__all__ = ["accounts", "browse", "mail_server", "refused", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
type Browse = Callable[[], httpx2.AsyncClient]
NOTE = "She comes every week."


class Mail(NamedTuple):
    """The mail to Ana: its text, and the path of the link in it."""

    text: str
    path: str


@pytest.fixture
async def mail(sign_in: SignIn, retailer: Ledger, refused: str, mail_server: MailServer) -> Mail:
    """An associate has asked at the counter, and the manager has got a mail."""
    pia = await sign_in("pia.lund")
    form = {"line": "2", "reason": "goodwill", "note": NOTE}
    assert (await pia.post(f"{COUNTER}/override", data=form)).status_code == 303
    await due_now(retailer)
    carrier = sender(retailer, mail_server.port)
    while await carrier.once():
        pass
    (message,) = [one for one in mail_server.mails if one["To"] == "Ana Ruiz <ana.ruiz@stores.example>"]
    found = re.search(rf"^{BASE}(/a/\S+)$", text_of(message), re.MULTILINE)
    assert found is not None
    return Mail(text_of(message), found[1])


async def overridden(retailer: Ledger) -> str:
    (row,) = await rows(retailer, tables.return_override)
    return str(row["state"])


async def heard(retailer: Ledger) -> None:
    """The journey hears what became of the request, as its worker would tell it."""
    await steps.attend(retailer, Step(subject=RETURN, occurrence="1", at=datetime.now(UTC)))


async def test_the_mail_and_the_page_say_what_is_to_be_overridden(mail: Mail, browse: Browse) -> None:
    page = (await browse().get(mail.path)).text
    for words in ("Pia Lund", "BREAD", NOTE, "1.29 USD"):
        assert (words in mail.text, words in page) == (True, True), words
    assert re.search(r"^Refused: 1 x BREAD: .+ Asked for as: goodwill\.$", mail.text, re.MULTILINE)
    assert "What was refused stays refused, and the customer is told" in page
    assert " checked" not in page


async def test_agreed_to_it_is_taken_back(mail: Mail, browse: Browse, sign_in: SignIn, retailer: Ledger) -> None:
    ana = browse()
    form = form_of((await ana.get(mail.path)).text)
    done = await ana.post(mail.path, data=form | {"verdict": "approve"})
    assert (done.status_code, done.headers["location"]) == (303, mail.path)
    await heard(retailer)
    assert await overridden(retailer) == "approved"
    second = await ana.post(mail.path, data=form | {"verdict": "reject", "note": "no"})
    assert (second.status_code, "Approved by Ana Ruiz" in second.text) == (409, True)
    assert await overridden(retailer) == "approved"
    page = (await (await sign_in("pia.lund")).get(COUNTER)).text
    assert "Allowed by an override (goodwill)" in page
    assert "Not taken back" not in page


async def test_rejected_it_stays_refused_and_the_customer_is_told(mail: Mail, browse: Browse, retailer: Ledger) -> None:
    ana = browse()
    form = form_of((await ana.get(mail.path)).text)
    silent = await ana.post(mail.path, data=form | {"verdict": "reject"})
    assert silent.status_code == 422  # who is rejected hears why
    done = await ana.post(mail.path, data=form | {"verdict": "reject", "note": "It was opened."})
    assert done.status_code == 303
    await heard(retailer)
    assert await overridden(retailer) == "rejected"
    told = [row["template"] for row in await rows(retailer, tables.mail) if row["customer_id"] is not None]
    assert told.count("return_declined") == 1


async def test_scanners_and_robots_allow_nothing(mail: Mail, browse: Browse, retailer: Ledger) -> None:
    before = await everything(retailer)
    for method in ("GET", "HEAD", "GET"):
        assert (await browse().request(method, mail.path)).status_code == 200
    robot = Robot(browse())
    await robot.walk(mail.path)
    assert {status for _, status in robot.sent} <= {401, 403, 422}
    assert await everything(retailer) == before
    assert await overridden(retailer) == "pending"


async def test_the_one_who_asked_and_a_stranger_decide_nothing_by_it(
    mail: Mail, sign_in: SignIn, retailer: Ledger
) -> None:
    for person in ("pia.lund", "sol.byrne"):
        client = await sign_in(person)
        page = (await client.get(mail.path)).text
        answer = await client.post(mail.path, data=form_of(page) | {"verdict": "approve"})
        assert answer.status_code == 403, person
    assert await overridden(retailer) == "pending"
