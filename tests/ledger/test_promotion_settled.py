"""A promotion that a vendor pays for is settled when nothing of it is left to claim, and not before."""

from __future__ import annotations

from datetime import UTC, datetime

from ledger.promotion.settling import settle_ended
from tests.ledger.support.claims import Claimed
from tests.ledger.support.funding import agree, promoted, sell
from tests.ledger.support.promoting import define
from tests.shop import Shop


async def ended(shop: Shop, promotion_id: str = "TEA-MARCH") -> str:
    """A promotion whose time is over and whose prices are taken back."""
    about = (await define(shop, promotion_id=promotion_id)).journey_id
    await shop.change("UPDATE journey SET state = 'ended', closed_at = now(), dues = '{}' WHERE id = :id", id=about)
    await shop.change("UPDATE promotion SET state = 'ended' WHERE journey_id = :id", id=about)
    return about


async def settle(shop: Shop) -> int:
    return await settle_ended(shop.database, datetime.now(UTC))


async def state(shop: Shop, about: str) -> str:
    return str(await shop.value("SELECT state FROM journey WHERE id = :id", id=about))


async def test_it_is_settled_once_when_its_last_claim_is_closed(shop: Shop) -> None:
    await shop.put("S1", 50)
    about = await ended(shop)
    await agree(shop)
    await sell(shop, promoted(3))
    assert await settle(shop) == 0  # what has accrued is in no claim yet
    claim = await Claimed.prepared(shop)
    assert await settle(shop) == 0  # its claim is open
    assert await claim.answered(settlement="deduction") == "settled"
    assert await settle(shop) == 1
    assert await state(shop, about) == "settled"
    assert await settle(shop) == 0


async def test_one_that_nobody_pays_for_stays_ended(shop: Shop) -> None:
    await agree(shop)
    about = await ended(shop, "OTHER")
    assert await settle(shop) == 0
    assert await state(shop, about) == "ended"
