"""A worker that asks a carrier over HTTP about what is on its way: a real server, a real ledger, no goods that move."""

from datetime import UTC, datetime, timedelta
from typing import Any

from activities.tracking import asking
from ledger.transfer.following import sweep
from ports.tracking import HttpTracking
from tests.ledger.conftest import shop
from tests.ledger.support.transfers import Moved
from tests.ports.test_tracking import carrier, port, says
from tests.shop import TEA, Shop

__all__ = ["carrier", "port", "shop"]


async def test_what_the_carrier_answers_moves_the_day_and_no_unit(shop: Shop, carrier: Any, port: HttpTracking) -> None:
    moved = await Moved.open(shop, (TEA, 2))
    await moved.ship(carrier="Parcel Co", tracking="PC 1")
    comes = datetime.now(UTC) + timedelta(days=3)
    carrier.answers["/v2/parcels/PC%201?carrier=Parcel+Co"] = (
        200, f'{{"status": "delayed", "expected_at": "{comes.isoformat()}"}}'.encode()
    )  # fmt: skip
    assert await sweep(shop.database, asking(port), datetime.now(UTC), every=timedelta(minutes=30)) == 1
    assert (await moved.row())["dues"]["receipt"] == (comes + timedelta(days=1)).isoformat()
    assert await moved.line() == {"shipped": 2, "in_transit": 2}


async def test_an_outage_and_an_unknown_parcel_are_written_beside_it(
    shop: Shop, carrier: Any, port: HttpTracking
) -> None:
    moved = await Moved.open(shop, (TEA, 2))
    await moved.ship(tracking="PC-1")
    before = await moved.row()
    says(carrier, {}, 503)
    now = datetime.now(UTC)
    assert await sweep(shop.database, asking(port), now, every=timedelta(minutes=30)) == 0
    assert await shop.value("SELECT error FROM parcel_tracking") == "answered 503"
    carrier.answers.clear()
    assert await sweep(shop.database, asking(port), now + timedelta(hours=1), every=timedelta(minutes=30)) == 0
    assert await shop.value("SELECT error FROM parcel_tracking") == "the carrier has no such parcel"
    assert await moved.row() == before
