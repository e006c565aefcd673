"""Builds and parses the ids that workflows, outbox targets and pages share; nowhere else is an id put together."""

from typing import NamedTuple
from urllib.parse import quote

TASK_QUEUE = "endcap"
# The source of journeys that Endcap begins by itself.
OWN_SOURCE = "endcap"


class JourneyId(NamedTuple):
    kind: str
    source: str
    key: str


def journey_id(kind: str, source: str, key: str) -> str:
    """`bopis:web:W-1001`; the key may hold colons, kind and source never do."""
    return f"{kind}:{source}:{key}"


def parse_journey_id(text: str) -> JourneyId:
    kind, source, key = text.split(":", 2)
    return JourneyId(kind, source, key)


def api_link(collection: str, name: str) -> str:
    """Where the API has it: `/api/v1/journeys/bopis:web:W-1001`, whatever letters and signs the name is made of."""
    return f"/api/v1/{collection}/{quote(name, safe=':')}"


def case_target(case_id: int, episode: int) -> str:
    """The workflow of one episode of a case; a reopened case is a new one."""
    return f"case:{case_id}:{episode}"


def approval_target(approval_id: int) -> str:
    return f"approval:{approval_id}"


def bulk_target(bulk_id: int) -> str:
    return f"bulk:{bulk_id}"


def hold_id(journey: str, line_id: str, location: str) -> str:
    """One hold per line, place and journey: moving a line to another store makes a second one."""
    return f"{journey}/{line_id}/{location}"


def checkout_id(source: str, key: str) -> str:
    """`hold:web:C-77`: units that a channel holds before there is an order, or without one."""
    return f"hold:{source}:{key}"


def payment_id(journey: str, reference: str) -> str:
    return f"{journey}/{reference}"


def receipt_document(source: str, location: str, receipt: str) -> str:
    """The key of a till receipt's sale lines."""
    return f"receipt:{source}:{location}:{receipt}"
