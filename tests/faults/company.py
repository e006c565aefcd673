"""A small company on a whole stack of its own (`endcap up`): files of master data, keys of its systems, orders."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import psutil

from embedded.access import read_access
from embedded.ports import free_port
from embedded.postgres import outside_place

ROOT = Path(__file__).resolve().parents[2]
SKU = "MUG-1"
PRICE_MINOR = 1_200
BETWEEN_S = 0.2  # two looks, or two tries: who asks without a pause takes the processor from whoever shall answer
TLS = ssl.create_default_context()  # nothing here uses it, and each client would spend longer on its own than on a call
FILES: dict[str, list[dict[str, Any]]] = {
    "entities.csv": [{"code": "US01", "name": "Mug Stores", "currency": "USD", "country": "US"}],
    "regions.csv": [{"code": "R1", "name": "River", "entity": "US01"}],
    "locations.csv": [
        {
            "code": code, "name": f"Store {code}", "kind": "store", "region": "R1", "entity": "US01",
            "time_zone": "UTC", "latitude": latitude, "longitude": -82.0, "pickup": "true",
        }
        for code, latitude in (("S1", 40.0), ("S2", 40.1))
    ],
    "items.csv": [{"sku": SKU, "name": "Mug", "category": "Home", "cost_minor": 500, "price_minor": PRICE_MINOR}],
    "people.csv": [
        {"id": "nora", "email": "nora@mug.example", "name": "Nora Lind", "roles": "regional_ops", "regions": "R1"},
        {"id": "ana", "email": "ana@mug.example", "name": "Ana Ruiz", "roles": "store_manager", "regions": "R1"},
        {"id": "fin", "email": "fin@mug.example", "name": "Fin Olsen", "roles": "finance", "regions": "R1"},
        {"id": "ada", "email": "ada@mug.example", "name": "Ada Lang", "roles": "admin", "regions": "R1"},
    ],
    "stock.csv": [
        {"location": code, "sku": SKU, "bucket": "available", "quantity": 200, "unit_cost_minor": 500}
        for code in ("S1", "S2")
    ],
}  # fmt: skip
# Its people are programs: none of them can sign in for what is worth much.
POLICIES = [
    {
        "version": "faults-1", "effective_from": "2026-01-01T00:00:00Z", "reason": "people are programs",
        "values": {"bands": {"token_agrees": True}},
    }
]  # fmt: skip


class Company:
    """The stack, and what the company's systems do with it."""

    def __init__(self, within: Path | None = None, more: Mapping[str, str] = MappingProxyType({})) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="endcap-faults-", dir=within))
        self.home.chmod(0o755)
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("ENDCAP_", "DATABASE_", "TEMPORAL_"))}
        self.environment = ours | {
            "ENDCAP_HOME": str(self.home / "state"),
            "ENDCAP_PORT": str(free_port()),
            "ENDCAP_DEMO": "off",
            "PYTHONUNBUFFERED": "1",
            **more,
        }
        self.process: subprocess.Popen[str] | None = None
        self.key = ""
        self.keys: dict[str, str] = {}  # of people
        self.calls = self.sent_again = 0

    @property
    def nora_key(self) -> str:
        return self.keys["nora"]

    # ------------------------------------------------------------------ the stack
    def up(self) -> None:
        """Start it, or start it again, and wait until it says that it is ready; nobody reads what it says then."""
        self.process = subprocess.Popen(
            [sys.executable, "cli.py", "up"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ready after" in line:
                return
        raise AssertionError("the stack ended before it was ready")

    def run(self, *words: str) -> str:
        """One `endcap` command beside it; its output."""
        done = subprocess.run(
            [sys.executable, "cli.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def found(self) -> None:
        """Start the stack and load the company."""
        self.up()
        folder = self.home / "files"
        folder.mkdir()
        for name, rows in FILES.items():
            with (folder / name).open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        (folder / "policies.json").write_text(json.dumps(POLICIES))
        self.run("load", str(folder))
        scopes = [
            word
            for scope in ("orders:write", "events:write", "promotions:write", "read")
            for word in ("--scope", scope)
        ]
        self.key = self.run("key", "shop", "--source", "web", *scopes)
        own = [word for scope in ("decide", "approve", "read") for word in ("--scope", scope)]
        self.keys = {
            who["id"]: self.run("key", who["id"], "--source", who["id"], *own, "--person", who["id"])
            for who in FILES["people.csv"]
        }

    def access(self) -> dict[str, Any]:
        return read_access(self.home / "state")

    def kill(self, *names: str) -> None:
        """kill -9 of processes of the stack by name; the stack starts them again by itself."""
        for name in names:
            os.kill(self.pid(name), signal.SIGKILL)

    def pid(self, name: str) -> int:
        """Of a process of the stack, once it runs."""

        def running() -> int | None:
            pid = int(self.access()["pids"][name])
            return pid if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE else None

        return until(running)

    def stop(self) -> int:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=300)
        return self.process.returncode

    def clear(self) -> None:
        """Stop whatever runs and remove all state."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        outside = outside_place(self.home / "state")
        if outside is not None:
            shutil.rmtree(outside)
        shutil.rmtree(self.home, ignore_errors=True)

    # ------------------------------------------------------------------ its systems
    def call(self, method: str, path: str, *, key: str | None = None, patience_s: float = 240.0, **more: Any) -> Any:
        """One API call, sent again with the same body for as long as nobody answers, as a good client does."""
        deadline = time.monotonic() + patience_s
        headers = {"Authorization": f"Bearer {key or self.key}"}
        self.calls += 1
        while True:
            try:
                with httpx2.Client(base_url=self.access()["base_url"], timeout=120, verify=TLS) as client:
                    answer = client.request(method, f"/api/v1{path}", headers=headers, **more)
                if answer.status_code not in (500, 502, 503, 504):
                    return answer
                last: object = answer.text
            except httpx2.TransportError as error:
                last = error
            assert time.monotonic() < deadline, f"{method} {path}: {last}"
            self.sent_again += 1
            time.sleep(BETWEEN_S)

    def once(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx2.Response | None:
        """One API call, sent once; None where nobody answered."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        try:
            with httpx2.Client(base_url=self.access()["base_url"], timeout=120, verify=TLS) as client:
                return client.request(method, path, headers=headers, **more)
        except httpx2.TransportError:
            return None

    @staticmethod
    def wish(order_id: str, quantity: int = 1, location: str = "S1") -> dict[str, Any]:
        """The body of an order, paid by card."""
        return {
            "order_id": order_id,
            "channel": "web",
            "pickup_location": location,
            "currency": "USD",
            "placed_at": datetime.now(UTC).isoformat(),
            "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
            "lines": [{"line_id": "1", "sku": SKU, "quantity": quantity, "unit_price_minor": PRICE_MINOR}],
            "payments": [
                {"reference": "card", "tender": "card", "amount_minor": quantity * PRICE_MINOR, "state": "captured"}
            ],
        }

    def order(self, order_id: str, quantity: int = 1, location: str = "S1") -> dict[str, Any]:
        """Place an order; placing it again is the same order."""
        answer = self.call("POST", "/bopis-orders", json=self.wish(order_id, quantity, location))
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def report(self, event_id: str, kind: str, *, at: str | None = None, **data: Any) -> str:
        """Report a fact; the outcome."""
        event = {"id": event_id, "type": kind, "occurred_at": at or datetime.now(UTC).isoformat(), "data": data}
        answer = self.call("POST", "/events", json={"events": [event]})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["results"][0]["outcome"])

    def pick(self, order_id: str, quantity: int = 1) -> str:
        lines = [{"line_id": "1", "quantity": quantity}]
        return self.report(f"pick-{order_id}", "bopis.picked", order_id=order_id, picker="p1", lines=lines)

    def hand_over(self, order_id: str) -> str:
        return self.report(f"hand-{order_id}", "bopis.handed_over", order_id=order_id, lines=None, actor="p1")

    def count(self, count_id: str, quantity: int, counter: str) -> None:
        """Enter a figure from a device of its own and hand the count in; a count that takes none says so and stays."""
        line = {"sku": SKU, "quantity": quantity, "counted_at": datetime.now(UTC).isoformat()}
        body = {"session": counter, "counter": counter, "lines": [line], "submit": True, "take_over": True}
        self.call("POST", f"/counts/{count_id}/entries", json=body)

    def pages(self, path: str, *, key: str | None = None, **filters: Any) -> list[dict[str, Any]]:
        """Every row of a list."""
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            params = filters | ({"cursor": cursor} if cursor else {})
            page = self.call("GET", path, key=key, params=params).json()
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                return rows

    def journey(self, order_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/journeys/bopis:web:{order_id}").json())

    def case_of(self, order_id: str) -> dict[str, Any] | None:
        """The open case of an order as Nora sees it."""
        cases = self.call("GET", "/cases", params={"journey_id": f"bopis:web:{order_id}"}, key=self.nora_key).json()
        return next((dict(one) for one in cases["items"]), None)

    def decide(self, case: dict[str, Any], option: str, note: str = "", **parameters: Any) -> int:
        body = {"option": option, "parameters": parameters, "note": note, "version": None}
        answer = self.call("POST", f"/cases/{case['id']}/decisions", json=body, key=self.nora_key)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["decision_id"])


def until[T](check: Callable[[], T | None], within_s: float = 240.0) -> T:
    """What `check` returns once it is something true."""
    deadline = time.monotonic() + within_s
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"nothing after {within_s:g} s"
        time.sleep(BETWEEN_S)
