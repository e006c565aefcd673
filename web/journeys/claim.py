"""A claim against a vendor on the pages that all journeys share. Stores have nothing to do with it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.claim import DISPUTE_GROUNDS, WITH_THE_VENDOR
from domain.errors import NotFound
from domain.people import Person
from ledger.reads.journeys import JourneyDetail
from ledger.reads.places import item_names
from ledger.reads.promotions import journeys_of
from ledger.reads.store import StorePlace
from ledger.reads.vendor_claims import claim_view
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile

MOST_LINES = 60  # of a form; a longer claim is answered by its file
DUES = {
    "unsent": Due("Handed over", "a case if nobody has handed it to the vendor by then"),
    "answer": Due("Answered", "a case if the vendor has not answered by then"),
    "payment": Due("Paid", "a case if what was accepted is not paid by then"),
}


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    try:
        claim = await claim_view(conn, person, journey_id)
    except NotFound:
        return None
    return Beside({"claim": claim}, frozenset(line.sku for line in claim.lines if line.sku))


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    claim = await claim_view(conn, person, journey.id)
    skus = {line.sku for line in claim.lines if line.sku} | {line.sku for line in journey.postings if line.sku}
    return {
        "names": await item_names(conn, skus),
        "promotions": await journeys_of(conn, claim.entity, {line.promotion_id for line in claim.lines}),
        "claim": claim,
        "may_say": person.may_decide(journey.entity, journey.region, journey.location),
        "with_vendor": claim.state in WITH_THE_VENDOR,
        "grounds": DISPUTE_GROUNDS,
        "most_lines": MOST_LINES,
        "form_id": uuid.uuid4().hex,
    }


async def tiles(conn: AsyncConnection, place: StorePlace) -> Sequence[Tile]:  # noqa: ARG001  the shape of all kinds
    return ()


async def next_tasks(conn: AsyncConnection, place: StorePlace) -> Sequence[NextTask]:  # noqa: ARG001
    return ()


PARTS = JourneyParts(
    kind="claim", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details
)  # fmt: skip
