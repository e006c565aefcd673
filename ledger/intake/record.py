"""The statement that writes every row of a batch of orders, and the shapes of the arrays that it takes.

Rows of lines repeat what they need of their order, so that no statement joins: PostgreSQL cannot know how long an array
is, and would choose nested loops.
"""

from domain.stock import check_move
from ledger.intake import columns

check_move("reserved", "available", "reserved")  # what `RECORD` writes must be a legal movement


def _shape(words: str) -> dict[str, str]:
    """`name`, a text; `name?`, a text or null; `name:kind`, anything else."""
    shape = {}
    for word in words.split():
        name, _, kind = word.partition(":")
        shape[name.rstrip("?")] = kind or ("text or null" if name.endswith("?") else "text")
    return shape


# name → columns with their kinds, in the order of the tuples that are gathered. `dues`, `detail`, `address`, `start`,
# `tax` and `answer` are JSON, `body_hash` is hexadecimal. `order_no` and `entry` are numbers within the batch, from 1;
# the `entry` of an order that paid nothing yet is 0.
SHAPES: dict[str, dict[str, str]] = {
    "orders": _shape("""
        journey_id source key state location region entity channel currency actor promised_at:timestamptz at:timestamptz
        dues detail policy_copy policy_version customer_id name? email? phone? address? pickup_person? told entry:int
        authority start
    """),
    "lines": _shape("""
        order_no:int journey_id line_id sku quantity:int reserved:int from_hold:int substitution fallback
        unit_price_minor:bigint discount_minor:bigint tax_minor:bigint tax tax_included:boolean hold_id source channel
        location entity currency actor promotion_id? regular_price?
    """),
    "charges": _shape("""
        journey_id line_id sku amount_minor:bigint tax_minor:bigint tax_included:boolean location entity currency
    """),
    "payments": _shape("""
        id journey_id reference tender currency amount_minor:bigint authorized_minor:bigint captured_minor:bigint
        authorized_until:timestamptz
    """),
    "entry_lines": _shape("entry:int line_no:int account debit_minor:bigint credit_minor:bigint location? sku?"),
    "takings": _shape("id units:int"),
    "keys": _shape("source key body_hash answer"),
}


def _numbered() -> dict[tuple[str, str], int]:
    """The number of the parameter that carries a column of a shape."""
    named = [(shape, column) for shape, columns_of in SHAPES.items() for column in columns_of]
    return {name: number for number, name in enumerate(named, start=1)}


_NUMBER = _numbered()
_RULES = len(_NUMBER) + 1


def _given(shape: str) -> str:
    return columns.given(SHAPES[shape], _NUMBER[shape, next(iter(SHAPES[shape]))])


def _array(shape: str, column: str) -> str:
    return f"({columns.array(SHAPES[shape][column], _NUMBER[shape, column])})"


# By position and not by a join, for which a plan from the first minute of a database reads all holds.
_TAKEN = f"{_array('takings', 'units')}[array_position({_array('takings', 'id')}, id)]"

RECORD = f"""
WITH o AS MATERIALIZED (SELECT * FROM {_given("orders")}),
l AS MATERIALIZED (
    SELECT *, quantity - reserved AS short, (SELECT array_agg(promised_at) FROM o)[order_no] AS promised_at,
        (SELECT array_agg(at) FROM o)[order_no] AS at
    FROM {_given("lines")}
), stocked AS (
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
    SELECT customer_id, name, email, phone, address::jsonb, pickup_person FROM o
), journeys AS (
    INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency, customer_id,
        requested_by, promised_at, opened_at, dues, asks, detail, policy_copy, policy_version)
    SELECT journey_id, 'bopis', source, key, state, location, region, entity, channel, currency, customer_id, actor,
        promised_at, at, dues::jsonb, '{{}}', detail::jsonb, policy_copy, policy_version
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
    WHERE id = ANY({_array("takings", "id")})
), awaited AS (
    INSERT INTO waiting_demand (location, sku, journey_id, line_id, quantity, promised_at, at)
    SELECT location, sku, journey_id, line_id, short, promised_at, at FROM l WHERE short > 0
), sold AS (
    INSERT INTO sale_line (document, line_id, sku, entity, location, currency, quantity, unit_price_minor,
        gross_minor, discount_minor, tax_minor, tax_included, tax, promotion_id, regular_price_minor)
    SELECT journey_id, line_id, sku, entity, location, currency, quantity, unit_price_minor,
        quantity * unit_price_minor, discount_minor, tax_minor, tax_included, tax::jsonb, promotion_id,
        regular_price::bigint
    FROM l
    UNION ALL
    SELECT journey_id, line_id, sku, entity, location, currency, 1, amount_minor, amount_minor, 0, tax_minor,
        tax_included, '[]', NULL, NULL
    FROM {_given("charges")}
), paid AS (
    INSERT INTO payment (id, journey_id, reference, tender, currency, amount_minor, authorized_minor, captured_minor,
        authorized_until)
    SELECT * FROM {_given("payments")}
), numbered AS MATERIALIZED (
    SELECT nextval((SELECT pg_get_serial_sequence('journal', 'id'))) AS id, * FROM o WHERE entry > 0
), journals AS (
    INSERT INTO journal (id, entity, period, event, currency, journey_id, cause, rule_version, authority, effective_at)
    SELECT id, entity, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM'), 'bopis.deposit', currency, journey_id,
        'intake:' || journey_id, ${_RULES}, authority, at
    FROM numbered
), journal_lines AS (
    INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor, location, sku)
    SELECT (SELECT array_agg(id ORDER BY entry) FROM numbered)[entry], line_no, account, debit_minor, credit_minor,
        location, sku
    FROM {_given("entry_lines")}
), noted AS (
    INSERT INTO journey_step (journey_id, step, occurrence, input_hash, detail, actor, at)
    SELECT journey_id, 'placed', '1', '', told, actor, at FROM o
), answered AS (
    INSERT INTO idempotency (source, key, body_hash, status, answer)
    SELECT source, key, decode(body_hash, 'hex'), 201, answer::jsonb FROM {_given("keys")}
), counted AS (
    INSERT INTO outbox_counter (target, last_seq) SELECT journey_id, 1 FROM o
), started AS (
    INSERT INTO outbox (target, seq, kind, payload) SELECT journey_id, 1, 'start', start::jsonb FROM o
)
SELECT 1
"""
