"""The links of the API's document lead on: what each example makes is found, changed and ended where the answer says.

`tests/web/test_fuzz.py` sends bodies at random, which name no place that there is, so it hardly makes anything to go on
from; here the document's own examples are sent, and each of its links is followed.
"""

import json
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from ledger.transaction import Transaction
from tests.web.store import event
from tests.web.test_fuzz import EXAMPLES
from web.openapi import PUBLISHED

DOCUMENT: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))
OPERATIONS: dict[str, tuple[str, str, dict[str, Any]]] = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
LINKS = [
    (name, link["operationId"])
    for name, (_, path, operation) in OPERATIONS.items()
    if "{" not in path
    for link in operation["responses"].get("201", {}).get("links", {}).values()
]
FOR_SAM = {"X-On-Behalf-Of": "sam.ortega"}  # who adjusts is a person


def example_of(operation: dict[str, Any]) -> Any:
    """The first example of its body, or nothing where it takes none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    examples = list(content.get("examples", {}).values())
    return examples[0]["value"] if examples else None


async def send(web: httpx2.AsyncClient, name: str, **ids: Any) -> tuple[httpx2.Response, Any]:
    """Call an operation with its own example; an answer that the document does not know is a fault."""
    method, path, operation = OPERATIONS[name]
    body = example_of(operation)
    more = {} if body is None else {"json": body}
    answer = await web.request(method.upper(), path.format(**ids), headers=FOR_SAM, **more)
    assert str(answer.status_code) in operation["responses"], (name, answer.status_code, answer.text)
    assert answer.status_code < 500, (name, answer.text)
    return answer, body


@pytest.fixture
async def example_places(retailer: ledger.engine.Database) -> None:
    async def seed(tx: Transaction) -> None:
        for statement in EXAMPLES:
            await tx.conn.execute(text(statement))
        await tx.conn.execute(text("UPDATE stock SET available = 50 WHERE sku = '1082185'"))

    await retailer.write(seed, actor="test", via="test")


async def collected(web: httpx2.AsyncClient) -> None:
    """The document's order, picked and handed over: what a return may bring back."""
    order = example_of(DOCUMENT["paths"]["/api/v1/bopis-orders"]["post"])
    assert (await web.post("/api/v1/bopis-orders", json=order)).status_code == 201
    lines = [{"line_id": line["line_id"], "quantity": line["quantity"]} for line in order["lines"]]
    await event(web, "bopis.picked", "pick", order_id=order["order_id"], picker="p", lines=lines)
    await event(web, "bopis.handed_over", "hand-over", order_id=order["order_id"], actor="p")


def test_there_are_links() -> None:
    assert len(LINKS) >= 15
    assert ("post_transfer", "amend_transfer") in LINKS


@pytest.mark.parametrize(("made_by", "target"), LINKS, ids=str)
async def test_it_leads_to_what_was_made(
    web: httpx2.AsyncClient, example_places: None, made_by: str, target: str
) -> None:
    if made_by == "post_return":
        await collected(web)
    made, sent = await send(web, made_by)
    assert made.status_code == 201, made.text
    links = OPERATIONS[made_by][2]["responses"]["201"]["links"].values()
    (parameters,) = (link["parameters"] for link in links if link["operationId"] == target)
    ids = {}
    for name, where in parameters.items():
        body, _, pointer = where.partition("#/")
        ids[name] = (sent if body == "$request.body" else made.json())[pointer]
    answer, _ = await send(web, target, **ids)
    assert answer.status_code != 404, answer.text
    if OPERATIONS[target][0] == "get":
        assert answer.status_code == 200, answer.text
