"""A seeded day of a small company whose machines fail all the time: orders, sales, deliveries, counts, transfers,
returns, promotions and what vendors pay of them, through the API, each call sent again until somebody answers, while
processes are killed, stopped and replaced.

The same seed makes the same plan. What the company does is decided by the plan alone; how far Endcap is when a machine
fails is not.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from tests.faults.company import PRICE_MINOR, SKU, Company, until

log = logging.getLogger(__name__)
STORES = ("S1", "S2")
COUNTED, TILL = STORES  # a count waits for what the till of its place has to tell; the storm has no time for that
# What only puts a question off; the storm wants to end.
LATER = ("wait", "search", "count", "more_time", "extend", "chase", "await_rest", "keep", "leave", "recount", "stand")
PEOPLE = ("nora", "ana", "fin", "ada")
CHANNELS = ("web", "pos")
RATE_MINOR = 100  # of each promoted unit
AHEAD_S = 3  # so soon a promotion begins
PATIENCE_S = 600.0  # for what a workflow does, on a machine whose servers are killed all the time


class Told(NamedTuple):
    """An event as it was sent, and what Endcap said of it first."""

    id: str
    kind: str
    at: str
    data: dict[str, Any]
    outcome: str


class Plan:
    """The day: each story is a number of calls in their order, drawn from its own generator."""

    def __init__(self, seed: int, stories: int) -> None:
        self.seed = seed
        kinds = ("order",) * 5 + ("sale", "delivery", "count", "transfer", "return", "promotion", "order")
        self.stories = [(kinds[number % len(kinds)], f"st{seed}-{number}") for number in range(stories)]

    def draws(self, key: str) -> random.Random:
        return random.Random(f"{self.seed}:{key}")  # noqa: S311  a plan, no secret


class Storm:
    """Carries out a plan against a company's stack, and remembers what was taken."""

    def __init__(self, company: Company, plan: Plan) -> None:
        self.company = company
        self.plan = plan
        self.orders: dict[str, tuple[int, str, dict[str, Any]]] = {}  # id → quantity, store, answer
        self.told: list[Told] = []
        self.promoted: dict[str, int] = {}  # promotion → units that its vendor pays for

    # ------------------------------------------------------------------ the day
    def run(self, faults: Callable[[], None]) -> None:
        """Every story, six at a time, while `faults` does its worst in this thread."""
        with ThreadPoolExecutor(6) as crew:
            running = [crew.submit(getattr(self, f"a_{kind}"), key) for kind, key in self.plan.stories]
            faults()
            for number, one in enumerate(running, 1):
                one.result()
                if number % 50 == 0:
                    log.info("%d of %d stories", number, len(running))

    def tell(self, key: str, kind: str, **data: Any) -> str:
        """Report a fact; what became of it."""
        at = datetime.now(UTC).isoformat()
        outcome = self.company.report(f"{kind}-{key}", kind, at=at, **data)
        self.told.append(Told(f"{kind}-{key}", kind, at, data, outcome))
        return outcome

    def a_order(self, key: str) -> None:
        draw = self.plan.draws(key)
        quantity, store = draw.choice((1, 1, 2, 3, 40)), draw.choice(STORES)
        self.orders[key] = quantity, store, self.company.order(key, quantity, store)
        end = draw.random()
        if end < 0.7:
            found = quantity if draw.random() < 0.8 or store == TILL else quantity - 1  # a short pick is counted
            line: dict[str, Any] = {"line_id": "1", "quantity": found}
            if found < quantity:
                line["reason"] = "mismatch"
            self.tell(key, "bopis.picked", order_id=key, picker="p1", lines=[line])
            if found == quantity:
                self.tell(key, "bopis.handed_over", order_id=key, lines=None, actor="p1")
        elif end < 0.85:
            self.tell(key, "bopis.cancelled", order_id=key)

    def a_sale(self, key: str) -> None:
        draw = self.plan.draws(key)
        units = draw.randint(1, 4)
        line = {"line": "1", "sku": SKU, "quantity": units, "unit_price_minor": PRICE_MINOR}
        self.tell(key, "pos.sale", location=TILL, receipt=key, lines=[line])

    def a_delivery(self, key: str) -> None:
        draw = self.plan.draws(key)
        line = {"sku": SKU, "quantity": draw.randint(1, 9), "unit_cost_minor": 500}
        self.tell(key, "stock.received", location=draw.choice(STORES), document=key, lines=[line])

    def a_count(self, key: str) -> None:
        draw = self.plan.draws(key)
        body = {"count_id": key, "location": COUNTED, "skus": [SKU], "reason": "manual"}
        self.company.call("POST", "/counts", json=body)
        self.company.count(key, draw.randint(120, 220), "c0")

    def a_transfer(self, key: str) -> None:
        draw = self.plan.draws(key)
        there, back = draw.sample(STORES, 2)
        units = draw.randint(1, 6)
        line = {"line_id": "1", "sku": SKU, "quantity": units}
        body = {"transfer_id": key, "from": there, "to": back, "reason": "rebalance", "lines": [line]}
        assert self.company.call("POST", "/transfers", json=body).status_code in (200, 201)
        self.tell(key, "transfer.shipped", transfer_id=key, shipment_id=key, complete=True)
        came = units if draw.random() < 0.6 else units - 1
        if came:
            lines = [{"line_id": "1", "quantity": came}]
            self.tell(key, "transfer.received", transfer_id=key, complete=True, lines=lines)

    def a_return(self, key: str) -> None:
        bought = f"{key}-o"
        self.orders[bought] = 2, "S1", self.company.order(bought, 2, "S1")
        self.tell(bought, "bopis.picked", order_id=bought, picker="p1", lines=[{"line_id": "1", "quantity": 2}])
        self.tell(bought, "bopis.handed_over", order_id=bought, lines=None, actor="p1")
        lines = [{"line_id": "1", "sku": SKU, "quantity": 1, "reason": "changed_mind", "order_line_id": "1"}]
        body = {"return_id": key, "order_reference": bought, "currency": "USD", "method": "store", "lines": lines}
        assert self.company.call("POST", "/returns", json=body).status_code in (200, 201)
        one = [{"line_id": "1", "quantity": 1}]
        self.tell(key, "return.received", return_id=key, location="S1", lines=one, complete=True)
        self.tell(key, "return.inspected", return_id=key, lines=one)

    def a_promotion(self, key: str) -> None:
        """Defined, published, sold, ended; what its vendor owes is claimed, answered and paid."""
        draw = self.plan.draws(key)
        until(lambda: self._defined(key) or None, PATIENCE_S)
        now = datetime.now(UTC)
        agreed = {
            "number": f"A-{key}", "entity": "US01", "office": "S1", "vendor": "MUGMAKER", "vendor_name": "Mug Makers",
            "claims_email": "claims@mugmakers.example", "signed_on": now.date().isoformat(), "document": "a.pdf",
            "starts_at": (now - timedelta(days=1)).isoformat(), "ends_at": (now + timedelta(days=3)).isoformat(),
            "currency": "USD", "terms": {"kind": "scan_back", "rate_minor": RATE_MINOR}, "promotions": [key],
        }  # fmt: skip
        assert self.company.call("POST", "/funding-agreements", json=agreed).status_code in (200, 201)
        until(lambda: self._is_shown(key) or None, PATIENCE_S)
        units = self.promoted[key] = draw.randint(1, 4)
        line = {"line": "1", "sku": SKU, "quantity": units, "unit_price_minor": PRICE_MINOR - 120, "promotion_id": key}
        self.tell(key, "pos.sale", location=TILL, receipt=key, lines=[line])
        assert self.company.call("POST", f"/promotions/{key}:end", json={"reason": "storm"}).status_code in (200, 409)
        self.company.call("POST", f"/funding-agreements/A-{key}:claim")  # a second time there is nothing left to claim
        until(lambda: self._claim(key)["state"] == "sent" or None, PATIENCE_S)
        self.tell(key, "claim.answered", claim_id=f"A-{key}-1", lines=None, settlement="cash")
        self.tell(key, "claim.settled", claim_id=f"A-{key}-1", amount_minor=units * RATE_MINOR, settlement="cash")

    def _defined(self, key: str) -> bool:
        """Define it; anew with a later start where nobody answered until the first one had passed."""
        now = datetime.now(UTC)
        body = {
            "promotion_id": key, "name": f"Week {key}", "offer": {"kind": "percent", "off_permille": 100},
            "lines": [{"sku": SKU, "forecast_units": 40}], "channels": list(CHANNELS), "locations": list(STORES),
            "starts_at": (now + timedelta(seconds=AHEAD_S)).isoformat(),
            "ends_at": (now + timedelta(days=2)).isoformat(), "stacking": "best",
        }  # fmt: skip
        if self.company.call("POST", "/promotions", json=body).status_code in (200, 201):
            return True
        return bool(self.company.call("GET", f"/promotions/{key}").status_code == 200)  # an answer was lost

    def _is_shown(self, key: str) -> bool:
        """Whether it has begun and every channel shows its prices."""
        found = self._promotion(key)
        told = found["publications"]
        return found["state"] == "active" and bool(told) and all(one["right"] == one["prices"] for one in told)

    def _promotion(self, key: str) -> dict[str, Any]:
        return dict(self.company.call("GET", f"/promotions/{key}").json())

    def _claim(self, key: str) -> dict[str, Any]:
        return dict(self.company.call("GET", f"/claims/A-{key}-1").json())

    def wrong_promotions(self) -> list[tuple[str, object]]:
        """Promotions whose prices are not back everywhere, and those whose vendor has not paid just what it owes."""
        wrong: list[tuple[str, object]] = []
        for key, units in self.promoted.items():
            found, claim = self._promotion(key), self._claim(key)
            back = {one["channel"] for one in found["publications"] if one["phase"] == "revert" and one["prices"]}
            wrong += [] if back == set(CHANNELS) else [(key, found["publications"])]
            wrong += [(key, one) for one in found["publications"] if one["pending"] or one["waived"]]
            paid = {name: claim[name] for name in ("amount_minor", "accepted_minor", "settled_minor")}
            wrong += [(key, claim)] if set(paid.values()) != {units * RATE_MINOR} else []
        return wrong

    # ------------------------------------------------------------------ the end
    def open_journeys(self) -> list[dict[str, Any]]:
        return list(self.company.pages("/journeys", state="open"))

    def planned(self) -> list[Told]:
        """What the plan has told; not what was tried at the end."""
        return [told for told in self.told if "-end" not in told.id]

    def settle_once(self, again: int) -> None:
        """Answer what is asked, and finish what is left, as people would at the end of a day."""
        for approval in self.company.pages("/approvals", key=self.company.keys["ada"]):
            if approval["state"] == "pending":
                self._agree(approval["id"])
        for case in self.company.pages("/cases", key=self.company.keys["ada"], state="open,claimed,waiting"):
            self._decide(case["id"], again)
        for journey in self.open_journeys():
            self._finish(journey, again)

    def _agree(self, approval: int) -> None:
        for who in PEOPLE:
            body = {"verdict": "approve", "note": "agreed"}
            path = f"/approvals/{approval}/decisions"
            if self.company.call("POST", path, json=body, key=self.company.keys[who]).status_code == 200:
                return

    def _decide(self, number: int, again: int) -> None:
        case = self.company.call("GET", f"/cases/{number}", key=self.company.keys["ada"]).json()
        for option in self._ways(case.get("options", ()), again):
            parameters = dict.fromkeys(option.get("confirms", ()), True)
            parameters |= {name: words[0] for name, words in option.get("choices", {}).items()}
            body = {"option": option["id"], "parameters": parameters, "note": "settled", "version": None}
            for who in PEOPLE:
                answer = self.company.call(
                    "POST", f"/cases/{number}/decisions", json=body, key=self.company.keys[who]
                )  # fmt: skip
                if answer.status_code == 202:
                    return

    @staticmethod
    def _ways(options: Iterable[dict[str, Any]], again: int) -> Iterator[dict[str, Any]]:
        """Ways out that end something first; one that did not lead on is followed by the next."""
        allowed = [one for one in options if one["allowed"]]
        ending = [one for one in allowed if not one["id"].startswith(LATER)]
        ways = ending or allowed
        yield from ways[again % len(ways) :] + ways[: again % len(ways)] if ways else ()

    def _finish(self, journey: dict[str, Any], again: int) -> None:
        kind, _, key = journey["id"].split(":", 2)
        now = f"{key}-end{again}"
        if kind == "bopis":
            self.tell(now, "bopis.cancelled", order_id=key)
            self.tell(now, "bopis.put_away", order_id=key, lines=None)
        elif kind == "count":
            self.company.count(key if "count:web:" in journey["id"] else journey["id"], 150, f"c{again + 1}")
        elif kind == "transfer":
            self.tell(now, "transfer.received", transfer_id=key, lines=None, complete=True)
