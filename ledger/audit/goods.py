"""Invariants of goods: what is in a bucket, what is promised of it, and what is on its way."""

from domain.stock import BUCKETS

_BOTH_SIDES = """
    SELECT to_location AS location, sku, to_account AS account, quantity, journey_id FROM movement
    UNION ALL SELECT from_location, sku, from_account, -quantity, journey_id FROM movement
"""
_STOCK = "\n UNION ALL ".join(
    f"SELECT location, sku, '{bucket}' AS account, {bucket} AS quantity FROM stock" for bucket in BUCKETS
)

RULES: dict[str, str] = {
    "movements explain every bucket": f"""
        SELECT location || ' ' || sku || ' ' || account AS place,
               'book ' || sum(book)::int || ', movements ' || sum(moved)::int AS detail
        FROM (
            SELECT location, sku, account, quantity AS book, 0 AS moved FROM ({_STOCK}) s
            UNION ALL SELECT to_location, sku, to_account, 0, quantity FROM movement
            UNION ALL SELECT from_location, sku, from_account, 0, -quantity FROM movement
        ) both_sides
        WHERE account NOT IN ('supplier', 'customer', 'carrier', 'shrink', 'found')
        GROUP BY location, sku, account HAVING sum(book) <> sum(moved)
    """,
    "holds explain what is reserved": """
        SELECT location || ' ' || sku, 'reserved ' || coalesce(s.reserved, 0) || ', holds ' || coalesce(h.reserved, 0)
        FROM stock s FULL JOIN (SELECT location, sku, sum(reserved)::int AS reserved FROM hold GROUP BY 1, 2) h
            USING (location, sku)
        WHERE coalesce(s.reserved, 0) <> coalesce(h.reserved, 0)
    """,
    "the hold shelf is what orders have on it": """
        SELECT location || ' ' || sku,
               'staged ' || coalesce(s.staged, 0) || ', orders ' || coalesce(o.units, 0)
        FROM stock s FULL JOIN (
            SELECT location, sku, sum(units)::int AS units FROM (
                SELECT location, sku, staged AS units FROM hold WHERE staged > 0
                UNION ALL
                SELECT j.location, l.sku, u.value::int FROM journey j
                CROSS JOIN LATERAL jsonb_each_text(j.detail -> 'unclaimed') u
                JOIN journey_line l ON l.journey_id = j.id AND l.line_id = u.key
                WHERE j.kind = 'bopis' AND jsonb_typeof(j.detail -> 'unclaimed') = 'object'
            ) both_kinds GROUP BY 1, 2
        ) o USING (location, sku)
        WHERE coalesce(s.staged, 0) <> coalesce(o.units, 0)
    """,
    "lines explain their holds": """
        SELECT l.journey_id || ' ' || l.line_id,
               'line ' || l.reserved || '/' || l.staged || ', holds ' || coalesce(h.reserved, 0) || '/'
               || coalesce(h.staged, 0)
        FROM journey_line l LEFT JOIN (
            SELECT journey_id, line_id, sum(reserved)::int AS reserved, sum(staged)::int AS staged
            FROM hold GROUP BY 1, 2
        ) h USING (journey_id, line_id)
        LEFT JOIN (SELECT journey_id, line_id, sum(found)::int AS found FROM waiting_demand GROUP BY 1, 2) w
            USING (journey_id, line_id)
        LEFT JOIN (SELECT journey_id, line_id, sum(came)::int AS came FROM awaited GROUP BY 1, 2) a
            USING (journey_id, line_id)
        WHERE l.reserved + coalesce(w.found, 0) + coalesce(a.came, 0) <> coalesce(h.reserved, 0)
            OR l.staged <> coalesce(h.staged, 0)
    """,
    "units in transit belong to open journeys": f"""
        SELECT m.location || ' ' || m.sku || ' ' || coalesce(m.journey_id, '(no journey)'),
               m.units || ' in transit, ' || CASE WHEN j.id IS NULL THEN 'for nobody' ELSE 'and it has ended' END
        FROM (
            SELECT location, sku, journey_id, sum(quantity)::int AS units FROM ({_BOTH_SIDES}) sides
            WHERE account = 'in_transit' GROUP BY 1, 2, 3 HAVING sum(quantity) <> 0
        ) m LEFT JOIN journey j ON j.id = m.journey_id WHERE j.id IS NULL OR j.closed_at IS NOT NULL
    """,
    "what was collected has left": """
        SELECT l.journey_id || ' ' || l.sku, 'collected ' || l.units || ', left ' || coalesce(m.units, 0)
        FROM (SELECT journey_id, sku, sum(collected)::int AS units FROM journey_line GROUP BY 1, 2) l
        LEFT JOIN (
            SELECT journey_id, sku, sum(quantity)::int AS units FROM movement
            WHERE kind IN ('handed_over', 'shipped') AND journey_id IS NOT NULL GROUP BY 1, 2
        ) m USING (journey_id, sku)
        WHERE l.units > coalesce(m.units, 0)
    """,
}
