"""Looks up the places that might take an order over and has `domain.sourcing` rank them; decides nothing itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Double, Select, Text, and_, bindparam, func, or_, select, text

from domain import sourcing
from domain.bopis import TO_BE_PICKED
from domain.case import CaseOption, Consequence, PassedOver, StockEffect
from domain.sourcing import Candidate, Shelf
from domain.stock import atp
from ledger import reference
from ledger.bopis.order import Order
from ledger.distance import distance_km
from ledger.prepared import Prepared
from ledger.tables import journey, location

LOOKED_AT = 200  # the nearest; an order is not offered a longer way while there are so many nearer ones
FURTHER = 2  # places within so many times the radius are named with the reason why they are not asked
POINTS_PER_HOUR_LATE = 10
KM_PER_DEGREE = 111  # of latitude, rather less than there are


async def other_stores(order: Order) -> tuple[list[tuple[float, CaseOption]], list[PassedOver]]:
    """Places that can promise every open unit, each with its points among the ways out (fewer is better), and those
    that are passed over. Nothing once goods were handed over or stand ready here: an order moves as a whole.
    """
    if order.goods_have_moved():
        return [], []
    wanted: dict[str, int] = {}
    for line in order.lines.values():
        if order.open_quantity(line):
            wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.open_quantity(line)
    need = sourcing.Need(entity=order.row["entity"], promised_at=order.row["promised_at"])
    found = sourcing.source(need, await _candidates(order, need, wanted), order.policy.sourcing)
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


async def _candidates(order: Order, need: sourcing.Need, wanted: Mapping[str, int]) -> list[Candidate]:
    """The places about it. What a place has on its shelf is looked up where nothing rules it out before, and when it
    would be ready where nothing does at all.
    """
    within = float(FURTHER * order.policy.sourcing.radius_km)
    near = await _NEAR.rows(order.tx.conn, here=order.location, region=order.row["region"], km=within)
    zones = {row["code"]: row["time_zone"] for row in near}
    busy = await _open_orders(order, list(zones))
    found = {
        row["code"]: Candidate(
            code=row["code"],
            name=row["name"],
            kind=row["kind"],
            entity=row["entity"],
            shelves=(),
            distance_km=row["km_away"],
            is_same_region=row["region"] == order.row["region"],
            status=row["status"],
            pickup=row["pickup"],
            open_orders=busy.get(row["code"], 0),
        )
        for row in near
    }

    def left(codes: Iterable[str]) -> list[str]:
        return [code for code in codes if sourcing.ruled_out(need, found[code], order.policy.sourcing) is None]

    shelves = await _shelves(order, left(found), wanted)
    found |= {code: replace(found[code], shelves=shelf) for code, shelf in shelves.items()}
    ready = await _ready(order, {code: zones[code] for code in left(shelves)})
    found |= {code: replace(found[code], ready_at=at) for code, at in ready.items()}
    return list(found.values())


def _about_an_order() -> Select[Any]:
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
    )


_NEAR = Prepared(_about_an_order())


_SHELVES = Prepared(
    text(
        """
    SELECT place.code, w.sku, coalesce(s.available, 0) AS available, coalesce(s.safety_stock, 0) AS safety_stock,
        coalesce(s.confidence_permille, 1000) AS confidence_permille
    FROM unnest(CAST(:codes AS text[])) AS place(code)
    CROSS JOIN unnest(CAST(:skus AS text[])) AS w(sku)
    LEFT JOIN stock s ON s.location = place.code AND s.sku = w.sku
    ORDER BY place.code, w.sku
    """
    )
)


async def _shelves(order: Order, codes: Sequence[str], wanted: Mapping[str, int]) -> dict[str, tuple[Shelf, ...]]:
    """What each place has of each item, and could promise of it; no stock row is nothing on the shelf."""
    if not codes:
        return {}
    items = await reference.items(order.tx.conn, wanted)
    threshold = order.policy.stock.channel_threshold.get(order.row["channel"], 0)
    found: dict[str, list[Shelf]] = {code: [] for code in codes}
    for row in await _SHELVES.rows(order.tx.conn, codes=list(codes), skus=list(wanted)):
        sku = row["sku"]
        promise = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=threshold,
            confidence_permille=row["confidence_permille"],
        )
        found[row["code"]].append(
            Shelf(
                sku=sku,
                name=items[sku]["name"],
                wanted=wanted[sku],
                available=row["available"],
                promise=promise,
                confidence_permille=row["confidence_permille"],
                stop_sale=items[sku]["stop_sale"],
            )
        )
    return {code: tuple(shelves) for code, shelves in found.items()}


async def _ready(order: Order, zones: Mapping[str, str]) -> dict[str, datetime]:
    """When each place would have the order ready, on its own opening hours."""
    if not zones:
        return {}
    now = await order.tx.now(order.row["clock_offset_s"])
    hours = await reference.hours_of(order.tx.conn, zones)
    promised_at = order.row["promised_at"]
    return {code: sourcing.ready_at(now, promised_at, order.policy.bopis, found) for code, found in hours.items()}


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
