"""The kinds of journeys as people meet them: what one is called, where its page is, its states, the way it goes when
all goes well. A new kind of journey adds its entry here; docs/adding-a-journey.md says what else it brings.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from pydantic import BaseModel

from domain import bopis, claim, count, promotion, returns, transfer
from domain.ids import parse_journey_id


class Stage(NamedTuple):
    """A state on the way of a journey, as it is drawn: `done`, `here`, `ahead`, or `left` (it is over without it)."""

    state: str
    mark: Literal["done", "here", "ahead", "left"]


class JourneyKind(BaseModel, frozen=True):
    """What a kind of journey is to people. States are words of its transition table.

    `ways` are the states that one goes through, in their order, the usual way first, then those that end or go on
    elsewhere; `begins` are the states in which one may begin. `page` is where one is shown, its id appended;
    `list_page` and `open_page` (those under way) are addresses, `section` the word by which the menu marks them
    (`more` for what is not worked at every day, and stands on the page of that name).
    `ends` are the states in which it is over, where something may open it again all the same.
    `introduction` stands above the figure of its states.
    """

    kind: str
    noun: str
    plural: str
    section: str
    list_page: str
    open_page: str
    page: str = "/console/journeys/"
    transitions: Mapping[str, frozenset[str]]
    begins: tuple[str, ...]
    ways: tuple[tuple[str, ...], ...]
    introduction: str
    ends: tuple[str, ...] = ()

    @property
    def final(self) -> frozenset[str]:
        """The states in which it is over."""
        return frozenset(self.ends) or frozenset(state for state, after in self.transitions.items() if not after)

    def progress(self, state: str) -> list[Stage]:
        """The way of a journey that is in `state`: what lies behind it, where it is, what is ahead.

        A state beside every way (a reservation that failed) stands before the first state that it can come back to.
        One that ends the journey beside every way leaves what it did not reach.
        """
        for way in self.ways:
            if state in way:
                return _drawn(way[: way.index(state)], state, way[way.index(state) + 1 :])
        usual = self.ways[0]
        back = None if state in self.final else self._back_to(usual, state)
        if back is None:
            return [Stage(usual[0], "done"), *(Stage(one, "left") for one in usual[1:]), Stage(state, "here")]
        return _drawn(usual[: usual.index(back)], state, usual[usual.index(back) :])

    def _back_to(self, way: tuple[str, ...], state: str) -> str | None:
        """The earliest state of a way that the fewest changes lead to; None where nothing follows."""
        seen, now = {state}, {state}
        while now:
            now = {then for one in now for then in self.transitions[one]} - seen
            if found := now & set(way[1:]):
                return min(found, key=way.index)
            seen |= now
        return None


def _drawn(behind: tuple[str, ...], state: str, ahead: tuple[str, ...]) -> list[Stage]:
    return [*(Stage(one, "done") for one in behind), Stage(state, "here"), *(Stage(one, "ahead") for one in ahead)]


def _plain(table: Mapping[Any, frozenset[Any]]) -> dict[str, frozenset[str]]:
    """A transition table of an enumeration as plain words."""
    return {str(state): frozenset(str(then) for then in after) for state, after in table.items()}


_KINDS = (
    JourneyKind(
        kind="bopis",
        noun="Order",
        plural="Orders",
        section="journeys",
        list_page="/console/journeys",
        open_page="/console/journeys?state=open",
        transitions=_plain(bopis.TRANSITIONS),
        begins=("placed", "reserved", "reservation_failed"),
        ways=(
            ("placed", "reserved", "picking", "ready_for_pickup", "collected"),
            ("placed", "reserved", "picking", "ready_for_pickup", "partially_collected", "collected"),
            ("placed", "reserved", "to_be_shipped", "shipped"),
            ("placed", "reserved", "picking", "ready_for_pickup", "expired"),
        ),
        introduction="A BOPIS order. `suspended` is no state: an unexpected failure stops the order where it stands,"
        " and it goes on from there.",
    ),
    JourneyKind(
        kind="claim",
        noun="Vendor claim",
        plural="Vendor claims",
        section="more",
        list_page="/console/vendor-claims",
        open_page="/console/vendor-claims?tab=open",
        transitions=_plain(claim.TRANSITIONS),
        begins=("prepared", "sent", "written_off"),
        ways=(
            ("prepared", "approved", "sent", "matched", "settled"),
            ("prepared", "approved", "sent", "matched", "partially_settled", "settled"),
            ("prepared", "approved", "sent", "matched", "disputed", "settled"),
        ),
        introduction="A claim against a vendor for its share of promotions. The vendor's answer and its money take it"
        " where its figures lead.",
    ),
    JourneyKind(
        kind="count",
        noun="Count",
        plural="Counts",
        section="counts",
        list_page="/console/counts",
        open_page="/console/counts",
        page="/console/counts/",
        transitions=_plain(count.TRANSITIONS),
        begins=("scheduled",),
        ways=(
            ("scheduled", "in_progress", "submitted", "approved", "posted"),
            ("scheduled", "in_progress", "submitted", "pending_approval", "approved", "posted"),
        ),
        introduction="A cycle count. A rejected one is counted again; facts that come late may send an approved one"
        " back.",
    ),
    JourneyKind(
        kind="promotion",
        noun="Promotion",
        plural="Promotions",
        section="promotions",
        list_page="/console/promotions",
        open_page="/console/promotions?state=open",
        transitions=_plain(promotion.TRANSITIONS),
        begins=("draft", "pending_approval", "approved"),
        ends=tuple(sorted(promotion.FINAL)),
        ways=(
            ("draft", "approved", "publishing", "active", "reverting", "ended"),
            ("draft", "pending_approval", "approved", "publishing", "active", "reverting", "ended"),
            ("draft", "approved", "publishing", "active", "reverting", "settled"),
        ),
        introduction="A promotion. It has ended when no channel shows a price of it any more, and is settled when its"
        " last claim is closed.",
    ),
    JourneyKind(
        kind="returns",
        noun="Return",
        plural="Returns",
        section="returns",
        list_page="/console/journeys?kind=returns",
        open_page="/console/journeys?kind=returns&state=open",
        transitions=_plain(returns.TRANSITIONS),
        begins=("requested", "authorized", "received", "declined"),
        ends=tuple(sorted(returns.FINAL)),
        ways=(
            ("authorized", "received", "inspecting", "closed"),
            ("authorized", "in_transit", "received", "inspecting", "refund_pending", "closed"),
            ("requested", "authorized", "received", "inspecting", "dispositioned", "refund_pending", "closed"),
            ("authorized", "received", "inspecting", "refunded", "closed"),
            ("authorized", "in_transit", "not_received"),
        ),
        introduction="A return. Goods that come are a fact: they open a return again that was over, whatever was said"
        " of it.",
    ),
    JourneyKind(
        kind="transfer",
        noun="Transfer",
        plural="Transfers",
        section="transfers",
        list_page="/console/transfers",
        open_page="/console/transfers?state=open",
        transitions=_plain(transfer.TRANSITIONS),
        begins=("pending_approval", "ready_to_ship", "cancelled", "in_transit"),
        ways=(
            ("approved", "ready_to_ship", "in_transit", "received", "closed"),
            ("requested", "pending_approval", "approved", "ready_to_ship", "in_transit", "received", "closed"),
            ("approved", "ready_to_ship", "in_transit", "partially_received", "received", "closed"),
            ("approved", "ready_to_ship", "in_transit", "received", "discrepancy_review", "closed"),
        ),
        introduction="A store transfer. Goods that move are a fact: they take a transfer where its quantities lead, and"
        " open again one that was over.",
    ),
)

JOURNEY_KINDS: dict[str, JourneyKind] = {kind.kind: kind for kind in _KINDS}


def journey_kind(journey_id: str) -> JourneyKind:
    """The kind of a journey, from its id."""
    return JOURNEY_KINDS[parse_journey_id(journey_id).kind]


def is_journey(text: str) -> bool:
    """Whether a text is the id of a journey of a known kind."""
    return text.count(":") >= 2 and text.split(":", 1)[0] in JOURNEY_KINDS


def journey_words(journey_id: str) -> str:
    """`Order W-1001`, as people call it."""
    found = parse_journey_id(journey_id)
    return f"{JOURNEY_KINDS[found.kind].noun} {found.key}"


def journey_page(journey_id: str) -> str:
    """Where the page of a journey is."""
    return journey_kind(journey_id).page + quote(journey_id, safe=":")
