"""A file of promotions is taken as the API would take them, each by itself, and the same file again takes nothing."""

from datetime import timedelta

from ledger.promotion import from_file
from tests.ledger.support.promoting import CHANNELS, now
from tests.shop import TEA, Shop

HEADER = "promotion_id,name,offer,value,sku,category,forecast_units,channels,locations,starts_at,ends_at,stacking\n"


async def test_each_by_itself_and_once(shop: Shop) -> None:
    starts_at = now() + timedelta(days=2)
    time = f"{starts_at.isoformat()},{(starts_at + timedelta(days=3)).isoformat()}"
    text = HEADER + "".join(
        f"{key},Week,percent,200,{sku},,40,{channel},S1,{time},{stacking}\n"
        for key, sku, channel, stacking in (
            ("P-1", TEA, "web", "exclusive"),
            ("P-2", TEA, "web", "best"),
            ("P-3", "PEAR", "web", "best"),
            ("P-4", TEA, "pos", "sometimes"),
        )
    )
    loaded = await from_file.load(shop.database, text, "pim", channels=CHANNELS)
    assert [answer.journey_id for answer in loaded.made] == ["promotion:pim:P-1"]
    assert [(one.line, one.promotion_id, one.reason.split(":")[0]) for one in loaded.refused] == [
        (3, "P-2", "promotion_overlap"), (4, "P-3", "unknown_sku"), (5, "P-4", "stacking"),
    ]  # fmt: skip
    again = await from_file.load(shop.database, text, "pim", channels=CHANNELS)
    assert (again.made, again.repeated, len(again.refused)) == ([], 1, 3)
