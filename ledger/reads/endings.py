"""How cases ended, as the first page counts it and the queue can be narrowed to it."""

from typing import Literal

from sqlalchemy import ARRAY, ColumnElement, Text, all_, and_, bindparam, select

from ledger.tables import case_file, person

Ending = Literal["people", "alone", "kept"]
ENDINGS: tuple[Ending, ...] = ("people", "alone", "kept")
# Ways out by which the customer does not get what was bought: what they were worth was not kept.
GIVEN_UP = ("cancel_refund", "part", "abandon", "accept_loss", "duplicate")


def ended(how: Ending) -> ColumnElement[bool]:
    """Cases closed by a decision of a person; closed because their cause went away; or closed by either, with the
    customer getting what was bought.
    """
    table = case_file.c
    if how == "people":
        return and_(table.state == "resolved", table.resolved_by.in_(select(person.c.id)))
    if how == "alone":
        return table.resolution == "self_healed"
    kept = table.resolution != all_(bindparam(None, GIVEN_UP, type_=ARRAY(Text)))
    return and_(table.closed_at.is_not(None), table.value_at_risk_minor > 0, kept)
