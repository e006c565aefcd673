"""Invariants of promotions: their state, and prices that nobody answers for."""

RULES: dict[str, str] = {
    "a promotion is in the state of its journey": """
        SELECT coalesce(p.journey_id, j.id),
               'promotion ' || coalesce(p.state, 'missing') || ', journey ' || coalesce(j.state, 'missing')
        FROM promotion p FULL JOIN (SELECT id, state FROM journey WHERE kind = 'promotion') j ON j.id = p.journey_id
        WHERE p.state IS DISTINCT FROM j.state
    """,
    "no price is left behind by a promotion that is over": """
        SELECT u.journey_id || ' ' || u.channel, count(*) || ' prices are neither seen nor given up'
        FROM publication u JOIN promotion p USING (journey_id)
        JOIN price_publication x ON x.publication_id = u.id AND x.state = 'pending'
        WHERE u.done_at IS NOT NULL OR p.state IN ('ended', 'settled', 'cancelled')
        GROUP BY u.journey_id, u.channel
    """,
    "a price that counts as right was seen": """
        SELECT u.journey_id || ' ' || u.channel, count(*) || ' prices'
        FROM publication u JOIN price_publication x ON x.publication_id = u.id
        WHERE x.state = 'right' AND (x.seen_minor IS DISTINCT FROM x.wanted_minor OR x.seen_deal <> x.wanted_deal)
        GROUP BY u.journey_id, u.channel
    """,
}
