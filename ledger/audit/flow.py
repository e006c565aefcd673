"""Invariants of what carries a journey on: its rows, its messages, its mails."""

RULES: dict[str, str] = {
    "lines and policies belong to journeys": """
        SELECT l.journey_id || ' ' || l.line_id, 'there is no such journey'
        FROM journey_line l WHERE NOT EXISTS (SELECT 1 FROM journey j WHERE j.id = l.journey_id)
        UNION ALL
        SELECT j.id, coalesce('there is no policy ' || j.policy_copy, 'it has no policy')
        FROM journey j LEFT JOIN policy_copy p ON p.id = j.policy_copy WHERE p.id IS NULL AND j.policy IS NULL
    """,
    "messages are delivered or waiting": """
        SELECT target, 'message ' || seq || ' of ' || recorded_at || ': ' || coalesce(last_error, 'not delivered')
        FROM outbox WHERE done_at IS NULL AND recorded_at < now() - interval '10 minutes'
    """,
    "messages of a target are numbered without a gap and end in their order": """
        SELECT target, 'its last message is ' || last_seq || ', there are ' || messages
        FROM (SELECT target, count(*) AS messages, max(seq) AS highest FROM outbox GROUP BY 1) o
        FULL JOIN outbox_counter c USING (target)
        WHERE coalesce(messages, 0) <> coalesce(last_seq, 0) OR coalesce(highest, 0) <> coalesce(last_seq, 0)
        UNION ALL
        SELECT o.target, 'message ' || o.seq || ' ended before message ' || p.seq
        FROM outbox p JOIN outbox o ON o.target = p.target AND o.seq > p.seq
        WHERE p.done_at IS NULL AND o.done_at IS NOT NULL
        UNION ALL
        SELECT target, 'message ' || seq || ' has ended, and nothing says how' FROM outbox
        WHERE done_at IS NOT NULL AND outcome IS NULL
    """,
    "mails are sent, withdrawn, or say why not": """
        SELECT 'mail ' || id, state || ' since ' || greatest(recorded_at, not_before) || ', and nothing says why'
        FROM mail WHERE last_error IS NULL AND (
            state = 'failed' OR (state = 'queued' AND greatest(recorded_at, not_before) < now() - interval '10 minutes')
        )
    """,
    "what was approved has the words that it needed": """
        SELECT 'approval ' || a.id, 'it needs ' || a.quorum || ' people, ' || v.words || ' have agreed'
        FROM approval a CROSS JOIN LATERAL (
            SELECT count(DISTINCT person_id) AS words FROM approval_verdict
            WHERE approval_id = a.id AND verdict = 'approve') v
        WHERE a.state = 'approved' AND v.words < a.quorum
        UNION ALL
        SELECT 'approval ' || a.id, s.name || ' needs ' || s.need || ' people, ' || v.words || ' could speak for it'
        FROM approval a JOIN approval_side s ON s.approval_id = a.id CROSS JOIN LATERAL (
            SELECT count(DISTINCT person_id) AS words FROM approval_verdict
            WHERE approval_id = a.id AND verdict = 'approve' AND s.name = ANY (sides)) v
        WHERE a.state = 'approved' AND v.words < s.need
        UNION ALL
        SELECT 'approval ' || a.id, v.person_id || ' agreed, who may not'
        FROM approval a JOIN approval_verdict v ON v.approval_id = a.id
        WHERE v.verdict = 'approve' AND (v.person_id = ANY (a.barred) OR v.on_behalf_of = ANY (a.barred))
    """,
    "open cases of one cause stand under an open parent": """
        WITH cause AS (
            SELECT CASE sku WHEN '' THEN 'order|' || journey_id ELSE kind || '|' || location || '|' || sku END AS key,
                count(*) AS cases
            FROM case_file WHERE closed_at IS NULL AND journey_id IS NOT NULL GROUP BY 1)
        SELECT 'cause ' || c.key, c.cases || ' cases are open, and no parent is' FROM cause c
        WHERE c.cases > 1 AND NOT EXISTS (SELECT 1 FROM case_parent p WHERE p.key = c.key AND p.closed_at IS NULL)
        UNION ALL
        SELECT 'parent ' || p.id, 'it is open, and none of its cases is' FROM case_parent p
        WHERE p.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM cause c WHERE c.key = p.key)
    """,
    "what can be undone was decided and not carried out": """
        SELECT 'case ' || c.id, 'it is ' || c.state || ', and a decision on it is said to apply at ' || c.applies_at
        FROM case_file c WHERE c.applies_at IS NOT NULL AND (c.state <> 'deciding' OR NOT EXISTS (
            SELECT 1 FROM case_decision d WHERE d.case_id = c.id AND d.episode = c.episode AND d.state = 'applying'))
        UNION ALL
        SELECT j.id, 'it keeps back a decision on a case that keeps none back'
        FROM journey j JOIN case_file c ON c.id = (j.asks ->> 'case_id')::bigint
        WHERE j.asks ? 'applies_at' AND c.applies_at IS NULL
    """,
    "a case of which somebody is asked to approve is being decided": """
        SELECT 'case ' || c.id, 'it is ' || c.state || ', and approval ' || a.id || ' of a decision on it is pending'
        FROM approval a JOIN case_file c ON c.id = a.case_id WHERE a.state = 'pending' AND c.state <> 'deciding'
    """,
    "every journey has a workflow that was told of it": """
        SELECT j.id, 'nothing was ever put into the outbox for it'
        FROM journey j LEFT JOIN outbox_counter c ON c.target = j.id WHERE c.target IS NULL
    """,
}
