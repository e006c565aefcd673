"""kill -9 of each process while it works, on a whole stack: every order ends once, and stock and books agree."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.faults.company import Company, until

KEPT = ("logs", "temporal")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    """One company for all tests of this file; each uses orders of its own."""
    made = Company()
    try:
        made.found()
        yield made
    finally:
        made.clear()


def end_of(company: Company, order_id: str) -> str:
    """The state of an order once it has ended."""

    def closed() -> dict[str, Any] | None:
        row = company.journey(order_id)
        return row if row.get("closed_at") else None

    return str(until(closed)["state"])


def applied(company: Company, decision: int) -> None:
    """Wait until a decision has been carried out."""
    path = f"/decisions/{decision}"
    until(lambda: company.call("GET", path, key=company.nora_key).json()["state"] == "applied" or None)


def carry_through(company: Company, order_id: str) -> None:
    company.order(order_id)
    assert company.pick(order_id) in ("accepted", "duplicate")
    assert company.hand_over(order_id) in ("accepted", "duplicate")


@pytest.mark.parametrize("victim", ["web", "worker", "temporal", "postgres"])
def test_a_process_killed_while_it_works_loses_and_doubles_nothing(company: Company, victim: str) -> None:
    orders = [f"{victim}-{number}" for number in range(24)]
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(carry_through, company, order_id) for order_id in orders]
        running[5].result()
        company.kill(victim)
        for one in running:
            one.result()
    assert {end_of(company, order_id) for order_id in orders} == {"collected"}
    for order_id in orders[:3]:
        row = company.journey(order_id)
        assert [movement["kind"] for movement in row["movements"]].count("handed_over") == 1
    assert "rules hold" in company.run("audit")


def test_with_temporal_away_orders_and_decisions_are_recorded_and_run_when_it_returns(company: Company) -> None:
    company.order("away-1", quantity=195, location="S2")
    company.order("away-2", quantity=10, location="S2")
    case = until(lambda: company.case_of("away-2"))
    company.kill("temporal")
    company.order("away-3")
    assert company.pick("away-3") == "accepted"
    assert company.hand_over("away-3") == "accepted"  # right behind the pick
    decision = company.decide(case, "part")
    assert company.journey("away-3")["state"] == "collected"
    applied(company, decision)
    assert company.journey("away-2")["state"] == "reserved"
    assert end_of(company, "away-3") == "collected"
    assert "rules hold" in company.run("audit")


def test_neither_logs_nor_temporal_hold_anything_of_a_customer_or_a_key(company: Company) -> None:
    company.order("seen-1", quantity=900, location="S2")
    case = until(lambda: company.case_of("seen-1"))
    note = "Kim Lee rang and wants her money"
    decision = company.decide(case, "wait", note=note, agreed_by_phone=True)
    company.call("POST", "/bopis-orders", json={"order_id": "seen-2", "customer": {"name": "Kim Lee"}})  # refused
    applied(company, decision)
    state = company.home / "state"
    written = {folder: b"".join(file.read_bytes() for file in (state / folder).iterdir()) for folder in KEPT}
    assert b"bopis:web:seen-1" in written["temporal"]  # what is looked for would be found
    assert b"endcap.sender" in written["logs"]
    for folder, text in written.items():
        for secret in ("Kim Lee", "kim@customer.example", "her money", company.key, company.nora_key):
            assert secret.encode() not in text, f"{secret} stands in {folder}"


def test_a_second_start_goes_on_with_the_orders_under_way_even_when_temporals_file_is_gone(company: Company) -> None:
    company.order("kept-1")
    company.order("kept-2")
    company.pick("kept-2")
    assert company.stop() == 0
    for file in (company.home / "state" / "temporal").iterdir():
        file.unlink()
    company.up()
    assert company.pick("kept-1") == "accepted"
    assert company.hand_over("kept-1") == "accepted"
    assert company.hand_over("kept-2") == "accepted"
    assert {end_of(company, order_id) for order_id in ("kept-1", "kept-2")} == {"collected"}
    assert "rules hold" in company.run("audit")
