"""Facts about goods that belong to no order: sold at the till, received from a supplier, adjusted by a person."""

from ledger.goods.batch import DUPLICATE, TAKEN, Answer, take
from ledger.goods.fact import Costs, GoodsData, GoodsFact, check_items, fact_of, needs_review, read_costs
from ledger.goods.places import Places, places_of
from ledger.goods.review import review

__all__ = [
    "DUPLICATE",
    "TAKEN",
    "Answer",
    "Costs",
    "GoodsData",
    "GoodsFact",
    "Places",
    "check_items",
    "fact_of",
    "needs_review",
    "places_of",
    "read_costs",
    "review",
    "take",
]
