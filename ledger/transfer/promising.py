"""What a transfer may take of a shelf."""

from domain.policy import Policy
from domain.stock import atp
from ledger.transaction import Transaction

CHANNEL = "transfer"


def can_promise(tx: Transaction, policy: Policy, location: str, sku: str) -> int:
    """What the locked shelf of a place can promise to a transfer."""
    row = tx.shelf.rows[location, sku]
    return atp(
        row["available"],
        safety_stock=row["safety_stock"],
        channel_threshold=policy.stock.channel_threshold.get(CHANNEL, 0),
        confidence_permille=row["confidence_permille"],
    )
