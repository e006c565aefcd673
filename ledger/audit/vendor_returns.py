"""Invariants of vendor returns: units are spoken for once, and what a vendor owes is what its goods had cost."""

RULES: dict[str, str] = {
    "units go back to one vendor by one document": """
        SELECT o.location || ' ' || o.sku,
               'waiting ' || coalesce(s.vendor_return_pending, 0) || ', documents ' || o.units
        FROM (
            SELECT v.location, l.sku, sum(l.quantity)::int AS units FROM vendor_return v
            JOIN vendor_return_line l ON l.vendor_return_id = v.id
            WHERE v.state IN ('open', 'authorized') GROUP BY 1, 2
        ) o LEFT JOIN stock s ON s.location = o.location AND s.sku = o.sku
        WHERE o.units > coalesce(s.vendor_return_pending, 0)
    """,
    "what waits for its vendor is what its disposition says it cost": """
        SELECT coalesce(b.entity, r.entity), 'account ' || coalesce(b.value, 0) || ', goods ' || coalesce(r.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'vendor_returns' GROUP BY 1
        ) b FULL JOIN (
            SELECT entity, sum(value)::bigint AS value FROM (
                SELECT j.entity, d.cost_minor AS value FROM return_disposition d JOIN journey j ON j.id = d.journey_id
                WHERE d.disposition = 'return_to_vendor' AND d.state = 'applied'
                UNION ALL
                SELECT v.entity, -v.cost_minor FROM vendor_return v
            ) parts GROUP BY 1
        ) r USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(r.value, 0)
    """,
    "vendors owe what is neither credited nor given up": """
        SELECT coalesce(b.entity, v.entity),
               'account ' || coalesce(b.value, 0) || ', documents ' || coalesce(v.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'vendor_receivable' GROUP BY 1
        ) b FULL JOIN (
            SELECT entity, sum(greatest(cost_minor - credited_minor - written_off_minor, 0))::bigint AS value
            FROM vendor_return GROUP BY 1
        ) v USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(v.value, 0)
    """,
    "a vendor return that is closed is owed nothing": """
        SELECT id, 'state ' || state || ', cost ' || cost_minor || ', credited ' || credited_minor || ', given up '
               || written_off_minor
        FROM vendor_return
        WHERE (closed_at IS NOT NULL) <> (state IN ('credited', 'written_off', 'cancelled'))
            OR closed_at IS NOT NULL AND cost_minor > credited_minor + written_off_minor
            OR cost_minor <> coalesce((SELECT sum(l.cost_minor) FROM vendor_return_line l
                                       WHERE l.vendor_return_id = vendor_return.id), 0)
            OR credited_minor <> coalesce((SELECT sum((c ->> 'amount_minor')::bigint)
                                           FROM jsonb_array_elements(credits) c), 0)
    """,
}
