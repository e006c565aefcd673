"""What a stack says of itself: one trace from request to activity, logs as JSON, and nobody's data in either."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.faults.collector import Collector, Seen
from tests.faults.company import Company, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PERSONAL = (b"Kim Lee", b"kim@customer.example", b"Nora Lind", b"nora@mug.example")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def company(collector: Collector) -> Iterator[Company]:
    made = Company()
    made.environment |= {"ENDCAP_OTLP_ENDPOINT": collector.address, "ENDCAP_LOG_FORMAT": "json"}
    try:
        made.found()
        yield made
    finally:
        made.clear()


def traced(company: Company, trace: str) -> dict[str, str]:
    """Headers of a caller that traces its own call."""
    return {"Authorization": f"Bearer {company.key}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}


def line_of(spans: list[Seen], name: str) -> list[str]:
    """The names of a span and of those above it, up to the one that came from outside."""
    known = {one.span: one for one in spans}
    found = next((one for one in spans if one.name == name), None)
    names = []
    while found is not None:
        names.append(f"{found.service}: {found.name}")
        found = known.get(found.parent)
    return names


def test_a_trace_leads_from_the_callers_request_to_the_activity(company: Company, collector: Collector) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {
        "order_id": "T-1",
        "channel": "web",
        "pickup_location": "S1",
        "currency": "USD",
        "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
        "lines": [{"line_id": "1", "sku": "MUG-1", "quantity": 900, "unit_price_minor": 1}],
        "payments": [{"reference": "card", "tender": "card", "amount_minor": 900, "state": "captured"}],
    }
    with httpx2.Client(base_url=company.access()["base_url"], timeout=120) as client:
        answer = client.post("/api/v1/bopis-orders", json=body, headers=traced(company, trace))
    assert answer.status_code == 201, answer.text
    company.decide(until(lambda: company.case_of("T-1")), "cancel_refund")
    wanted, first = "RunActivity:bopis.apply_decision", "POST /api/v1/bopis-orders"
    until(lambda: {wanted, first} <= {one.name for one in collector.of(trace)})  # each process sends when it likes
    assert line_of(collector.of(trace), wanted) == [
        "endcap-worker: RunActivity:bopis.apply_decision",
        "endcap-worker: StartActivity:bopis.apply_decision",
        "endcap-worker: StartWorkflow:bopis",
        "endcap-worker: relay start",
        f"endcap-web: {first}",
    ]


def test_a_search_leaves_neither_the_address_nor_the_words(company: Company, collector: Collector) -> None:
    trace = "5bf92f3577b34da6a3ce929d0e0e4736"
    with httpx2.Client(base_url=company.access()["base_url"], timeout=120) as client:
        client.get("/api/v1/cases", params={"text": "Kim Lee"}, headers=traced(company, trace))
        client.get("/no/such/page/Kim%20Lee", headers=traced(company, trace))
    until(lambda: len(collector.of(trace)) == 2)
    seen = collector.of(trace)
    assert sorted(one.name for one in seen) == ["GET", "GET /api/v1/cases"]
    assert {name for one in seen for name in one.attributes if name.startswith(("url.", "http."))} == {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "url.scheme",
    }


def test_health_is_asked_without_a_trace(company: Company, collector: Collector) -> None:
    trace = "6bf92f3577b34da6a3ce929d0e0e4736"
    with httpx2.Client(base_url=company.access()["base_url"], timeout=120) as client:
        for path in ("/healthz", "/readyz", "/api/v1/cases"):
            client.get(path, headers=traced(company, trace))
    assert [one.name for one in until(lambda: collector.of(trace))] == ["GET /api/v1/cases"]


def test_logs_and_traces_hold_nobodys_data(company: Company, collector: Collector) -> None:
    """Runs last: what the tests above have done is what is looked through."""
    company.stop()
    logs = {name: (company.home / "state" / "logs" / f"{name}.log").read_bytes() for name in ("web", "worker")}
    for name, log in logs.items():
        lines = [json.loads(line) for line in log.splitlines()]
        assert lines, f"{name} says nothing"
        assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    told = [*logs.values(), *collector.bodies]
    assert [word for word in PERSONAL for text in told if word in text] == []
