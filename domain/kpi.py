"""The figures by which a retailer judges its promises: each with its definition, cut-off and exclusions.

Page, API and glossary use these words and no others; what is counted is in `ledger/reads/kpis.py`.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel


class Dimension(StrEnum):
    """How a figure is taken apart. An order counts once in each category that it has a line of."""

    REGION = "region"
    LOCATION = "location"
    CHANNEL = "channel"
    CATEGORY = "category"
    FULFILMENT = "fulfilment"


class Kpi(BaseModel, frozen=True):
    """One figure. `unit` is a share between 0 and 1, or seconds as median and 90th percentile."""

    name: str
    title: str
    unit: Literal["share", "seconds"]
    better: Literal["higher", "lower"]
    definition: str


KPIS = (
    Kpi(
        name="order_fallout",
        title="Order fallout",
        unit="share",
        better="lower",
        definition=(
            "Orders cancelled by us, or that needed a person (a case that did not heal by itself), of the orders "
            "placed in the period. Orders that their customer cancelled are left out; a pickup that nobody came for "
            "is not ours."
        ),
    ),
    Kpi(
        name="pickup_readiness",
        title="Pickup readiness",
        unit="share",
        better="higher",
        definition=(
            "Lines picked in full by the promised instant and handed over complete, of the lines promised within the "
            "period. Orders without a promise, cancelled by their customer or not collected are left out."
        ),
    ),
    Kpi(
        name="approval_time",
        title="Approval time",
        unit="seconds",
        better="lower",
        definition=(
            "From asking until the verdict, of the approvals given or refused in the period: median and 90th "
            "percentile. Withdrawn and expired requests are left out."
        ),
    ),
    Kpi(
        name="resolution_sla",
        title="Cases resolved in time",
        unit="share",
        better="higher",
        definition=(
            "Cases closed by their time to resolve, of the cases whose time ran out in the period or that were closed "
            "before it did; a case that is still open counts as late. The time stands still while a case waits."
        ),
    ),
)
