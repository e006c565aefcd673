"""Vendor returns in the ledger: units that wait for their vendor are gathered in a document, authorised, shipped and
credited; what is not credited is given up with somebody's word.

Each is one transaction under the lock of the document's row.
"""

from ledger.vendor_return.crediting import credit, on_verdict, write_off
from ledger.vendor_return.gathering import authorize, cancel, open_document, ship

__all__ = ["authorize", "cancel", "credit", "on_verdict", "open_document", "ship", "write_off"]
