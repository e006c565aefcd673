"""Invariants of vendor funding: what was accrued is in a claim or waits for one; what is claimed is open or over."""

RULES: dict[str, str] = {
    "what was accrued is claimed or waits for a claim": """
        SELECT coalesce(b.entity, a.entity), 'account ' || coalesce(b.value, 0) || ', not billed '
               || coalesce(a.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'vendor_funding' GROUP BY 1
        ) b FULL JOIN (
            SELECT a.entity, sum(a.amount_minor)::bigint AS value
            FROM funding_accrual a LEFT JOIN claim c ON c.journey_id = a.claim_id
            WHERE a.claim_id IS NULL OR (NOT c.is_billed AND c.released_minor = 0) GROUP BY 1
        ) a USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(a.value, 0)
    """,
    "agreements count what was accrued by them": """
        SELECT g.id, 'counts ' || g.units || '/' || g.earned_minor || '/' || g.accrued_minor || ', accruals '
               || coalesce(a.units, 0) || '/' || coalesce(a.earned, 0) || '/' || coalesce(a.amount, 0)
        FROM funding_agreement g LEFT JOIN (
            SELECT agreement_id, sum(quantity)::int AS units, sum(earned_minor)::bigint AS earned,
                sum(amount_minor)::bigint AS amount
            FROM funding_accrual WHERE kind <> 'reclaim' GROUP BY 1
        ) a ON a.agreement_id = g.id
        WHERE (g.terms ->> 'kind' = 'lump_sum' OR g.terms ->> 'cap_minor' IS NOT NULL
               OR jsonb_array_length(g.terms -> 'tiers') > 0)
            AND (g.units <> coalesce(a.units, 0) OR g.earned_minor <> coalesce(a.earned, 0)
                OR g.accrued_minor <> coalesce(a.amount, 0))
    """,
    "no cap is passed": """
        SELECT g.id, 'accrued ' || sum(a.amount_minor) || ', cap ' || (g.terms ->> 'cap_minor')
        FROM funding_agreement g JOIN funding_accrual a ON a.agreement_id = g.id AND a.kind <> 'reclaim'
        WHERE g.terms ->> 'cap_minor' IS NOT NULL GROUP BY g.id
        HAVING sum(a.amount_minor) > (g.terms ->> 'cap_minor')::bigint
    """,
    "a line earns for no more units than the customer kept": """
        SELECT a.document || ' ' || a.line_id, 'earns for ' || a.units || ', kept '
               || s.handed_over - greatest(s.returned, s.return_refunded)
        FROM (
            SELECT document, line_id, sum(quantity)::int AS units FROM funding_accrual
            WHERE document IS NOT NULL GROUP BY 1, 2
        ) a JOIN sale_line s USING (document, line_id)
        WHERE a.units > s.handed_over - greatest(s.returned, s.return_refunded) OR a.units < 0
    """,
    "claims against vendors are what is open of them": """
        SELECT coalesce(b.entity, c.entity), 'account ' || coalesce(b.value, 0) || ', claims ' || coalesce(c.value, 0)
        FROM (
            SELECT j.entity, sum(l.debit_minor - l.credit_minor)::bigint AS value
            FROM journal j JOIN journal_line l ON l.journal_id = j.id
            WHERE l.account = 'vendor_claims' GROUP BY 1
        ) b FULL JOIN (
            SELECT entity, sum(amount_minor - settled_minor - released_minor - written_off_minor - reclaimed_minor)
                ::bigint AS value
            FROM claim WHERE is_billed GROUP BY 1
        ) c USING (entity)
        WHERE coalesce(b.value, 0) <> coalesce(c.value, 0)
    """,
    "a claim is the sum of its lines and of what they were frozen from": """
        SELECT c.journey_id, 'claim ' || c.amount_minor || ', lines ' || coalesce(l.amount, 0) || ', accruals '
               || coalesce(a.amount, 0)
        FROM claim c JOIN journey j ON j.id = c.journey_id
        LEFT JOIN (
            SELECT journey_id, sum(amount_minor)::bigint AS amount, sum(released_minor)::bigint AS released,
                sum(written_off_minor)::bigint AS written_off, sum(reclaimed_minor)::bigint AS reclaimed
            FROM claim_line GROUP BY 1
        ) l USING (journey_id)
        LEFT JOIN (
            SELECT claim_id AS journey_id, sum(amount_minor)::bigint AS amount FROM funding_accrual
            WHERE claim_id IS NOT NULL GROUP BY 1
        ) a USING (journey_id)
        WHERE c.amount_minor <> coalesce(l.amount, 0)
            OR (j.state <> 'cancelled' AND c.amount_minor <> coalesce(a.amount, 0))
            OR (j.state = 'cancelled' AND a.amount IS NOT NULL)
            OR c.released_minor <> coalesce(l.released, 0) OR c.written_off_minor <> coalesce(l.written_off, 0)
            OR c.reclaimed_minor <> coalesce(l.reclaimed, 0)
    """,
    "a claim that is over has nothing open": """
        SELECT c.journey_id, 'state ' || j.state || ', open ' || c.amount_minor - c.settled_minor - c.released_minor
               - c.written_off_minor - c.reclaimed_minor
        FROM claim c JOIN journey j ON j.id = c.journey_id
        WHERE j.closed_at IS NOT NULL AND j.state <> 'cancelled'
            AND c.amount_minor <> c.settled_minor + c.released_minor + c.written_off_minor + c.reclaimed_minor
    """,
}
