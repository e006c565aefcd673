"""Every row that orders write, as arrays for one statement a table.

Rows of lines repeat what they need of their order, so that no statement joins: PostgreSQL cannot know how long an array
is, and would choose nested loops.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import Any
from uuid import uuid4

import asyncpg

from domain import postings
from domain.ids import hold_id, payment_id
from domain.messages import Situation
from domain.stock import check_move
from ledger.intake.deciding import Decided
from ledger.outbox import search_attributes

type Connection = asyncpg.Connection[asyncpg.Record]

check_move("reserved", "available", "reserved")  # what `RECORD` writes must be a legal movement

# name → columns with their types, in the order of the tuples that are gathered.
_SHAPES: dict[str, dict[str, str]] = {
    "orders": {
        "journey_id": "text",
        "source": "text",
        "key": "text",
        "state": "text",
        "location": "text",
        "region": "text",
        "entity": "text",
        "channel": "text",
        "currency": "text",
        "actor": "text",
        "promised_at": "timestamptz",
        "at": "timestamptz",
        "dues": "jsonb",
        "detail": "jsonb",
        "policy_copy": "text",
        "policy_version": "text",
        "customer_id": "text",
        "name": "text",
        "email": "text",
        "phone": "text",
        "address": "jsonb",
        "pickup_person": "text",
        "told": "text",
        "entry": "int",  # which of the batch's journal entries is this order's, from 1; none when nothing was captured
        "authority": "text",
        "start": "jsonb",
    },
    "lines": {
        "journey_id": "text",
        "line_id": "text",
        "sku": "text",
        "quantity": "int",
        "reserved": "int",
        "from_hold": "int",
        "substitution": "text",
        "fallback": "text",
        "unit_price_minor": "bigint",
        "gross_minor": "bigint",
        "discount_minor": "bigint",
        "tax_minor": "bigint",
        "tax": "jsonb",
        "tax_included": "boolean",
        "hold_id": "text",
        "source": "text",
        "channel": "text",
        "location": "text",
        "entity": "text",
        "currency": "text",
        "actor": "text",
        "promised_at": "timestamptz",
        "at": "timestamptz",
    },
    "charges": {
        "journey_id": "text",
        "line_id": "text",
        "sku": "text",
        "amount_minor": "bigint",
        "tax_minor": "bigint",
        "tax_included": "boolean",
        "location": "text",
        "entity": "text",
        "currency": "text",
    },
    "payments": {
        "id": "text",
        "journey_id": "text",
        "reference": "text",
        "tender": "text",
        "currency": "text",
        "amount_minor": "bigint",
        "authorized_minor": "bigint",
        "captured_minor": "bigint",
        "authorized_until": "timestamptz",
    },
    "entry_lines": {
        "entry": "int",
        "line_no": "int",
        "account": "text",
        "debit_minor": "bigint",
        "credit_minor": "bigint",
        "location": "text",
        "sku": "text",
    },
    "takings": {"id": "text", "units": "int"},
    "keys": {"source": "text", "key": "text", "body_hash": "bytea", "answer": "jsonb"},
}


def _given(shape: str, first: int) -> str:
    """`unnest` of one shape's arrays, which are the parameters from number `first` on."""
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_SHAPES[shape].values(), first))
    return f"unnest({arrays}) AS given({', '.join(_SHAPES[shape])})"


def _firsts(shapes: Iterable[str]) -> dict[str, int]:
    firsts, number = {}, 1
    for shape in shapes:
        firsts[shape] = number
        number += len(_SHAPES[shape])
    return firsts


_FIRST = _firsts(_SHAPES)
_RULES = sum(len(columns) for columns in _SHAPES.values()) + 1


def _param(shape: str, column: str) -> str:
    """The parameter that carries one column of a shape."""
    number = _FIRST[shape] + list(_SHAPES[shape]).index(column)
    return f"${number}::{_SHAPES[shape][column]}[]"


# By position and not by a join, for which a plan from the first minute of a database reads all holds.
_TAKEN = f"({_param('takings', 'units')})[array_position({_param('takings', 'id')}, id)]"

RECORD = f"""
WITH o AS MATERIALIZED (SELECT * FROM {_given("orders", _FIRST["orders"])}),
l AS MATERIALIZED (SELECT *, quantity - reserved AS short FROM {_given("lines", _FIRST["lines"])}),
stocked AS (
    UPDATE stock SET available = stock.available - taken.units, reserved = stock.reserved + taken.units
    FROM (SELECT location, sku, sum(reserved - from_hold)::int AS units FROM l GROUP BY location, sku) taken
    WHERE stock.location = taken.location AND stock.sku = taken.sku AND taken.units > 0
), moved AS (
    INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,
        journey_id, hold_id, cause, actor, at)
    SELECT 'reserved', sku, reserved - from_hold, location, 'available', location, 'reserved', entity,
        journey_id, hold_id, 'intake:' || journey_id, actor, at
    FROM l WHERE reserved > from_hold
), people AS (
    INSERT INTO customer (id, name, email, phone, address, pickup_person)
    SELECT customer_id, name, email, phone, address, pickup_person FROM o
), journeys AS (
    INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency, customer_id,
        requested_by, promised_at, opened_at, dues, asks, detail, policy_copy, policy_version)
    SELECT journey_id, 'bopis', source, key, state, location, region, entity, channel, currency, customer_id, actor,
        promised_at, at, dues, '{{}}', detail, policy_copy, policy_version
    FROM o
), journey_lines AS (
    INSERT INTO journey_line (journey_id, line_id, sku, ordered, reserved, short, substitution, fallback, state)
    SELECT journey_id, line_id, sku, quantity, reserved, short, substitution, fallback,
        CASE WHEN short = 0 THEN 'reserved' ELSE 'short' END
    FROM l
), held AS (
    INSERT INTO hold (id, source, channel, journey_id, line_id, location, sku, quantity, reserved, promised_at, at)
    SELECT hold_id, source, channel, journey_id, line_id, location, sku, reserved, reserved, promised_at, at
    FROM l WHERE reserved > 0
), handed_on AS (
    UPDATE hold SET reserved = reserved - {_TAKEN}, committed = committed + {_TAKEN},
        expires_at = CASE WHEN reserved > {_TAKEN} THEN now() ELSE expires_at END
    WHERE id = ANY({_param("takings", "id")})
), awaited AS (
    INSERT INTO waiting_demand (location, sku, journey_id, line_id, quantity, promised_at, at)
    SELECT location, sku, journey_id, line_id, short, promised_at, at FROM l WHERE short > 0
), sold AS (
    INSERT INTO sale_line (document, line_id, sku, entity, location, currency, quantity, unit_price_minor,
        gross_minor, discount_minor, tax_minor, tax_included, tax)
    SELECT journey_id, line_id, sku, entity, location, currency, quantity, unit_price_minor,
        gross_minor, discount_minor, tax_minor, tax_included, tax
    FROM l
    UNION ALL
    SELECT journey_id, line_id, sku, entity, location, currency, 1, amount_minor, amount_minor, 0, tax_minor,
        tax_included, '[]'
    FROM {_given("charges", _FIRST["charges"])}
), paid AS (
    INSERT INTO payment (id, journey_id, reference, tender, currency, amount_minor, authorized_minor, captured_minor,
        authorized_until)
    SELECT * FROM {_given("payments", _FIRST["payments"])}
), numbered AS MATERIALIZED (
    SELECT nextval((SELECT pg_get_serial_sequence('journal', 'id'))) AS id, * FROM o WHERE entry IS NOT NULL
), journals AS (
    INSERT INTO journal (id, entity, period, event, currency, journey_id, cause, rule_version, authority, effective_at)
    SELECT id, entity, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM'), 'bopis.deposit', currency, journey_id,
        'intake:' || journey_id, ${_RULES}, authority, at
    FROM numbered
), journal_lines AS (
    INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor, location, sku)
    SELECT (SELECT array_agg(id ORDER BY entry) FROM numbered)[entry], line_no, account, debit_minor, credit_minor,
        location, sku
    FROM {_given("entry_lines", _FIRST["entry_lines"])}
), noted AS (
    INSERT INTO journey_step (journey_id, step, occurrence, input_hash, detail, actor, at)
    SELECT journey_id, 'placed', '1', '', told, actor, at FROM o
), answered AS (
    INSERT INTO idempotency (source, key, body_hash, status, answer)
    SELECT source, key, body_hash, 201, answer FROM {_given("keys", _FIRST["keys"])}
), counted AS (
    INSERT INTO outbox_counter (target, last_seq) SELECT journey_id, 1 FROM o
), started AS (
    INSERT INTO outbox (target, seq, kind, payload) SELECT journey_id, 1, 'start', start FROM o
)
SELECT 1
"""
# The situation of a journey that has just begun, but for its subject, state and dues.
_BEGINNING = Situation(subject="", state="").model_dump(mode="json")


@cache
def _search(location: str, region: str) -> str:
    """The search attributes of journeys at a place, as JSON."""
    return json.dumps(search_attributes({"kind": "bopis", "location": location, "region": region}))


@lru_cache(maxsize=64)
def _detail(failure: str | None, kept_back: str | None, *, frozen: bool, has_address: bool) -> str:
    """The journey's facts that pages and steps need, as JSON; no personal data."""
    return json.dumps({"failure": failure, "kept_back": kept_back, "frozen": frozen, "has_address": has_address})


def _start(decided: Decided) -> str:
    """The start of the workflow, in the shape of `ledger.outbox.write`, as JSON."""
    checked = decided.checked
    dues = [{"name": name, "at": at.isoformat()} for name, at in decided.dues.items()]
    situation = _BEGINNING | {"subject": checked.journey, "state": decided.state.value, "dues": dues}
    search = _search(checked.where.code, checked.where.region)
    return f'{{"workflow":"bopis","situation":{json.dumps(situation)},"search":{search}}}'


class Rows:
    """The rows of some orders, gathered one order at a time and written together."""

    def __init__(self) -> None:
        self._rows: dict[str, list[tuple[Any, ...]]] = {shape: [] for shape in _SHAPES}
        self._takings: dict[str, int] = {}
        self._entries = 0

    def add(self, decided: Decided, keys: Sequence[str], digest: bytes, answer: str) -> None:
        """Everything that one order writes. `answer` is kept as JSON under each of its keys."""
        checked, order = decided.checked, decided.checked.order
        where, journey = checked.where, checked.journey
        who = order.customer
        detail = _detail(
            decided.failure,
            order.hold.reason if order.hold else None,
            frozen=checked.frozen,
            has_address=who.address is not None,
        )
        dues = {name: when.isoformat() for name, when in decided.dues.items()}
        promised_at = checked.promised_at
        self._rows["orders"].append(
            (
                journey, checked.source, order.order_id, decided.state.value, where.code, where.region, where.entity,
                order.channel, order.currency, checked.actor, promised_at, checked.at, json.dumps(dues),
                detail, checked.policy.copy, checked.policy.policy.version, uuid4().hex,
                who.name, who.email, who.phone, None if who.address is None else json.dumps(who.address),
                who.pickup_person, decided.told(), self._post(decided),
                checked.policy.policy.authority.of_posting("bopis"), _start(decided),
            )
        )  # fmt: skip
        lines = self._rows["lines"]
        for got in decided.lines:
            line = got.line
            tax = json.dumps([part.model_dump() for part in line.tax]) if line.tax else "[]"
            lines.append(
                (
                    journey, line.line_id, line.sku, line.quantity, got.reserved, got.from_hold, line.substitution,
                    line.fallback, line.unit_price_minor, line.gross_minor, line.discount_minor, line.tax_minor, tax,
                    order.prices_include_tax, hold_id(journey, line.line_id, where.code), checked.source,
                    order.channel, where.code, where.entity, order.currency, checked.actor, promised_at, checked.at,
                )
            )  # fmt: skip
        # A charge is a line without goods: one unit, earned with the first hand-over.
        for number, charge in enumerate(order.charges, start=1):
            self._rows["charges"].append(
                (
                    journey, f"charge:{number}", f"charge:{charge.kind}", charge.amount_minor, charge.tax_minor,
                    order.prices_include_tax, where.code, where.entity, order.currency,
                )
            )  # fmt: skip
        self._add_payments(decided)
        for key in keys:
            self._rows["keys"].append((checked.source, key, digest, answer))

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

    def _post(self, decided: Decided) -> int | None:
        """The order's entry for what was captured; returns its number in this batch, or None for nothing to post."""
        payments = decided.checked.order.payments
        lines = postings.deposit(sum(entry.amount_minor for entry in payments if entry.state == "captured"))
        if not lines:
            return None
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
        arrays = [array for shape in _SHAPES for array in self._arrays(shape)]
        await conn.fetch(RECORD, *arrays, postings.RULE_VERSION)

    def _arrays(self, shape: str) -> Sequence[Sequence[Any]]:
        rows = self._rows[shape]
        return list(zip(*rows, strict=True)) if rows else [()] * len(_SHAPES[shape])
