"""What a fact says of a sale line whose promotion a vendor may pay for: units were sold, or came back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from domain.funding import Base, base_of

ACCRUED = "funding.accrued"  # the event of the journal


class Funded(NamedTuple):
    """`units` of a sale line were sold (above zero), or came back or went again. `is_new`: the line was written by this
    transaction and no return can know it. `line` is its row.
    """

    line: Mapping[str, Any]
    units: int
    cause: str
    at: datetime
    authority: str
    kind: str
    is_new: bool = False
    journey_id: str | None = None

    @classmethod
    def sold(
        cls,
        line: Mapping[str, Any],
        units: int,
        cause: str,
        at: datetime,
        authority: str,
        *,
        is_new: bool = False,
        journey_id: str | None = None,
    ) -> "Funded":
        return cls(line, units, cause, at, authority, "sale", is_new, journey_id)

    @classmethod
    def returned(
        cls, line: Mapping[str, Any], units: int, cause: str, at: datetime, authority: str, *, journey_id: str
    ) -> "Funded":
        """So many more units of the line count as returned; below zero, the customer has some of them again."""
        return cls(line, -units, cause, at, authority, "return", is_new=False, journey_id=journey_id)

    @property
    def promotion(self) -> tuple[str, str]:
        return str(self.line["entity"]), str(self.line["promotion_id"])

    @property
    def key(self) -> tuple[str, str]:
        return str(self.line["document"]), str(self.line["line_id"])

    def base_minor(self, base: Base) -> int:
        """What a share is taken of, for the whole line, without its tax."""
        line = self.line
        tax = line["tax_minor"] if line.get("tax_included") and base != "discount" else 0
        return max(
            base_of(
                base,
                quantity=line["quantity"],
                unit_price_minor=line["unit_price_minor"],
                regular_price_minor=line["regular_price_minor"],
                discount_minor=line["discount_minor"],
            )
            - tax,
            0,
        )


def not_kept(sale: Mapping[str, Any]) -> int:
    """Units of a sale line that the customer has not kept, or has not paid for: they earn nothing of a promotion."""
    return int(max(sale["returned"], sale["return_refunded"]))
