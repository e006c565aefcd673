"""A mail scanner of the thorough kind changes nothing: it opens every link with GET and HEAD, follows what it finds,
keeps its cookies, and sends every form as it was rendered. A browser does the same with scripts in tests/e2e.
"""

import re
from collections.abc import Callable

import httpx2

import ledger.engine
from tests.web.links import mailed
from tests.web.people import accounts, browse, sign_in
from tests.web.retail import an_approval
from tests.web.robot import Reader, Robot
from tests.web.routes import everything

__all__ = ["accounts", "browse", "sign_in"]


async def test_a_robot_that_opens_follows_and_sends_everything_changes_nothing(
    retailer: ledger.engine.Database, browse: Callable[[], httpx2.AsyncClient], accounts: None
) -> None:
    addresses = [
        await mailed(retailer, await an_approval(retailer)),
        await mailed(retailer, await an_approval(retailer), code="012345"),
        await mailed(retailer, await an_approval(retailer), hours=-1),
        await mailed(retailer, await an_approval(retailer, amount_minor=60_000)),
        await mailed(retailer, await an_approval(retailer), "sam.ortega"),
        "/a/nonsense", "/c/nonsense", "/", "/sign-in", "/console/queue", "/console/approvals", "/console/delegations",
        "/store", "/console/help",
    ]  # fmt: skip
    before = await everything(retailer)
    robot = Robot(browse())
    for address in addresses:
        await robot.walk(address)
    assert await everything(retailer) == before
    pressed = {re.sub(r"^/a/[^/]+", "/a/…", path) for path, _ in robot.sent}
    assert {"/a/…", "/a/…/again", "/sign-in"} <= pressed
    assert {status for path, status in robot.sent if path.startswith("/a/")} <= {403, 409, 422}


async def test_the_robot_would_be_seen_if_a_choice_were_made_for_it(
    retailer: ledger.engine.Database, browse: Callable[[], httpx2.AsyncClient]
) -> None:
    """The same form with a verdict chosen does decide: the robot above fails for the choice alone."""
    path = await mailed(retailer, await an_approval(retailer))
    client = browse()
    page = Reader()
    page.feed((await client.get(path)).text)
    (form,) = [fields for method, action, fields in page.forms if action == path]
    before = await everything(retailer)
    assert (await client.post(path, data=form | {"verdict": "approve"})).status_code == 303
    assert await everything(retailer) != before
