"""Facts about goods that belong to no order: sold at the till, received from a supplier, adjusted by a person."""

from ledger.goods.batch import DUPLICATE, TAKEN, Answer, take
from ledger.goods.fact import Costs, GoodsData, GoodsFact, check_items, fact_of, read_costs
from ledger.goods.places import GoodsPlace, Places, places_of

__all__ = [
    "DUPLICATE",
    "TAKEN",
    "Answer",
    "Costs",
    "GoodsData",
    "GoodsFact",
    "GoodsPlace",
    "Places",
    "check_items",
    "fact_of",
    "places_of",
    "read_costs",
    "take",
]
