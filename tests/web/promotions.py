"""A promotion as a system sends it, for tests of the API and of pages."""

from datetime import UTC, datetime, timedelta
from typing import Any


def definition(**more: Any) -> dict[str, Any]:
    """A fifth off apples at one store of the north, from the day after tomorrow on; without its id."""
    starts_at = datetime.now(UTC) + timedelta(days=2)
    return {
        "name": "Apple days",
        "offer": {"kind": "percent", "off_permille": 200},
        "lines": [{"sku": "APPLE", "forecast_units": 50}],
        "channels": ["web", "pos"],
        "locations": ["S1"],
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(days=3)).isoformat(),
        **more,
    }


def promotion(promotion_id: str = "P-1", **more: Any) -> dict[str, Any]:
    return {"promotion_id": promotion_id, **definition(**more)}
