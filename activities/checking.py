"""Reads back what channels show of promotions whose prices were right before, in case they changed; run by a sweep."""

import logging
from collections.abc import Mapping
from datetime import datetime

from ledger.engine import Database
from ledger.promotion import checking
from ledger.promotion.checking import Check, Wrong
from ledger.promotion.prices import PriceKey
from ports.price import ChannelAway, PriceAt, PricePort

log = logging.getLogger("endcap.prices")


async def check_due(database: Database, channels: Mapping[str, PricePort], at: datetime) -> int:
    """Read back every publication whose turn it is at `at`; returns how many prices are told again. A channel that does
    not answer, or for which nobody has an adapter, is asked again later.
    """
    again = 0
    while (check := await checking.take(database, at)) is not None:
        try:
            again += await _check(database, channels, check)
        except ChannelAway as away:
            log.warning("%s could not be read back for %s: %s", check.task.channel, check.task.journey_id, away)
    return again


async def _check(database: Database, channels: Mapping[str, PricePort], check: Check) -> int:
    """Raises `ChannelAway`."""
    port = channels.get(check.task.channel)
    if port is None:
        raise ChannelAway("no adapter is set for it (ENDCAP_PRICE_CHANNELS)")
    wrong: list[Wrong] = []
    after: PriceKey | None = None
    while (page := await checking.page(database, check, after)) is not None:
        asked = sorted(set(page.seen_at.values()))
        shown = await port.shown([PriceAt(*key) for key in asked])
        seen = {key: shown[at] for key in asked if (at := PriceAt(*key)) in shown}
        wrong += await checking.ours(database, check, page, seen)
        after = page.last
    again = await checking.conclude(database, check, wrong)
    if again:
        log.error("%s shows %d prices again that were right; they are told again: %s", check.task.channel, again,
                  check.task.journey_id)  # fmt: skip
    return again
