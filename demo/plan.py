"""The script of a demo day: which baskets are web orders, what goes wrong with which, and when everything happens.

A pure function of the baskets and the seed: the same day gives the same script, so that a stop and a start go on
with the same ids. It sends nothing and knows no clock.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from demo.baskets import Basket

#: A basket of this many lines may have been ordered on the web; coupons are paper and come to the till.
LARGE_LINES = 6
WEB_SHARE = 0.6
OPENS_S = 6 * 3600

#: How often what goes wrong, as a share of orders (of till receipts for the unknown item).
SHELF_EMPTY_SHARE = 0.10
NO_SHOW_SHARE = 0.06
CANCEL_SHARE = 0.05
FORGOTTEN_SHARE = 0.04
UNKNOWN_ITEM_SHARE = 0.04
#: One store's till is cut off for this long on a day; what it sold arrives together afterwards.
LATE_FEED_S = 3 * 3600


@dataclass(frozen=True)
class OrderScript:
    """What the crew and the customer will do about an order; seconds count from when it is placed, in trading time.

    `missing` is the line that is not on the shelf. An order with `pick_after_s` None is forgotten by the store; one
    with `collect_after_s` None is never collected.
    """

    basket: Basket
    pick_after_s: int | None
    collect_after_s: int | None
    cancel_after_s: int | None
    missing: str | None
    picker: int


@dataclass(frozen=True)
class Act:
    """One thing that is sent at a second of the trading day. `happened_s` is earlier than `at_s` for a late feed."""

    at_s: int
    happened_s: int
    kind: Literal["order", "sale", "sale_with_unknown_item", "delivery"]
    basket: Basket | None = None
    script: OrderScript | None = None
    location: str | None = None
    units: tuple[tuple[str, int], ...] = ()


def chance(seed: int, *what: object) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the names given."""
    text = ":".join(str(part) for part in (seed, *what)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64


def script_of(basket: Basket, seed: int) -> OrderScript:
    """What becomes of a basket that was ordered on the web."""

    def draw(what: str) -> float:
        return chance(seed, what, basket.id)

    forgotten = draw("forgotten") < FORGOTTEN_SHARE
    pick_after_s = None if forgotten else 900 + int(draw("pick") * 4500)
    collect_after_s = None if draw("no_show") < NO_SHOW_SHARE else 7200 + int(draw("collect") * 14_400)
    cancel_after_s = 600 + int(draw("cancel_after") * 5400) if draw("cancel") < CANCEL_SHARE else None
    missing = None
    if draw("shelf_empty") < SHELF_EMPTY_SHARE:
        missing = basket.lines[int(draw("which") * len(basket.lines))].line_id
    return OrderScript(basket, pick_after_s, collect_after_s, cancel_after_s, missing, int(draw("picker") * 2))


def is_web_order(basket: Basket, seed: int) -> bool:
    """Whether a basket was ordered on the web: a share of the large ones without paper coupons."""
    large = len(basket.lines) >= LARGE_LINES and basket.coupon_minor == 0
    return large and chance(seed, "web", basket.id) < WEB_SHARE


def day_script(baskets: Iterable[Basket], day: int, seed: int, sold_before: Iterable[Basket] = ()) -> list[Act]:
    """Everything that is sent on a day, in order. `sold_before`: the day before, whose units a delivery brings back."""
    baskets = list(baskets)
    late = late_feed(baskets, day, seed)
    acts = deliveries(sold_before)
    for basket in baskets:
        if is_web_order(basket, seed):
            acts.append(Act(basket.at_s, basket.at_s, "order", basket, script_of(basket, seed)))
            continue
        at_s = basket.at_s
        if late is not None and basket.store == late[0] and late[1] <= at_s < late[1] + LATE_FEED_S:
            at_s = late[1] + LATE_FEED_S
        odd = bool(basket.unlisted) and chance(seed, "unknown", basket.id) < UNKNOWN_ITEM_SHARE
        acts.append(Act(at_s, basket.at_s, "sale_with_unknown_item" if odd else "sale", basket))
    acts.sort(key=lambda act: (act.at_s, act.kind, act.location or "", act.basket.id if act.basket else 0))
    return acts


def late_feed(baskets: list[Basket], day: int, seed: int) -> tuple[int, int] | None:
    """The store whose feed fails that day, and from which second on."""
    stores = sorted({basket.store for basket in baskets})
    if not stores:
        return None
    store = stores[int(chance(seed, "late_store", day) * len(stores))]
    return store, 12 * 3600 + int(chance(seed, "late_from", day) * 5 * 3600)


def deliveries(sold_before: Iterable[Basket]) -> list[Act]:
    """What each store sold the day before comes back before it opens, so that the cover stays what it was."""
    units: dict[str, dict[str, int]] = {}
    for basket in sold_before:
        store = units.setdefault(basket.location, {})
        for line in basket.lines:
            store[line.sku] = store.get(line.sku, 0) + line.quantity
    return [
        Act(OPENS_S - 1800, OPENS_S - 1800, "delivery", location=location, units=tuple(sorted(sold.items())))
        for location, sold in sorted(units.items())
    ]
