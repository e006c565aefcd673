"""Outgoing webhooks: what may be subscribed to, how long a delivery is tried, and what the API says about them.

Signed after Standard Webhooks. A message holds ids, a state and an instant; never personal data.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, field_validator

from domain.journey_kinds import JOURNEY_KINDS
from domain.orders import Body

EVENTS: dict[str, frozenset[str]] = {
    **{kind.kind: frozenset(kind.transitions) for kind in JOURNEY_KINDS.values()},
    "case": frozenset({"opened", "claimed", "waiting", "released", "deciding", "given_back", "resolved", "cancelled"}),
    "refund": frozenset({"requested"}),
    "notice": frozenset({"requested"}),
    "webhook": frozenset({"ping"}),
}
_PATTERN = re.compile(r"(?P<noun>[a-z_]+)\.(?P<word>[a-z_]+|\*)")

ENDPOINT_STATES = ("active", "disabled", "removed")
DELIVERY_STATES = ("queued", "sent", "failed")
# After the n-th failure; with the last one, a delivery has been tried for somewhat more than three days.
WAITS: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
DISABLED_AFTER = timedelta(days=5)  # without a single success
OLD_SECRET_SIGNS = timedelta(hours=24)  # after a rotation, beside the new one
KEPT = timedelta(days=30)  # ended deliveries, for redelivery and the log
KEPT_ATTEMPTS = 20  # of one delivery, in its log


def wait_after(attempts: int, *, asked_s: int | None = None) -> timedelta | None:
    """How long after the n-th failure the next attempt comes, None when it was the last. `asked_s`: what the receiver
    asked for (`Retry-After`); it makes the wait longer, up to a day, never shorter.
    """
    if attempts > len(WAITS):
        return None
    asked = timedelta(seconds=min(max(asked_s or 0, 0), 86_400))
    return max(WAITS[attempts - 1], asked)


def check_type(text: str) -> str:
    """A type, `noun.*` or `*`. Raises `ValueError` with what there is."""
    if text == "*":
        return text
    found = _PATTERN.fullmatch(text)
    if found is None or found["noun"] not in EVENTS:
        raise ValueError(f"a type is noun.word, noun.* or *; the nouns are {', '.join(EVENTS)}")
    words = EVENTS[found["noun"]]
    if found["word"] != "*" and found["word"] not in words:
        raise ValueError(f"{found['noun']} has {', '.join(sorted(words))}")
    return text


class WebhookIn(Body):
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    types: Annotated[tuple[Annotated[str, StringConstraints(max_length=80)], ...], Field(min_length=1, max_length=50)]

    @field_validator("types")
    @classmethod
    def _types_exist(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check_type(text) for text in types))


class Webhook(BaseModel):
    """An endpoint. `failing_since`: nothing has been accepted since then; `waiting`: deliveries that wait."""

    id: str
    url: str
    types: list[str]
    state: Literal["active", "disabled", "removed"]
    source: str
    created_at: datetime
    failing_since: datetime | None
    disabled_reason: str | None
    waiting: int


class NewWebhook(Webhook):
    """With the secret that signs; it is shown this once."""

    secret: str


class Attempt(BaseModel):
    """One call: the answer's status, or why there was none; how long it took in ms."""

    at: datetime
    status: int | None
    error: str | None
    ms: int


class Delivery(BaseModel):
    """A message for an endpoint. `message_id` stays the same however often it is sent."""

    id: int
    message_id: str
    type: str
    subject: str
    state: Literal["queued", "sent", "failed"]
    attempts: int
    next_at: datetime | None
    sent_at: datetime | None
    at: datetime
    body: dict[str, Any]
    log: list[Attempt]


def message_id(delivery_id: int) -> str:
    return f"msg_{delivery_id}"
