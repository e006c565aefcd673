"""The disk of a whole stack is full: what cannot be recorded is refused by name and leaves nothing behind, what serves
goes on serving, and all of it goes on by itself when there is room again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.faults.company import SKU, Company, until
from tests.faults.disk import Disk, small_disk

ORDERS = "/api/v1/bopis-orders"
ENOUGH = 3
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def disk() -> Iterator[Disk]:
    try:
        with small_disk() as made:
            yield made
    except LookupError as missing:
        pytest.skip(str(missing))  # the gate stays shut: a case that did not run is not held


@pytest.fixture
def company(disk: Disk) -> Iterator[Company]:
    made = Company(within=disk.folder)
    try:
        made.found()
        yield made
    finally:
        made.clear()


def refused(answer: httpx2.Response | None) -> bool:
    """Whether an answer says that the disk is full. Anything else but having been taken fails the test."""
    assert answer is not None
    if answer.status_code < 300:
        return False
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "storage_full"), problem
    assert "nothing was recorded" in problem["detail"]
    assert answer.headers["retry-after"]
    return True


def orders_until_full(company: Company, disk: Disk) -> tuple[list[str], list[str]]:
    """Orders while the last free bytes are taken away: those that were taken, and those that were refused."""
    taken: list[str] = []
    left: list[str] = []
    for number in itertools.count():
        disk.fill()
        key = f"full-{number}"
        (left if refused(company.once("POST", ORDERS, json=company.wish(key))) else taken).append(key)
        if len(left) == ENOUGH:
            return taken, left
    raise AssertionError("the loop returns")


def deliveries_until_full(company: Company, disk: Disk) -> str:
    """Facts, which are never refused for what they say, until one cannot be kept; its id."""
    for number in itertools.count():
        disk.fill()
        line = {"sku": SKU, "quantity": 1, "unit_cost_minor": 500}
        event: dict[str, Any] = {"id": f"full-{number}", "type": "stock.received"}
        event |= {"occurred_at": datetime.now(UTC).isoformat()}
        event |= {"data": {"location": "S1", "document": f"full-{number}", "lines": [line]}}
        if refused(company.once("POST", "/api/v1/events", json={"events": [event]})):
            return str(event["id"])
    raise AssertionError("the loop returns")


def readiness(company: Company) -> tuple[int, dict[str, Any]]:
    answer = company.once("GET", "/readyz")
    return (0, {}) if answer is None else (answer.status_code, answer.json()["checks"])


async def end_the_write_ahead_log(company: Company) -> None:
    """Ask for the next file of it until there is no room for one: PostgreSQL stops, as it has to."""
    try:
        connection = await asyncpg.connect(company.access()["database_url"])
        while True:
            await connection.execute("SELECT pg_logical_emit_message(false, 'full', repeat('x', 1000000))")
            await connection.execute("SELECT pg_switch_wal()")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return


async def test_a_full_disk_refuses_by_name_halves_nothing_and_goes_on_by_itself(company: Company, disk: Disk) -> None:
    company.order("before")
    taken, left = orders_until_full(company, disk)
    delivery = deliveries_until_full(company, disk)
    status, checks = readiness(company)
    assert (status, checks["storage"]["status"], checks["database"]["status"]) == (503, "fail", "ok")
    assert "make room" in checks["storage"]["detail"]
    for key in left:
        assert company.once("GET", f"/api/v1/journeys/bopis:web:{key}").status_code == 404  # type: ignore[union-attr]
    assert company.journey("before")["state"] == "reserved"  # what is there can be read

    company.kill("web")  # the list of processes cannot be written either
    until(lambda: readiness(company)[0] == 503 or None)
    disk.fill()
    await end_the_write_ahead_log(company)
    until(lambda: readiness(company)[1].get("database", {}).get("status") == "fail" or None)
    assert company.process is not None
    assert company.process.poll() is None

    disk.make_room()
    for key in left:
        assert company.order(key)["state"] == "reserved"
    assert company.report(delivery, "stock.received", location="S1", document=delivery, lines=[
        {"sku": SKU, "quantity": 1, "unit_cost_minor": 500}
    ]) == "accepted"  # fmt: skip
    until(lambda: readiness(company)[0] == 200 or None)
    for key in ("before", *taken, *left):
        assert company.pick(key) == "accepted"
        assert company.hand_over(key) == "accepted"
    for key in ("before", *taken, *left):
        until(lambda key=key: company.journey(key)["closed_at"])  # type: ignore[misc]
        moved = [one for one in company.journey(key)["movements"] if one["kind"] == "handed_over"]
        assert sum(one["quantity"] for one in moved) == 1
    assert company.pid("web")  # access.json was written after all
    assert "rules hold" in company.run("audit")
