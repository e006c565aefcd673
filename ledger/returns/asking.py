"""What somebody is asked about a return before anything of it is paid: whether it may come back without a receipt."""

from datetime import datetime

from domain.case import CaseOption, Consequence, MoneyEffect
from domain.words import money
from ledger.returns.document import Return


async def ask_without_receipt(it: Return, at: datetime) -> None:
    asks = [line for line in it.lines.values() if line["ruling"]["asks"]]
    amount = sum(line["ruling"]["value_minor"] for line in asks)
    currency = it.row["currency"]
    ref = await it.open_case(
        "return_no_receipt",
        at,
        facts={"lines": [{"sku": line["sku"], "units": line["claimed"]} for line in asks], "value_minor": amount},
        options=(
            CaseOption(
                id="accept",
                label=f"Take it back as {asks[0]['ruling']['method'].replace('_', ' ')}",
                rank=1,
                because="what comes back is looked at before anything is paid",
                needs_approval=amount >= it.policy.bands.refund_approval_minor,
                consequence=Consequence(
                    money=(MoneyEffect(label="Credit", amount_minor=amount, currency=currency),),
                    customer="Gets a credit at the lowest price when the goods were looked at.",
                ),
            ),
            CaseOption(
                id="decline",
                label="Decline",
                rank=2,
                consequence=Consequence(customer="Keeps the goods, gets nothing."),
            ),
        ),
        value_at_risk_minor=amount,
        text=f"{money(amount, currency)} are to come back without a receipt.",
    )
    it.row["asks"] = {"case_id": ref.id}
