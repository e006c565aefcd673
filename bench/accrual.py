"""F1: sales at the till whose promotions vendors pay for, beside the same sales without, and beside the statements that
they become. A request is a thousand receipts of three lines, given to the ledger in process; HTTP is S5.events.

Without a cap an agreement is only read. With one it is counted: requests take its row one after the other.
"""

import time
from random import Random
from typing import Any

from sqlalchemy import text

from bench import events, pgbench, place
from bench.rows import Row, row
from ledger import facts
from ledger.engine import Database

AGREEMENTS = 20
PROMOTIONS = 5  # of each
REQUEST = 1_000
RUNS = 3
WRITTEN = (*events.WRITTEN, "funding_accrual")

_AGREED = text(
    "INSERT INTO funding_agreement (id, number, source, entity, office, vendor, currency, signed_on, document,"
    " starts_at, ends_at, terms, claim_window_days, next_claim_at, opened_by, at)"
    " SELECT 'bench:' || k || g, k || g, 'bench', 'E1', 'L1', 'V' || g, 'EUR', '2020-01-01', 'A.pdf', '2020-01-01',"
    " '2090-01-01', CAST(:terms AS jsonb), 30, '2090-01-31', 'bench', now()"
    " FROM CAST(:kind AS text) k, generate_series(0, CAST(:agreements AS int) - 1) g"
)
_COVERED = text(
    "INSERT INTO funded_promotion (entity, promotion_id, agreement_id)"
    " SELECT 'E1', k || '-' || p, 'bench:' || k || p % n"
    " FROM CAST(:kind AS text) k, CAST(:agreements AS int) n, generate_series(0, n * CAST(:promotions AS int) - 1) p"
)
SHARE = '{"kind": "percent", "base": "discount", "permille": 400, "tiers": [], "cap_minor": %s}'


async def agree(database: Database, kind: str, cap: str) -> None:
    """Agreements that pay four tenths of the discount, of five promotions each."""
    async with database.engine.begin() as conn:
        await conn.execute(_AGREED, {"kind": kind, "terms": SHARE % cap, "agreements": AGREEMENTS})
        await conn.execute(_COVERED, {"kind": kind, "agreements": AGREEMENTS, "promotions": PROMOTIONS})


def promoted(kind: str) -> events.Says:
    """Lines of the promotions of a kind of agreement, a fifth off."""

    def says(dice: Random) -> dict[str, Any]:
        code = f"{kind}-{dice.randrange(AGREEMENTS * PROMOTIONS)}"
        return {
            "quantity": 1, "unit_price_minor": 1_500, "regular_price_minor": 1_500, "discount_minor": 300,
            "promotion_id": code,
        }  # fmt: skip

    return says


async def _lines_s(database: Database, says: events.Says, name: str, *, seconds: float, request: int) -> float:
    """Lines a second, one request after the other. Raises RuntimeError where a sale is not accepted."""
    made = [events.sales(request, key=f"{name}-{n}", seed="x", says=says) for n in range(2)]
    sent, spent = 0, 0.0
    while spent < seconds:
        batch = made[sent] if sent < len(made) else events.sales(request, key=f"{name}-{sent}", seed="x", says=says)
        began = time.perf_counter()
        outcomes = await facts.receive(database, place.CALLER, batch, received_at=place.now())
        spent += time.perf_counter() - began
        sent += 1
        if wrong := [one for one in outcomes if one.outcome != "accepted"]:
            raise RuntimeError(f"{len(wrong)} sales were not accepted, first {wrong[0]}")
    return sent * request * events.LINES / spent


async def accrued(server_url: str, *, seconds: float, request: int = REQUEST) -> list[Row]:
    """Lines a second without promotions, with funded ones, and with agreements that have a cap."""
    kinds = {"plain": events.plain, "flat": promoted("flat"), "capped": promoted("capped")}
    runs: dict[str, list[float]] = {kind: [] for kind in kinds}
    limits: dict[str, float] = {}
    async with place.database(server_url, "accrual") as database:
        await agree(database, "flat", "null")
        await agree(database, "capped", "999999999999")
        for run in range(RUNS):  # by turns, so that a slower minute is everybody's
            for kind, says in kinds.items():
                runs[kind].append(
                    await _lines_s(database, says, f"{kind}{run}", seconds=seconds / RUNS, request=request)
                )
        await _all_accrued(database)
        for kind, says in kinds.items():
            written = events.WRITTEN if kind == "plain" else WRITTEN
            scripts = [
                await events.script(database, request_events=request, seed=f"{kind}{n}", says=says, written=written)
                for n in range(2)
            ]
            found = await pgbench.best(
                database.url, scripts, seconds=max(int(seconds / 2), 1), clients=(1, 2), planner=""
            )
            limits[kind] = found.per_s * request * events.LINES
    plain = sorted(runs["plain"])[RUNS // 2]

    def told(kind: str, note: str) -> Row:
        share = sorted(runs[kind])[RUNS // 2] / plain
        said = f"{note}; {share:.2f} of the lines without a promotion; one caller, requests of {request} receipts"
        return row(f"F1.{kind}", "sales of 3 lines into the ledger", runs[kind], "lines/s", limits[kind], said)

    return [
        told("plain", "no promotion"),
        told("flat", f"every line funded, {AGREEMENTS} agreements of {PROMOTIONS} promotions"),
        told("capped", "the same with a cap, so agreements are locked and counted"),
    ]


async def _all_accrued(database: Database) -> None:
    """Each promoted line has accrued, four tenths of its discount, and the counters say the same."""
    async with database.read() as conn:
        lines = (await conn.exec_driver_sql("SELECT count(*) FROM sale_line WHERE promotion_id <> ''")).scalar_one()
        of_all = await conn.exec_driver_sql(
            "SELECT count(*) AS rows, coalesce(sum(amount_minor), 0)::bigint AS minor, coalesce(sum(amount_minor)"
            " FILTER (WHERE agreement_id LIKE 'bench:capped%%'), 0)::bigint AS held FROM funding_accrual"
        )
        found = of_all.mappings().one()
        counted = (
            await conn.exec_driver_sql("SELECT coalesce(sum(accrued_minor), 0)::bigint FROM funding_agreement")
        ).scalar_one()
    if not lines or (found["rows"], found["minor"], found["held"]) != (lines, lines * 120, counted):
        raise RuntimeError(f"{lines} promoted lines accrued {dict(found)}, and {counted} are counted")
