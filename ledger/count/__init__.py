"""Cycle counts in the ledger: opened, entered, compared, asked about, posted; each one transaction under the count's
lock.
"""
