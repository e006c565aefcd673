"""The description of the API is current, says what may be refused, and its examples are true."""

import json
from typing import Any

import pytest

from domain.orders import BopisOrder
from web.api import cases, events, orders
from web.openapi import PUBLISHED, text

DESCRIBED: dict[str, Any] = json.loads(text())
OPERATIONS = [
    (method, path, operation) for path, item in DESCRIBED["paths"].items() for method, operation in item.items()
]
IDS = [f"{method} {path}" for method, path, _ in OPERATIONS]


def test_the_published_file_is_current() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == text(), "run `python -m web.openapi`"


def test_it_is_openapi_3_1() -> None:
    assert DESCRIBED["openapi"].startswith("3.1")


def test_every_reference_leads_somewhere() -> None:
    wanted = {part.split('"')[0] for part in text().split("#/components/schemas/")[1:]}
    assert wanted <= DESCRIBED["components"]["schemas"].keys()


def test_every_link_leads_to_an_operation_that_takes_what_it_brings() -> None:
    takes = {
        operation["operationId"]: {parameter["name"] for parameter in operation.get("parameters", ())}
        for _, _, operation in OPERATIONS
    }
    links = [
        link
        for _, _, operation in OPERATIONS
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 20
    assert [link for link in links if not set(link["parameters"]) <= takes[link["operationId"]]] == []


def test_no_page_of_the_console_is_in_it() -> None:
    assert all(
        path.startswith("/api/v1/") or path in {"/healthz", "/readyz", "/metrics"} for path in DESCRIBED["paths"]
    )


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=IDS)
def test_every_operation_of_the_api_declares_its_problems(method: str, path: str, operation: dict[str, Any]) -> None:
    if not path.startswith("/api/v1/"):
        return
    declared = set(operation["responses"])
    wanted = {"401", "403", "422", "429", "503"}
    wanted |= {"404"} if "{" in path else set()
    wanted |= {"409", "413", "415"} if method == "post" else set()
    assert wanted <= declared
    for status in wanted:
        content = operation["responses"][status]["content"]
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
    assert operation["security"] == [{"HTTPBearer": []}]
    assert operation["summary"]


def test_the_examples_are_what_the_models_take() -> None:
    BopisOrder.model_validate(orders.EXAMPLE)
    events.EventBatch.model_validate(events.EXAMPLE)
    for example in cases.DecisionIn.model_json_schema()["examples"]:
        cases.DecisionIn.model_validate(example)
