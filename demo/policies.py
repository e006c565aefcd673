"""The demo's policy: the shipped bands scaled to grocery prices, so that a thirty-dollar refund needs a signature.

What is not named here stays as shipped.
"""

from typing import Any

from demo import places

POLICIES: list[dict[str, Any]] = [
    {
        "version": "demo-1",
        "scope": {"entity": places.ENTITY},
        "effective_from": "2026-01-01T00:00:00-05:00",
        "reason": "Baskets of this retailer are worth about 35 dollars; limits follow.",
        "values": {
            "bands": {
                "refund_approval_minor": 2_500,
                "appeasement_minor": 1_000,
                "sign_in_minor": 20_000,
                # The people of the demo's day are programs; none of them can sign in.
                "token_agrees": True,
                "write_off_minor": 2_500,
                "count": {"manager_minor": 2_500, "finance_minor": 25_000},
                "adjustment": {"manager_minor": 2_500, "finance_minor": 25_000},
                "transfer": {"manager_minor": 10_000, "finance_minor": 100_000},
                "claim": {"manager_minor": 2_500, "finance_minor": 25_000},
            },
            # A count that waits for the till is looked at each minute: nobody watches a demo for five.
            "count": {"feed_look_s": 60},
            # Whoever tries things out decides more in an hour than a manager does in a week.
            "approvals": {"mails_per_person_hour": 20},
        },
    }
]
