"""Commands by chance: what shops, stores and systems may send, sensible or not, from a given source of chance."""

from collections.abc import Callable
from random import Random
from typing import Any

from tests.ledger.models.machine import Command
from tests.ledger.models.orders import Basket, Line, Order
from tests.shop import COST_MINOR, PRICE_MINOR, TEA

STORES = ("S1", "S2")
MATE = "MATE-1"
PRICES = {TEA: PRICE_MINOR, MATE: 1_400}
COSTS = {TEA: COST_MINOR, MATE: 500}
ADJUSTMENT_BAND_MINOR = 2_000
REASONS = ("not_in_stock", "mismatch", "damaged", "worn_display", "reserved_for_other", "no_variance")


def order(dice: Random, at: int) -> Command:
    """One or two lines, now and then of the same SKU, with discount, tax and a charge that do not divide evenly."""
    lines = {}
    for number in range(1, dice.randint(1, 2) + 1):
        sku, quantity = dice.choice((TEA, TEA, MATE)), dice.randint(1, 4)
        gross = quantity * PRICES[sku]
        lines[str(number)] = Line(sku, quantity, gross, dice.choice((0, 0, 100, 333)), dice.choice((0, 97)))
    promised = 100_000 * dice.randint(1, 50) + at  # no two orders are promised for the same second
    charge, authorised, kept_back = dice.choice((0, 0, 199)), dice.random() < 0.4, dice.random() < 0.15
    args = (dice.choice(STORES), promised, lines, charge, authorised, kept_back)
    return Command("order", at, f"W-{at}", args)


def basket(dice: Random, at: int) -> Command:
    """A checkout, or a hold without an end for an order that another system keeps."""
    return Command("basket", at, f"C-{at}", (dice.choice(STORES), _goods(dice), dice.random() < 0.7))


def _goods(dice: Random) -> tuple[tuple[str, int], ...]:
    return tuple((dice.choice((TEA, TEA, MATE)), dice.randint(1, 5)) for _ in range(dice.randint(1, 2)))


def _some(dice: Random, order: Order) -> list[str]:
    """One line, or two, or all."""
    names = list(order.lines)
    return dice.sample(names, min(len(names), dice.choice((1, 2, 2, 3))))


def _picked(dice: Random, order: Order) -> tuple[Any, ...]:
    picks = []
    for name in _some(dice, order):
        line = order.lines[name]
        left = max(line.open - line.staged, 0)
        units = dice.choice((left, left, left, line.reserved, dice.randint(0, 4)))
        picks.append((name, units, dice.choice(REASONS) if units < left or dice.random() < 0.1 else None))
    return (tuple(picks),)


def _handed_over(dice: Random, order: Order) -> tuple[Any, ...]:
    if dice.random() < 0.4:
        return (None,)
    handed = []
    for name in _some(dice, order):
        line = order.lines[name]
        refused = dice.choice((0, 0, 0, 1, 2, line.open))
        left = max(dice.choice((line.staged, line.open)) - refused, 0)
        handed.append((name, dice.choice((left, left, 1, 0, 3)), refused))
    return (tuple(handed),)


def _cancelled(dice: Random, order: Order) -> tuple[Any, ...]:
    return (None if dice.random() < 0.4 else tuple(_some(dice, order)),)


def _put_away(dice: Random, order: Order) -> tuple[Any, ...]:
    lines = tuple((name, max(order.lines[name].unclaimed, 1)) for name in _some(dice, order))
    return (None if dice.random() < 0.5 else lines, dice.choice(("good", "good", "damaged")))


ON_ORDERS: dict[str, Callable[[Random, Order], tuple[Any, ...]]] = {
    "picked": _picked,
    "handed_over": _handed_over,
    "cancelled": _cancelled,
    "put_away": _put_away,
    "let_go_on": lambda _dice, _order: (),
    "attend": lambda _dice, _order: (),
    "window": lambda _dice, _order: (),
    "verify": lambda _dice, _order: (),
    "provider": lambda _dice, _order: (),
    "decide": lambda dice, _order: (dice.randint(0, 9),),
    "carry_out": lambda dice, _order: (dice.random() < 0.7,),
}


def _shipped(dice: Random, basket: Basket) -> tuple[Any, ...]:
    lines = tuple((name, dice.choice((1, line["quantity"]))) for name, line in basket.lines.items())
    return (dice.choice((None, None, lines[:1], lines)),)


ON_BASKETS: dict[str, Callable[[Random, Basket], tuple[Any, ...]]] = {
    "shipped": _shipped,
    "extended": lambda _dice, _basket: (),
    "released": lambda _dice, _basket: (),
    "expired": lambda _dice, _basket: (),
}
GOODS: dict[str, Callable[[Random], tuple[Any, ...]]] = {
    "sale": lambda dice: (dice.choice(STORES), _goods(dice), 1_000),
    "received": lambda dice: (dice.choice(STORES), _goods(dice)),
    "adjusted": lambda dice: (
        dice.choice(STORES), dice.choice((TEA, MATE)), dice.randint(-5, 5), ADJUSTMENT_BAND_MINOR
    ),
}  # fmt: skip
