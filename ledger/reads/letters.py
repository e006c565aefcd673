"""Reads what a mail says: the addressee, the order with its place and lines, the case, the request to approve.

Names and addresses are read here at the moment of sending, so a customer who was erased meanwhile gets no mail.
"""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kinds import KINDS
from domain.claims import ClaimView
from domain.people import Person
from domain.policy import Policy
from ledger import delegations, reference
from ledger.delegations import DelegationView
from ledger.mails import MailRow
from ledger.people import person_by_id
from ledger.reads import vendor_claims
from ledger.reads.approvals import ApprovalDetail, approval_detail
from ledger.reads.comments import Comment, comment_of
from ledger.reads.exchanges import ExchangeOffer, exchange_offer
from ledger.reads.offers import OfferView, PickupView, offer_view, pickup_view
from ledger.reads.returns_by_link import ReturnByLink, return_by_link
from ledger.tables import case_file, customer, funding_agreement, item, journey, journey_line, location, offer, payment


class Addressee(NamedTuple):
    name: str
    email: str
    person: Person | None  # None for a customer


class OrderLine(NamedTuple):
    """Quantities in the item's base unit."""

    name: str
    ordered: int
    staged: int
    collected: int
    cancelled: int


class Order(NamedTuple):
    """An order as its customer may read it. Money in minor units."""

    id: str
    key: str
    state: str
    currency: str
    place_name: str
    place_address: str
    zone: str
    promised_at: datetime | None
    dues: dict[str, datetime]
    lines: list[OrderLine]
    refund_requested_minor: int
    pickup_code: str
    is_sent: bool = False  # to its customer's address


class Case(NamedTuple):
    id: int
    title: str
    subject: str
    severity: str
    level: int
    place_name: str
    zone: str
    value_at_risk_minor: int
    currency: str
    opened_at: datetime
    next_due_at: datetime | None
    closed: bool


class Matter(NamedTuple):
    """Everything a mail may speak of; what it does not concern is None."""

    order: Order | None
    case: Case | None
    approval: ApprovalDetail | None
    offer: OfferView | None = None
    pickup: PickupView | None = None
    delegation: DelegationView | None = None
    approval_zone: str | None = None
    asked_by: Person | None = None  # who would like to stand in for the addressee
    comment: Comment | None = None
    returned: ReturnByLink | None = None
    claim: ClaimView | None = None  # against a vendor
    swap: ExchangeOffer | None = None  # a question about a replacement that costs more

    @property
    def zone(self) -> str:
        """In which the mail's instants are said: of the place that it is about."""
        about = self.approval_zone or (self.case and self.case.zone) or (self.order and self.order.zone)
        return about or "UTC"


async def addressee(conn: AsyncConnection, row: MailRow) -> Addressee | None:
    """Who gets the mail; None when nobody can: no address, erased, or has left."""
    if row.person_id is not None:
        found = await person_by_id(conn, row.person_id)
        return Addressee(found.name, found.email, found) if found and found.email else None
    if "agreement_id" in row.context:
        return await _vendor(conn, row.context["agreement_id"])
    query = select(customer.c.name, customer.c.email).where(
        customer.c.id == row.customer_id, customer.c.erased_at.is_(None)
    )
    buyer = (await conn.execute(query)).one_or_none()
    return Addressee(buyer.name or "", buyer.email, None) if buyer and buyer.email else None


async def _vendor(conn: AsyncConnection, agreement_id: str) -> Addressee | None:
    """Where an agreement says that its claims go."""
    wanted = select(funding_agreement).where(funding_agreement.c.id == agreement_id)
    found = (await conn.execute(wanted)).mappings().one_or_none()
    if found is None or not found["claims_email"]:
        return None
    return Addressee(found["vendor_name"] or found["vendor"], found["claims_email"], None)


async def matter(conn: AsyncConnection, row: MailRow, to: Addressee) -> Matter:
    """What the mail is about, as it stands now. Raises `NotFound` for a request that the approver may not see."""
    approval = await approval_detail(conn, to.person, row.approval_id) if row.approval_id and to.person else None
    about = row.context
    if "agreement_id" in about and row.journey_id:
        return Matter(None, None, None, claim=await vendor_claims.claim_view(conn, None, row.journey_id))
    of_exchange = row.template.startswith("exchange_")
    return Matter(
        order=await _order(conn, row.journey_id) if row.journey_id else None,
        case=await _case(conn, row.case_id) if row.case_id else None,
        approval=approval,
        offer=await offer_view(conn, about["offer_id"]) if "offer_id" in about and not of_exchange else None,
        swap=await exchange_offer(conn, about["offer_id"]) if "offer_id" in about and of_exchange else None,
        pickup=await pickup_view(conn, row.journey_id) if row.journey_id and to.person is None else None,
        delegation=await delegations.view(conn, about["delegation_id"]) if "delegation_id" in about else None,
        approval_zone=await reference.time_zone(conn, approval.location) if approval else None,
        asked_by=await person_by_id(conn, about["asked_by"]) if "asked_by" in about else None,
        comment=await comment_of(conn, about["comment_id"]) if "comment_id" in about else None,
        returned=await return_by_link(conn, row.journey_id) if row.journey_id and to.person is None else None,
    )


async def policy_of_question(conn: AsyncConnection, offer_id: int) -> Policy:
    """The policy in force where a customer is asked."""
    found = await conn.execute(
        select(journey.c.location).join(offer, offer.c.journey_id == journey.c.id).where(offer.c.id == offer_id)
    )
    place = await reference.place(conn, found.scalar_one())
    return await reference.policy_at(conn, place, datetime.now(UTC))


async def _order(conn: AsyncConnection, journey_id: str) -> Order | None:
    query = (
        select(journey, location.c.name.label("place_name"), location.c.address, location.c.time_zone)
        .join(location, location.c.code == journey.c.location)
        .where(journey.c.id == journey_id)
    )
    found = (await conn.execute(query)).mappings().one_or_none()
    if found is None:
        return None
    lines = await conn.execute(
        select(item.c.name, *(journey_line.c[name] for name in OrderLine._fields[1:]))
        .join(item, item.c.sku == journey_line.c.sku)
        .where(journey_line.c.journey_id == journey_id)
        .order_by(journey_line.c.line_id)
    )
    refunds = await conn.execute(select(payment.c.refund_requested_minor).where(payment.c.journey_id == journey_id))
    return Order(
        id=found["id"],
        key=found["key"],
        state=found["state"],
        currency=found["currency"],
        place_name=found["place_name"],
        place_address=found["address"] or "",
        zone=found["time_zone"],
        promised_at=found["promised_at"],
        dues={name: datetime.fromisoformat(at) for name, at in found["dues"].items() if at},
        lines=[OrderLine(*line) for line in lines],
        refund_requested_minor=sum(refunds.scalars()),
        is_sent=bool(found["detail"].get("ship_to_home")),
        pickup_code=str(found["detail"].get("pickup_code") or found["key"]),
    )


async def _case(conn: AsyncConnection, case_id: int) -> Case | None:
    query = (
        select(case_file, location.c.name.label("place_name"), location.c.time_zone)
        .join(location, location.c.code == case_file.c.location, isouter=True)
        .where(case_file.c.id == case_id)
    )
    found = (await conn.execute(query)).mappings().one_or_none()
    if found is None:
        return None
    kind = KINDS.get(found["kind"])
    return Case(
        id=found["id"],
        title=kind.title if kind else found["kind"],
        subject=found["subject"],
        severity=found["severity"],
        level=found["level"],
        place_name=found["place_name"] or found["location"],
        zone=found["time_zone"] or "UTC",
        value_at_risk_minor=found["value_at_risk_minor"],
        currency=found["currency"],
        opened_at=found["opened_at"],
        next_due_at=found["next_due_at"],
        closed=found["closed_at"] is not None,
    )
