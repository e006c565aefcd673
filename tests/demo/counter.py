"""A counter at which the replay's calls can be watched: it checks every body against the domain's models, knows a body
it has seen, and keeps just enough of an order's state for crew and customers to go on. It is no Endcap."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
from pydantic import ValidationError

from domain.events import EVENT_TYPES, Event, Figures
from domain.orders import BopisOrder
from domain.return_requests import NewReturn
from domain.transfers import NewTransfer
from domain.vendor_returns import Authorization, NewVendorReturn, VendorCredit, VendorShipment

OPTIONS = ("part", "cancel_refund", "pay")
# What is said of a vendor return, with its body and the states in which it is said.
VENDOR_RETURNS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "": (NewVendorReturn, ("",)),
    "authorize": (Authorization, ("open",)),
    "ship": (VendorShipment, ("authorized",)),
    "credit": (VendorCredit, ("shipped",)),
}


class PulledPlugError(Exception):
    """The replaying process is killed while a call is under way."""


@dataclass
class Till:
    """An HTTP transport that answers like the API. `troubles` are answers or errors given before the next calls."""

    known_items: frozenset[int]
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    journeys: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)
    vendor_returns: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    decided: list[dict[str, Any]] = field(default_factory=list)
    troubles: list[httpx2.Response | Exception] = field(default_factory=list)
    pull_plug_after: int | None = None
    answered: int = 0
    looked_for_cases: int = 0

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.handle)

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.troubles:
            trouble = self.troubles.pop(0)
            if isinstance(trouble, Exception):
                raise trouble
            return trouble
        body = json.loads(request.content) if request.content else {}
        source = request.headers["Authorization"].removeprefix("Bearer key-of-")
        answer = self.answer(request.method, request.url.path, source, body, dict(request.url.params))
        self.answered += 1
        if self.answered == self.pull_plug_after:
            # The work was done and the answer is lost: the hardest moment to stop at.
            raise PulledPlugError
        return answer

    def answer(
        self, method: str, path: str, source: str, body: dict[str, Any], parameters: dict[str, str]
    ) -> httpx2.Response:
        path = path.removeprefix("/api/v1")
        asked = {
            "/bopis-orders": ("web", self.order),
            "/transfers:batch": ("oms", self.transfers),
            "/returns": ("oms", self.asked_back),
        }
        if method == "POST" and path in asked:
            assert source == asked[path][0]
            return asked[path][1](body)
        if (method, path) == ("POST", "/events"):
            return httpx2.Response(200, json={"results": [self.event(source, event) for event in body["events"]]})
        if path == "/journeys":
            assert (parameters["kind"], parameters["state"]) == ("count", "open")
            found = [count for count in self.counts.values() if count["state"] == "scheduled"]
            return httpx2.Response(200, json={"items": found, "next": None})
        if path.startswith("/vendor-returns"):
            return self.to_a_vendor(path.removeprefix("/vendor-returns").removeprefix("/"), body)
        if path == "/stock":
            return httpx2.Response(200, json={"items": [], "next": None})
        if path.startswith("/counts/"):
            return self.count(method, path.split("/")[2], body)
        if path.startswith("/journeys/"):
            return httpx2.Response(200, json=self.journeys[path.removeprefix("/journeys/")])
        if path == "/cases":
            self.looked_for_cases += 1
            if self.looked_for_cases < 3:  # the workflow has not opened it yet
                return httpx2.Response(200, json={"items": [], "next": None})
            number = list(self.journeys).index(parameters["journey_id"])
            return httpx2.Response(200, json={"items": [{"id": number}], "next": None})
        if method == "GET" and path.startswith("/cases/"):
            case = {"id": int(path.split("/")[2]), "version": 3, "options": [{"id": one} for one in OPTIONS]}
            return httpx2.Response(200, json=case)
        if path.endswith("/decisions"):
            self.decided.append({"by": source, "case": path.split("/")[2], **body})
            return httpx2.Response(202, json={"decision_id": len(self.decided), "state": "applying"})
        raise AssertionError(f"{method} {path} is not called by a demo")

    def order(self, body: dict[str, Any]) -> httpx2.Response:
        order = BopisOrder.model_validate(body)
        before = self.bodies.setdefault(order.order_id, body)
        if before != body:
            return httpx2.Response(422, json={"code": "idempotency_mismatch", "detail": order.order_id})
        journey = f"bopis:web:{order.order_id}"
        if journey not in self.journeys:
            self.sent.append(("order", body))
            zero = {"picked": 0, "collected": 0}
            lines = [
                {"line_id": line.line_id, "sku": line.sku, "reserved": line.quantity, **zero} for line in order.lines
            ]
            self.journeys[journey] = {"state": "reserved", "location": order.pickup_location, "lines": lines}
        return httpx2.Response(201, json={"journey_id": journey, "state": "reserved", "lines": []})

    def transfers(self, body: dict[str, Any]) -> httpx2.Response:
        return httpx2.Response(200, json={"results": [self.transfer(one) for one in body["transfers"]]})

    def transfer(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = NewTransfer.model_validate(body)
        before = self.bodies.setdefault(f"transfer {wanted.transfer_id}", body)
        assert before == body, "the same id with something else in it"
        if before is body:
            self.sent.append(("transfer", body))
        journey = f"transfer:oms:{wanted.transfer_id}"
        return {"transfer_id": wanted.transfer_id, "status": 201, "body": {"journey_id": journey}, "problem": None}

    def asked_back(self, body: dict[str, Any]) -> httpx2.Response:
        wanted = NewReturn.model_validate(body)
        before = self.bodies.setdefault(f"return {wanted.return_id}", body)
        assert before == body, "the same id with something else in it"
        if before is body:
            self.sent.append(("return", body))
        journey = f"returns:oms:{wanted.return_id}"
        self.journeys[journey] = {"state": "authorized"}
        return httpx2.Response(201, json={"journey_id": journey, "state": "authorized"})

    def to_a_vendor(self, named: str, body: dict[str, Any]) -> httpx2.Response:
        """A document and what is said of it; each is said once."""
        own, _, act = (named or body["vendor_return_id"]).partition(":")
        model, states = VENDOR_RETURNS[act]
        model.model_validate(body)
        before = self.bodies.setdefault(f"vendor return {own} {act}", body)
        assert before == body, "the same id with something else in it"
        if before is body:
            assert self.vendor_returns.get(own, "") in states, f"{act} of one that is {self.vendor_returns.get(own)}"
            self.sent.append((f"vendor_return{act and '.'}{act}", body))
            self.vendor_returns[own] = {"": "open", "authorize": "authorized", "ship": "shipped"}.get(act, "credited")
        found = {"state": self.vendor_returns[own], "balance": {"cost_minor": 400}}
        return httpx2.Response(200, json=found)

    def count(self, method: str, number: str, body: dict[str, Any]) -> httpx2.Response:
        if method == "POST":
            Figures.model_validate(body)
            if self.counts[number]["state"] == "scheduled":  # the same sheet once more changes nothing
                self.sent.append(("count.entered", body))
            self.counts[number]["state"] = "posted"
        return httpx2.Response(200, json=self.counts[number])

    def event(self, source: str, body: dict[str, Any]) -> dict[str, Any]:
        outcome = self.outcome(source, body)
        self.outcomes[outcome] += 1
        return {"id": body["id"], "outcome": outcome, "problem": None}

    def outcome(self, source: str, body: dict[str, Any]) -> str:
        key = f"{source}|{body['id']}"
        if key in self.bodies:
            return "duplicate" if self.bodies[key] == body else "refused"
        try:
            event = Event.model_validate(body)
            data: Any = EVENT_TYPES[event.type].model_validate(event.data)
        except ValidationError:
            return "refused"
        self.bodies[key] = body
        self.sent.append((event.type, body))
        if event.type == "pos.sale" and any(int(line.sku) not in self.known_items for line in data.lines):
            return "quarantined"
        if event.type.startswith("bopis."):
            self.apply(event.type, data)
        return "accepted"

    def ask_for_count(self, journey: str, location: str, sku: str) -> None:
        """What was not on the shelf is counted."""
        number = f"count:endcap:{len(self.counts)}"
        line = {"line_id": sku, "sku": sku, "bucket": None, "state": "open"}
        self.counts[number] = {
            "id": number, "state": "scheduled", "location": location, "round": 1, "lines": [line],
            "opened_at": self.bodies[journey.split(":", 2)[2]]["placed_at"],
        }  # fmt: skip

    def apply(self, kind: str, data: Any) -> None:
        journey = self.journeys[data.journey_id]
        lines = {line["line_id"]: line for line in journey["lines"]}
        if kind == "bopis.picked":
            for line in data.lines:
                lines[line.line_id]["picked"] += line.quantity
                lines[line.line_id]["reserved"] = 0
            short = any(line.reason for line in data.lines)
            for line in data.lines:
                if line.reason:
                    self.ask_for_count(data.journey_id, journey["location"], lines[line.line_id]["sku"])
            journey["state"] = "reservation_failed" if short else "ready_for_pickup"
        elif kind == "bopis.handed_over":
            journey["state"] = "collected"
        elif kind == "bopis.cancelled":
            journey["state"] = "cancelled"
