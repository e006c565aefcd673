"""What lists, searches, exports, choices and forms tell somebody of another region: nothing, whatever they ask for.

Routes that name a thing in their path are tried by `tests/web/test_routes.py`; here are those that are asked by
parameters and forms. A new route, and a new field of one, is tried by itself.
"""

import re
from typing import Any

import httpx2

import ledger.engine
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.routes import ROUTES, Route, everything, ids
from tests.web.store import staff
from tests.web.test_markup import SENT

__all__ = ["accounts", "browse", "ids", "sign_in", "staff"]
UNNAMED = [route for route in ROUTES if not route.names and not route.path.startswith(("/sign", "/console/live"))]
# Words that stand on a page, or in an answer, only where it tells of what is at Store S1 or of who works there.
TELLING = [
    "W-1", "W-2", "W-3", "T-1", "T-2", "RT-1", "C-1", "H-1", "VR-1", "A-17", "web:P-1", "Noor Haddad",
    "noor@example.com", "Ana Ruiz", "ana.ruiz@", "Sam Ortega", "sam.ortega@", "Refund of W-1", "pay_1", "Store S1",
]  # fmt: skip
# What is everybody's: whoever shares a view is named beside it, goods may be asked for from any place.
EVERYBODYS = {"/console/queue": {"Sam Ortega"}, "/console/transfers/new": {"Store S1"}}
# What somebody puts into a field who knows, or guesses, what there is; any other field gets the first and the last.
GUESSES = {
    "q": ("W-1", "noor@example.com"), "location": ("S1", "S1"), "place": ("S1", "S1"), "region": ("NORTH", "NORTH"),
    "owner": ("sam.ortega", "all"), "tab": ("all", "open"), "view": ("all", "decided"), "sku": ("BREAD", "APPLE"),
    "key": ("W-2", "W-1"), "text": ("P-1", "web"), "vendor": ("ACME", ""), "channel": ("web", "web"),
    "journey_id": ("bopis:web:W-1", "bopis:web:W-2"), "who": ("sam.ortega", ""),
    "to": ("sam.ortega@stores.example", ""),
}  # fmt: skip


def guesses(name: str, ids: dict[str, str]) -> tuple[str, str]:
    if name in ("case", "case_id", "row"):
        return ids["case_id"], ids["case_id"]
    return GUESSES.get(name, ("S1", "W-1"))


def told(answer: httpx2.Response, sent: str, ids: dict[str, str], path: str) -> list[str]:
    """The telling words of an answer, less those that were sent along and may be said again."""
    words = [word for word in TELLING if word not in sent and word not in EVERYBODYS.get(path, ())]
    links = [f"{noun}/{ids[name]}" for noun, name in (("cases", "case_id"), ("approvals", "approval_id"))]
    there = [word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", answer.text)]
    return there + [link for link in links if sent != ids["case_id"] and re.search(rf"/{link}(?!\d)", answer.text)]


async def leaks(client: httpx2.AsyncClient, routes: list[Route], ids: dict[str, str]) -> dict[str, list[str]]:
    """Each way of asking a route by one of its fields, those on its page as well, that told something."""
    found = {}
    for route in routes:
        plain = await client.get(route.path)
        ways = [(route.path, plain, "")]
        fields = set(re.findall(r'<(?:input|select) [^>]*?name="(\w+)"', plain.text))
        fields |= SENT.get(str(route), {}).get("query_params", set()) | {"row", "location"} - fields
        for name in sorted(fields - {"limit"}):
            for value in dict.fromkeys(guesses(name, ids)):
                answer = await client.get(route.path, params={name: value})
                ways.append((f"{route.path}?{name}={value}", answer, value))
        for way, answer, value in ways:
            assert answer.status_code < 500, (way, answer.text[-300:])
            if words := told(answer, value, ids, route.path):
                found[way] = words
    return found


class TestLooking:
    async def test_a_page_tells_them_nothing(self, ids: dict[str, str], staff: None, sign_in: SignIn) -> None:
        pages = [route for route in UNNAMED if route.method == "GET" and not route.is_api]
        assert len(pages) > 30
        sam, sol = await sign_in("sam.ortega"), await sign_in("sol.byrne")
        assert len(await leaks(sam, [Route("GET", "/console/queue")], ids)) > 5  # so it would be noticed
        assert await leaks(sol, pages, ids) == {}

    async def test_the_api_tells_them_nothing(self, ids: dict[str, str], as_key: As) -> None:
        routes = [route for route in UNNAMED if route.method == "GET" and route.is_api]
        assert len(await leaks(as_key("web"), [Route("GET", "/api/v1/journeys")], ids)) > 2
        for key in ("sol", "other"):
            got = await leaks(as_key(key), routes, ids)
            # Stock belongs to no source: every system that may read sees all of it, a person that of their places.
            free = ("openapi.json", "/stock") if key == "other" else ("openapi.json",)
            assert {way: words for way, words in got.items() if not any(one in way for one in free)} == {}, key


class TestSending:
    async def test_a_form_about_things_of_another_region_changes_nothing_and_tells_nothing(
        self, ids: dict[str, str], staff: None, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        forms = [route for route in UNNAMED if route.method == "POST" and not route.is_api]
        clients = [await sign_in(person) for person in ("sol.byrne", "lea.marx")]
        before = await everything(retailer)
        case = ids["case_id"]
        data: dict[str, Any] = {
            "case": case, "seen": f"{case}@1", "shown": "dismiss#1", "option": "dismiss", "note": "words",
            "location": "S1", "from": "S1", "place": "S1", "sku": "BREAD", "skus": "BREAD", "quantity": "-1",
            "reason": "damaged", "adjustment_id": "A-9", "count_id": "C-9", "source": "web", "event_id": "1",
        }  # fmt: skip
        for route in forms:
            if route.path in ("/console/views", "/console/replies", "/console/delegations"):
                continue  # of one's own, and of no region
            for client in clients:
                answer = await client.post(route.path, data=data)
                assert answer.status_code < 500, (str(route), answer.text[-300:])
                assert told(answer, case, ids, "/console/transfers/new") == [], (str(route), answer.status_code)
        assert await everything(retailer) == before
