"""Systems number things in letters and signs of their own; each is made, said where it is, and found there."""

import json
import re
from functools import partial
from html import unescape
from typing import Any

import httpx2
import pytest
from markupsafe import escape

import ledger.engine
from tests.web.funding import agreement_at
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion
from tests.web.retail import order

__all__ = ["accounts", "browse", "sign_in"]
KEY = 'W-\u5354\u20ac"1;=#2?3%41&+'
LINE = {"line_id": "1", "sku": "BREAD", "quantity": 1}
ADJUSTED = [{"sku": "BREAD", "quantity": -1, "reason": "damaged"}]
MADE: dict[str, dict[str, Any]] = {
    "bopis-orders": order(KEY),
    "counts": {"count_id": KEY, "location": "S1", "skus": ["APPLE"]},
    "adjustments": {"adjustment_id": KEY, "location": "S1", "lines": ADJUSTED},
    "returns": {
        "return_id": KEY, "returned_to": "S1", "currency": "USD", "lines": [LINE | {"reason": "defective"}],
    },
    "transfers": {"transfer_id": KEY, "from": "S1", "to": "S2", "reason": "rebalance", "lines": [LINE]},
    "promotions": promotion(KEY),
    "funding-agreements": agreement_at("S1", number=KEY),
}  # fmt: skip


FOR_SAM = {"X-On-Behalf-Of": "sam.ortega"}  # who adjusts is a person


@pytest.mark.parametrize("collection", MADE)
async def test_it_is_made_and_found_where_the_answer_says(web: httpx2.AsyncClient, collection: str) -> None:
    send = partial(web.post, f"/api/v1/{collection}", json=MADE[collection], headers=FOR_SAM)
    made, again = await send(), await send()
    assert (made.status_code, again.status_code // 100) == (201, 2), (made.text, again.text)
    links = [made.headers["location"], again.headers.get("location"), made.json().get("links", {}).get("self")]
    (where,) = {one for one in links if one is not None}
    found = await web.get(where)
    assert found.status_code == 200, (where, found.text)
    assert KEY in json.dumps(found.json(), ensure_ascii=False).replace('\\"', '"')


async def test_its_pages_are_where_lists_and_pages_lead(
    web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    for collection, body in MADE.items():
        assert (await web.post(f"/api/v1/{collection}", json=body, headers=FOR_SAM)).status_code == 201
    sam, opened = await sign_in("sam.ortega"), set()
    lists = [f"/console/journeys?kind={kind}" for kind in ("bopis", "returns")]
    for first in [*lists, "/console/counts", "/console/transfers", "/console/promotions", "/console/funding"]:
        page = await sam.get(first)
        for href in {unescape(one) for one in re.findall(r'href="([^"]*)"', page.text)}:
            if "W-" in href and href not in opened:
                opened.add(href)
                answer = await sam.get(href)
                assert answer.status_code == 200, (first, href)
                assert escape(KEY) in answer.text, (first, href)
    assert len(opened) >= 6, opened
