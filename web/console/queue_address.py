"""What the address of a queue asks for: its tab and its filters, and the cases that they want.

What it says that is not understood is told, never dropped in silence.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.case import OPEN_STATES, SEVERITIES
from domain.case_kinds import KINDS
from domain.journey_kinds import JOURNEY_KINDS
from domain.people import ROLES, Person
from ledger.reads.case_filter import CaseFilter
from ledger.reads.endings import ENDINGS
from ledger.reads.journeys import JourneyFilter, list_journeys
from web.console.spans import SPANS, bounds, is_understood
from web.pages import start_of_day

OPEN = ",".join(OPEN_STATES)
BREACH_WITHIN = timedelta(hours=2)
STATES = (*OPEN_STATES, "resolved", "cancelled")
FILTERS = (
    "kind", "severity", "region", "location", "entity", "channel", "journey", "category", "owner", "state", "age",
    "opened", "closed", "due", "ended", "sku", "order", "text", "mentions", "root_cause",
)  # fmt: skip
KNOWN = (*FILTERS, "tab", "cursor", "selected", "shown", "after", "end", "at", "row")


class Tab(NamedTuple):
    slug: str
    label: str
    empty: str


TABS = (
    Tab("mine", "Mine", "You have claimed nothing. Take a case from Unassigned."),
    Tab("unassigned", "Unassigned", "Every case has somebody. Nothing to take."),
    Tab("breaching", "Breaching within 2 h", "No clock runs out within two hours."),
    Tab("approval", "Waiting for approval", "No decision waits for an approval."),
    Tab("done", "Done today", "Nothing was closed today yet."),
)
ALL = Tab("all", "All open", "Nothing is broken. Cases appear here by themselves when something is.")


class Wanted(NamedTuple):
    """What an address asks for. `not_understood` names parameters and values that were left out of the search."""

    tab: str
    given: dict[str, str]
    cursor: str | None
    not_understood: list[str]


def filter_of_tab(slug: str, person: Person, now: datetime, today: datetime) -> CaseFilter:
    """The cases of a tab before any filter."""
    tabs: dict[str, dict[str, Any]] = {
        "mine": {"state": OPEN, "claimed_by": person.id},
        "unassigned": {"state": "open,waiting", "claimed_by": "none"},
        "breaching": {"state": OPEN, "due_before": now + BREACH_WITHIN},
        "approval": {"state": OPEN, "waiting_for_approval": True},
        "done": {"state": "resolved,cancelled", "closed_from": today, "order": "closed"},
        "all": {"state": OPEN},
    }
    return CaseFilter(**tabs[slug])


def read_address(query: Mapping[str, str]) -> Wanted:
    """Sort an address into what is understood and what is not; nothing is dropped in silence."""
    problems = [f"{name}={value}" for name, value in query.items() if name not in KNOWN]
    given = {}
    allowed: dict[str, Any] = {
        "kind": KINDS,
        "severity": SEVERITIES,
        "state": STATES,
        "owner": ROLES,
        "mentions": ("me",),
    }
    for name in FILTERS:
        value = query.get(name, "").strip()
        if not value:
            continue
        unknown = name in allowed and not set(value.split(",")) <= set(allowed[name])
        unknown |= name == "ended" and value not in ENDINGS
        unknown |= name == "journey" and value not in JOURNEY_KINDS
        if unknown or (name in SPANS and not is_understood(name, value)):
            problems.append(f"{name}={value}")
        else:
            given[name] = value[:200]
    slugs = {tab.slug for tab in (*TABS, ALL)}
    tab = query.get("tab", "all")
    if tab not in slugs:
        problems.append(f"tab={tab}")
        tab = "all"
    return Wanted(tab, given, query.get("cursor") or None, problems)


async def filter_of(conn: Any, wanted: Wanted, person: Person, now: datetime, zone: str) -> CaseFilter:
    """The tab narrowed by the filters; days are those of `zone`. A state that is asked for by name, or days of opening
    or closing, or how a case ended, widen the tab "all" beyond open cases.
    """
    fields = filter_of_tab(wanted.tab, person, now, start_of_day(now, zone)).model_dump(exclude_none=True)
    given = dict(wanted.given)
    if wanted.tab == "all" and "state" not in given and {"opened", "closed", "ended"} & set(given):
        fields.pop("state", None)
    order = given.pop("order", None)
    if order:
        fields["journey_id"] = await _journey_of(conn, person, order)
    if given.pop("mentions", None):
        fields["mentions"] = person.id
    fields |= bounds(given, now, zone)
    return CaseFilter(**{**fields, **{name: value for name, value in given.items() if name not in SPANS}})


async def _journey_of(conn: Any, person: Person, order: str) -> str:
    """A journey by its id or by the number that the customer knows; what is not found matches no case."""
    found = await list_journeys(conn, person, JourneyFilter(key=order), limit=1)
    return found.items[0].id if found.items else order
