"""Invariants of returns: what came back waits for its disposition or has one, and is refunded once."""

RULES: dict[str, str] = {
    "what came back waits for its disposition": """
        SELECT coalesce(s.location, r.location) || ' ' || coalesce(s.sku, r.sku),
               'book ' || coalesce(s.units, 0) || ', returns ' || coalesce(r.units, 0)
        FROM (SELECT location, sku, customer_returned AS units FROM stock WHERE customer_returned <> 0) s
        FULL JOIN (
            SELECT j.location, l.sku, sum(l.received - l.accepted - l.declined)::int AS units
            FROM return_line l JOIN journey j ON j.id = l.journey_id GROUP BY 1, 2
            HAVING sum(l.received - l.accepted - l.declined) <> 0
        ) r USING (location, sku)
        WHERE coalesce(s.units, 0) <> coalesce(r.units, 0)
    """,
    "returns pending is what waiting goods cost": """
        SELECT coalesce(b.entity, r.entity), 'account ' || coalesce(b.value, 0) || ', goods ' || coalesce(r.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'returns_pending' GROUP BY j.entity
        ) b FULL JOIN (
            SELECT j.entity, sum(l.cost_minor - l.disposed_cost_minor)::bigint AS value
            FROM return_line l JOIN journey j ON j.id = l.journey_id GROUP BY j.entity
        ) r USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(r.value, 0)
    """,
    "the refund liability is what returns still owe": """
        SELECT coalesce(b.entity, r.entity), 'account ' || coalesce(b.value, 0) || ', owed ' || coalesce(r.value, 0)
        FROM (
            SELECT j.entity, sum(l.credit_minor - l.debit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'refund_liability' GROUP BY j.entity
        ) b FULL JOIN (
            SELECT g.entity, sum(p.refund_requested_minor - p.refunded_minor)::bigint AS value
            FROM payment p JOIN journey g ON g.id = p.journey_id WHERE g.kind = 'returns' GROUP BY g.entity
        ) r USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(r.value, 0)
    """,
    "sale lines know what returns brought back and were paid": """
        SELECT s.document || ' ' || s.line_id, 'sale ' || s.returned || '/' || s.return_refunded || '/'
               || s.return_refunded_minor || ', returns ' || coalesce(r.booked, 0) || '/' || coalesce(r.refunded, 0)
               || '/' || coalesce(r.minor, 0)
        FROM sale_line s LEFT JOIN (
            SELECT document, sale_line_id, sum(booked)::int AS booked, sum(refunded)::int AS refunded,
                sum(refunded_minor)::bigint AS minor
            FROM return_line WHERE document IS NOT NULL GROUP BY 1, 2
        ) r ON r.document = s.document AND r.sale_line_id = s.line_id
        WHERE s.returned <> coalesce(r.booked, 0) OR s.return_refunded <> coalesce(r.refunded, 0)
            OR s.return_refunded_minor <> coalesce(r.minor, 0)
    """,
    "payments know what goes back for returns": """
        SELECT coalesce(o.order_id, r.order_id),
               'order ' || coalesce(o.minor, 0) || ', returns ' || coalesce(r.minor, 0)
        FROM (SELECT journey_id AS order_id, sum(returned_minor)::bigint AS minor FROM payment
              WHERE tender <> 'exchange' GROUP BY 1 HAVING sum(returned_minor) <> 0) o
        FULL JOIN (
            SELECT j.detail ->> 'order' AS order_id, sum(p.captured_minor)::bigint AS minor
            FROM payment p JOIN journey j ON j.id = p.journey_id
            WHERE j.kind = 'returns' AND j.detail ->> 'order' IS NOT NULL
                AND p.reference NOT LIKE 'credit:%' AND p.reference NOT LIKE 'till:%'
                AND p.tender <> 'exchange' GROUP BY 1
        ) r USING (order_id)
        WHERE coalesce(o.minor, 0) <> coalesce(r.minor, 0)
    """,
    "what was refused is taken back with somebody else's word": """
        SELECT l.journey_id || ' ' || l.line_id, 'override ' || coalesce(l.ruling #>> '{override,id}', '?')
        FROM return_line l WHERE l.ruling ? 'override' AND NOT EXISTS (
            SELECT 1 FROM return_override o JOIN approval a ON a.id = o.approval_id
            WHERE o.id = (l.ruling #>> '{override,id}')::bigint AND o.journey_id = l.journey_id
                AND o.lines ? l.line_id AND o.state = 'approved' AND a.state = 'approved'
                AND a.decided_by <> o.asked_by)
        UNION ALL
        SELECT j.id, 'asks for override ' || coalesce(j.detail #>> '{override,id}', 'none')
               || ', recorded: ' || coalesce(o.id::text, 'none')
        FROM (SELECT * FROM journey WHERE kind = 'returns' AND detail ? 'override') j
        FULL JOIN (SELECT * FROM return_override WHERE state = 'pending') o ON o.journey_id = j.id
        WHERE j.id IS NULL OR j.closed_at IS NOT NULL OR o.id IS NULL
            OR o.id <> (j.detail #>> '{override,id}')::bigint
    """,
    "a return that has ended owes nothing and has nothing waiting": """
        SELECT l.journey_id || ' ' || l.line_id, l.received - l.accepted - l.declined || ' wait, and it is closed'
        FROM return_line l JOIN journey j ON j.id = l.journey_id
        WHERE j.closed_at IS NOT NULL AND l.received <> l.accepted + l.declined
        UNION ALL
        SELECT p.id, p.refund_requested_minor - p.refunded_minor || ' are owed, and it is closed'
        FROM payment p JOIN journey j ON j.id = p.journey_id
        WHERE j.kind = 'returns' AND j.closed_at IS NOT NULL AND p.refunded_minor < p.refund_requested_minor
    """,
    "a difference is charged by its customer's word": """
        SELECT p.id, 'charged ' || p.captured_minor || ', agreed ' || coalesce(o.minor, 0)
        FROM payment p JOIN payment c ON c.journey_id = p.journey_id AND c.tender = 'exchange'
        JOIN journey g ON g.id = p.journey_id AND g.kind = 'bopis'
        LEFT JOIN LATERAL (
            SELECT sum((option -> 'parameters' ->> 'difference_minor')::bigint)::bigint AS minor FROM offer
            WHERE way = 'exchange' AND option -> 'parameters' ->> 'order' = p.journey_id
                AND answer = 'accept' AND state <> 'rejected'
        ) o ON true
        WHERE p.reference LIKE 'difference:%' AND p.captured_minor > coalesce(o.minor, 0)
    """,
    "a return asks about its exchange as long as the question is open": """
        SELECT coalesce(o.journey_id, j.id),
               'question ' || coalesce(o.state, 'none') || ', exchange ' || coalesce(j.state, 'none')
        FROM (SELECT journey_id, state FROM offer WHERE way = 'exchange' AND state IN ('open', 'accepted')) o
        FULL JOIN (
            SELECT id, detail -> 'exchange' ->> 'state' AS state FROM journey
            WHERE kind = 'returns' AND detail -> 'exchange' ->> 'state' IN ('asking', 'collecting')
        ) j ON j.id = o.journey_id
        WHERE (o.state IS NOT DISTINCT FROM 'open') <> (j.state IS NOT DISTINCT FROM 'asking')
            OR (o.state IS NOT DISTINCT FROM 'accepted') <> (j.state IS NOT DISTINCT FROM 'collecting')
    """,
}
