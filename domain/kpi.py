"""The figures by which a retailer judges its promises: each with its definition, cut-off and exclusions.

Page, API and glossary use these words and no others; what is counted is in `ledger/reads/kpis/`. A figure of another
journey is one entry here and one in `ledger.reads.kpis.SOURCES`.
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
    SOURCE = "source"


PLACES = (Dimension.REGION, Dimension.LOCATION)
ORDERS = (*PLACES, Dimension.CHANNEL, Dimension.CATEGORY, Dimension.FULFILMENT)
GOODS = (*PLACES, Dimension.CATEGORY)

Unit = Literal["share", "seconds", "per_thousand", "money"]
Step = Literal["day", "week"]


class Kpi(BaseModel, frozen=True):
    """One figure.

    `unit`: a share between 0 and 1; seconds, as median, 90th and 95th percentile; how many of a thousand; or money in
    minor units. `dimensions` are those by which it can be taken apart, and `undivided` says why not by the others.
    `behind` are the kinds of cases that explain it (none: all kinds), looked for by when they were opened or closed.
    """

    name: str
    title: str
    unit: Unit
    better: Literal["higher", "lower"]
    definition: str
    dimensions: tuple[Dimension, ...] = ORDERS
    undivided: str = ""
    behind: tuple[str, ...] = ()
    looked_up_by: Literal["opened", "closed"] = "opened"


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
        undivided="An order is of one system; its channel says which.",
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
        undivided="An order is of one system; its channel says which.",
        behind=("pick_short", "pick_overdue", "reservation_lost", "reservation_failure", "customer_waiting"),
    ),
    Kpi(
        name="inventory_accuracy",
        title="Inventory accuracy",
        unit="share",
        better="higher",
        definition=(
            "1 less the differences between shelf and book, without their sign, divided by the book, both in units: of "
            "the lines that were counted blind for the first time in the period. Recounts are left out, and so are "
            "lines without a figure; never below zero."
        ),
        dimensions=GOODS,
        undivided="A shelf serves every channel and every way of fulfilment.",
        behind=("count_variance",),
    ),
    Kpi(
        name="manual_adjustments",
        title="Adjustments in a thousand movements",
        unit="per_thousand",
        better="lower",
        definition=(
            "Movements that wrote units off or on because somebody said so, not because of a count, of a thousand "
            "movements recorded in the period. Opening stock is left out."
        ),
        dimensions=GOODS,
        undivided="A movement is of a shelf, which serves every channel and every way of fulfilment.",
        behind=("adjustment_review",),
    ),
    Kpi(
        name="sync_latency",
        title="Time until a report arrives",
        unit="seconds",
        better="lower",
        definition=(
            "From when goods moved until it was recorded here, of what systems and stores reported in the period: "
            "median, 90th and 95th percentile. One report counts once at each place; one dated ahead of its arrival "
            "counts as no time."
        ),
        dimensions=(*PLACES, Dimension.SOURCE),
        undivided="A report is of a system and a place.",
        behind=("sync_gap", "event_parked", "event_rejected"),
    ),
    Kpi(
        name="refund_cycle",
        title="Refund cycle time",
        unit="seconds",
        better="lower",
        definition=(
            "From when goods of a return came, or from when money was owed for something else, until the provider "
            "confirmed the refund, of the refunds confirmed in the period: median, 90th and 95th percentile. Refunds "
            "that were declined or are still under way are left out."
        ),
        dimensions=(*PLACES, Dimension.CHANNEL),
        undivided="A refund is of a whole document, whatever was in it.",
        behind=("refund_failed", "return_review", "return_uninspected"),
    ),
    Kpi(
        name="return_overrides",
        title="Refused returns taken back after all",
        unit="share",
        better="lower",
        definition=(
            "Lines of returns that were begun in the period, that policy refused and that were taken back after all "
            "because somebody agreed to override it, of all lines that policy refused. What an inspection declined is "
            "left out."
        ),
        dimensions=(*PLACES, Dimension.CHANNEL),
        undivided="A line is refused by the policy of its return.",
    ),
    Kpi(
        name="approval_time",
        title="Approval time",
        unit="seconds",
        better="lower",
        definition=(
            "From asking until the verdict, of the approvals given or refused in the period: median, 90th and 95th "
            "percentile. Withdrawn and expired requests are left out."
        ),
        dimensions=(*PLACES, Dimension.CHANNEL),
        undivided="An approval is of a decision about money or goods, of whatever kind.",
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
        undivided="A case is of a place and what broke there.",
        looked_up_by="closed",
    ),
    Kpi(
        name="override_rate",
        title="Decisions against the proposal",
        unit="share",
        better="lower",
        definition=(
            "Decisions of people for another way out than the one ranked first, of their decisions in the period on "
            "cases whose ways out are ranked. Decisions that were refused are left out."
        ),
        undivided="A decision is of a person, not of a system.",
        looked_up_by="closed",
    ),
    Kpi(
        name="appeasement_cost",
        title="Appeasements",
        unit="money",
        better="lower",
        definition=(
            "What was given to customers beyond what they paid for, such as a dearer substitute at the old price, as "
            "posted in the period; n counts postings. Amounts of different currencies are never added."
        ),
        undivided="A posting is of an order, whose channel says where it came from.",
    ),
    Kpi(
        name="transfer_lead_time",
        title="Transfer lead time",
        unit="seconds",
        better="lower",
        definition=(
            "From when a transfer was agreed until its destination had everything that came, of the transfers that "
            "were complete in the period: median, 90th and 95th percentile, at their source. Those that were called "
            "off or rejected are left out."
        ),
        dimensions=PLACES,
        undivided="A transfer is of two places and often of several items.",
        behind=("transfer_shipment_overdue", "receipt_overdue", "transfer_short"),
    ),
    Kpi(
        name="claim_cycle",
        title="Claim cycle",
        unit="seconds",
        better="lower",
        definition=(
            "From when a claim went to its vendor until nothing of it was open, of the claims that were over in the "
            "period: median, 90th and 95th percentile. Credit notes are left out."
        ),
        dimensions=PLACES,
        undivided="A claim is of one vendor and of many items.",
        behind=("claim_overdue", "claim_short_paid", "claim_rejected"),
    ),
    Kpi(
        name="claim_recovery",
        title="Recovered of claims",
        unit="share",
        better="higher",
        definition=(
            "What vendors paid of what was claimed, of the claims that were over in the period; n counts claims. "
            "Credit notes are left out, and what is claimed again counts with the claim that it is in next."
        ),
        dimensions=PLACES,
        undivided="A claim is of one vendor and of many items.",
        behind=("claim_short_paid", "claim_rejected"),
    ),
)
BY_NAME = {kpi.name: kpi for kpi in KPIS}
