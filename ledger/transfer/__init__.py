"""Store transfers in the ledger: asked for, agreed to, shipped, received, argued about, settled; each one transaction
under the transfer's lock.
"""
