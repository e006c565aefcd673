"""What is sent of a campaign: agreements, promotions, receipts, returns, answers of makers; and its files.

The dates of the data are moved by whole weeks, so that the campaign begins in the days after the scene does; every
weekday and every hour stays what it was.
"""

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demo import folder, places
from demo.bodies import Body, event, stamp
from demo.campaign.cut import WEEK_S, WINDOW_DAYS, Agreement, Campaign, Promotion, Receipt, SoldLine
from demo.source import Product
from domain import masterdata

SCRIPT = "campaign.json"
REGION = "CAMP"
CHANNEL = "pos"
LEAD_S = 2 * 86_400  # from the moment at which the scene is begun to its first promotion, at least
#: Groceries are small: who must agree follows their prices. A region's own policy, so nobody else's changes.
POLICY: dict[str, Any] = {
    "version": "campaign-1",
    "scope": {"entity": places.ENTITY, "region": REGION},
    "effective_from": "2026-01-01T00:00:00-05:00",
    "reason": "Claims of a campaign are tens of dollars; limits follow.",
    "values": {"bands": {"claim": {"manager_minor": 2_000, "finance_minor": 10_000}, "write_off_minor": 500}},
}


def store_code(store: int) -> str:
    return f"K{store:04d}"


def sku_of(product: int) -> str:
    return f"K{product}"


def vendor_of(maker: int) -> str:
    return f"M{maker:04d}"


def shift_s(campaign: Campaign, begun: dt.datetime) -> int:
    """Whole weeks from the dates of the data to those of the scene."""
    weeks = -(-(begun.timestamp() + LEAD_S - campaign.starts_s) // WEEK_S)
    return int(weeks) * WEEK_S


def instant(at_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_s, dt.UTC)


# ---------------------------------------------------------------------- what is sent
def agreement(one: Agreement, campaign: Campaign, shift: int) -> Body:
    """Signed a month before; its papers go to the maker's own address."""
    starts = instant(campaign.starts_s + shift)
    return {
        "number": one.number,
        "entity": places.ENTITY,
        "office": store_code(campaign.stores[0]),
        "vendor": vendor_of(one.maker),
        "vendor_name": f"Maker {one.maker}",
        "claims_email": f"claims@{vendor_of(one.maker)}.example".lower(),
        "signed_on": f"{starts - dt.timedelta(days=30):%Y-%m-%d}",
        "document": f"{one.number}.pdf",
        "starts_at": stamp(starts),
        "ends_at": stamp(instant(campaign.ends_s + shift)),
        "currency": places.CURRENCY,
        "terms": one.terms,
        "claim_every_days": one.claim_every_days,
        "claim_window_days": WINDOW_DAYS,
    }


def promotion(one: Promotion, shift: int) -> Body:
    """At the stores that sold it, by their tills. What the makers pay is not in its margin, so its floor is zero."""
    return {
        "promotion_id": one.code,
        "name": one.name,
        "offer": {"kind": "percent", "off_permille": one.off_permille},
        "lines": [{"sku": sku_of(product), "forecast_units": units} for product, units in one.forecast.items()],
        "channels": [CHANNEL],
        "locations": [store_code(store) for store in one.stores],
        "starts_at": stamp(instant(one.starts_s + shift)),
        "ends_at": stamp(instant(one.ends_s + shift)),
        "stacking": "best",
        "margin_floor_permille": 0,
        "agreement_id": one.agreement,
    }


def sale(receipt: Receipt, shift: int) -> Body:
    """The receipt of a basket. The card pays what coupons do not: a coupon is the maker's money."""
    paid = sum(line.regular_minor - line.discount_minor - line.coupon_minor for line in receipt.lines)
    data = {
        "location": store_code(receipt.store),
        "receipt": str(receipt.basket),
        "lines": [_line(line) for line in receipt.lines],
        "tenders": [{"tender": "card", "amount_minor": paid}],
    }
    return event(f"campaign-sale-{receipt.basket}", "pos.sale", instant(receipt.at_s + shift), data)


def _line(line: SoldLine) -> Body:
    unit = line.regular_minor // line.quantity
    return {
        "line": line.line_id,
        "sku": sku_of(line.product),
        "quantity": line.quantity,
        "unit_price_minor": unit,
        "regular_price_minor": unit,
        "discount_minor": line.discount_minor,
        "coupon_minor": line.coupon_minor,
        "promotion_id": line.promotion,
    }


def comes_back(receipt: Receipt, at_s: int, shift: int) -> Body:
    """The till takes back what was bought without a coupon, and pays it out."""
    lines = [
        {
            "line": line.line_id, "sku": sku_of(line.product), "quantity": line.quantity,
            "unit_price_minor": line.regular_minor // line.quantity, "discount_minor": line.discount_minor,
            "original_line": line.line_id, "reason": "changed_mind",
        }
        for line in receipt.returned
    ]  # fmt: skip
    data = {
        "location": store_code(receipt.store),
        "receipt": f"X-{receipt.basket}",
        "original_receipt": str(receipt.basket),
        "lines": lines,
        "refunds": [
            {"tender": "card", "amount_minor": sum(one.regular_minor - one.discount_minor for one in receipt.returned)}
        ],
    }
    return event(f"campaign-return-{receipt.basket}", "pos.return", instant(at_s + shift), data)


def answered(claim: str, number: int, lines: Iterable[Body] | None, at: dt.datetime, *, settlement: str) -> Body:
    """What a maker says of a claim; `lines` None accepts all of it."""
    data = {
        "claim_id": claim,
        "lines": None if lines is None else list(lines),
        "settlement": settlement,
        "reference": f"ADVICE-{number}",
    }
    return event(f"campaign-answer-{claim}-{number}", "claim.answered", at, data)


def paid(claim: str, number: int, amount_minor: int, at: dt.datetime) -> Body:
    """The maker's money is there."""
    data = {"claim_id": claim, "amount_minor": amount_minor, "settlement": "cash", "reference": f"WIRE-{number}"}
    return event(f"campaign-payment-{claim}-{number}", "claim.settled", at, data)


# ---------------------------------------------------------------------- as files
def write(campaign: Campaign, target: Path) -> dict[str, int]:
    """Write what `endcap load` imports, and the script; returns the rows of each file."""
    target.mkdir(parents=True, exist_ok=True)
    rows: dict[type[masterdata.MasterRow], Iterable[dict[str, object]]] = {
        masterdata.EntityRow: [
            {"code": places.ENTITY, "name": places.ENTITY_NAME, "currency": places.CURRENCY, "country": "US"}
        ],
        masterdata.RegionRow: [{"code": REGION, "name": "Campaign stores", "entity": places.ENTITY}],
        masterdata.LocationRow: _locations(campaign),
        masterdata.ItemRow: _items(campaign),
        masterdata.StockRow: _stock(campaign),
    }
    written = {model.file: folder.write_rows(target / model.file, model, rows[model]) for model in rows}
    (target / "policies.json").write_text(json.dumps([POLICY], indent=2) + "\n", encoding="utf-8")
    (target / SCRIPT).write_text(json.dumps(asdict(campaign), indent=1) + "\n", encoding="utf-8")
    return written | {"policies.json": 1, SCRIPT: len(campaign.receipts)}


def read(target: Path) -> Campaign:
    """The script of a folder that `write` has written. Raises FileNotFoundError."""
    raw: dict[str, Any] = json.loads((target / SCRIPT).read_text(encoding="utf-8"))
    lists: dict[str, Any] = {
        "stores": tuple(raw["stores"]),
        "makers": tuple(raw["makers"]),
        "products": {int(one): Product(**row) for one, row in raw["products"].items()},
        "price_minor": _by_number(raw["price_minor"]),
        "agreements": tuple(Agreement(**row | {"promotions": tuple(row["promotions"])}) for row in raw["agreements"]),
        "promotions": tuple(
            Promotion(**row | {"forecast": _by_number(row["forecast"]), "stores": tuple(row["stores"])})
            for row in raw["promotions"]
        ),
        "receipts": tuple(
            Receipt(**row | {"lines": tuple(SoldLine(**line) for line in row["lines"])}) for row in raw["receipts"]
        ),
    }
    return Campaign(**raw | lists)


def _by_number(rows: dict[str, int]) -> dict[int, int]:
    return {int(one): value for one, value in rows.items()}


def _locations(campaign: Campaign) -> Iterator[dict[str, object]]:
    for store in campaign.stores:
        yield {
            "code": store_code(store), "name": f"Store {store}", "kind": "store", "region": REGION,
            "entity": places.ENTITY, "time_zone": "America/New_York", "pickup": "false",
        }  # fmt: skip


def _items(campaign: Campaign) -> Iterator[dict[str, object]]:
    costs = campaign.cost_minor
    for product, row in campaign.products.items():
        yield {
            "sku": sku_of(product), "name": row.name, "category": row.category.title(),
            "base_unit": "each", "cost_minor": costs[product], "price_minor": campaign.price_minor[product],
        }  # fmt: skip


def _stock(campaign: Campaign) -> Iterator[dict[str, object]]:
    """As much as is sold, and one more: nothing goes below zero."""
    units: Counter[tuple[int, int]] = Counter()
    for receipt in campaign.receipts:
        for line in receipt.lines:
            units[receipt.store, line.product] += line.quantity
    costs = campaign.cost_minor
    for (store, product), quantity in sorted(units.items()):
        yield {
            "location": store_code(store), "sku": sku_of(product), "bucket": "available", "quantity": quantity + 1,
            "unit_cost_minor": costs[product],
        }  # fmt: skip
