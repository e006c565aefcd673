"""An agreement of a vendor and a sale that it pays for, as systems send them."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime.now(UTC).replace(microsecond=0)


def agreement_at(office: str, /, **more: Any) -> dict[str, Any]:
    """A dollar for each loaf that is sold in these weeks under BREAD-WEEKS."""
    return {
        "number": "A-17", "entity": "US01", "office": office, "vendor": "BAKER", "vendor_name": "Baker & Sons",
        "claims_email": "claims@baker.example", "signed_on": "2026-01-10", "document": "A-17.pdf",
        "starts_at": (NOW - timedelta(days=9)).isoformat(), "ends_at": (NOW + timedelta(days=9)).isoformat(),
        "currency": "USD", "terms": {"kind": "scan_back", "rate_minor": 100}, "promotions": ["BREAD-WEEKS"],
    } | more  # fmt: skip


def promoted_at(
    location: str, quantity: int = 2, *, receipt: str = "F-1", promotion: str = "BREAD-WEEKS"
) -> dict[str, Any]:
    """A receipt with a promoted line."""
    line = {"line": "1", "sku": "BREAD", "quantity": quantity, "unit_price_minor": 300, "promotion_id": promotion}
    data = {"location": location, "receipt": receipt, "lines": [line]}
    return {"id": f"sale-{receipt}", "type": "pos.sale", "occurred_at": NOW.isoformat(), "data": data}
