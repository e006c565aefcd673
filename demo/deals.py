"""Which promotions the demo has, and who pays for them: products of the coupons of the campaign that runs on the demo's
day in the real data, by their makers.

One runs, one comes to its end and its maker pays too little, labels of one store do not show a third, a fourth is thin
and waits for merchandising, and a claim of last month waits for finance. A pure function of the data and the moment at
which the demo was opened; it sends nothing.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo import places
from demo.baskets import Assortment, Line
from demo.bodies import Body, event, sale_of, stamp
from demo.campaign import cut
from demo.people import MANAGER
from demo.source import day_number
from demo.stories import Candidate

LABELS = "labels"  # the channel of shelf labels
BEGINS_AFTER = dt.timedelta(seconds=90)
MOST_ITEMS = 12
LAST_MONTH = dt.timedelta(days=40)
SHARE_PERMILLE = 400
SCAN_MINOR = 75
STUCK = MANAGER.removeprefix("mgr.").upper()  # the store whose labels are stuck


@dataclass(frozen=True)
class Deal:
    """A promotion of a maker's items. `role` says what becomes of it; `units` are expected of an item."""

    role: str
    code: str
    name: str
    maker: int
    items: tuple[Candidate, ...]
    stores: tuple[str, ...]
    channels: tuple[str, ...]
    off_permille: int
    units: int
    starts_at: dt.datetime
    ends_at: dt.datetime
    terms: dict[str, Any]
    claim_every_days: int | None = None
    margin_floor_permille: int = 0

    @property
    def agreement(self) -> str:
        return f"A-{self.code}"

    def covers(self, sku: str, location: str, at: dt.datetime) -> bool:
        """Whether a till that sells the item then names this promotion."""
        return (
            self.starts_at <= at < self.ends_at
            and any((one.sku, one.location) == (sku, location) for one in self.items)
            and location in self.stores
        )


def campaign_of(day: int, sold: Iterable[int]) -> list[int]:
    """The products of the campaign that runs on a day of the year and has most of what is sold; none without one."""
    today, known, best = day_number(day), set(sold), list[int]()
    for number, (first, last) in cut.all_dates().items():
        if first <= today <= last:
            found = [one for one in cut.coupon_products(number).tolist() if one in known]
            best = max(best, found, key=len)
    return best


def plan(assortment: Assortment, shelf: Sequence[Candidate], day: int, opened: dt.datetime) -> tuple[Deal, ...]:
    """The deals, as many as there are makers for; the same for a day and a moment."""
    here: defaultdict[str, list[Candidate]] = defaultdict(list)
    for item in shelf:
        here[item.sku].append(item)
    by_maker: defaultdict[int, list[int]] = defaultdict(list)
    for product in campaign_of(day, assortment.items):
        if str(product) in here and assortment.products[product].manufacturer:
            by_maker[assortment.products[product].manufacturer].append(product)
    ranked = sorted(by_maker, key=lambda maker: (-len(by_maker[maker]), maker))
    made = []
    for maker, role in zip(ranked, ("running", "ended", "stuck", "thin", "claimed"), strict=False):
        products = sorted(by_maker[maker], key=lambda one: (-len(here[str(one)]), one))[:MOST_ITEMS]
        category, _ = Counter(assortment.products[one].category for one in products).most_common(1)[0]
        items = tuple(item for product in products for item in here[str(product)])
        made.append(_deal(role, day, maker, " ".join(_written(category)), items, opened))
    return tuple(made)


def _written(category: str) -> Iterator[str]:
    """The words of a category of the data, written out: `REFRGRATD JUICES/DRNKS`."""
    for number, word in enumerate(category.replace("/", " ").lower().split()):
        whole = {"refrgratd": "chilled", "frzn": "frozen", "drnks": "drinks", "prod": "products"}.get(word, word)
        yield whole if number else whole.capitalize()


def _deal(role: str, day: int, maker: int, what: str, items: tuple[Candidate, ...], opened: dt.datetime) -> Deal:
    starts = opened.replace(microsecond=0) + BEGINS_AFTER
    stores = tuple(sorted({item.location for item in items}))
    shares: dict[str, Any] = {"kind": "percent", "base": "discount", "permille": SHARE_PERMILLE}
    scans: dict[str, Any] = {"kind": "scan_back", "rate_minor": SCAN_MINOR}
    week = starts + dt.timedelta(days=7)
    code, about = f"P{day:03d}-{maker}", (maker, items)
    if role == "running":
        return Deal(role, code, f"{what} week: a fifth off", *about, stores, ("web", "pos"), 200, 60, starts, week,
                    shares, claim_every_days=7)  # fmt: skip
    if role == "ended":
        return Deal(role, code, f"{what}: fifteen per cent off", *about, stores[:4], ("pos",), 150, 40, starts, week,
                    scans)  # fmt: skip
    if role == "stuck":
        places_ = tuple(sorted({*stores[:5], *({STUCK} & set(stores))}))
        return Deal(role, code, f"{what} on yellow labels", *about, places_, ("pos", LABELS), 120, 30, starts, week,
                    shares)  # fmt: skip
    if role == "thin":
        return Deal(role, code, f"{what}: a third off", *about, stores, ("web", "pos"), 330, 200,
                    week, week + dt.timedelta(days=7), shares, margin_floor_permille=150)  # fmt: skip
    month = starts - LAST_MONTH
    return Deal(role, code, f"{what} of last month", *about, stores[:2], ("pos",), 150, 40, month,
                month + dt.timedelta(days=30), scans)  # fmt: skip


def agreement(deal: Deal) -> Body:
    """What its maker has signed; a promotion that is not defined here is named by its code."""
    begins = min(deal.starts_at, deal.starts_at - dt.timedelta(days=1))
    return {
        "number": deal.agreement,
        "entity": places.ENTITY,
        "office": places.DC,
        "vendor": f"M{deal.maker:04d}",
        "vendor_name": f"Maker {deal.maker}",
        "claims_email": f"claims@m{deal.maker:04d}.example",
        "signed_on": f"{begins - dt.timedelta(days=21):%Y-%m-%d}",
        "document": f"{deal.agreement}.pdf",
        "starts_at": stamp(begins),
        "ends_at": stamp(deal.ends_at),
        "currency": places.CURRENCY,
        "terms": deal.terms,
        "promotions": [deal.code] if deal.role == "claimed" else [],
        "claim_every_days": deal.claim_every_days,
        "claim_window_days": 30,
    }


def promotion(deal: Deal) -> Body:
    return {
        "promotion_id": deal.code,
        "name": deal.name,
        "offer": {"kind": "percent", "off_permille": deal.off_permille},
        "lines": [{"sku": sku, "forecast_units": deal.units} for sku in sorted({item.sku for item in deal.items})],
        "channels": list(deal.channels),
        "locations": list(deal.stores),
        "starts_at": stamp(deal.starts_at),
        "ends_at": stamp(deal.ends_at),
        "stacking": "best",
        "margin_floor_permille": deal.margin_floor_permille,
        "agreement_id": deal.agreement,
    }


def sold(deal: Deal, at: dt.datetime, receipts: int, costs: Mapping[str, int]) -> tuple[list[Body], list[Body]]:
    """(deliveries, receipts) of its items, two units each, a second apart until an instant; what is sold came first."""
    rung: list[Body] = []
    units: defaultdict[str, Counter[str]] = defaultdict(Counter)
    here = [item for item in deal.items if item.location in deal.stores]
    for number in range(receipts):
        item = here[number % len(here)]
        off = 2 * item.price_minor * deal.off_permille // 1000
        line = Line("1", item.sku, 2, item.price_minor, off, 0, 0, 0, age_limited=False)
        name = f"{deal.code}-{number:03d}"
        when = at - dt.timedelta(seconds=receipts - number)
        body = sale_of(f"sale-{name}", item.location, f"T-{name}", (line,), when)
        body["data"]["lines"][0]["promotion_id"] = deal.code
        rung.append(body)
        units[item.location][item.sku] += 2
    came = at - dt.timedelta(hours=3)
    deliveries = [
        event(f"delivery-{deal.code}-{location}", "stock.received", came, {
            "location": location, "document": f"delivery-{deal.code}-{location}",
            "lines": [{"sku": sku, "quantity": some[sku], "unit_cost_minor": costs[sku]} for sku in sorted(some)],
        })
        for location, some in sorted(units.items())
    ]  # fmt: skip
    return deliveries, rung


def named(receipt: Body, deals: Iterable[Deal]) -> Body:
    """A receipt of the demo's day with the promotions that run where it was rung up."""
    data, at = receipt["data"], dt.datetime.fromisoformat(receipt["occurred_at"])
    for deal in deals:
        for line in data["lines"]:
            if deal.role in ("running", "stuck") and deal.covers(line["sku"], data["location"], at):
                line["promotion_id"] = deal.code
    return receipt
