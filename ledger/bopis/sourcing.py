"""Looks up the places that might take an order over and has `domain.sourcing` rank them; decides nothing itself."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, CTE, Double, Text, and_, any_, bindparam, func, or_, select

from domain import sourcing
from domain.bopis import TO_BE_PICKED
from domain.case import CaseOption, Consequence, PassedOver, StockEffect
from domain.sourcing import Candidate, Shelf
from domain.stock import atp
from ledger import reference
from ledger.bopis.order import Order
from ledger.distance import distance_km
from ledger.prepared import Ask, Several
from ledger.tables import journey, location, stock

LOOKED_AT = 200  # the nearest; an order is not offered a longer way while there are so many nearer ones
EMPTY = 10  # of those that have nothing of what is wanted, so many are named: the nearest
FURTHER = 2  # places within so many times the radius are named with the reason why they are not asked
POINTS_PER_HOUR_LATE = 10
KM_PER_DEGREE = 111  # of latitude, rather less than there are


async def other_stores(order: Order) -> tuple[list[tuple[float, CaseOption]], list[PassedOver]]:
    """Places that can promise every open unit, each with its points among the ways out (fewer is better), and those
    that are passed over. Nothing once goods were handed over or stand ready here, since an order moves as a whole, nor
    where nothing of it is open.
    """
    wanted = _wanted(order)
    if not wanted:
        return [], []
    need = sourcing.Need(entity=order.row["entity"], promised_at=order.row["promised_at"])
    about = await _ABOUT.tuples(order.tx.conn, _of(order, wanted))
    ready = await _ready(order, about)
    found = sourcing.source(need, await _candidates(order, about, wanted), order.policy.sourcing, ready)
    options: list[tuple[float, CaseOption]] = []
    points = 0.0
    for one in found.ranked:
        km = one.candidate.distance_km
        away = float(order.policy.sourcing.radius_km) if km is None else km
        # Never fewer than the store before it: the order of the stores is what sourcing says.
        points = max(points, away + POINTS_PER_HOUR_LATE * one.late.total_seconds() / 3600)
        options.append((points, _move_to(order, one, wanted)))
    return options, [
        PassedOver(
            location=one.candidate.code,
            name=one.candidate.name,
            distance_km=one.candidate.distance_km,
            why_not=one.why_not,
        )
        for one in found.passed_over
    ]


def asked(order: Order) -> list[Ask]:
    """What `other_stores` asks."""
    wanted = _wanted(order)
    if not wanted:
        return []
    return [_ABOUT.of(_of(order, wanted)), reference.items_asked(wanted)]


def _wanted(order: Order) -> dict[str, int]:
    """Units by SKU that a place would have to promise; none of an order that cannot move."""
    wanted: dict[str, int] = {}
    if order.goods_have_moved():
        return wanted
    for line in order.lines.values():
        if order.open_quantity(line):
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.open_quantity(line)
    return wanted


def _move_to(order: Order, one: sourcing.Ranked, wanted: Mapping[str, int]) -> CaseOption:
    store = one.candidate
    effects = [StockEffect(location=store.code, sku=sku, quantity=n, effect="reserved") for sku, n in wanted.items()]
    effects += [
        StockEffect(location=order.location, sku=line["sku"], quantity=line["reserved"], effect="released")
        for line in order.lines.values()
        if line["reserved"]
    ]
    way = "" if store.distance_km is None else f"{store.distance_km:.0f} km"
    return CaseOption(
        id=f"other_store:{store.code}",
        label=f"Pick up at {store.name} ({way or 'same region'})",
        parameters={"location": store.code},
        consequence=Consequence(
            stock=tuple(effects),
            money=(),
            customer=f"Collects at {store.name}, {f'{way} from' if way else 'not at'} {order.place.name}, same price.",
        ),
        because=one.because,
        confirms=("agreed_by_phone",),
    )


type About = Mapping[str, list[tuple[Any, ...]]]  # the lists of `_ABOUT`


async def _candidates(order: Order, about: About, wanted: Mapping[str, int]) -> list[Candidate]:
    """The places about it with what they have of each item."""
    places = [*about["stocked"], *about["empty"]]
    busy = await _open_orders(order, [code for code, *_ in places])
    nothing, shelves = await _shelves(order, about["shelves"], wanted)
    region = order.row["region"]
    return [
        Candidate(
            code=code,
            name=name,
            kind=kind,
            entity=entity,
            shelves=shelves.get(code, nothing),
            distance_km=km_away,
            is_same_region=its_region == region,
            status=status,
            pickup=pickup,
            open_orders=busy.get(code, 0),
        )
        for code, name, kind, its_region, entity, _, status, pickup, km_away in places
    ]


def _about_an_order() -> CTE:
    """The other places of its region and those within `km` of its place `here`, nearest first, with `km_away`."""
    here = location.alias("here")
    km, within = distance_km(here, location), bindparam("km", type_=Double)
    names = ("code", "name", "kind", "region", "entity", "time_zone", "status", "pickup")
    # How far north or south it lies is asked first: for most places that is enough to know.
    is_near = and_(func.abs(location.c.latitude - here.c.latitude) * KM_PER_DEGREE <= within, km <= within)
    return (
        select(*(location.c[name] for name in names), km.label("km_away"))
        .join(here, here.c.code == bindparam("here", type_=Text))
        .where(location.c.code != here.c.code, or_(location.c.region == bindparam("region", type_=Text), is_near))
        .order_by(km.nulls_last(), location.c.code)
        .limit(LOOKED_AT)
        .cte("near")
    )


def _with_their_shelves() -> Several:
    """The places about an order that have any of the items `skus`, with that stock and their hours; and the nearest of
    those that have none.
    """
    near = _about_an_order()
    names = ("location", "sku", "available", "safety_stock", "confidence_permille")
    of_items = and_(stock.c.sku == any_(bindparam("skus", type_=ARRAY(Text))), stock.c.available > 0)
    shelves = select(*(stock.c[name] for name in names)).join(near, near.c.code == stock.c.location).where(of_items)
    on_them = shelves.cte("shelves")
    have_any = select(on_them.c.location)
    lists = {
        "stocked": select(near).where(near.c.code.in_(have_any)),
        "empty": select(near)
        .where(near.c.code.not_in(have_any))
        .order_by(near.c.km_away.nulls_last(), near.c.code)
        .limit(EMPTY),
        "shelves": select(on_them),
        **reference.calendars_asked(have_any),
    }
    return Several(lists, once=True)


_ABOUT = _with_their_shelves()


def _of(order: Order, wanted: Iterable[str]) -> dict[str, Any]:
    within = float(FURTHER * order.policy.sourcing.radius_km)
    return {"here": order.location, "region": order.row["region"], "km": within, "skus": sorted(wanted)}


async def _shelves(
    order: Order, rows: Iterable[tuple[Any, ...]], wanted: Mapping[str, int]
) -> tuple[tuple[Shelf, ...], dict[str, tuple[Shelf, ...]]]:
    """What a place that has nothing has of each item; and what each of the others has and could promise."""
    items = await reference.items(order.tx.conn, wanted)
    threshold = order.policy.stock.channel_threshold.get(order.row["channel"], 0)

    def shelf(sku: str, available: int = 0, safety_stock: int = 0, confidence_permille: int = 1000) -> Shelf:
        promise = atp(
            available,
            safety_stock=safety_stock,
            channel_threshold=threshold,
            confidence_permille=confidence_permille,
        )
        name, stopped = items[sku]["name"], items[sku]["stop_sale"]
        return Shelf(sku, name, wanted[sku], available, promise, confidence_permille, stopped)

    nothing = {sku: shelf(sku) for sku in sorted(wanted)}
    found: dict[str, dict[str, Shelf]] = {}
    for code, sku, *has in rows:
        found.setdefault(code, dict(nothing))[sku] = shelf(sku, *has)
    return tuple(nothing.values()), {code: tuple(each.values()) for code, each in found.items()}


async def _ready(order: Order, about: About) -> Callable[[Candidate], datetime | None]:
    """When a place would have the order ready, on its own opening hours; nobody says it of one that has none of its
    goods.
    """
    now = await order.tx.now(order.row["clock_offset_s"])
    promised_at = order.row["promised_at"]
    hours = reference.calendars(about, {code: zone for code, _, _, _, _, zone, *_ in about["stocked"]})

    def ready(one: Candidate) -> datetime | None:
        open_at = hours.get(one.code)
        return None if open_at is None else sourcing.ready_at(now, promised_at, order.policy.bopis, open_at)

    return ready


async def _open_orders(order: Order, codes: Sequence[str]) -> dict[str, int]:
    """Orders that wait to be picked at each place; only looked up where policy sets a limit."""
    if order.policy.sourcing.open_orders_limit is None:
        return {}
    rows = await order.tx.conn.execute(
        select(journey.c.location, func.count())
        .where(
            journey.c.kind == "bopis",
            journey.c.closed_at.is_(None),
            journey.c.state.in_(sorted(TO_BE_PICKED)),
            journey.c.location.in_(codes),
        )
        .group_by(journey.c.location)
    )
    return {row[0]: row[1] for row in rows}
