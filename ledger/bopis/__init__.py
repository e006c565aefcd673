"""The BOPIS journey in the ledger: facts, requests, ways out and steps, each one transaction under the journey's
lock.
"""
