"""Policy as data: every window, limit, band and ladder, with the shipped defaults.

Intake resolves the documents in force for a place, merges them over these defaults and puts the copy into the journey;
a running journey keeps it. Durations are in seconds, money in minor units of the entity's currency. The copy names
roles, never people.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from domain.approval import Quorum
from domain.bands import Level, Limits
from domain.look_policy import LookPolicy
from domain.return_rules import ReturnPolicy
from domain.stock import DoubtRule

HOUR_S = 3600
DAY_S = 86_400
Signal = Literal["promise", "split", "cost", "confidence", "proximity"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BopisPolicy(Part):
    """Windows marked "open" run on the store's opening hours."""

    allocation: Literal["by_line", "whole_order"] = "by_line"
    confirm_placed: bool = True  # mail the customer that the order has come in; many shops do so themselves
    pick_open_s: int = Field(2 * HOUR_S, gt=0)
    pick_before_promise_s: int = Field(900, ge=0)
    cutoff_before_close_s: int = Field(HOUR_S, ge=0)
    nag_permille: tuple[int, ...] = (500, 1000, 1500)  # of the pick window: the picker, the store manager, the region
    verify_open_s: int = Field(1800, gt=0)
    window_open_days: int = Field(5, ge=0)
    window_frozen_open_days: int = Field(0, ge=0)
    reminder_open_days: tuple[int, ...] = (2, 5)
    put_away_s: int = Field(DAY_S, gt=0)
    ship_open_s: int = Field(16 * HOUR_S, gt=0)  # from the decision to send an order until somebody asks
    arrival_s: int = Field(600, gt=0)  # from a customer's arrival at the curb until somebody asks the store


class SourcingPolicy(Part):
    ways: tuple[
        Literal["other_store", "ship_to_home", "ship_to_store", "substitute", "part", "wait", "cancel_refund"], ...
    ] = (
        "other_store",
        "ship_to_home",
        "ship_to_store",
        "substitute",
        "part",
        "wait",
        "cancel_refund",
    )
    radius_km: int = Field(60, ge=0)
    other_stores: int = Field(3, ge=1)
    open_orders_limit: int | None = Field(None, ge=1)  # a store with as many orders to pick is not asked
    confidence_floor_permille: int = Field(500, ge=0, le=1000)
    # The first signal that differs decides; with weights, the sum of all that are named here (see domain/sourcing.py).
    signals: tuple[Signal, ...] = ("promise", "split", "cost", "confidence", "proximity")
    weights: dict[Signal, Annotated[int, Field(ge=0)]] = {}
    across_entities: bool = False
    to_store_s: int = Field(2 * DAY_S, gt=0)  # from a warehouse to a store
    wait_s: int = Field(DAY_S, gt=0)  # how long an order waits for stock before somebody looks again
    substitute_price_band_permille: int = Field(300, ge=0)


class OfferPolicy(Part):
    """How customers are asked by link, and what they may do by one. `automatic` are ways out that are offered without
    anybody choosing them; a substitute only where every line that misses something allows it.
    """

    automatic: tuple[Literal["substitute", "other_store", "ship_to_store"], ...] = ("substitute",)
    most: int = Field(3, ge=0)  # questions to one customer about one order
    answer_s: int = Field(2 * HOUR_S, gt=0)
    before_promise_s: int = Field(1800, ge=0)
    least_s: int = Field(1800, gt=0)
    extension_open_days: int = Field(2, ge=0)
    extensions: int = Field(1, ge=0)
    cancel_by_link: bool = True
    # Which questions ask for a code that stands in their mail: those by which a customer would be charged, or all.
    mail_code: Literal["never", "charged", "always"] = "never"


class StockPolicy(Part):
    channel_threshold: dict[str, int] = {}
    negative_after_s: int = Field(HOUR_S, gt=0)
    # Which promise is doubted first when the till may have sold it; the next rule decides where one leaves a tie.
    doubt_first: tuple[DoubtRule, ...] = ("newest", "least_at_stake")


class BandPolicy(Part):
    """Minor units from which a manager, and from which finance must approve; `null` never asks that level."""

    manager_minor: int | None = Field(ge=0)
    finance_minor: int | None = Field(ge=0)

    @property
    def limits(self) -> Limits:
        return Limits(self.manager_minor, self.finance_minor)

    @model_validator(mode="after")
    def _finance_looks_at_more(self) -> Self:
        manager, finance = self.manager_minor, self.finance_minor
        if manager is not None and finance is not None and finance < manager:
            raise ValueError("the limit of finance is not below that of a manager")
        return self


class Bands(Part):
    """At or above a limit somebody must approve; an amount of 0 asks always. Stock counts at cost."""

    count: BandPolicy = BandPolicy(manager_minor=5_000, finance_minor=50_000)
    adjustment: BandPolicy = BandPolicy(manager_minor=5_000, finance_minor=50_000)
    transfer: BandPolicy = BandPolicy(manager_minor=50_000, finance_minor=500_000)
    claim: BandPolicy = BandPolicy(manager_minor=100_000, finance_minor=1_000_000)
    return_override: BandPolicy = BandPolicy(manager_minor=0, finance_minor=20_000)  # always somebody's word
    refund_approval_minor: int = Field(20_000, ge=0)
    appeasement_minor: int = Field(1_000, ge=0)
    sign_in_minor: int = Field(50_000, ge=0)  # above this a link alone does not decide
    # and whoever agrees in the console has proven themselves so many seconds before at most; null: once a session
    proven_within_s: int | None = Field(900, ge=60, le=43_200)
    token_agrees: bool = False  # a person's own API token agrees above it, too: whoever holds it is taken for them
    write_off_minor: int = Field(5_000, ge=0)

    def a_token_agrees_to(self, amount_minor: int) -> bool:
        """Whether a person's own token is enough to agree to an amount; it may always reject and ask."""
        return self.token_agrees or amount_minor < self.sign_in_minor


class ToleranceLimits(Part):
    """A difference is tolerated when it keeps every limit; one that is null is not looked at."""

    units: int | None = Field(2, ge=0)
    permille: int | None = Field(100, ge=0)  # of the book
    value_minor: int | None = Field(1_000, ge=0)  # at cost


class CountPolicy(Part):
    """Cycle counts. From which value somebody must agree is a band (`Bands.count`)."""

    window_s: int = Field(DAY_S, gt=0)  # from opening to the time by which it should be counted
    plus: ToleranceLimits = ToleranceLimits(units=2, permille=200, value_minor=2_000)
    minus: ToleranceLimits = ToleranceLimits()
    feed_wait_s: int = Field(4 * HOUR_S, gt=0)  # how long posting waits for the store's feed before somebody is asked
    feed_look_s: int = Field(300, gt=0)
    search_s: int = Field(DAY_S, gt=0)
    confidence_weight_permille: int = Field(600, ge=0, le=1000)  # of the latest count beside what was known before
    chronic_counts: int = Field(3, ge=1)  # so many counts off within the days make an item chronic at a place
    chronic_days: int = Field(90, ge=1)
    daily_lines: int = Field(10, ge=0, le=500)  # that the schedule opens at a place each day; 0 switches it off


class PaymentPolicy(Part):
    """Authorised money that is not taken yet."""

    renew_before_s: int = Field(DAY_S, gt=0)  # before an authorisation ends
    renewed_for_s: int = Field(7 * DAY_S, gt=0)  # where the provider does not say until when it holds


class TransferPolicy(Part):
    """Store transfers. From which value somebody must agree is a band (`Bands.transfer`)."""

    ship_open_s: int = Field(DAY_S, gt=0)  # of the source's opening hours, from being agreed to being shipped
    transit_s: int = Field(2 * DAY_S, gt=0)  # on the way, where the shipment does not say when it comes
    receipt_grace_s: int = Field(DAY_S, gt=0)  # after it should have come, until somebody is asked
    chase_s: int = Field(DAY_S, gt=0)  # until somebody is asked again after a carrier was chased
    extend_s: int = Field(2 * DAY_S, gt=0)
    await_s: int = Field(2 * DAY_S, gt=0)  # how long the rest is waited for
    recount_s: int = Field(DAY_S, gt=0)  # how long a recount may take before somebody is asked again
    markup_permille: int = Field(0, ge=0, le=10_000)  # on cost, for another entity
    short: ToleranceLimits = ToleranceLimits(units=1, permille=50, value_minor=500)  # and damage
    over: ToleranceLimits = ToleranceLimits(units=1, permille=50, value_minor=500)


class PromotionPolicy(Part):
    """Promotions: when their prices go out, how patiently they are tried, and from which margin on nobody is asked."""

    publish_before_s: int = Field(DAY_S, ge=0)
    margin_floor_permille: int = Field(100, ge=-1000, le=1000)  # where a promotion names none
    # Between two runs over the prices that a channel does not show yet; the last one is kept for as long as it takes.
    pauses_s: tuple[Annotated[int, Field(gt=0)], ...] = Field((60, 300, 900, 1800), min_length=1)
    case_after_runs: int = Field(3, ge=1)
    # How long after a channel has shown every price it is read back once more, and how long after that again.
    check_after_s: tuple[Annotated[int, Field(gt=0)], ...] = Field((900, 7_200, DAY_S), max_length=12)
    look: LookPolicy = LookPolicy()

    def pause(self, run: int) -> timedelta:
        """How long to wait after so many runs, from 1."""
        return timedelta(seconds=self.pauses_s[min(run, len(self.pauses_s)) - 1])

    def check_after(self, checks: int) -> timedelta | None:
        """How long until a channel is read back, when it was so many times already; None: no more."""
        return timedelta(seconds=self.check_after_s[checks]) if checks < len(self.check_after_s) else None


class ClaimPolicy(Part):
    """Claims against vendors. From which value somebody must agree is a band (`Bands.claim`)."""

    answer_s: int = Field(30 * DAY_S, gt=0)  # how long a vendor has to answer
    pay_s: int = Field(30 * DAY_S, gt=0)  # and to pay what it has accepted
    dispute_s: int = Field(14 * DAY_S, gt=0)  # to answer again, once its answer is disputed
    chase_s: int = Field(7 * DAY_S, gt=0)
    unsent_s: int = Field(7 * DAY_S, gt=0)  # for a vendor without an address: until somebody asks whether it went out
    late_s: int = Field(30 * DAY_S, gt=0)  # after the last claim: how long late sales and returns are gathered
    least_minor: int = Field(500, ge=0)  # of late sales and returns: what is less is released instead of claimed
    disputes: int = Field(2, ge=0)  # of one claim
    tolerance: ToleranceLimits = ToleranceLimits(units=None, permille=10, value_minor=500)  # of a whole answer


class AuthorityPolicy(Part):
    """Who posts, refunds and writes to the customer, because other systems do part of it already."""

    posting: dict[str, Literal["books", "memo"]] = {"pos": "memo", "stock.received": "memo"}
    refund: Literal["endcap", "source"] = "endcap"
    notice: Literal["endcap", "source"] = "endcap"
    refund_silence_s: int = Field(2 * DAY_S, gt=0)  # after which somebody asks the source that has not confirmed

    def of_posting(self, event: str) -> Literal["books", "memo"]:
        """The longest prefix of the event's name that is listed wins; what is not listed goes to the books."""
        parts = event.split(".")
        for length in range(len(parts), 0, -1):
            found = self.posting.get(".".join(parts[:length]))
            if found is not None:
                return found
        return "books"


class CaseClocks(Part):
    """Open time of the owner's calendar, from opening."""

    unclaimed_s: int = Field(gt=0)
    unstarted_s: int = Field(gt=0)
    unresolved_s: int = Field(gt=0)


RootCause = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,59}$")]


class CasePolicy(Part):
    clocks: dict[str, CaseClocks] = {
        "critical": CaseClocks(unclaimed_s=900, unstarted_s=1800, unresolved_s=2 * HOUR_S),
        "high": CaseClocks(unclaimed_s=1800, unstarted_s=HOUR_S, unresolved_s=4 * HOUR_S),
        "medium": CaseClocks(unclaimed_s=2 * HOUR_S, unstarted_s=4 * HOUR_S, unresolved_s=12 * HOUR_S),
        "low": CaseClocks(unclaimed_s=8 * HOUR_S, unstarted_s=16 * HOUR_S, unresolved_s=40 * HOUR_S),
    }
    level_s: int = Field(HOUR_S, gt=0)  # from one step of the ladder to the next
    # What a person must name as the root cause when they decide a case of a kind; a kind that is not listed asks none.
    root_causes: dict[str, tuple[RootCause, ...]] = {}
    mention_mail: bool = True  # who is mentioned in a comment gets a mail; the console says it in any case
    # How long a decision at the console can be undone before anything comes of it: by severity, or by kind of case,
    # which goes first. 0 applies it at once.
    undo_s: dict[str, Annotated[int, Field(ge=0, le=HOUR_S)]] = {"critical": 0, "high": 120, "medium": 120, "low": 120}

    def undo_window(self, kind: str, severity: str) -> timedelta:
        return timedelta(seconds=self.undo_s.get(kind, self.undo_s.get(severity, 0)))


Count = Annotated[int, Field(ge=1, le=20)] | Literal["any", "all"]  # how many must agree


class QuorumPolicy(Part):
    """How many must agree where the band asks a manager, and where it asks finance."""

    manager: Count = "any"
    finance: Count = "any"


class ApprovalPolicy(Part):
    level_s: int = Field(8 * HOUR_S, gt=0)
    reminder_permille: tuple[int, ...] = (500, 800)
    ladders: dict[str, tuple[str, ...]] = {
        "refund": ("store_manager", "finance", "admin"),
        "appeasement": ("store_manager", "finance", "admin"),
        "write_off": ("finance", "admin"),
        "adjustment": ("store_manager", "finance", "admin"),
        "count": ("store_manager", "finance", "admin"),
        "transfer": ("store_manager", "finance", "admin"),
        # Whoever buys and sells first, then finance: each is asked by an approval of its own.
        "promotion": ("merchandiser", "finance", "admin"),
        "claim": ("finance", "admin"),
        "return_override": ("store_manager", "finance", "admin"),
        "policy_change": ("finance", "admin"),
    }
    quorum: Count = 1  # where `quorums` says nothing
    quorums: dict[str, QuorumPolicy] = {}  # by kind
    mail_code: bool = False  # whether a link asks for a code that stands in its mail
    mails_per_person_hour: int = Field(5, ge=1)

    @field_validator("ladders")
    @classmethod
    def _finance_can_be_asked(cls, ladders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """A band that asks finance is never answered by others."""
        for kind in ("adjustment", "count", "transfer", "promotion", "claim", "return_override"):
            if kind in ladders and "finance" not in ladders[kind]:
                raise ValueError(f"the ladder of {kind} needs the role finance, which its band may ask")
        return ladders

    def ladder(self, kind: str) -> tuple[str, ...]:
        """Who is asked, level by level; a policy from before a kind of approval leaves it as shipped."""
        return self.ladders.get(kind) or ApprovalPolicy().ladders[kind]

    def quorum_of(self, kind: str, level: Level) -> Quorum:
        """How many must agree; with several sides, of each."""
        own = self.quorums.get(kind)
        if own is None:
            return self.quorum
        return own.finance if level is Level.FINANCE else own.manager


class Policy(Part):
    """Everything a journey may need, resolved for its place. `version` names the documents it was merged from."""

    version: str = "shipped"
    bopis: BopisPolicy = BopisPolicy()
    sourcing: SourcingPolicy = SourcingPolicy()
    offers: OfferPolicy = OfferPolicy()
    stock: StockPolicy = StockPolicy()
    bands: Bands = Bands()
    payments: PaymentPolicy = PaymentPolicy()
    authority: AuthorityPolicy = AuthorityPolicy()
    count: CountPolicy = CountPolicy()
    returns: ReturnPolicy = ReturnPolicy()
    transfer: TransferPolicy = TransferPolicy()
    promotion: PromotionPolicy = PromotionPolicy()
    claim: ClaimPolicy = ClaimPolicy()
    cases: CasePolicy = CasePolicy()
    approvals: ApprovalPolicy = ApprovalPolicy()

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, data: Any) -> Any:
        """Documents and running journeys may still name the band of adjustments `stock.adjustment_review_minor`."""
        stock = data.get("stock") if isinstance(data, Mapping) else None
        if not isinstance(stock, Mapping) or "adjustment_review_minor" not in stock:
            return data
        limit = stock["adjustment_review_minor"]
        finance = ((data.get("bands") or {}).get("adjustment") or Bands().adjustment.model_dump())["finance_minor"]
        if isinstance(limit, int) and finance is not None:
            finance = max(finance, limit)
        kept = {**data, "stock": {name: value for name, value in stock.items() if name != "adjustment_review_minor"}}
        return _over(kept, {"bands": {"adjustment": {"manager_minor": limit, "finance_minor": finance}}})


def merge(overrides: Iterable[tuple[str, Mapping[str, Any]]]) -> Policy:
    """Merge (version, partial document) pairs, least specific first, over the shipped policy.

    Raises pydantic's `ValidationError` for a name or a value that no policy has.
    """
    return _merged(tuple((version, json.dumps(document)) for version, document in overrides))


@lru_cache(maxsize=256)
def _merged(overrides: tuple[tuple[str, str], ...]) -> Policy:
    """Kept by what the documents say: a policy never changes, and every page and step asks for the same few."""
    body: dict[str, Any] = Policy().model_dump(mode="json", exclude={"version"})
    versions = []
    for version, text in overrides:
        body = _over(body, json.loads(text))
        versions.append(version)
    return Policy.model_validate({**body, "version": "+".join(versions) or "shipped"})


def _over(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        below = merged.get(name)
        merged[name] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
