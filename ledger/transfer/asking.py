"""What people are asked about a transfer that is late, called off on its way, or stuck, and what they may answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, Consequence, MoneyEffect, StockEffect
from domain.transfer import ON_THE_WAY, ROOT_CAUSES, TransferState
from domain.words import money, units
from ledger.transaction import Transaction
from ledger.transfer.comparing import discrepancies, next_kind, options_of
from ledger.transfer.document import Transfer


async def shipment_overdue(it: Transfer, at: datetime) -> int:
    """The source has not sent it in time; returns the case."""
    waiting = it.quantities().to_ship
    worth = sum(it.cost_of(it.place.entity, str(line["sku"]), it.to_ship(line)) for line in it.lines.values())
    ref = await it.open_case(
        "transfer_shipment_overdue",
        at,
        place=it.place,
        text=f"{units(waiting)} should have left {it.place.name} by now.",
        facts={
            "units": waiting,
            "value_minor": worth,
            "needed_by": _told(it.head["needed_by"]),
        },
        options=_late_shipment(it),
        value_at_risk_minor=worth,
    )
    it.row["asks"] = {"case_id": ref.id, "about": "shipment"}
    return ref.id


async def receipt_overdue(it: Transfer, at: datetime) -> int:
    """What is on its way has not come in time; returns the case."""
    worth, out = _out(it)
    ref = await it.open_case(
        "receipt_overdue",
        at,
        text=f"{units(out)} worth {money(worth, it.target.currency)} should have come to {it.target.name} by now.",
        facts=_of_the_way(it),
        options=_late_receipt(it),
        value_at_risk_minor=worth,
    )
    it.row["asks"] = {"case_id": ref.id, "about": "receipt"}
    return ref.id


async def cancelled_on_the_way(it: Transfer, reason: str, at: datetime) -> int:
    """Somebody wants to call it off while goods are on their way: nothing is written off silently."""
    worth, out = _out(it)
    ref = await it.open_case(
        "transfer_cancelled",
        at,
        place=it.place,
        text=f"Called off ({reason.replace('_', ' ')}) with {units(out)} on their way.",
        facts={**_of_the_way(it), "reason": reason},
        options=_called_off(it),
        value_at_risk_minor=worth,
    )
    it.row["asks"] = {"case_id": ref.id, "about": "cancel"}
    return ref.id


def options_now(it: Transfer) -> list[CaseOption]:
    """The options of the case that asks about the transfer, as they are now; none where nothing is left to ask."""
    about = it.row["asks"].get("about")
    if about == "shipment":
        return _late_shipment(it) if it.quantities().to_ship else []
    if about in ("receipt", "cancel"):
        if it.state not in ON_THE_WAY:
            return []
        return _late_receipt(it) if about == "receipt" else _called_off(it)
    left = discrepancies(it)
    return options_of(it, next_kind(left)[1]) if left and it.state is TransferState.DISCREPANCY_REVIEW else []


def _told(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _out(it: Transfer) -> tuple[int, int]:
    """What is on its way: its value, and how many units."""
    lines = it.lines.values()
    return sum(line["transit_minor"] for line in lines), sum(line["in_transit"] for line in lines)


def _of_the_way(it: Transfer) -> dict[str, object]:
    worth, out = _out(it)
    return {
        "units": out,
        "value_minor": worth,
        "carrier": it.row["detail"].get("carrier"),
        "tracking": it.row["detail"].get("tracking"),
        "expected_at": it.row["detail"].get("expected_at"),
    }


def _late_shipment(it: Transfer) -> list[CaseOption]:
    hours = it.policy.transfer.ship_open_s / 3600
    now = it.quantities()
    stays = tuple(
        StockEffect(location=it.place.code, sku=str(line["sku"]), quantity=it.to_ship(line), effect="released")
        for line in it.lines.values()
        if it.to_ship(line)
    )
    return [
        CaseOption(
            id="more_time",
            label=f"Give {it.place.name} another {hours:g} open hours",
            rank=1,
            because="the goods are still reserved",
            reversible=True,
        ),
        CaseOption(
            id="cancel_rest",
            label="Do not send the rest" if now.in_transit or now.arrived else "Call the transfer off",
            rank=2,
            consequence=Consequence(stock=stays, customer=f"{it.target.name} goes without."),
        ),
    ]


def _losing(it: Transfer) -> CaseOption:
    worth, _ = _out(it)
    effects = (MoneyEffect(label="Lost in transit", amount_minor=-worth, currency=it.target.currency),) if worth else ()
    stock = tuple(
        StockEffect(location=it.target.code, sku=str(line["sku"]), quantity=line["in_transit"], effect="written off")
        for line in it.lines.values()
        if line["in_transit"]
    )
    return CaseOption(
        id="accept",
        label="Declare it lost and write it off",
        consequence=Consequence(stock=stock, money=effects, customer=f"{it.target.name} goes without."),
        needs_approval=worth >= it.policy.bands.write_off_minor,
        choices={"root_cause": ROOT_CAUSES},
    )


def _late_receipt(it: Transfer) -> list[CaseOption]:
    policy = it.policy.transfer
    options = [
        CaseOption(
            id="chase",
            label="Chase the carrier",
            because="most late parcels come within a day",
            consequence=Consequence(customer=f"Somebody looks again after {policy.chase_s / 3600:g} h."),
            reversible=True,
        ),
        CaseOption(
            id="extend",
            label=f"Wait {policy.extend_s / 86_400:g} days longer",
            consequence=Consequence(customer=f"{it.target.name} goes on waiting."),
            reversible=True,
        ),
        _losing(it),
    ]
    return [option.model_copy(update={"rank": rank}) for rank, option in enumerate(options, start=1)]


def _called_off(it: Transfer) -> list[CaseOption]:
    stock = tuple(
        StockEffect(location=it.place.code, sku=str(line["sku"]), quantity=line["in_transit"], effect="in transit back")
        for line in it.lines.values()
        if line["in_transit"]
    )
    options = [
        CaseOption(
            id="bring_back",
            label=f"Bring it back to {it.place.name}",
            because="nothing is lost that way",
            consequence=Consequence(stock=stock, customer=f"{it.place.name} receives it as any delivery."),
        ),
        CaseOption(
            id="carry_on",
            label="Let it come all the same",
            consequence=Consequence(customer=f"{it.target.name} receives it."),
            reversible=True,
        ),
        _losing(it),
    ]
    return [option.model_copy(update={"rank": rank}) for rank, option in enumerate(options, start=1)]


async def read_options(conn: AsyncConnection, row: Mapping[Any, Any]) -> list[CaseOption]:
    """The options of a transfer's case as they are now, for reading alone."""
    looking = Transaction(conn, actor="reader", via="read")
    it = await Transfer.load(looking, await looking.look_at_journey(row["journey_id"]))
    return options_now(it) if it.row["asks"].get("case_id") == row["id"] else []
