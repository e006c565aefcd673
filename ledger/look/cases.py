"""Whom a look tells of what: merchandising of prices that tills set by hand, finance of a margin or a vendor's cap that
is nearly used up. What somebody has noted is told again only when it has become worse; what has passed heals by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select

from domain.case import CaseOption, Consequence
from domain.errors import StateConflict
from domain.look_policy import LookPolicy
from domain.looks import LookFigures
from domain.messages import Message
from domain.promotion import PromotionState
from ledger import case, reference, steps
from ledger.promotion import ending
from ledger.promotion.document import Promotion
from ledger.tables import case_file
from ledger.transaction import Transaction

OVERRIDES, EXPOSURE = "promo_override", "promo_exposure"
_PLACES = 20
WORSE = 1.5  # times as much as what was noted


async def say(
    it: Promotion,
    figures: LookFigures,
    overridden: Sequence[RowMapping],
    places: Mapping[str, reference.Place],
    at: datetime,
) -> None:
    """Open, refresh or heal what a look has to say. The promotion is locked, with its cases."""
    policy = it.policy.promotion.look
    await _say_overrides(it, figures, overridden, places, policy, at)
    await _say_exposure(it, figures, policy, at)


async def _latest(it: Promotion, kind: str) -> RowMapping | None:
    found = await it.tx.conn.execute(select(case_file).where(case_file.c.dedupe_key == f"{kind}|{it.id}"))
    return found.mappings().first()


async def _say_overrides(
    it: Promotion,
    figures: LookFigures,
    overridden: Sequence[RowMapping],
    places: Mapping[str, reference.Place],
    policy: LookPolicy,
    at: datetime,
) -> None:
    share = figures.override_permille or 0
    before = await _latest(it, OVERRIDES)
    if figures.overridden_units < policy.override_least or share < policy.override_permille:
        await _heal(it, before, "fewer prices are set by hand now", at)
        return
    if before is not None and not _is_news(before, share >= WORSE * before["facts"]["permille"]):
        return
    worst = [
        {
            "location": one["location"],
            "name": places[one["location"]].name,
            "units": int(one["units"]),
            "reason": one["reason"],
        }
        for one in overridden[:_PLACES]
    ]
    await it.open_case(
        OVERRIDES,
        at,
        place=places[worst[0]["location"]],
        text=f"{figures.overridden_units:,} of {figures.sold_units:,} units of {it.head['name']} were sold at a price"
        f" that somebody at the till has set ({share / 10:.1f} %).",
        facts={
            "name": it.head["name"],
            "units": figures.overridden_units,
            "sold_units": figures.sold_units,
            "permille": share,
            "limit_permille": policy.override_permille,
            "places": worst,
            "more_places": max(len(overridden) - _PLACES, 0),
        },
        options=_options("The tills are told, or the prices are right as they are set."),
    )


def _exposure(figures: LookFigures, floor_permille: int, policy: LookPolicy) -> dict[str, Any] | None:
    """What nears its limit; None for nothing. `grade` rises as it becomes worse."""
    margin, cap = figures.margin_permille, figures.cap_used_permille
    counts = figures.sold_units >= policy.margin_least
    near = counts and margin is not None and margin < floor_permille + policy.margin_near_permille
    below = counts and margin is not None and margin < floor_permille
    used = cap is not None and cap >= policy.cap_near_permille
    if not near and not used:
        return None
    return {
        "margin_permille": margin if near else None,
        "floor_permille": floor_permille,
        "cap_used_permille": cap if used else None,
        "grade": int(near) + int(below) + int(used) + int(cap is not None and cap >= 1000),
    }


async def _say_exposure(it: Promotion, figures: LookFigures, policy: LookPolicy, at: datetime) -> None:
    found = _exposure(figures, it.head["margin_floor_permille"], policy)
    before = await _latest(it, EXPOSURE)
    if found is None:
        await _heal(it, before, "its margin and its cap are within their limits again", at)
        return
    if before is not None and not _is_news(before, found["grade"] > before["facts"]["grade"]):
        return
    told = []
    if found["margin_permille"] is not None:
        told.append(f"it earns {found['margin_permille'] / 10:.1f} % so far, its floor is"
                    f" {found['floor_permille'] / 10:.1f} %")  # fmt: skip
    if found["cap_used_permille"] is not None:
        told.append(f"{found['cap_used_permille'] / 10:.1f} % of what its vendor pays at most has accrued")
    await it.open_case(
        EXPOSURE,
        at,
        text=f"{it.head['name']}: {' and '.join(told)}.",
        facts={
            "name": it.head["name"],
            "sold_units": figures.sold_units,
            "expected_units": round(figures.expected_units),
            "forecast_units": figures.forecast_units,
            "revenue_minor": figures.revenue_minor,
            "cost_minor": figures.cost_minor,
            "ends_at": it.head["ends_at"].isoformat(),
            **found,
        },
        options=_options("It goes on as it was agreed; you are told again when it becomes worse."),
    )


def _is_news(before: RowMapping, is_worse: bool) -> bool:  # noqa: FBT001
    """Whether a case is to be opened, or an open one said anew: it is worse, or the one before has healed."""
    return is_worse or before["resolution"] == "self_healed"


async def _heal(it: Promotion, before: RowMapping | None, because: str, at: datetime) -> None:
    if before is not None and before["closed_at"] is None:
        await case.heal(it.tx, before["id"], because, at)


def _options(noted: str) -> tuple[CaseOption, ...]:
    return (
        CaseOption(
            id="noted",
            label="Go on as it is",
            rank=1,
            because="it was agreed to, and customers have seen it",
            consequence=Consequence(customer=noted),
        ),
        CaseOption(
            id="end_now",
            label="End the promotion now",
            rank=2,
            consequence=Consequence(
                customer="Every channel is told of the prices that are right now, and they are read back."
            ),
        ),
    )


async def noted(_tx: Transaction, _case: RowMapping, _journey: RowMapping | None, _at: datetime) -> str:
    """It goes on; the next look says it again only when it is worse."""
    return "It goes on as it is."


async def end_now(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """Its prices are taken back. Raises `StateConflict` for one that does not run any more."""
    it = await Promotion.load_with_cases(tx, journey_row)
    if it.state is not PromotionState.ACTIVE:
        raise StateConflict("The promotion does not run any more; nothing is left to end.")
    await ending.take_back(it, at, "the promotion was ended")
    told = "Ended early; its prices are taken back."
    await steps.note(tx, it.id, "ended_early", f"case:{case_row['id']}:{case_row['episode']}", told, at)
    await it.save(at)
    tx.tell(it.id, Message.PROMOTION_ENDED)
    return told
