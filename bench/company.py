"""A company with very many cases and orders: two entities, 24 regions of unequal size, 480 places, orders over a year,
a case for each of the newest ones, and people who work them. Put in place by statements over whole sets.

Chance is arithmetic on the number of the row (`pick`), so two companies of one size are alike.
"""

import asyncio
import time
from collections.abc import Sequence

from sqlalchemy import text

from bench.growth import set_while_filling
from domain.case_kinds import KINDS
from ledger.engine import Database

REGIONS = 24
LOCATIONS = 480
PEOPLE = 200
STEP = 250_000
EVENTS = 3  # of each case
OPEN_SHARE = 5  # every fifth case is open

# A number in [0, 1) that belongs to (g, salt).
_PICK = """
    CREATE OR REPLACE FUNCTION pick(g bigint, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT (hashint8extended(g, salt) & 1048575) / 1048576.0::float8 $$
"""
_PLACES = f"""
    INSERT INTO entity (code, name, currency, country) VALUES ('E2', 'Bench north', 'EUR', 'DE');
    INSERT INTO region (code, name, entity)
        SELECT 'G' || g, 'Region ' || g, CASE WHEN g <= 16 THEN 'E1' ELSE 'E2' END FROM generate_series(1, {REGIONS}) g;
    INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)
        SELECT 'P' || g, 'Place ' || g, 'store', r.code, r.entity, 'Europe/Berlin', 48 + g % 60 * 0.1,
               8 + g / 60 * 0.3, true
        FROM generate_series(1, {LOCATIONS}) g
        JOIN region r ON r.code = 'G' || (1 + floor({REGIONS} * power((g - 1) / {LOCATIONS}.0, 2)))::int;
    INSERT INTO person (id, name, email) SELECT 'p' || g, 'Person ' || g, 'p' || g || '@bench.example'
        FROM generate_series(1, {PEOPLE}) g;
    INSERT INTO person_role (person_id, role, region) SELECT 'p' || g, 'regional_ops', 'G' || (1 + g % {REGIONS})
        FROM generate_series(1, {PEOPLE}) g
"""
_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dara",
    "Emil",
    "Fay",
    "Gus",
    "Hana",
    "Ivo",
    "June",
    "Kim",
    "Lou",
    "Mia",
    "Noor",
    "Omar",
)
_LAST = ("Adler", "Baker", "Costa", "Dumont", "Engel", "Fischer", "Grau", "Hoffman", "Ivens", "Jung", "Keller", "Lange")

_CUSTOMERS = f"""
    INSERT INTO customer (id, name, email, phone, has_case)
        SELECT 'c' || g, f || ' ' || l || ' ' || g, lower(f || '.' || l) || g || '@customer.example',
               '+49 151 ' || lpad(g::text, 8, '0'), g <= $3
        FROM (SELECT g, (string_to_array('{",".join(_FIRST)}', ','))[1 + floor(pick(g, 1) * {len(_FIRST)})::int] AS f,
                     (string_to_array('{",".join(_LAST)}', ','))[1 + floor(pick(g, 2) * {len(_LAST)})::int] AS l
              FROM generate_series($1::int, $2::int) g) n
"""
# The newest order is number 1; they reach back over a year, the newest closer together.
_JOURNEYS = f"""
    INSERT INTO journey (id, kind, source, key, state, location, region, entity, channel, currency, customer_id,
            promised_at, opened_at, closed_at)
        SELECT 'bopis:web:W' || lpad(g::text, 9, '0'), 'bopis', 'web', 'W' || lpad(g::text, 9, '0'),
               CASE WHEN is_open THEN 'reservation_failed' WHEN pick(g, 3) < 0.9 THEN 'collected' ELSE 'cancelled' END,
               l.code, l.region, l.entity, (ARRAY['web', 'app', 'phone'])[1 + floor(pick(g, 4) * 3)::int], 'EUR',
               'c' || g, at + interval '4 hours', at, CASE WHEN NOT is_open THEN at + interval '1 day' END
        FROM (SELECT g, now() - interval '365 days' * ((g - 1)::float8 / $3) - interval '1 minute' AS at,
                     g <= $4 AND g % {OPEN_SHARE} = 0 AS is_open FROM generate_series($1::int, $2::int) g) o
        JOIN location l ON l.code = 'P' || (1 + floor(pick(g, 5) * {LOCATIONS}))::int
"""
_SKU = "'K' || lpad(floor(power(pick(g, 6), 2) * 10000)::text, 5, '0')"
_LINES = f"""
    INSERT INTO journey_line (journey_id, line_id, sku, ordered, state)
        SELECT 'bopis:web:W' || lpad(g::text, 9, '0'), '1', {_SKU}, 1, 'reserved'
        FROM generate_series($1::int, $2::int) g
"""
_TERMS = (
    '[{"term": "severity", "points": 25, "why": "high by kind"},'
    ' {"term": "age", "points": 9, "why": "one point per hour open, up to 20"}]'
)
_FACTS = '{"promise": "today", "asked": 2, "available": 0, "near": [{"location": "P7", "available": 3}]}'
_STATES = ("open",) * 6 + ("claimed",) * 2 + ("waiting", "deciding")
_WAYS = ("other_store", "cancel_refund", "substitute", "wait")


def _one_of(words: Sequence[str], salt: int) -> str:
    """SQL for one of the words, by chance."""
    listed = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{listed}])[1 + floor(pick(g, {salt}) * {len(words)})::int]"


_CASES = f"""
    INSERT INTO case_file (kind, subject, dedupe_key, state, severity, journey_id, customer_id, location, region,
            entity, channel, sku, owner_role, claimed_by, claimed_at, waiting_reason, waiting_until,
            value_at_risk_minor, currency, promised_at, priority_score, priority_terms, facts, opened_at,
            unclaimed_due_at, unstarted_due_at, unresolved_due_at, next_due_at, closed_at, resolution, resolved_by,
            repeat_count)
        SELECT k.kind, 'order:' || j.key, k.kind || '|order:' || j.key, c.state, k.severity, j.id, j.customer_id,
               j.location, j.region, j.entity, j.channel, {_SKU}, k.owner_role,
               CASE WHEN c.state IN ('claimed', 'deciding', 'resolved') THEN c.who END,
               CASE WHEN c.state IN ('claimed', 'deciding', 'resolved') THEN c.opened_at + interval '10 minutes' END,
               CASE WHEN c.state = 'waiting' THEN 'customer' END,
               CASE WHEN c.state = 'waiting' THEN now() + interval '5 hours' END,
               500 + floor(power(pick(g, 8), 3) * 40000)::int, 'EUR', j.promised_at, floor(pick(g, 9) * 100)::int,
               '{_TERMS}'::jsonb, '{_FACTS}'::jsonb, c.opened_at, c.opened_at + interval '30 minutes',
               c.opened_at + interval '2 hours', c.opened_at + interval '8 hours',
               CASE WHEN c.is_open THEN c.opened_at + interval '1 second' * (1800 + floor(pick(g, 10) * 200000)) END,
               CASE WHEN NOT c.is_open THEN c.opened_at + interval '1 second' * floor(60 + pick(g, 11) * 100000) END,
               CASE WHEN c.state = 'resolved' THEN {_one_of(_WAYS, 12)}
                    WHEN c.state = 'cancelled' THEN 'self_healed' END,
               CASE WHEN c.state = 'resolved' THEN c.who WHEN c.state = 'cancelled' THEN 'endcap' END,
               CASE WHEN pick(g, 13) < 0.05 THEN 2 ELSE 0 END
        FROM (SELECT g, 'p' || (1 + floor(pick(g, 7) * {PEOPLE}))::int AS who, g % {OPEN_SHARE} = 0 AS is_open,
                     CASE WHEN g % {OPEN_SHARE} = 0 THEN now() - interval '9 days' * power(pick(g, 14), 3)
                          ELSE now() - interval '2 days' - interval '363 days' * pick(g, 14) END AS opened_at,
                     CASE WHEN g % {OPEN_SHARE} = 0 THEN {_one_of(_STATES, 15)}
                          WHEN pick(g, 15) < 0.7 THEN 'resolved' ELSE 'cancelled' END AS state,
                     (1 + floor(power(pick(g, 16), 2) * $3))::int AS kind_no
              FROM generate_series($1::int, $2::int) g) c
        JOIN journey j ON j.id = 'bopis:web:W' || lpad(g::text, 9, '0')
        JOIN unnest($4::text[], $5::text[], $6::text[]) WITH ORDINALITY AS k(kind, severity, owner_role, no)
            ON k.no = c.kind_no
        ORDER BY c.opened_at
"""
_EVENTS = f"""
    INSERT INTO case_event (case_id, episode, kind, actor, text, at)
        SELECT c.id, 1, (ARRAY['opened', 'claimed', 'commented'])[n], 'endcap', 'Seen again', c.opened_at
        FROM (SELECT id, opened_at FROM case_file WHERE id BETWEEN $1::int AND $2::int) c,
             generate_series(1, {EVENTS}) n
"""
_APPROVALS = """
    INSERT INTO approval (kind, subject, case_id, journey_id, location, region, entity, amount_minor, currency, band,
            requester, roles, state, opened_at, deadline_at, expires_at, decided_at)
        SELECT 'refund', subject, id, journey_id, location, region, entity, value_at_risk_minor, currency, 'manager',
               claimed_by, '{store_manager}', CASE WHEN closed_at IS NULL THEN 'pending' ELSE 'approved' END,
               opened_at, opened_at + interval '1 day', opened_at + interval '3 days',
               CASE WHEN closed_at IS NOT NULL THEN opened_at + interval '1 hour' END
        FROM case_file WHERE state = 'deciding' OR state = 'resolved' AND id % 40 = 0
"""


async def fill(database: Database, *, cases: int, orders: int) -> float:
    """So many orders, and a case for each of the newest `cases` of them; returns the seconds that it took."""
    if orders < cases:
        raise ValueError("a case stands on an order of its own: ask for at least as many orders")
    began = time.perf_counter()
    async with database.engine.begin() as conn:
        await conn.execute(text(_PICK))
        for statement in _PLACES.split(";"):
            await conn.execute(text(statement))
    await set_while_filling(database, "max_wal_size = '8GB'")
    kinds = sorted(KINDS.values(), key=lambda kind: kind.kind != "reservation_failure")
    columns = ([k.kind for k in kinds], [k.severity for k in kinds], [k.owner_role for k in kinds])
    await asyncio.gather(
        _run(database, [(_CUSTOMERS, (cases,)), (_LINES, ())], orders),
        _run(database, [(_JOURNEYS, (float(orders), cases))], orders),
    )
    await _triggers(database, "DISABLE")
    await _run(database, [(_CASES, (len(kinds), *columns))], cases)
    await _triggers(database, "ENABLE")
    await _run(database, [(_EVENTS, ())], cases)
    async with database.engine.begin() as conn:
        await conn.execute(text(_APPROVALS))
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM (ANALYZE)"))
        await alone.execute(text("CHECKPOINT"))
    await set_while_filling(database, None)
    return time.perf_counter() - began


async def _triggers(database: Database, word: str) -> None:
    """What triggers would write for each case (nobody is told of these) is in the rows already."""
    async with database.engine.begin() as conn:
        await conn.execute(text(f"ALTER TABLE case_file {word} TRIGGER USER"))


async def _run(database: Database, statements: Sequence[tuple[str, tuple[object, ...]]], rows: int) -> None:
    for statement, more in statements:
        for first in range(1, rows + 1, STEP):
            async with database.engine.begin() as conn:
                await conn.execute(text("SET LOCAL synchronous_commit = off"))
                raw = (await conn.get_raw_connection()).driver_connection
                assert raw is not None  # the connection is open
                await raw.execute(statement, first, min(first + STEP - 1, rows), *more, timeout=600)
