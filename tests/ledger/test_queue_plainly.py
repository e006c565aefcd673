"""Whatever a queue is asked for, it lists and counts what a plain look at every case finds."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from domain.case import CASE_STATES, OPEN_STATES, SEVERITIES
from domain.people import Grant, Person
from ledger.reads.case_filter import SHORTEST_PART, CaseFilter, named
from ledger.reads.case_lists import count_several, list_cases, list_queue
from ledger.tables import approval, case_file, customer, item, metadata
from tests.conftest import Database as OneDatabase
from tests.shop import ADA, ANA, Shop, open_shop

CASES = 240
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
REGIONS = ("R1", "R2", "R3")
ITEMS = {"TEA-77": "Green tea", "MUG-7": "Tea mug", "W00012": "Lamp 100%"}
SKUS = (*ITEMS, "")
NAMES = ("Ada Keller", "Lou O'Hara", "Kim_Lee 00120")
OPEN = ",".join(OPEN_STATES)
type Row = Mapping[str, Any]


def one(n: int) -> dict[str, Any]:
    """The case of a number: every combination of what filters ask for comes about, each in a rhythm of its own."""
    state = CASE_STATES[n % len(CASE_STATES)]
    closed = state not in OPEN_STATES
    opened_at = START + timedelta(minutes=37 * (n * 7 % CASES))
    key = f"W{n * 11:07d}"
    return {
        "kind": ("pick_short", "reservation_failure", "capture_failed")[n % 3],
        "subject": (f"order:{key}", f"stock:{key[:5]}", "Promotion “7 %”")[n // 2 % 3],
        "dedupe_key": f"plain|{n}",
        "state": state,
        "severity": SEVERITIES[n * 3 // 11 % len(SEVERITIES)],
        "journey_id": (f"bopis:web:{key}", f"transfer:erp:T-{n % 20}", None)[n * 5 // 13 % 3],
        "customer_id": f"c{n % len(NAMES)}" if n % 5 else None,
        "location": f"S{n // 6 % 6}",
        "region": REGIONS[n // 6 % 6 % 3],
        "entity": "DE01" if n // 6 % 3 < 2 else "FR01",
        "channel": ("web", "app")[n // 7 % 2],
        "sku": SKUS[n // 12 % len(SKUS)],
        "owner_role": ("regional_ops", "store_manager")[n // 5 % 2],
        "claimed_by": (None, "ana", "max")[n // 8 % 3],
        "value_at_risk_minor": 0,
        "currency": "EUR",
        "priority_score": n * 13 % 50,
        "facts": {},
        "opened_at": opened_at,
        "next_due_at": None if closed or n % 17 == 0 else opened_at + timedelta(hours=n % 9),
        "closed_at": opened_at + timedelta(hours=n % 30) if closed else None,
        "resolution": ("cancel_refund", "self_healed", "wait")[n // 9 % 3] if closed else None,
        "resolved_by": ("ana", "endcap")[n // 10 % 2] if closed else None,
        "root_cause": ("theft", None)[n // 11 % 2],
    }


def asked_about(n: int, case: Row) -> dict[str, Any]:
    """A request for approval; it is pending for two of three cases that are being decided."""
    return {
        **{name: case[name] for name in ("kind", "subject", "journey_id", "location", "region", "entity", "currency")},
        "case_id": case["id"],
        "state": "pending" if case["state"] == "deciding" and n // 6 % 3 else "superseded",
        "facts": {},
        "amount_minor": 5,
        "band": "manager",
        "requester": "ana",
        "roles": ["store_manager"],
        **dict.fromkeys(("opened_at", "deadline_at", "expires_at"), START),
    }


@pytest.fixture
async def shop(database: OneDatabase) -> AsyncIterator[Shop]:
    """Cases that no journey stands behind: nothing but reading is tried here, so the books are not looked at."""
    opened = await open_shop(database.url)
    async with opened.database.engine.begin() as conn:
        await conn.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger finds their customers
        for number, name in enumerate(NAMES):
            reached = {"email": f"{name[:3].lower()}@customer.example", "phone": f"+49 151 00012{number}"}
            await conn.execute(insert(customer).values(id=f"c{number}", name=name, **reached, has_case=number < 2))
        await conn.execute(
            insert(item), [{"sku": sku, "name": name, "price_minor": 5, "cost_minor": 2} for sku, name in ITEMS.items()]
        )
        made = await conn.execute(
            insert(case_file).returning(case_file, sort_by_parameter_order=True), [one(n) for n in range(CASES)]
        )
        await conn.execute(insert(approval), [asked_about(n, case) for n, case in enumerate(made.mappings())])
    yield opened
    await opened.database.dispose()


async def everything(shop: Shop) -> dict[str, list[Row]]:
    """Whole tables, as they are."""
    async with shop.database.engine.connect() as conn:
        names = ("case_file", "approval", "customer", "item", "person")
        return {
            name: [dict(row) for row in (await conn.execute(select(metadata.tables[name]))).mappings()]
            for name in names
        }


def wants(case: Row, asked: CaseFilter, there: Mapping[str, list[Row]]) -> bool:
    """Whether a filter wants a case, said once more and slowly."""
    words = {name: value.split(",") for name in ("kind", "severity", "state") if (value := getattr(asked, name))}
    plain = ("region", "location", "entity", "channel", "journey_id", "sku", "root_cause")
    fits = all(case[name] in listed for name, listed in words.items())
    fits &= all(case[name] == getattr(asked, name) for name in plain if getattr(asked, name) is not None)
    if asked.claimed_by is not None:
        fits &= case["claimed_by"] == (None if asked.claimed_by == "none" else asked.claimed_by)
    if asked.owner is not None:
        fits &= case["owner_role"] in asked.owner.split(",") or case["claimed_by"] == asked.owner
    if asked.journey is not None:
        fits &= (case["journey_id"] or "").startswith(f"{asked.journey}:")
    if asked.waiting_for_approval:
        fits &= any(one["case_id"] == case["id"] and one["state"] == "pending" for one in there["approval"])
    if asked.ended is not None:
        fits &= _ended(case, asked.ended, there)
    if asked.text:
        fits &= _has(case, asked.text.lower(), there)
    return fits and _between(case, asked)


def _ended(case: Row, how: str, there: Mapping[str, list[Row]]) -> bool:
    if how == "people":
        return case["state"] == "resolved" and case["resolved_by"] in {one["id"] for one in there["person"]}
    return bool(case["resolution"] == "self_healed")


def _has(case: Row, words: str, there: Mapping[str, list[Row]]) -> bool:
    if len(words) < SHORTEST_PART:
        return words in (case["sku"].lower(), case["location"].lower())
    said = [case[name] for name in ("subject", "journey_id", "sku", "location")]
    said += [one["name"] for one in there["item"] if one["sku"] == case["sku"]]
    for one in there["customer"]:
        if one["id"] == case["customer_id"] and one["has_case"]:
            said += [one["name"], one["email"], one["phone"]]
    return any(words in part.lower() for part in said if part)


def _between(case: Row, asked: CaseFilter) -> bool:
    fits = True
    for which, column in (("due", "next_due_at"), ("opened", "opened_at"), ("closed", "closed_at")):
        at = case[column]
        first, end = getattr(asked, f"{which}_from", None), getattr(asked, f"{which}_{_END[which]}")
        if first is not None or end is not None:
            fits &= at is not None and (first is None or at >= first) and (end is None or at < end)
            fits &= which != "due" or case["closed_at"] is None
    return fits


_END = {"due": "before", "opened": "until", "closed": "until"}


def in_order(cases: list[Row], by: str) -> list[int]:
    """Their numbers as a list shows them."""
    if by == "due":
        late = datetime.max.replace(tzinfo=UTC)
        return [case["id"] for case in sorted(cases, key=lambda case: (case["next_due_at"] or late, case["id"]))]
    column = {"priority": "priority_score", "opened": "opened_at", "closed": "closed_at"}[by]
    listed = [case for case in cases if by != "closed" or case["closed_at"] is not None]
    return [case["id"] for case in sorted(listed, key=lambda case: (case[column], case["id"]), reverse=True)]


def of_one_cause(cases: list[Row], wanted: list[Row]) -> list[Row]:
    """Those that stand for their cause: the first by the clocks of all that are wanted."""
    first: dict[object, int] = {}
    by_id = {case["id"]: case for case in wanted}
    for number in in_order(wanted, "due"):
        first.setdefault(_cause(by_id[number]), number)
    return [case for case in cases if first[_cause(case)] == case["id"]]


def _cause(case: Row) -> object:
    if case["journey_id"] is None or case["closed_at"] is not None:
        return case["id"]
    return (case["kind"], case["location"], case["sku"]) if case["sku"] else case["journey_id"]


async def listed(shop: Shop, viewer: Person, asked: CaseFilter) -> list[int]:
    """Every page of a list, and the count of it."""
    numbers: list[int] = []
    async with shop.database.read() as conn:
        found, cursor = await named(conn, asked), None
        while True:
            if asked.rolled_up:
                rows, cursor = await list_queue(conn, viewer, asked, cursor=cursor, limit=17, found=found)
                numbers += [row.id for row in rows]
            else:
                page = await list_cases(conn, viewer, asked, cursor=cursor, limit=17, found=found)
                numbers, cursor = numbers + [case.id for case in page.items], page.next
            if cursor is None:
                break
        if not asked.rolled_up and asked.sorted_by != "closed":
            whole, capped = await count_several(conn, viewer, [(asked, CASES + 1), (asked, 3)], found)
            assert (whole, capped) == (len(numbers), min(len(numbers), 3))
    return numbers


LATER = START + timedelta(days=2)
TEXTS = (
    "W0000", "w00021", "order:W", "bopis:web:W00001", "tea", "TEA-7", "77", "S1", "s2", "é", "7 %", "100%", "_lee",
    "eb:W0", "0012", "00012", "keller", "o'hara", "nowhere", "stock:W0", "erp:T-1", "\\", "S1\n", "erp:T-1\x1fTEA",
)  # fmt: skip
FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"state": OPEN}, {"state": "resolved,cancelled"}, {"state": "waiting"}, {"state": "open,resolved"},
    {"state": OPEN, "order": "priority"}, {"state": OPEN, "order": "opened"}, {"order": "closed"},
    {"state": "open,waiting", "claimed_by": "none"}, {"state": OPEN, "claimed_by": "ana"},
    {"state": OPEN, "due_before": LATER}, {"due_from": START, "due_before": LATER},
    {"state": OPEN, "waiting_for_approval": True}, {"waiting_for_approval": True, "severity": "high"},
    {"state": "claimed", "waiting_for_approval": True}, {"waiting_for_approval": True, "order": "opened"},
    {"state": "resolved,cancelled", "closed_from": LATER, "order": "closed"}, {"closed_until": LATER},
    {"state": OPEN, "kind": "pick_short"}, {"kind": "pick_short,capture_failed", "severity": "low,critical"},
    {"state": OPEN, "region": "R1"}, {"state": OPEN, "location": "S3", "severity": "high"}, {"entity": "FR01"},
    {"state": OPEN, "channel": "app", "owner": "store_manager"}, {"state": OPEN, "owner": "ana"},
    {"state": OPEN, "opened_until": LATER}, {"opened_from": LATER}, {"state": OPEN, "sku": "MUG-7"},
    {"state": OPEN, "journey": "transfer"}, {"journey": "bopis", "state": "resolved"},
    {"journey_id": "transfer:erp:T-4"}, {"root_cause": "theft"}, {"ended": "people"},
    {"ended": "alone", "order": "closed"},
)  # fmt: skip


def _with(*grants: Grant) -> Person:
    return Person("eve", "Eve", "eve@shop.example", grants)


VIEWERS = {
    "everywhere": ADA,
    "one region": ANA,
    "two regions": _with(Grant("regional_ops", "", "R1", ""), Grant("regional_ops", "", "R3", "")),
    "one place": _with(Grant("store_manager", "", "", "S4")),
    "an entity, and a place of another": _with(
        Grant("finance", "FR01", "", ""), Grant("store_manager", "DE01", "R1", "S3")
    ),
}


@pytest.mark.parametrize("name", VIEWERS)
async def test_a_queue_lists_and_counts_what_a_plain_look_finds(shop: Shop, name: str) -> None:
    viewer, there = VIEWERS[name], await everything(shop)
    seen = [case for case in there["case_file"] if viewer.may_see(case["entity"], case["region"], case["location"])]
    shown: set[int] = set()
    for given in (
        *FILTERS,
        *({"text": word} for word in TEXTS),
        *({"text": word, "state": state} for word in TEXTS for state in (OPEN, "cancelled")),
        {"text": "tea", "region": "R2", "state": OPEN},
        {"text": "W0000", "kind": "pick_short", "waiting_for_approval": True},
    ):
        asked = CaseFilter(**given)
        wanted = [case for case in there["case_file"] if wants(case, asked, there)]
        inside = [case for case in wanted if case in seen]
        numbers = await listed(shop, viewer, asked)
        assert numbers == in_order(inside, asked.sorted_by), given
        shown |= set(numbers)
        if asked.sorted_by == "due" and asked.journey_id is None:
            of_causes = await listed(shop, viewer, asked.model_copy(update={"rolled_up": True}))
            assert of_causes == in_order(of_one_cause(inside, wanted), "due"), given
    assert shown == {case["id"] for case in seen} != set()


async def test_the_plain_look_tells_filters_apart(shop: Shop) -> None:
    """No filter wants every case, and few want none: one that is forgotten would be noticed."""
    there = await everything(shop)
    of_none = {"é", "77", "_lee", "nowhere", "\\", "S1\n", "erp:T-1\x1fTEA"}
    for given in (*FILTERS[1:], *({"text": word} for word in TEXTS)):
        if given in ({"order": "closed"}, {"state": "claimed", "waiting_for_approval": True}):
            continue
        wanted = [case for case in there["case_file"] if wants(case, CaseFilter(**given), there)]
        assert (0 if given.get("text") in of_none else 1) <= len(wanted) < CASES, given
    assert {one["id"] for one in there["person"]} >= {"ana", "max"}
