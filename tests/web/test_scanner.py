"""A mail scanner of the thorough kind changes nothing: it opens every link with GET and HEAD, follows what it finds,
keeps its cookies, and sends every form as it was rendered. A browser does the same with scripts in tests/e2e.
"""

import re
from collections.abc import Callable
from typing import Any

import httpx2

import ledger.engine
from domain.policy import ApprovalPolicy
from tests.web.conftest import as_key, web
from tests.web.links import mailed
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import an_approval
from tests.web.robot import Reader, Robot
from tests.web.routes import ROUTES, everything, ids
from tests.web.store import staff

__all__ = ["accounts", "as_key", "browse", "ids", "sign_in", "staff", "web"]
NEVER_ENDS = re.compile(r"/live|/stream")


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


LINES = [{"sku": "APPLE", "units": 2, "policy": "Nobody takes it back."}, {"item": "BREAD", "forecast_units": 3}]
FACTS: dict[str, dict[str, Any]] = {
    "adjustment": {"lines": [{"item": "Apple", "sku": "APPLE", "units": -2, "cost_minor": 50}], "needs": "manager"},
    "appeasement": {"order": "W-1", "store": "North", "offer": 7},
    "claim": {"claim": "A-1", "vendor": "Maker", "agreement": "A", "document": "a.pdf", "items": 1},
    "count": {"count": "C-1", "lines": LINES},
    "policy_change": {"case_kind": "pick_short", "root_cause": "wrong_shelf", "act": "add", "region": "west"},
    "promotion": {"promotion": "P-1", "offer": "33 % off", "starts_at": "2099-01-01T00:00:00+00:00", "lines": LINES},
    "refund": {
        "order": None,
        "score": {"score": 45, "band": "elevated", "terms": [{"why": "no receipt", "points": 45}]},
    },
    "return_override": {"return": "RT-1", "override_reason": "goodwill", "lines": LINES},
    "transfer": {"transfer": "T-1", "from": "North", "to": "South", "because": "It sells there.", "lines": LINES},
    "write_off": {"vendor": "Maker", "agreement": "A"},
}


async def test_whatever_is_asked_the_robot_reads_it_and_decides_nothing(
    retailer: ledger.engine.Database, browse: Callable[[], httpx2.AsyncClient], sign_in: SignIn
) -> None:
    assert set(FACTS) == set(ApprovalPolicy().ladders), "each kind of request that there is"
    asked = {kind: await an_approval(retailer, kind=kind, facts=facts) for kind, facts in FACTS.items()}
    paths = {kind: await mailed(retailer, number) for kind, number in asked.items()}
    sam = await sign_in("sam.ortega")
    before = await everything(retailer)
    answered = set()
    for kind, path in paths.items():
        robot = Robot(browse())
        await robot.walk(path)
        answers = [status for sent, status in robot.sent if sent == path]
        assert answers in ([], [422]), kind  # none where a store's manager is not who agrees to such a thing
        answered |= {kind} if answers else set()
    assert {"adjustment", "appeasement", "count", "refund", "return_override", "transfer"} <= answered
    assert await everything(retailer) == before
    shown = {kind: (await sam.get(f"/console/approvals/{number}")).text for kind, number in asked.items()}
    assert "33 % off" in shown["promotion"], "what it offers is what is agreed to"
    assert "It sells there." in shown["transfer"]
    assert "Fraud score: 45, elevated" in shown["refund"]
    assert "None" not in "".join(shown.values())


async def test_looking_at_every_page_changes_nothing(
    ids: dict[str, str], staff: None, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    """Every page that there is, a new one included, for somebody who is signed in and sees most of it."""
    sam, before = await sign_in("sam.ortega"), await everything(retailer)
    looked = [
        route for route in ROUTES if route.method == "GET" and not route.is_api and not NEVER_ENDS.search(route.path)
    ]
    assert len(looked) > 50
    for route in looked:
        for method in ("HEAD", "GET"):
            answer = await sam.request(method, route.with_ids(ids))
            assert answer.status_code < 500, (method, route.path)
    assert await everything(retailer) == before
