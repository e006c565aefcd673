"""What happens to a return by itself: a reminder, goods that do not come, an inspection that nobody does."""

from datetime import datetime

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.messages import Situation, Step
from domain.returns import AWAITING_GOODS, ReturnState
from domain.words import money, units
from ledger.bopis import by_the_source
from ledger.engine import Database
from ledger.journey_steps import take_due
from ledger.returns import difference, exchange, exchanging
from ledger.returns.document import Return, waiting


async def on_due(database: Database, step: Step) -> Situation:
    """The due instant `step.due` has come; does nothing where something else was recorded first."""
    return await take_due(database, step, Return, _due)


async def _due(it: Return, due: str, cause: str, at: datetime) -> str:
    if due == by_the_source.DUE:
        return await by_the_source.silence(it, at)
    if due == "goods_reminder" and it.state in AWAITING_GOODS:
        await it.mail_customer("return_reminder", cause, at, label=it.row["detail"].get("label"))
        return "The customer was reminded to send the goods."
    if due == "exchange":
        return await exchanging.place_was_lost(it, at)
    if due == difference.DUE:
        return await difference.silence(it, at)
    if due == difference.REMINDER:
        return await difference.remind(it, at)
    if due == "goods" and it.state in AWAITING_GOODS:
        return await _not_received(it, at)
    if due == "inspection" and any(waiting(line) for line in it.lines.values()):
        return await _uninspected(it, at)
    return ""


async def _not_received(it: Return, at: datetime) -> str:
    """Nothing came. What was refunded before is asked about; goods that come later open the return again."""
    refunded = sum(line["refunded_minor"] - line["fee_minor"] for line in it.lines.values() if not _keeps(line))
    if it.state is ReturnState.REQUESTED:
        await it.answer_asks("the goods have not come", at)
        it.go(ReturnState.DECLINED)
    else:
        it.go(ReturnState.NOT_RECEIVED)
    it.drop_dues("goods_reminder")
    await exchange.take_off(it, "the goods have not come", at)
    if not refunded:
        return "The goods have not come; the return is closed."
    currency = it.row["currency"]
    await it.open_case(
        "return_not_received",
        at,
        facts={"label": it.row["detail"].get("label"), "refunded_minor": refunded},
        options=(
            CaseOption(
                id="accept_loss",
                label="Accept the loss",
                rank=1,
                because="the refund was promised before the goods came",
                consequence=Consequence(
                    money=(MoneyEffect(label="Refunded", amount_minor=refunded, currency=currency),),
                    customer="Keeps both.",
                ),
            ),
            CaseOption(
                id="customer_asked",
                label="The customer and the carrier were asked",
                rank=2,
                consequence=Consequence(customer="Sends the goods; they are taken in as they come."),
            ),
        ),
        value_at_risk_minor=refunded,
        text=f"{money(refunded, currency)} were refunded, and the goods have not come.",
    )
    return f"The goods have not come; {money(refunded, currency)} were refunded before."


def _keeps(line: dict[str, object]) -> bool:
    ruling = line["ruling"]
    return isinstance(ruling, dict) and bool(ruling.get("keeps"))


async def _uninspected(it: Return, at: datetime) -> str:
    stands = sum(waiting(line) for line in it.lines.values())
    ref = await it.open_case(
        "return_uninspected",
        at,
        facts={"units": stands},
        options=(CaseOption(id="acknowledge", label="The place was called", rank=1, because="nobody has looked yet"),),
        text=f"{units(stands)} of return {it.row['key']} wait for their inspection and cannot be sold.",
    )
    return f"Nobody has inspected the goods; case {ref.id}."
