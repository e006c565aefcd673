"""Every row that orders write, gathered one order at a time; nothing here asks the database."""

import json
from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from secrets import token_hex
from typing import Any

import asyncpg

from domain import postings
from domain.ids import hold_id, payment_id
from domain.messages import Situation
from ledger.intake import columns
from ledger.intake.deciding import Decided
from ledger.intake.record import RECORD, SHAPES
from ledger.outbox import search_attributes
from ledger.traces import KEY

type Connection = asyncpg.Connection[asyncpg.Record]

# The situation of a journey that has just begun, but for its subject, state and dues.
_BEGINNING = Situation(subject="", state="").model_dump(mode="json")


@lru_cache(maxsize=1_000)
def _start(state: str, location: str, region: str) -> tuple[str, str, str]:
    """The start of a workflow, in the shape of `ledger.outbox.write`, as JSON that lacks the subject and the dues."""
    payload = {
        "workflow": "bopis",
        "situation": _BEGINNING | {"subject": "<subject>", "state": state, "dues": "<dues>"},
        "search": search_attributes({"kind": "bopis", "location": location, "region": region}),
    }
    before, _, rest = json.dumps(payload).partition('"<subject>"')
    between, _, after = rest.partition('"<dues>"')
    return before, between, after


def _traced(after: str, trace: str) -> str:
    return f'{after[:-1]},"{KEY}":"{trace}"}}'


@lru_cache(maxsize=64)
def _detail(failure: str | None, kept_back: str | None, *, frozen: bool, has_address: bool, is_sent: bool) -> str:
    """The journey's facts that pages and steps need, as JSON; no personal data."""
    facts = {"failure": failure, "kept_back": kept_back, "frozen": frozen, "has_address": has_address}
    return json.dumps(facts | ({"ship_to_home": True} if is_sent else {}))


_deposit = lru_cache(maxsize=1_000)(postings.deposit)


class Rows:
    """The rows of some orders, gathered one order at a time and written together."""

    def __init__(self) -> None:
        self._rows: dict[str, list[columns.Row]] = {shape: [] for shape in SHAPES}
        self._takings: dict[str, int] = {}
        self._entries = 0

    def add(self, decided: Decided, keys: Sequence[str], digest: bytes, answer: str, trace: str | None = None) -> None:
        """Everything that one order writes. `answer` is kept as JSON under each of its keys."""
        checked, order = decided.checked, decided.checked.order
        where, journey, source, actor = checked.where, checked.journey, checked.source, checked.actor
        channel, currency = order.channel, order.currency
        who = order.customer
        state = str(decided.state)
        detail = _detail(
            decided.failure,
            order.hold.reason if order.hold else None,
            frozen=checked.frozen,
            has_address=who.address is not None,
            is_sent=order.is_sent,
        )
        dues = [(name, at.isoformat()) for name, at in decided.dues.items()]
        before, between, after = _start(state, where.code, where.region)
        to_start = ",".join([f'{{"name":"{name}","at":"{at}"}}' for name, at in dues])
        self._rows["orders"].append(
            (
                journey, source, order.order_id, state, where.code, where.region, where.entity, channel, currency,
                actor, checked.promised_at, checked.at, "{" + ",".join([f'"{name}":"{at}"' for name, at in dues]) + "}",
                detail, checked.policy.copy, checked.policy.policy.version, token_hex(16),
                who.name, who.email, who.phone, None if who.address is None else json.dumps(who.address),
                who.pickup_person, decided.told(), self._post(decided), checked.policy.authority,
                f"{before}{quoted(journey)}{between}[{to_start}]{after if trace is None else _traced(after, trace)}",
            )
        )  # fmt: skip
        order_no = len(self._rows["orders"])
        for got in decided.lines:
            line = got.line
            tax = json.dumps([part.model_dump() for part in line.tax]) if line.tax else "[]"
            self._rows["lines"].append(
                (
                    order_no, journey, line.line_id, line.sku, line.quantity, got.reserved, got.from_hold,
                    line.substitution, line.fallback, line.unit_price_minor, line.discount_minor, line.tax_minor, tax,
                    order.prices_include_tax, hold_id(journey, line.line_id, where.code), source, channel, where.code,
                    where.entity, currency, actor, line.promotion_id,
                    None if line.regular_price_minor is None else str(line.regular_price_minor),
                )
            )  # fmt: skip
        # A charge is a line without goods: one unit, earned with the first hand-over.
        for number, charge in enumerate(order.charges, start=1):
            self._rows["charges"].append(
                (
                    journey, f"charge:{number}", f"charge:{charge.kind}", charge.amount_minor, charge.tax_minor,
                    order.prices_include_tax, where.code, where.entity, currency,
                )
            )  # fmt: skip
        self._add_payments(decided)
        for key in keys:
            self._rows["keys"].append((source, key, digest.hex(), answer))

    def _add_payments(self, decided: Decided) -> None:
        checked, order = decided.checked, decided.checked.order
        for entry in order.payments:
            is_captured = entry.state == "captured"
            self._rows["payments"].append(
                (
                    payment_id(checked.journey, entry.reference), checked.journey, entry.reference, entry.tender,
                    order.currency, entry.amount_minor, 0 if is_captured else entry.amount_minor,
                    entry.amount_minor if is_captured else 0, entry.authorized_until,
                )
            )  # fmt: skip

    def _post(self, decided: Decided) -> int:
        """The order's entry for what was captured; returns its number in this batch, or 0 for nothing to post."""
        captured = 0
        for entry in decided.checked.order.payments:
            if entry.state == "captured":
                captured += entry.amount_minor
        lines = _deposit(captured)
        if not lines:
            return 0
        self._entries += 1
        for line_no, line in enumerate(lines, start=1):
            self._rows["entry_lines"].append((self._entries, line_no, *line))
        return self._entries

    def take(self, hold_line_id: str, units: int) -> None:
        """Units of a checkout hold that became an order's own; what is left of its line expires."""
        self._takings[hold_line_id] = self._takings.get(hold_line_id, 0) + units

    @property
    def is_any(self) -> bool:
        return bool(self._rows["orders"])

    async def write(self, conn: Connection) -> None:
        """Insert everything."""
        self._rows["takings"] = list(self._takings.items())
        parameters: list[Any] = []
        for shape, rows in self._rows.items():
            parameters += columns.packed(SHAPES[shape], rows)
        await conn.fetch(RECORD, *parameters, postings.RULE_VERSION)
