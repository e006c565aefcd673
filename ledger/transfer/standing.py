"""The state that its goods give a transfer, with its due instants, and questions that have answered themselves."""

from datetime import datetime, timedelta

from domain.calendars import add_open_time
from domain.case import CaseOption
from domain.policy import Policy
from domain.transfer import BEFORE_APPROVAL, ON_THE_WAY, TO_BE_SHIPPED, TransferState, state_by_quantities
from domain.words import money, units
from ledger import bands, case
from ledger.transfer import comparing, goods
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

S = TransferState


def start_shipping(it: Transfer, at: datetime) -> None:
    """The source has its time to send it."""
    span = timedelta(seconds=it.policy.transfer.ship_open_s)
    it.due("ship", add_open_time(at, span, it.place.staff_hours))


def expected_at(it: Transfer, at: datetime) -> datetime:
    """When what is on the way should come, as far as anybody has said."""
    told = it.row["detail"].get("expected_at")
    return datetime.fromisoformat(told) if told else at + timedelta(seconds=it.policy.transfer.transit_s)


async def settle(it: Transfer, moment: Moment, because: str) -> None:
    """Goods have moved: whatever was asked about them is asked anew, and the state is what they amount to.

    A report by which nothing has moved answers nothing; where nothing will move any more the transfer is called off.
    """
    now = it.quantities()
    if now.in_transit or now.arrived:
        await it.answer_asks(because, moment.at)
        it.drop_dues("recount")
        stand(it, moment)
    elif it.state in BEFORE_APPROVAL | TO_BE_SHIPPED and not now.to_ship:
        await it.answer_asks("nothing of it is sent", moment.at)
        it.go(S.CANCELLED)
        it.lock_money()
        await bands.withdraw(it.tx, "transfer", it.id, moment.at)


def stand(it: Transfer, moment: Moment) -> None:
    """The state that the quantities amount to, with its due instants."""
    before, now = it.state, it.quantities()
    after = state_by_quantities(now, complete=bool(it.row["detail"].get("complete")), before=before)
    if after is S.RECEIVED and before not in (*ON_THE_WAY, S.RECEIVED):
        it.go(S.IN_TRANSIT)
    it.go(after)
    if after in ON_THE_WAY and "receipt" not in it.row["dues"] and now.in_transit:
        grace = timedelta(seconds=it.policy.transfer.receipt_grace_s)
        it.due("receipt", expected_at(it, moment.at) + grace)
    if not now.in_transit or after not in ON_THE_WAY:
        it.drop_dues("receipt", "await")
    if not now.to_ship:
        it.drop_dues("ship")
    elif "ship" not in it.row["dues"]:
        start_shipping(it, moment.at)
    if after is S.RECEIVED:
        it.head["completed_at"] = moment.at
        if not comparing.discrepancies(it):
            it.go(S.CLOSED)


def cut_what_is_left(it: Transfer, moment: Moment, reason: str = "not_shipped") -> int:
    """Nothing more leaves the source, and what is reserved there may be promised again; returns the units."""
    rest = 0
    for line in it.lines.values():
        left = it.to_ship(line)
        rest += left
        goods.release(it, line, left, moment, reason)
    it.drop_dues("ship")
    return rest


def default_receipt(policy: Policy, at: datetime) -> datetime:
    """When somebody is asked about goods of which nobody has said when they come."""
    return at + timedelta(seconds=policy.transfer.transit_s + policy.transfer.receipt_grace_s)


async def moved_unagreed(it: Transfer, quantity: int, cause: str, at: datetime) -> None:
    """Goods left before anybody had agreed, or after it was refused: they are on their way, and somebody looks."""
    worth = sum(line["transit_minor"] for line in it.lines.values())
    await case.open_case(
        it.tx,
        case.Opening(
            kind="transfer_unagreed",
            subject=f"{it.id}|{cause}",
            place=it.place,
            policy=it.policy,
            at=at,
            journey_id=it.id,
            channel="transfer",
            facts={
                "transfer": it.row["key"],
                "source": it.place.name,
                "destination": it.target.name,
                "units": quantity,
                "value_minor": worth,
            },
            options=(
                CaseOption(
                    id="acknowledge",
                    label="Let it come",
                    rank=1,
                    because="the goods are on their way; it stays on record",
                ),
            ),
            value_at_risk_minor=worth,
            clock_offset_s=it.row["clock_offset_s"],
            text=f"{units(quantity)} worth {money(worth, it.place.currency)} left before anybody had agreed.",
        ),
    )
