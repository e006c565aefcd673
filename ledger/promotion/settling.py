"""A promotion that a vendor pays for is settled when nothing of it is left to claim: its agreement has prepared the
last claim, everything that accrued is in one, and each of them is closed.
"""

from datetime import datetime

from sqlalchemy import text

from ledger.engine import Database
from ledger.promotion.requests import settled
from ledger.transaction import Transaction

AT_MOST = 200  # promotions of one run

_NOTHING_LEFT = text("""
    SELECT p.journey_id FROM promotion p JOIN journey j ON j.id = p.journey_id
    JOIN funded_promotion f ON f.entity = j.entity AND f.promotion_id = j.key
    JOIN funding_agreement g ON g.id = f.agreement_id
    WHERE j.state = 'ended' AND g.final_claim_at IS NOT NULL AND g.next_claim_at IS NULL
    AND NOT EXISTS (SELECT FROM funding_accrual a WHERE a.agreement_id = g.id AND a.promotion_id = j.key
                    AND a.claim_id IS NULL)
    AND NOT EXISTS (SELECT FROM funding_accrual a JOIN journey c ON c.id = a.claim_id
                    WHERE a.agreement_id = g.id AND a.promotion_id = j.key AND c.closed_at IS NULL)
    ORDER BY p.journey_id LIMIT :limit
""")


async def settle_ended(database: Database, at: datetime) -> int:
    """Settle every promotion of which nothing is left to claim; returns how many. Each is a transaction of its own."""
    async with database.read() as conn:
        over = list((await conn.execute(_NOTHING_LEFT, {"limit": AT_MOST})).scalars())
    done = 0
    for about in over:

        async def work(tx: Transaction, about: str = about) -> bool:
            return await settled(tx, about, at)

        done += await database.write(work, actor="endcap", via="sweep")
    return done
