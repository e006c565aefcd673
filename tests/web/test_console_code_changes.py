"""Codes are added and ended at the console: asked for on the page of the codes, agreed to as anything else."""

import pytest

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows

__all__ = ["accounts", "browse", "sign_in"]
type Ledger = ledger.engine.Database
FORM = {
    "place": "S1", "kind": "pick_short", "code": "Shelf_label_missing", "act": "add", "why": "Each week, in dairy.",
}  # fmt: skip


async def test_asked_for_and_agreed_to(sign_in: SignIn, retailer: Ledger) -> None:
    sam = await sign_in("sam.ortega")
    page = (await sam.get("/console/codes")).text
    assert "Add or end a root cause" in page
    answer = await sam.post("/console/codes", data=FORM)
    (asked,) = await rows(retailer, tables.approval)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/approvals/{asked['id']}")
    assert f'<a href="/console/approvals/{asked["id"]}">' in (await sam.get("/console/codes")).text
    fin = await sign_in("fin.weber")
    seen = (await fin.get(answer.headers["location"])).text
    for words in ("New root cause “Shelf label missing”", "Each week, in dairy.", "Sam Ortega"):
        assert words in seen, words
    assert "0.00 USD" not in seen.split("<main", 1)[1].split("</dl>")[0]
    form = {"verdict": "approve", "note": "", "version": str(asked["version"])}
    done = await fin.post(f"{answer.headers['location']}/verdict", data=form)
    assert done.status_code in (200, 303), done.text
    page = (await sam.get("/console/codes")).text
    said = page.split('<tr><th scope="row">Shelf label missing</th>', 1)[1].split("</tr>")[0]
    assert "Short pick" in said or "pick" in said.lower()
    assert "waits:" not in page


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"kind": ""}, 422, "Choose a kind of case."),
        ({"kind": "count_variance"}, 422, "the same everywhere"),
        ({"act": ""}, 422, "Choose whether it is added or ended."),
        ({"act": "end"}, 409, "there is nothing to end"),
        ({"code": "two words"}, 422, "Write the code in small letters"),
        ({"why": " "}, 422, "Say why"),
        ({"place": "S9"}, 404, "There is no location S9 that you see."),
        ({"place": "S404"}, 404, "There is no location S404 that you see."),
    ],
)
async def test_what_cannot_be_is_said_and_what_was_typed_is_kept(
    sign_in: SignIn, retailer: Ledger, more: dict[str, str], status: int, says: str
) -> None:
    sam = await sign_in("sam.ortega")
    answer = await sam.post("/console/codes", data=FORM | more)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    if status != 404:
        sent = FORM | more
        assert sent["code"] in answer.text
        assert (f'value="{sent["act"]}" checked' in answer.text) is bool(sent["act"])
    assert await rows(retailer, tables.approval) == []


async def test_who_may_only_look(sign_in: SignIn, retailer: Ledger) -> None:
    ida = await sign_in("ida.noor")
    assert "Add or end a root cause" not in (await ida.get("/console/codes")).text
    answer = await ida.post("/console/codes", data=FORM)
    assert (answer.status_code, "whoever looks after the whole region" in answer.text) == (403, True)
    assert await rows(retailer, tables.approval) == []
