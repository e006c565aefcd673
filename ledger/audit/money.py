"""Invariants of money: what is posted, what it is posted for, and what is still owed."""

RULES: dict[str, str] = {
    "every journal balances": """
        SELECT 'journal ' || j.id, 'debit ' || coalesce(sum(l.debit_minor), 0) || ', credit '
               || coalesce(sum(l.credit_minor), 0)
        FROM journal j LEFT JOIN journal_line l ON l.journal_id = j.id
        GROUP BY j.id HAVING coalesce(sum(l.debit_minor), 0) <> coalesce(sum(l.credit_minor), 0) OR count(l.*) = 0
    """,
    "inventory account is what movements cost": """
        SELECT coalesce(m.entity, b.entity),
               'movements ' || coalesce(m.value, 0) || ', account ' || coalesce(b.value, 0)
        FROM (
            SELECT entity, sum(CASE WHEN from_account IN ('supplier', 'found', 'carrier') THEN cost_minor
                 WHEN kind = 'corrected' THEN cost_minor
                                    WHEN kind = 'disposed' AND to_account IN ('available', 'quarantined')
                                        THEN cost_minor
                                    WHEN kind = 'disposed' THEN 0
                                    WHEN to_account IN ('customer', 'shrink', 'damaged', 'carrier') THEN -cost_minor
                                    ELSE 0 END)::bigint AS value
            FROM movement GROUP BY entity
        ) m FULL JOIN (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = ANY(CAST(:inventory AS text[])) GROUP BY j.entity
        ) b USING (entity)
        WHERE coalesce(m.value, 0) <> coalesce(b.value, 0)
    """,
    "deposits belong to open orders": """
        SELECT j.entity, 'account ' || -sum(l.debit_minor - l.credit_minor)::bigint || ', open orders '
               || coalesce(max(o.owed), 0)
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        LEFT JOIN (
            SELECT entity, sum(captured - earned - refunded)::bigint AS owed FROM (
                SELECT g.entity, g.id,
                    coalesce((SELECT sum(p.captured_minor - p.refund_requested_minor) FROM payment p
                              WHERE p.journey_id = g.id), 0) AS captured,
                    coalesce((SELECT sum(x.debit_minor) FROM journal e JOIN journal_line x ON x.journal_id = e.id
                              WHERE e.journey_id = g.id AND e.event IN ('bopis.handed_over', 'bopis.shipped')
                                AND x.account = 'customer_deposits'), 0) AS earned,
                    0 AS refunded
                FROM journey g
            ) per_order GROUP BY entity
        ) o ON o.entity = j.entity
        WHERE l.account = 'customer_deposits'
        GROUP BY j.entity HAVING -sum(l.debit_minor - l.credit_minor) <> coalesce(max(o.owed), 0)
    """,
    "refunds owed are paid or on their way": """
        SELECT j.entity, 'account ' || -sum(l.debit_minor - l.credit_minor)::bigint || ', not yet paid '
               || coalesce(max(o.open), 0)
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        LEFT JOIN (
            SELECT g.entity, sum(p.refund_requested_minor - p.refunded_minor)::bigint AS open
            FROM payment p JOIN journey g ON g.id = p.journey_id WHERE g.kind = 'bopis' GROUP BY g.entity
        ) o ON o.entity = j.entity
        WHERE l.account = 'refunds_payable'
        GROUP BY j.entity HAVING -sum(l.debit_minor - l.credit_minor) <> coalesce(max(o.open), 0)
    """,
    "what was sold and paid back stays within the line": """
        SELECT l.journey_id || ' ' || l.line_id, 'collected ' || l.collected || ', earned ' || s.handed_over
               || ', given up ' || l.cancelled || '/' || s.refunded_quantity
        FROM journey_line l JOIN sale_line s ON s.document = l.journey_id AND s.line_id = l.line_id
        JOIN journey j ON j.id = l.journey_id
        WHERE (l.collected <> s.handed_over OR l.cancelled <> s.refunded_quantity)
    """,
    "each cause posts once what its movements cost": """
        SELECT coalesce(m.entity, b.entity) || ' ' || coalesce(m.cause, b.cause),
               'movements ' || coalesce(m.value, 0) || ', posted ' || coalesce(b.value, 0)
        FROM (
            SELECT entity, cause, sum(CASE WHEN from_account IN ('supplier', 'found', 'carrier') THEN cost_minor
                 WHEN kind = 'corrected' THEN cost_minor
                                           WHEN kind = 'disposed' AND to_account IN ('available', 'quarantined')
                                               THEN cost_minor
                                           WHEN kind = 'disposed' THEN 0
                                           WHEN to_account IN ('customer', 'shrink', 'damaged', 'carrier')
                                               THEN -cost_minor
                                           ELSE 0 END)::bigint AS value
            FROM movement WHERE cause NOT LIKE 'load:%' GROUP BY 1, 2
        ) m FULL JOIN (
            SELECT j.entity, j.cause, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = ANY(CAST(:inventory AS text[])) AND j.cause NOT LIKE 'load:%' GROUP BY 1, 2
        ) b USING (entity, cause)
        WHERE coalesce(m.value, 0) <> coalesce(b.value, 0)
    """,
    "the cost of sales is what sold lines cost": """
        SELECT coalesce(s.document, b.document), 'lines ' || coalesce(s.cost, 0) || ', posted ' || coalesce(b.cost, 0)
        FROM (
            SELECT coalesce(g.id, 'receipts of ' || s.entity) AS document, sum(s.cost_minor)::bigint AS cost
            FROM sale_line s LEFT JOIN journey g ON g.id = s.document GROUP BY 1
        ) s FULL JOIN (
            SELECT coalesce(j.journey_id, 'receipts of ' || j.entity) AS document,
                   sum(l.debit_minor - l.credit_minor)::bigint AS cost
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'cogs' AND j.event IN ('bopis.handed_over', 'bopis.shipped', 'pos.sale') GROUP BY 1
        ) b USING (document)
        WHERE coalesce(s.cost, 0) <> coalesce(b.cost, 0)
    """,
    "an order that has ended holds no deposit": """
        SELECT g.id, 'deposits ' || -sum(l.debit_minor - l.credit_minor)
        FROM journey g JOIN journal j ON j.journey_id = g.id JOIN journal_line l ON l.journal_id = j.id
        WHERE g.closed_at IS NOT NULL AND l.account = 'customer_deposits'
        GROUP BY g.id HAVING sum(l.debit_minor - l.credit_minor) <> 0
    """,
    "every entity's period balances": """
        SELECT j.entity || ' ' || j.period, 'debit ' || sum(l.debit_minor) || ', credit ' || sum(l.credit_minor)
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        GROUP BY j.entity, j.period HAVING sum(l.debit_minor) <> sum(l.credit_minor)
        UNION ALL
        SELECT 'journal ' || id, 'effective ' || effective_at || ', posted in ' || period
        FROM journal WHERE period < to_char(effective_at AT TIME ZONE 'UTC', 'YYYY-MM')
    """,
}
