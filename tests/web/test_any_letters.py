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


NUMBERED = {
    "bopis-orders": "order_id", "counts": "count_id", "adjustments": "adjustment_id", "returns": "return_id",
    "transfers": "transfer_id", "promotions": "promotion_id", "funding-agreements": "number",
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


@pytest.mark.parametrize("collection", MADE)
async def test_a_number_in_the_other_normal_form_is_the_same_number(web: httpx2.AsyncClient, collection: str) -> None:
    one, other = ({**MADE[collection], NUMBERED[collection]: f"W-{word}"} for word in ("caf\u00e9", "cafe\u0301"))
    send = partial(web.post, f"/api/v1/{collection}", headers=FOR_SAM)
    made, again = await send(json=one), await send(json=other)
    assert (made.status_code, again.status_code // 100) == (201, 2), (made.text, again.text)
    where = again.headers.get("location") or made.headers["location"]
    for word in ("caf%C3%A9", "cafe%CC%81"):
        assert (await web.get(where.replace("caf%C3%A9", word))).status_code == 200


@pytest.mark.parametrize("unseen", ["\u200b", "\ufeff", "\u00ad", "\u3164", "\u2028", "\ufe0f"])
@pytest.mark.parametrize("collection", MADE)
async def test_a_number_that_looks_like_another_is_refused(
    standing: httpx2.AsyncClient, collection: str, unseen: str
) -> None:
    body = {**MADE[collection], NUMBERED[collection]: f"W-1{unseen}2"}
    answer = await standing.post(f"/api/v1/{collection}", json=body, headers=FOR_SAM)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.json()["errors"][0]["pointer"] == f"/{NUMBERED[collection]}"
