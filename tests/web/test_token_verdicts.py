"""What a person's own token may say to a request: to what is worth much it does not agree, since whoever holds it is
not known to be its person.
"""

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from domain.policy import Policy
from ledger import tables
from ledger.transaction import Transaction
from tests.web.conftest import As
from tests.web.links import state_of
from tests.web.retail import NOW, an_approval, rows

LIMIT = Policy().bands.sign_in_minor


async def say(client: httpx2.AsyncClient, approval_id: int, verdict: str = "approve") -> httpx2.Response:
    body = {"verdict": verdict, "note": "I have seen the receipt."}
    return await client.post(f"/api/v1/approvals/{approval_id}/decisions", json=body)


async def policy(database: ledger.engine.Database, **bands: object) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(
            insert(tables.policy_document).values(
                version="tokens", entity="US01", region="", location="", body={"bands": bands}, reason="test",
                effective_from=NOW,
            )
        )  # fmt: skip

    await database.write(work, actor="test", via="test")


@pytest.mark.parametrize("amount", [LIMIT, LIMIT + 1, 10 * LIMIT])
async def test_to_a_large_amount_it_does_not_agree(as_key: As, retailer: ledger.engine.Database, amount: int) -> None:
    approval_id = await an_approval(retailer, amount_minor=amount)
    answer = await say(as_key("ana"), approval_id)
    assert (answer.status_code, answer.json()["code"]) == (403, "sign_in_needed")
    assert f"/console/approvals/{approval_id}" in answer.json()["detail"], "it says where to go"
    assert await state_of(retailer, approval_id) == "pending"
    assert await rows(retailer, tables.approval_verdict) == []


async def test_the_denial_is_written_down_under_the_key(as_key: As, retailer: ledger.engine.Database) -> None:
    ana = as_key("ana")
    await say(ana, await an_approval(retailer, amount_minor=LIMIT))
    await ana._transport.app.state.denials.write(retailer)  # type: ignore[attr-defined]
    assert ("sign_in_needed", "key:ana") in {(row["code"], row["who"]) for row in await rows(retailer, tables.denial)}


@pytest.mark.parametrize(("amount", "verdict", "state"), [
    (LIMIT - 1, "approve", "approved"), (LIMIT, "reject", "rejected"), (LIMIT, "ask", "pending"),
])  # fmt: skip
async def test_what_is_less_or_agrees_to_nothing_it_may_say(
    as_key: As, retailer: ledger.engine.Database, amount: int, verdict: str, state: str
) -> None:
    approval_id = await an_approval(retailer, amount_minor=amount)
    assert (await say(as_key("ana"), approval_id, verdict)).status_code == 200
    assert await state_of(retailer, approval_id) == state


@pytest.mark.parametrize(("amount", "agrees"), [(LIMIT - 1, True), (LIMIT, False), (10 * LIMIT, False)])
async def test_it_reads_beforehand_what_it_may_say(
    as_key: As, retailer: ledger.engine.Database, amount: int, *, agrees: bool
) -> None:
    """In the list, of the one, and in the answer to a question: what it says is what the verdict then meets."""
    approval_id = await an_approval(retailer, amount_minor=amount)
    ana = as_key("ana")
    [listed] = (await ana.get("/api/v1/approvals?mine=true")).json()["items"]
    alone = (await ana.get(f"/api/v1/approvals/{approval_id}")).json()
    asked = (await say(ana, approval_id, "ask")).json()
    for found in (listed, alone, asked):
        assert (found["may_decide"], found["may_agree"]) == (True, agrees)
        assert (found["why_not"] is None) is agrees
    assert (await say(ana, approval_id)).status_code == (200 if agrees else 403)


async def test_where_policy_lets_it_it_reads_so(as_key: As, retailer: ledger.engine.Database) -> None:
    await policy(retailer, token_agrees=True)
    approval_id = await an_approval(retailer, amount_minor=LIMIT)
    assert (await as_key("ana").get(f"/api/v1/approvals/{approval_id}")).json()["may_agree"] is True


async def test_what_is_over_it_may_not_agree_to(as_key: As, retailer: ledger.engine.Database) -> None:
    approval_id = await an_approval(retailer, amount_minor=LIMIT)
    answer = (await say(as_key("ana"), approval_id, "reject")).json()
    assert (answer["may_decide"], answer["may_agree"]) == (False, False)
    assert answer["why_not"] == "It is rejected already."


async def test_where_policy_lets_it_it_agrees(as_key: As, retailer: ledger.engine.Database) -> None:
    await policy(retailer, token_agrees=True)
    approval_id = await an_approval(retailer, amount_minor=LIMIT)
    assert (await say(as_key("ana"), approval_id)).status_code == 200
    assert await state_of(retailer, approval_id) == "approved"


async def test_another_limit_of_policy_is_its_limit_too(as_key: As, retailer: ledger.engine.Database) -> None:
    await policy(retailer, sign_in_minor=1_000)
    assert (await say(as_key("ana"), await an_approval(retailer, amount_minor=1_000))).status_code == 403
    assert (await say(as_key("ana"), await an_approval(retailer, amount_minor=999))).status_code == 200
