"""The worked example of `docs/asking-a-customer.md`, played here and written down: the page says what happens.

`ENDCAP_REWRITE=1 python -m pytest tests/ledger/test_asked_example.py` writes it anew.
"""

import os
from pathlib import Path

from domain.words import money
from ledger.bopis import steps
from tests.ledger.support.offers import OOLONG, Asked, line, with_substitute
from tests.ledger.support.orders import pick, step
from tests.shop import TEA, Shop

PAGE = Path(__file__).parents[2] / "docs" / "asking-a-customer.md"
OPENING = """# Asking a customer: a worked example

Two packs of green tea (15.00 each) are ordered and paid for pickup at Mainz; the order allows substitutes. The picker
finds one pack and an empty shelf, although the book said five. Oolong costs 16.00 and there are ten. Nobody in
operations has to do anything: the order asks its customer by mail, holds the oolong meanwhile, and goes on waiting for
the tea.

Played and written by `tests/ledger/test_asked_example.py`; amounts as posted, debit positive.
"""


async def not_on_the_shelf(shop: Shop) -> Asked:
    await with_substitute(shop, 1_600)
    order = Asked(shop, await shop.order(2, order_id="W-1001", lines=[line(2)]))
    await pick(shop, order.journey, 1, "not_in_stock")
    await order.look_for_a_way("1")
    return order


async def timeline(order: Asked) -> str:
    rows = await order.shop.value(
        "SELECT json_agg(json_build_array(step, detail) ORDER BY recorded_at, step) FROM journey_step"
        " WHERE journey_id = :id AND detail <> ''",
        id=order.journey,
    )
    told = [f"| {name.replace('_', ' ')} | {_without_times(detail)} |" for name, detail in rows]
    return "\n".join(["| step | what the order's timeline says |", "|---|---|", *told])


def _without_times(detail: str) -> str:
    """The page must not change from day to day."""
    before, found, after = detail.partition(" until ")
    return f"{before} until two hours later:{after.partition('UTC:')[2]}" if found and "UTC:" in after else detail


async def stock(order: Asked) -> str:
    told = ["| item | available | reserved | staged | count pending |", "|---|---|---|---|---|"]
    for sku in (TEA, OOLONG):
        row = await order.shop.value(
            "SELECT available || ' | ' || reserved || ' | ' || staged || ' | ' || count_pending FROM stock"
            " WHERE location = 'S1' AND sku = :sku",
            sku=sku,
        )
        told.append(f"| {sku} | {row} |")
    return "\n".join(told)


async def postings(order: Asked) -> str:
    rows = await order.shop.value(
        "SELECT json_agg(json_build_array(j.event, l.account, l.debit_minor - l.credit_minor) ORDER BY j.id, l.line_no)"
        " FROM journal j JOIN journal_line l ON l.journal_id = j.id WHERE j.journey_id = :id",
        id=order.journey,
    )
    told = [f"| {event} | {account.replace('_', ' ')} | {money(amount, 'EUR')} |" for event, account, amount in rows]
    return "\n".join(["| event | account | amount |", "|---|---|---|", *told])


async def mails(order: Asked) -> str:
    return ", ".join(name.replace("_", " ") for name in await order.mails())


def is_written(section: str, text: str) -> None:
    """The section stands in the page as it was played; with ENDCAP_REWRITE it is put there."""
    start, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->\n"
    page = PAGE.read_text() if PAGE.exists() else OPENING
    if os.environ.get("ENDCAP_REWRITE"):
        before, _, rest = page.partition(start)
        after = rest.partition(end)[2]
        page = f"{before.rstrip()}\n\n{start}{text}\n{end}{after}"
        PAGE.write_text(page)
    assert page.partition(start)[2].partition(end)[0] == f"{text}\n", "play it anew: ENDCAP_REWRITE=1"


async def test_asked(shop: Shop) -> None:
    order = await not_on_the_shelf(shop)
    assert (await order.situation()).state == "substituting"
    told = ["## The question is open", await timeline(order), "Stock at Mainz while the customer thinks:",
            await stock(order), f"Mails to the customer: {await mails(order)}."]  # fmt: skip
    is_written("asked", "\n\n".join(told))


async def test_accepted(shop: Shop) -> None:
    order = await not_on_the_shelf(shop)
    await order.answer("accept")
    await pick(shop, order.journey, 1, line=f"1~{OOLONG}")
    await shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")
    assert (await order.situation()).state == "collected"
    says = "The customer pays what they paid; the 1.00 that oolong costs more is an appeasement."
    told = ["## Yes: the oolong is handed over", says, await timeline(order), await postings(order)]
    is_written("accepted", "\n\n".join([*told, f"Mails: {await mails(order)}."]))


async def test_declined(shop: Shop) -> None:
    order = await not_on_the_shelf(shop)
    await order.answer("leave_out")
    await shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")
    says = (
        "The same happens when nobody answers in time, since the line's fallback is `refund_line`. The refund is\n"
        "owed in the books at once and paid when the provider confirms it."
    )
    told = ["## No: it is left out", says, await timeline(order), await postings(order)]
    is_written("declined", "\n\n".join([*told, f"Mails: {await mails(order)}."]))


async def test_found(shop: Shop) -> None:
    order = await not_on_the_shelf(shop)
    await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 1}])
    await steps.attend(shop.database, step(order.journey, "found"))
    assert await order.value("state") == "withdrawn"
    says = (
        "A count or a delivery brings one pack before the customer answers. It goes to this order, and the oolong\n"
        "back to the shelf."
    )
    told = ["## Found meanwhile: the question is withdrawn", says, await timeline(order), await stock(order)]
    is_written("found", "\n\n".join([*told, f"Mails: {await mails(order)}."]))
