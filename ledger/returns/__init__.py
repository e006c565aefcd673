"""Returns in the ledger: asked for, received, inspected, refunded; each fact is one transaction under the return's
lock.
"""
