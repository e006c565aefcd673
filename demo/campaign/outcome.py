"""What came of a campaign: the ledger beside the raw data, the claims to the last cent, and the books.

A difference is named line by line.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from demo.campaign import bodies, raw
from demo.campaign.clock import Clock
from demo.campaign.cut import WEEK_S
from demo.campaign.scene import Scene, date_of
from demo.client import Client
from demo.unified import begun_at
from ledger.engine import Database

_CLAIMS = (
    "SELECT count(*)::int AS claims, coalesce(sum(c.amount_minor), 0)::bigint AS claimed,"
    " coalesce(sum(c.settled_minor), 0)::bigint AS settled, coalesce(sum(c.released_minor), 0)::bigint AS released,"
    " coalesce(sum(c.written_off_minor), 0)::bigint AS written_off,"
    " coalesce(sum(c.reclaimed_minor), 0)::bigint AS reclaimed,"
    " count(*) FILTER (WHERE j.closed_at IS NULL)::int AS open,"
    " count(*) FILTER (WHERE j.state = 'cancelled')::int AS cancelled"
    " FROM claim c JOIN journey j ON j.id = c.journey_id WHERE j.key LIKE :campaign"
)
_REST = (
    "SELECT coalesce(sum(a.amount_minor), 0)::bigint AS unclaimed FROM funding_accrual a"
    " JOIN funding_agreement g ON g.id = a.agreement_id WHERE g.number LIKE :campaign AND a.claim_id IS NULL"
)


class Result(NamedTuple):
    """`lines` are to be read; `wrong` says what does not agree, and is empty when all is well."""

    lines: list[str]
    wrong: list[str]


def dollars(minor: int) -> str:
    return f"{minor / 100:,.2f}"


async def result(scene: Scene) -> Result:
    """Compare the ledger with the raw data, and look into the books."""
    campaign, clock = scene.campaign, scene.clock
    signed = raw.signed(campaign)
    found = await asyncio.to_thread(raw.rows, signed)
    should = raw.accrued(signed, found, ends_s=campaign.ends_s)
    have = await clock.accrued(campaign.number, scene.shift)
    of_raw, sold = raw.totals(found), await clock.sold(campaign.number)
    like = {"campaign": f"CJ{campaign.number}-%"}
    (claims,), (rest,) = await clock.rows(_CLAIMS, **like), await clock.rows(_REST, **like)
    wrong = raw.differences(should, have)
    for name, value in _comparable(of_raw).items():
        if sold[name] != value:
            wrong.append(f"{name}: the ledger has {sold[name]}, the raw data {value}")
    wrong += await clock.findings()
    wrong += [f"{count} events were {word}" for word, count in sorted(scene.refused.items())]
    if claims["open"]:
        wrong.append(f"{claims['open']} claims are open")
    accrued = sum(have.values())
    kept = claims["settled"] + claims["released"] + claims["written_off"] + rest["unclaimed"]
    if accrued != kept:
        wrong.append(f"accrued {accrued}, of which settled, released, written off and unclaimed are {kept}")
    return Result(_lines(scene, of_raw, have, claims, rest["unclaimed"]), wrong)


def _lines(scene: Scene, of_raw: raw.Totals, have: raw.Sums, claims: Mapping[str, Any], unclaimed: int) -> list[str]:
    campaign, weeks = scene.campaign, scene.shift // WEEK_S
    first, last = date_of(campaign.starts_s), date_of(campaign.ends_s - 1)
    said = (
        f"campaign {campaign.number}, {first} to {last}, moved on by {weeks} weeks: {len(campaign.makers)} makers,",
        f" {len(campaign.stores)} stores, {len(campaign.promotions)} promotions ({scene.verdicts} verdicts),",
        f" {len(campaign.agreements)} agreements\n",
        f"{of_raw.rows:,} lines of {len(campaign.receipts):,} receipts ({campaign.left_out} left out),",
        f" {of_raw.units:,} units; the retailer gave {dollars(of_raw.discount_minor)},",
        f" and {dollars(of_raw.match_minor)} to match coupons of {dollars(of_raw.coupon_minor)}\n",
        f"accrued {dollars(sum(have.values()))} in {len(have)} sums by vendor, promotion and week\n",
        f"{claims['claims']} claims of {dollars(claims['claimed'])}: settled {dollars(claims['settled'])},",
        f" claimed again {dollars(claims['reclaimed'])}, released {dollars(claims['released'])}, written off",
        f" {dollars(claims['written_off'])}; in no claim {dollars(unclaimed)}",
    )
    return "".join(said).split("\n")


def _comparable(of_raw: raw.Totals) -> Mapping[str, Any]:
    return {
        "rows": of_raw.rows,
        "units": of_raw.units,
        "discount_minor": of_raw.discount_minor + of_raw.match_minor,
        "coupon_minor": of_raw.coupon_minor,
    }


async def play(
    base_url: str, keys: Mapping[str, str], default: str | None, data: Path, begun: Path, database_url: str
) -> Result:
    """Play the scene of a folder to its end and compare. Raises FileNotFoundError, SceneStuckError, RefusedError."""
    campaign = bodies.read(data)
    database = Database(database_url, pool_size=4, application="endcap demo")
    began = time.monotonic()
    try:
        async with httpx2.AsyncClient(base_url=base_url, timeout=60.0) as http:
            at = begun_at(begun, dt.datetime.now(dt.UTC))
            scene = Scene(Client(http, keys, default), campaign, Clock(database), at)
            await scene.play()
            found = await result(scene)
    finally:
        await database.dispose()
    found.lines.append(f"played in {time.monotonic() - began:.0f} s; see {base_url}/console/funding")
    return found
