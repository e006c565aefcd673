"""Offers to the customer: which ways out can be asked by link, and how one is asked while its stock is held."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Text, bindparam, insert, select

from domain.case import CaseOption
from domain.errors import NothingOffered
from domain.offer import answer_due, state_while_asking
from domain.words import local
from ledger.bopis import offered, waiting
from ledger.bopis.order import Order
from ledger.prepared import Ask, Several
from ledger.tables import case_decision, customer, offer

BY_LINK = "offer:"
ASKABLE = frozenset(
    {"substitute", "other_store", "ship_to_home", "ship_to_store", "wait"}
)  # ways whose stock an offer can hold


# Where an order is looked at, both are asked for together, once.
_ABOUT = Several(
    {
        "emails": select(customer.c.email).where(
            customer.c.id == bindparam("customer_id", type_=Text), customer.c.erased_at.is_(None)
        ),
        "asked": select(offer.c.way, offer.c.state).where(offer.c.journey_id == bindparam("journey_id", type_=Text)),
    },
    once=True,
)


def asked(order: Order) -> Ask:
    """What is asked about an order before its customer is."""
    return _ABOUT.of(_of(order))


async def _about(order: Order) -> dict[str, list[dict[str, Any]]]:
    return await _ABOUT.lists(order.tx.conn, _of(order))


def _of(order: Order) -> dict[str, Any]:
    return {"customer_id": order.row["customer_id"], "journey_id": order.id}


async def can_be_asked(order: Order) -> bool:
    """Whether the customer can be written to by us."""
    if order.policy.authority.notice == "source" or order.row["customer_id"] is None:
        return False
    return any(row["email"] for row in (await _about(order))["emails"])


async def asked_before(order: Order) -> tuple[int, set[str]]:
    """How many questions the customer had about this order, and the ways out that they have not taken."""
    found = (await _about(order))["asked"]
    return len(found), {row["way"] for row in found if row["state"] in ("declined", "expired", "rejected")}


async def history(order: Order) -> list[dict[str, str]]:
    """What the customer was asked before and what became of it, for the person who decides now."""
    rows = await order.tx.conn.execute(
        select(offer).where(offer.c.journey_id == order.id, offer.c.answered_at.is_not(None)).order_by(offer.c.id)
    )
    said = {"accept": "yes", "other": "something else", "leave_out": "without it", "cancel": "cancel"}
    return [
        {
            "offered": str(row["option"]["label"]),
            "answer": said.get(row["answer"] or "", "none"),
            "became": row["state"] + (f": {row['because']}" if row["because"] else ""),
            "at": row["answered_at"].isoformat(),
        }
        for row in rows.mappings()
    ]


async def by_link(order: Order, options: Sequence[CaseOption]) -> list[CaseOption]:
    """The options, each that needs the customer's word followed by the one that asks for it by link."""
    if not order.shorts():  # its place may close: nothing is missing that something could be offered for
        return list(options)
    if not any(_needs_consent(option) for option in options) or not await can_be_asked(order):
        return list(options)
    _, refused = await asked_before(order)
    both: list[CaseOption] = []
    for option in options:
        both.append(option)
        if _needs_consent(option):
            both.append(_twin(option, refused=option.id in refused))
    return both


def _needs_consent(option: CaseOption) -> bool:
    kind = option.id.split(":", maxsplit=1)[0]
    return option.allowed and kind in ASKABLE and "agreed_by_phone" in option.confirms


def _twin(option: CaseOption, *, refused: bool) -> CaseOption:
    held = option.consequence
    return CaseOption(
        id=f"{BY_LINK}{option.id}",
        label=f"Ask the customer by link: {option.label}",
        parameters=option.parameters,
        consequence=held.model_copy(update={"customer": f"Is asked by mail. With a yes: {held.customer}"}),
        because="the customer answers by a link; the goods are held until then",
        allowed=not refused,
        why_not="The customer was asked about this before and has not taken it." if refused else None,
    )


async def make(order: Order, way: CaseOption, at: datetime, *, asked_by: str, decision_id: int | None = None) -> str:
    """Ask the customer about a way out and hold what it would give. Goods are locked, the way is there now.

    Returns what was done, as a sentence.
    """
    due = answer_due(at, order.row["promised_at"], order.policy.offers)
    made = await order.tx.conn.execute(
        insert(offer)
        .values(
            journey_id=order.id,
            way=way.id,
            option=way.model_dump(mode="json"),
            missing={line["line_id"]: order.missing(line) for line in order.shorts()},
            asked_by=asked_by,
            decision_id=decision_id,
            at=at,
            due_at=due,
        )
        .returning(offer.c.id)
    )
    offer_id = int(made.scalar_one())
    offered.hold(order, offer_id, way.consequence.stock, at)
    order.row["asks"] = {"offer_id": offer_id}
    order.go(state_while_asking(way.id))
    order.drop_dues("wait")
    order.due("offer", due)
    # The order goes on waiting for what it ordered: what turns up now is better than any offer.
    await waiting.wait_again(order, at)
    order.tx.record("offer.made", f"offer:{offer_id}", at, after={"way": way.id})
    await order.mail_customer("offer_made", str(offer_id), at, offer_id=offer_id)
    return f"The customer is asked by link until {local(due, order.place.hours.time_zone)}: {way.label}."


async def make_chosen(order: Order, way_id: str, ways: Sequence[CaseOption], cause: str, at: datetime) -> str:
    """Ask about the way out that somebody chose to ask about. Raises `NothingOffered` when it is gone."""
    way = next((option for option in ways if option.id == way_id and option.allowed), None)
    if way is None:
        raise NothingOffered("This way out is not there any more; look at the others.")
    number = int(cause.removeprefix("decision:"))
    who = await order.tx.conn.execute(select(case_decision.c.decided_by).where(case_decision.c.id == number))
    return await make(order, way, at, asked_by=who.scalar_one(), decision_id=number)
