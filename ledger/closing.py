"""The end of a transaction: what its changes entail, and the writing of all that was gathered."""

from ledger.doubt import doubt
from ledger.funding.accrual import accrue
from ledger.transaction import Transaction


async def flush(tx: Transaction) -> None:
    """Write what was gathered; once at the end of a transaction, and before that where rows are needed to read.

    What a posted count has seen already changes no quantity, whoever reports it now; and whatever sells or comes back
    under a vendor's agreement is accrued with it.
    """
    if tx.shelf.has_unchecked():
        await doubt(tx, {})
    await tx.shelf.write()
    if funded := tx.take_funded():
        await accrue(tx, funded)
    await tx.write()
