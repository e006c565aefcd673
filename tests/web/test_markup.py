"""Scripts and markup in whatever people and systems write stay text: on every page, for everybody who may open it.

What is stored is filled by the names of columns, what is sent by the parameters of routes: a new one is tried as well.
In a browser: `tests/e2e/test_stored_script.py`.
"""

import re
from typing import Any

import httpx2
import pytest
from fastapi.dependencies.models import Dependant
from sqlalchemy import insert

import ledger.engine
from ledger import tables
from ledger.transaction import Transaction
from tests.web.conftest import settings_for
from tests.web.links import mailed
from tests.web.markup import columns, elements_of, fill, payload
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.routes import ROUTES, ids
from tests.web.store import staff
from web.app import create_app

__all__ = ["accounts", "browse", "ids", "sign_in", "staff"]
NEVER_ENDS = re.compile(r"/live")
LOOKED_AT = [
    route for route in ROUTES if route.method == "GET" and not route.is_api and not NEVER_ENDS.search(route.path)
]
PEOPLE = ["sam.ortega", "ana.ruiz", "ida.noor", "fin.weber", "pia.lund"]


async def anybody(database: ledger.engine.Database) -> None:
    """Sam may open everything."""

    async def work(tx: Transaction) -> None:
        for role in ("admin", "store_manager"):
            await tx.conn.execute(insert(tables.person_role).values(person_id="sam.ortega", role=role))

    await database.write(work, actor="test", via="test")


def is_page(answer: httpx2.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html")


class TestStored:
    async def test_it_stays_text_on_every_page_for_everybody(
        self, ids: dict[str, str], staff: None, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await anybody(retailer)
        link = await mailed(retailer, int(ids["approval_id"]))
        clients = {person: await sign_in(person) for person in PEOPLE}
        names = await fill(retailer)
        wrong, seen, broken = {}, set(), {}
        for person, client in clients.items():
            for path in [*(route.with_ids(ids) for route in LOOKED_AT), link]:
                answer = await client.get(path)
                if answer.status_code >= 500:
                    broken[f"{person} {path}"] = answer.text[-300:]
                if not is_page(answer):
                    assert "nosniff" in answer.headers["x-content-type-options"]
                    continue
                bad, words = elements_of(answer.text)
                if bad:
                    wrong[f"{person} {path}"] = bad
                seen |= {int(one) for one in re.findall(r'data-stored="(\d+)"', words)}
        assert wrong == {}
        assert broken == {}
        shown = {names[number] for number in seen}
        assert len(shown) >= 20, sorted(shown)
        assert shown >= {"person.name", "location.name", "item.name", "person_note.text", "promotion.name"}

    def test_a_column_is_filled_by_its_name(self) -> None:
        filled = {(table.name, column.name) for table, column in columns()}
        assert len(filled) > 30
        assert {("customer", "name"), ("person_note", "text"), ("canned_reply", "title")} <= filled


def _names(dependant: Dependant, kind: str) -> set[str]:
    found = {field.alias for field in getattr(dependant, kind)}
    return found.union(*(_names(one, kind) for one in dependant.dependencies))


def _sent(candidates: Any) -> dict[str, dict[str, set[str]]]:
    """Of each route what it reads of a query and of a form."""
    found: dict[str, dict[str, set[str]]] = {}
    for one in candidates:
        if hasattr(one, "effective_candidates"):
            found |= _sent(one.effective_candidates())
        elif (dependant := getattr(one, "dependant", None)) is not None:
            for method in one.methods or ():
                found[f"{method} {one.path}"] = {
                    kind: _names(dependant, kind) for kind in ("query_params", "body_params")
                }
    return found


SENT = _sent(create_app(settings_for("postgresql://nobody@127.0.0.1/none")).routes)
PARTED = [route for route in ROUTES if not route.is_api and not NEVER_ENDS.search(route.path)]


class TestSentAlong:
    def test_the_parameters_are_found(self) -> None:
        assert "note" in SENT["POST /console/approvals/{approval_id}/verdict"]["body_params"]
        assert "view" in SENT["GET /console/approvals"]["query_params"]
        assert set(SENT) >= {str(route) for route in PARTED}

    @pytest.mark.parametrize("part", range(4))
    async def test_an_answer_never_has_it_as_an_element(
        self, part: int, ids: dict[str, str], staff: None, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await anybody(retailer)
        client, wrong, echoed = await sign_in("sam.ortega"), {}, 0
        for route in PARTED[part::4]:
            if route.path in ("/sign-out", "/sign-out/everywhere"):
                continue
            said = SENT[str(route)]
            page = await client.get(route.with_ids(ids)) if route.method == "GET" else None
            asked = set(re.findall(r'name="(\w+)"', page.text)) if page is not None and is_page(page) else set()
            query = {name: payload(1) for name in said["query_params"] | asked | {"q", "tab", "cursor", "next"}}
            form = {name: payload(2) for name in said["body_params"] | {"note", "reason", "text", "name"}}
            how: dict[str, Any] = {"data": form} if route.method == "POST" else {}
            answer = await client.request(route.method, route.with_ids(ids), params=query, **how)
            assert answer.status_code < 500, (str(route), answer.text[-300:])
            if is_page(answer):
                bad, words = elements_of(answer.text)
                echoed += "data-stored" in words or "data-stored" in answer.text
                if bad:
                    wrong[str(route)] = bad
        assert wrong == {}
        assert echoed > 0, "nothing was sent back: this would notice nothing"
