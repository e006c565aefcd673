"""Takes BOPIS orders in: what can be promised is reserved, and everything that an order writes is one transaction.

Orders that come at the same time share transactions (`Intake`); see decision 6 for the path and its locks.
"""

from ledger.intake.lanes import Intake
from ledger.intake.placing import place_order

__all__ = ["Intake", "place_order"]
