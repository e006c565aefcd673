"""Invariants of transfers: goods on their way, what is owed between entities, differences and claims."""

RULES: dict[str, str] = {
    "orders know what transfers bring them": """
        SELECT journey_id || ' ' || line_id, 'order ' || coalesce(o.units, 0) || ', awaited ' || coalesce(a.units, 0)
        FROM (
            SELECT j.id AS journey_id, u.key AS line_id, u.value::int AS units FROM journey j
            CROSS JOIN LATERAL jsonb_each_text(j.detail -> 'coming') u
            WHERE j.kind = 'bopis' AND jsonb_typeof(j.detail -> 'coming') = 'object'
        ) o FULL JOIN (
            SELECT journey_id, line_id, sum(quantity + came + failed)::int AS units FROM awaited GROUP BY 1, 2
            HAVING sum(quantity + came + failed) > 0
        ) a USING (journey_id, line_id)
        WHERE coalesce(o.units, 0) <> coalesce(a.units, 0)
    """,
    "what orders wait for is still to come": """
        SELECT a.transfer_id || ' ' || a.line_id, 'awaited ' || a.quantity || ', in transit ' || l.in_transit
               || ', to be sent ' || greatest(l.ordered - l.cancelled - l.shipped, 0)
        FROM awaited a JOIN transfer_line l ON l.journey_id = a.transfer_id AND l.line_id = a.line_id
        JOIN journey j ON j.id = a.transfer_id
        WHERE a.quantity > CASE WHEN j.closed_at IS NOT NULL THEN 0
            ELSE l.in_transit + greatest(l.ordered - l.cancelled - l.shipped, 0) END
    """,
    "transfer lines explain their holds": """
        SELECT l.journey_id || ' ' || l.line_id, 'line ' || l.reserved || ', holds ' || coalesce(h.reserved, 0)
        FROM transfer_line l LEFT JOIN (
            SELECT journey_id, line_id, sum(reserved)::int AS reserved FROM hold GROUP BY 1, 2
        ) h USING (journey_id, line_id)
        WHERE l.reserved <> coalesce(h.reserved, 0)
    """,
    "goods in transit are shipped, neither received nor settled": """
        SELECT coalesce(l.journey_id, m.journey_id) || ' ' || coalesce(l.sku, m.sku),
               'lines ' || coalesce(l.units, 0) || ', movements ' || coalesce(m.units, 0)
        FROM (
            SELECT t.journey_id, t.sku, h.to_location AS location, sum(t.in_transit)::int AS units
            FROM transfer_line t JOIN transfer h USING (journey_id) GROUP BY 1, 2, 3
        ) l FULL JOIN (
            SELECT journey_id, sku, location, sum(units)::int AS units FROM (
                SELECT journey_id, sku, to_location AS location, quantity AS units FROM movement
                WHERE to_account = 'in_transit' AND journey_id LIKE 'transfer:%'
                UNION ALL SELECT journey_id, sku, from_location, -quantity FROM movement
                WHERE from_account = 'in_transit' AND journey_id LIKE 'transfer:%'
            ) sides GROUP BY 1, 2, 3
        ) m USING (journey_id, sku, location)
        WHERE coalesce(l.units, 0) <> coalesce(m.units, 0)
    """,
    "goods in transit are worth what the books say": """
        SELECT coalesce(b.entity, t.entity), 'account ' || coalesce(b.value, 0) || ', lines ' || coalesce(t.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'goods_in_transit' GROUP BY 1
        ) b FULL JOIN (
            SELECT h.to_entity AS entity, sum(l.transit_minor)::bigint AS value
            FROM transfer_line l JOIN transfer h USING (journey_id) GROUP BY 1
        ) t USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(t.value, 0)
    """,
    "what one entity owes another is owed to it": """
        SELECT j.journey_id, 'due from ' || sum(l.debit_minor - l.credit_minor) FILTER (WHERE l.account = 'due_from')
               || ', due to ' || sum(l.credit_minor - l.debit_minor) FILTER (WHERE l.account = 'due_to')
        FROM journal j JOIN journal_line l ON l.journal_id = j.id
        WHERE l.account IN ('due_from', 'due_to') GROUP BY j.journey_id
        HAVING sum(l.debit_minor - l.credit_minor) <> 0
    """,
    "transfer differences wait for an answer": """
        SELECT coalesce(b.entity, t.entity), 'account ' || coalesce(b.value, 0) || ', not settled '
               || coalesce(t.value, 0)
        FROM (
            SELECT j.entity, -sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'transfer_differences' GROUP BY 1
        ) b FULL JOIN (
            SELECT p.entity, sum(e.value_minor)::bigint AS value
            FROM transfer_extra e JOIN location p ON p.code = e.location
            WHERE e.kind IN ('over', 'misship') GROUP BY 1
        ) t USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(t.value, 0)
    """,
    "claims against carriers are open or answered": """
        SELECT coalesce(b.entity, c.entity), 'account ' || coalesce(b.value, 0) || ', claims ' || coalesce(c.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'claims_receivable' GROUP BY 1
        ) b FULL JOIN (
            SELECT entity, sum(CASE WHEN state IN ('opened', 'sent') THEN amount_minor
                                    WHEN state = 'accepted' THEN accepted_minor ELSE 0 END)::bigint AS value
            FROM carrier_claim GROUP BY 1
        ) c USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(c.value, 0)
    """,
    "what a transfer has settled has a root cause": """
        SELECT journey_id || ' ' || line_id, 'settled ' || settled || ', of damage ' || damage_settled
        FROM transfer_line WHERE settled + damage_settled > 0 AND coalesce(root_cause, '') = ''
        UNION ALL
        SELECT journey_id || ' ' || line_id, kind || ' settled ' || settled
        FROM transfer_extra WHERE settled > 0 AND coalesce(root_cause, '') = ''
    """,
    "a transfer that has ended has nothing on its way and no open question": """
        SELECT j.id, 'state ' || j.state || ', in transit ' || sum(l.in_transit) || ', reserved ' || sum(l.reserved)
        FROM journey j JOIN transfer_line l ON l.journey_id = j.id
        WHERE j.closed_at IS NOT NULL GROUP BY j.id, j.state
        HAVING sum(l.in_transit + l.reserved) > 0
            OR bool_or(l.damaged > l.damage_settled)
            OR EXISTS (SELECT FROM transfer_extra e WHERE e.journey_id = j.id AND e.settled < e.quantity)
    """,
}
