"""Vendor funding in tests: agreements, promoted sales at the till, and what they have accrued."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.funding import NewAgreement
from ledger.funding import agreements
from ledger.people import Caller
from tests.ledger.support.till import POS, event, send
from tests.shop import TEA, Shop

SCOPES = frozenset({"orders:write", "events:write"})
ERP = Caller("key-erp", "erp", SCOPES, frozenset({"web", "pos"}), None, frozenset())
# A month that ended a month ago: the window in which it can be claimed ended yesterday.
STARTS = datetime.now(UTC).replace(microsecond=0) - timedelta(days=62)
ENDS = STARTS + timedelta(days=31)


def agreement(**more: Any) -> dict[str, Any]:
    """Half a euro for each pack of tea in a month, paid for the promotion TEA-MARCH."""
    return {
        "number": "A-17", "entity": "DE01", "office": "DC", "vendor": "TEACO", "vendor_name": "Tea & Co.",
        "claims_email": "claims@teaco.example", "signed_on": f"{STARTS - timedelta(days=20):%Y-%m-%d}",
        "document": "A-17.pdf", "starts_at": STARTS.isoformat(), "ends_at": ENDS.isoformat(), "currency": "EUR",
        "terms": {"kind": "scan_back", "rate_minor": 50}, "promotions": ["TEA-MARCH"], **more,
    }  # fmt: skip


async def agree(shop: Shop, **more: Any) -> str:
    """Record an agreement; returns its id, or raises the refusal."""
    (result,) = await agreements.record(shop.database, ERP, [NewAgreement.model_validate(agreement(**more))], via="api")
    if isinstance(result, Exception):
        raise result
    return result[1]


def promoted(
    quantity: int = 1, *, sku: str = TEA, price: int = 1_200, event_id: str = "", day: int = 5, **more: Any
) -> dict[str, Any]:
    """A receipt with one line of the promotion, sold at 12.00 instead of 15.00."""
    name = event_id or uuid.uuid4().hex[:10]
    line = {
        "line": "1", "sku": sku, "quantity": quantity, "unit_price_minor": price, "regular_price_minor": 1_500,
        "promotion_id": "TEA-MARCH", **more,
    }  # fmt: skip
    data = {"location": "S1", "receipt": f"R-{name}", "lines": [line]}
    made = event(f"E-{name}", "pos.sale", data)
    made["occurred_at"] = (STARTS + timedelta(days=day)).isoformat()
    return made


async def sell(shop: Shop, *receipts: dict[str, Any], caller: Caller = POS) -> None:
    for outcome in await send(shop, *receipts, caller=caller):
        assert outcome.outcome == "accepted", outcome


async def accruals(shop: Shop) -> list[tuple[str, int, int, int]]:
    """(kind, units, earned, accrued) in the order in which they were written."""
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text("SELECT kind, quantity, earned_minor, amount_minor FROM funding_accrual ORDER BY id")
        )
        return [tuple(row) for row in rows]


async def balance(shop: Shop, account: str) -> int:
    """Of an account, debit positive."""
    found = await shop.value(
        "SELECT coalesce(sum(debit_minor - credit_minor), 0)::bigint FROM journal_line WHERE account = :account",
        account=account,
    )
    return int(found)
