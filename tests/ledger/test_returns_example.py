"""The worked example of docs/returns.md comes out as it says there."""

from pathlib import Path

from domain.vendor_returns import NewVendorReturn, VendorCredit, VendorShipment
from ledger import vendor_return
from tests.ledger.support.returning import Back, shelf
from tests.ledger.test_count_example import posted_after
from tests.shop import TEA, WEB, Shop

PAGE = Path(__file__).parents[2] / "docs" / "returns.md"
POLICY = '{"returns": {"fees": [{"permille": 100, "method": "mail"}], "promotions": {"THREE": {"least_units": 3}}}}'


async def back_by_mail(shop: Shop, quantity: int) -> Back:
    return await Back.open(shop, quantity=quantity, method="mail", receipt={"number": "T-1", "tender": "card"})


async def test_the_worked_example_comes_out(shop: Shop) -> None:
    table = PAGE.read_text().split("| step | stock at S1 | journal |\n|---|---|---|\n")[1].split("\n\n")[0]
    says = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table.splitlines()]
    came: list[tuple[str, str]] = []
    _, last = await posted_after(shop, 0)

    async def note() -> None:
        nonlocal last
        words, last = await posted_after(shop, last)
        held = await shelf(shop)
        came.append((", ".join(f"{units} {name.replace('_', ' ')}" for name, units in held.items()), words))

    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('example', '2020-01-01',"
        " CAST(:body AS jsonb))",
        body=POLICY,
    )
    line = {
        "line": "1", "sku": TEA, "quantity": 3, "unit_price_minor": 1_500, "discount_minor": 300, "tax_minor": 420,
        "promotion_id": "THREE",
    }  # fmt: skip
    await shop.report("pos.sale", location="S1", receipt="T-1", lines=[line])
    await note()
    first = await back_by_mail(shop, 1)
    await first.receive()
    await note()
    await first.inspect(condition="opened")
    await note()
    await first.provider_says()
    await note()
    rest = await back_by_mail(shop, 2)
    await rest.receive(2)
    await note()
    await rest.inspect(condition="new")
    await note()
    await rest.inspect(condition="used", disposition="return_to_vendor")
    await note()
    await rest.provider_says()
    await note()
    line_of = {"line_id": "1", "sku": TEA, "quantity": 1}
    body = {"vendor_return_id": "VR-1", "vendor": "ACME", "location": "S1", "lines": [line_of]}
    wanted = NewVendorReturn.model_validate(body)
    _, document = await vendor_return.open_document(shop.database, WEB, wanted, via="test")
    await vendor_return.ship(shop.database, WEB, document, VendorShipment(), via="test")
    await note()
    credited = VendorCredit(reference="CN-1", amount_minor=400)
    await vendor_return.credit(shop.database, WEB, document, credited, via="test")
    await note()
    await vendor_return.write_off(shop.database, WEB, document, reason="opened", via="test")
    await note()
    assert came == [(row[1], row[2]) for row in says]
