"""Pure meaning: states, rules, prices, priorities and messages. No I/O, no clock, no randomness, no framework but
pydantic.
"""
