"""The look at one promotion: what was sold of it is brought up to date, every place is judged, people are told of what
is not right, and transfers are proposed. One transaction, under the promotion's lock; a look is taken once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, insert, select, text

from domain.looks import Course, LookFigures
from domain.promotion import PromotionState
from domain.velocity import WEEK_HOURS, Hours, hours_between, weighed
from ledger import reference, rows
from ledger.engine import Database
from ledger.look import cases, rebalancing, seeing
from ledger.look.expected import ensure
from ledger.look.seeing import Seen, Times
from ledger.look.sold import Scope, keep_hours, overridden
from ledger.promotion.document import Promotion
from ledger.tables import journey, promotion, promotion_line, promotion_look, promotion_look_place
from ledger.transaction import Transaction

COURSE_POINTS = 48


async def running(database: Database, occurrence: str) -> list[str]:
    """The promotions that run and have not had this look yet, in the order of their ids."""
    looked = select(promotion_look.c.journey_id).where(
        promotion_look.c.journey_id == promotion.c.journey_id, promotion_look.c.occurrence == occurrence
    )
    wanted = (
        select(promotion.c.journey_id)
        .join(journey, journey.c.id == promotion.c.journey_id)
        .where(promotion.c.state == PromotionState.ACTIVE, journey.c.suspended_from.is_(None), ~looked.exists())
        .order_by(promotion.c.journey_id)
    )
    async with database.read() as conn:
        return list((await conn.execute(wanted)).scalars())


class Look(NamedTuple):
    """What came of it: the look's number and figures, and the transfers that it proposed."""

    number: int
    figures: LookFigures
    transfers: tuple[str, ...]


async def look(database: Database, about: str, occurrence: str, at: datetime) -> Look | None:
    """Look at a promotion, once for each occurrence. `at` is the wall's clock.

    None: it does not run any more, or was looked at already.
    """

    async def work(tx: Transaction) -> Look | None:
        row = await tx.lock_journey(about)
        if row["state"] != PromotionState.ACTIVE or row["suspended_from"] is not None:
            return None
        it = await Promotion.load_with_cases(tx, row)
        before = await _latest(tx, about)
        if before is not None and (before.occurrence == occurrence or before.at > it.clock(at)):
            return None
        return await _look(it, occurrence, at, before)

    return await database.write(work, actor="endcap", via="schedule")


class _Before(NamedTuple):
    number: int
    occurrence: str
    at: datetime
    read_until: datetime


async def _latest(tx: Transaction, about: str) -> _Before | None:
    own = promotion_look.c
    found = await tx.conn.execute(
        select(own.number, own.occurrence, own.at, own.read_until)
        .where(own.journey_id == about)
        .order_by(own.number.desc())
        .limit(1)
    )
    row = found.first()
    return None if row is None else _Before._make(row)


async def _look(it: Promotion, occurrence: str, wall: datetime, before: _Before | None) -> Look:
    tx, policy = it.tx, it.policy.promotion.look
    at = min(it.clock(wall), it.head["ends_at"])
    codes = sorted({code for _, code in await it.places()})
    places = await reference.places(tx.conn, codes)
    scope = Scope(await it.items(), codes, it.head["recorded_at"], timedelta(seconds=it.row["clock_offset_s"]))
    begins: datetime = it.head["starts_at"]
    expected = await ensure(it, scope, places, policy.past_weeks)
    read_until = await tx.now()
    await keep_hours(tx.conn, it.id, scope, begins, at, before.read_until if before else None)
    times = Times.of(begins, at, it.head["ends_at"], policy)
    thresholds = {
        code: seeing.threshold_of(one.stock.channel_threshold)
        for code, one in (await reference.policies_at(tx.conn, list(places.values()), at)).items()
    }
    eye = seeing.Eye(tx.conn, it.id, times, policy, thresholds, scope.skus)
    seen = await eye.see(expected)
    by_hand = await overridden(tx.conn, scope, begins)
    figures = await _figures(it, seen, sum(int(one["units"]) for one in by_hand))
    number = before.number + 1 if before else 1
    moment = rebalancing.Moment(number, times, places, seen)
    await cases.say(it, figures, by_hand, places, at)
    needs = await rebalancing.needs_of(it, seen, policy, at)
    await eye.ask(seen, {need.sku for need in needs})
    legs = rebalancing.legs_of(needs, seen, places, policy)
    proposed = await rebalancing.open_transfers(it, legs, needs, moment)
    figures = figures.model_copy(update={"proposed_units": proposed.units})
    await _keep(it, occurrence, moment, figures, read_until)
    return Look(number, figures, tuple(one.journey_id for one in proposed.transfers))


_CAP = text(
    """
    SELECT g.accrued_minor, (g.terms->>'cap_minor')::bigint AS cap_minor FROM funded_promotion f
    JOIN funding_agreement g ON g.id = f.agreement_id
    WHERE f.entity = :entity AND f.promotion_id = :key AND g.terms->>'cap_minor' IS NOT NULL
    """
)


async def _figures(it: Promotion, seen: Mapping[str, Seen], overridden_units: int) -> LookFigures:
    conn = it.tx.conn
    forecast = await conn.execute(select(promotion_line.c.forecast_units).where(promotion_line.c.journey_id == it.id))
    cap = (await conn.execute(_CAP, {"entity": it.row["entity"], "key": it.row["key"]})).first()
    states = [one.state for one in seen.values()]
    usual = sum(one.usual_units for one in seen.values())
    has_past = any(one.expected.usual_units for one in seen.values())
    return LookFigures(
        sold_units=sum(one.sold.units for one in seen.values()),
        receipts=sum(one.sold.receipts for one in seen.values()),
        expected_units=sum(one.expected_units for one in seen.values()),
        forecast_units=sum(forecast.scalars()),
        usual_units=usual if has_past else None,
        revenue_minor=sum(one.sold.revenue_minor for one in seen.values()),
        cost_minor=sum(one.sold.cost_minor for one in seen.values()),
        overridden_units=overridden_units,
        places=len(seen),
        surging=states.count("surge"),
        short=sum(one.short_items > 0 for one in seen.values()),
        slow=states.count("slow"),
        cap_used_permille=None if cap is None or not cap.cap_minor else cap.accrued_minor * 1000 // cap.cap_minor,
    )


async def _keep(
    it: Promotion, occurrence: str, moment: rebalancing.Moment, figures: LookFigures, read_until: datetime
) -> None:
    conn, times = it.tx.conn, moment.times
    await conn.execute(
        insert(promotion_look).values(
            journey_id=it.id, number=moment.number, occurrence=occurrence, at=times.at, read_until=read_until,
            figures=figures.model_dump(mode="json"),
            course=[one.model_dump(mode="json") for one in await course(it, moment)],
        )
    )  # fmt: skip
    await conn.execute(delete(promotion_look_place).where(promotion_look_place.c.journey_id == it.id))
    await rows.write(conn, promotion_look_place, [_place(it, one, times) for one in moment.seen.values()])


def _place(it: Promotion, one: Seen, times: Times) -> dict[str, object]:
    span = one.loudest
    return {
        "journey_id": it.id,
        "location": one.expected.location,
        "state": one.state,
        "sold_units": one.sold.units,
        "expected_units": one.expected_units,
        "usual_units": one.usual_units,
        "receipts": one.sold.receipts,
        "pace": one.pace,
        "surge_hours": span.hours if span else None,
        "surge_sold": span.sold if span else None,
        "surge_expected": span.expected if span else None,
        "available": one.available,
        "inbound": one.inbound,
        "cover_days": seeing.cover_days(one, times),
        "short_items": one.short_items,
        "revenue_minor": one.sold.revenue_minor,
        "cost_minor": one.sold.cost_minor,
    }


_UNTIL = text(
    "SELECT hour, sum(units)::int AS units FROM promotion_hour WHERE journey_id = :id AND sku = '' GROUP BY hour"
    " ORDER BY hour"
)


async def course(it: Promotion, moment: rebalancing.Moment) -> list[Course]:
    """Units sold and forecast from its start on, in so many steps of whole hours as a chart can show."""
    times = moment.times
    whole = (times.ends - times.begins) / timedelta(hours=1)
    step = timedelta(hours=max(1, -int(-whole // COURSE_POINTS)))
    sold = [(row.hour, row.units) for row in await it.tx.conn.execute(_UNTIL, {"id": it.id})]
    by_hour = _units_by_hour(moment)
    instants = {times.at, times.ends}
    until = times.begins
    while (until := until + step) < times.ends:
        instants.add(until)
    return [
        Course(
            until=until,
            sold=sum(units for hour, units in sold if hour < until) if until <= times.at else None,
            forecast=round(sum(weighed(hours_between(times.begins, until, zone), units)
                               for zone, units in by_hour.items()), 2),
        )
        for until in sorted(instants)
    ]  # fmt: skip


def _units_by_hour(moment: rebalancing.Moment) -> dict[str, Hours]:
    """By zone: the forecast of all its places for each hour of a local week."""
    found: dict[str, list[float]] = {}
    for one in moment.seen.values():
        spread, whole = one.expected.shape, one.weights.whole
        each = weighed(whole, spread)
        flat = 1 / sum(whole) if sum(whole) else 0.0
        units = found.setdefault(one.expected.time_zone, [0.0] * WEEK_HOURS)
        for hour, part in enumerate(spread):
            units[hour] += one.expected.forecast_units * (part / each if each > 0 else flat)
    return {zone: tuple(units) for zone, units in found.items()}
