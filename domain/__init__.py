"""Pure meaning: states, rules, prices, priorities and messages. No I/O, no clock, no randomness, no framework but
pydantic.

A noun in the singular (`claim`, `transfer`, `promotion`, `count`) has the states and the rules of that journey; in the
plural (`claims`, `transfers`, …) the shapes in which systems ask for one, report on it and are answered. `bopis` is
asked for by `orders`, `returns` by `return_requests`.
"""
